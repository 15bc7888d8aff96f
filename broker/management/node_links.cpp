// SPDX-License-Identifier: Apache-2.0
// From request to operation, and the response to wherever it is wanted.
#include "broker/management/node_links.hpp"

#include <array>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"
#include "amqp/spec/fast.hpp"
#include "broker/management/entities.hpp"
#include "broker/management/http.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::management {

namespace conditions = amqp::spec::conditions;
namespace engine = amqp::engine;
using amqp::message::message;

namespace {

constexpr std::uint32_t window = 32;                   // requests at a time, on one link
constexpr std::uint64_t request_octets_max = 1 << 20;  // no declaration comes near
/// The reply-to of a request whose response goes to the other link of its pair.
constexpr std::string_view pair_address = "$me";

std::optional<std::string> target_of(const amqp::spec::attach& asked) {
  if (asked.target.empty()) return std::nullopt;
  const auto target = amqp::codec::from_raw<amqp::spec::target>(asked.target);
  return target.has_value() ? target->address : std::nullopt;
}

/// The links of a pair say so; a lone link to /management could not be answered.
bool says_paired(const amqp::spec::attach& asked) {
  return asked.properties && asked.properties->get<bool>("paired").value_or(false);
}

constexpr std::string_view not_paired =
    "a link to /management is one of a pair: its property `paired` must be true";

/// Our attach: what was asked is in force, as nothing of it outlives the link.
amqp::spec::attach reply_to(const amqp::spec::attach& asked) {
  amqp::spec::attach out;
  out.snd_settle_mode = asked.snd_settle_mode;
  out.rcv_settle_mode = amqp::spec::receiver_settle_mode::first;
  out.source = asked.source.value_or(amqp::spec::source{});
  out.source->durable = amqp::spec::terminus_durability::none;
  out.source->filter.reset();
  out.target = asked.target.empty() ? amqp::codec::to_raw(amqp::spec::target{}) : asked.target;
  if (says_paired(asked)) {
    out.properties = amqp::codec::map{{amqp::codec::value(amqp::symbol("paired")),
                                       amqp::codec::value(true)}};
  }
  return out;
}

core::message_ptr encoded(const message& m) {
  amqp::octet_buffer out;
  amqp::message::encode(out, m);
  auto made = core::make_message(out.octets());
  return made.has_value() ? *std::move(made) : nullptr;
}

}  // namespace

std::unique_ptr<protocol::link_base> make_link(protocol::connection_handler& owner,
                                               protocol::context& with, engine::link& wire,
                                               const amqp::spec::attach& asked) {
  if (wire.is_sender()) {
    const auto speaks = dialect_of(asked.source ? asked.source->address : std::nullopt);
    if (!speaks) return nullptr;
    return std::make_unique<response_link>(owner, with, static_cast<engine::sender&>(wire),
                                           *speaks);
  }
  const auto speaks = dialect_of(target_of(asked));
  if (!speaks) return nullptr;
  return std::make_unique<request_link>(owner, with, static_cast<engine::receiver&>(wire),
                                        *speaks);
}

// --- requests --------------------------------------------------------------------------------

request_link::request_link(protocol::connection_handler& owner, protocol::context& with,
                           engine::receiver& wire, dialect speaks)
    : link_base(owner, with, wire, kind::management), wire_in_(wire), speaks_(speaks) {}

void request_link::start(const amqp::spec::attach& asked) {
  if (speaks_ == dialect::http && !says_paired(asked)) {
    return refuse(conditions::invalid_field, std::string(not_paired));
  }
  amqp::spec::attach mine = reply_to(asked);
  mine.max_message_size = request_octets_max;
  attached_ = true;
  wire_in_.attach(std::move(mine));
  wire_in_.grant(window);
}

void request_link::on_event(const engine::event& e) {
  if (e.kind != engine::event_kind::transfer || ending_) return;
  if (e.aborted) return partial_.clear();
  if (e.first) partial_.clear();
  partial_.append(e.payload, !e.last);
  if (e.last) on_request(e);
}

void request_link::on_request(const engine::event& e) {
  auto octets = partial_.finish(e.message_format);
  if (octets.has_error()) {
    return reject(e, conditions::decode_error, "the request cannot be read");
  }
  auto read = amqp::message::decode((*octets)->octets());
  if (read.has_error()) {
    return reject(e, conditions::decode_error,
                  "the request cannot be read: " + amqp::to_text(read.error()));
  }
  if (!read->properties || !read->properties->reply_to) {
    return reject(e, conditions::invalid_field, "the request has no reply-to");
  }
  ++busy_;
  if (!e.is_settled) wire_in_.settle(e.delivery_id, amqp::spec::fast::accepted_octets);
  perform(std::make_shared<const message>(*std::move(read)));
}

void request_link::reject(const engine::event& e, std::string_view condition,
                          std::string description) {
  if (!e.is_settled) {
    wire_in_.settle(e.delivery_id,
                    protocol::rejected_octets(condition, std::move(description)).octets());
  }
  ++busy_;
  on_answered();
}

asker request_link::who_asks() const {
  return {with_.home,
          with_.nodes,
          owner_.allowed(),
          owner_.id(),
          with_.settings.container_id,
          [&with = with_, self = self_](const std::string& queue) {
            auto* link = static_cast<request_link*>(with.home.find_link(self));
            if (link != nullptr) return link->owner_.own(queue);
            with.nodes.remove(with.home, queue);  // its connection went before it was made
          }};
}

void request_link::perform(std::shared_ptr<const message> request) {
  const operations on(who_asks());
  const answer done = [&with = with_, self = self_, request](const reply& what) {
    auto* link = static_cast<request_link*>(with.home.find_link(self));
    if (link != nullptr && !link->ending_) link->respond_to(*request, what);
  };
  if (speaks_ == dialect::http) {
    http_request r;
    r.method = request->properties->subject.value_or("");
    r.target = request->properties->to.value_or("");
    r.body = body_of(*request);
    return handle(on, r, done);
  }
  auto read = entity_request_from(request->application_properties.value_or(amqp::codec::map{}),
                                  body_of(*request));
  if (read.wrong) return done(failure(status::bad_request, *read.wrong));
  handle(on, read.request, done);
}

void request_link::respond_to(const message& request, const reply& what) {
  const std::string& reply_to = *request.properties->reply_to;
  auto response = encoded(respond(speaks_, request, what));
  for (const auto& link : owner_.links()) {
    auto* to = dynamic_cast<response_link*>(link.get());
    if (to == nullptr || !to->is_meant(*this, reply_to)) continue;
    to->respond(std::move(response), self_);
    return owner_.want_flush();
  }
  if (reply_to == pair_address) {
    with_.log.debug("a management request cannot be answered: it has no link of its pair",
                    {{"link", wire_.name()}});
    on_answered();
    return owner_.want_flush();
  }
  send_to_queue(reply_to, std::move(response));
}

/// The response is a message like any other, from whoever asked.
void request_link::send_to_queue(const std::string& address, core::message_ptr response) {
  core::node_request to;
  to.address = address;
  to.connection = owner_.id();
  to.may_use = [&allowed = owner_.allowed()](std::string_view name) {
    return security::is_permitted(allowed, security::action::send, name);
  };
  to.may_configure = [](std::string_view) { return false; };  // a reply makes no queues
  with_.nodes.resolve(home(), std::move(to),
                      [&with = with_, self = self_, response](const core::node_reply& there) {
                        if (there.is_ok()) {
                          with.home.send_put(there.queue, core::link_ref{}, 0, true, response);
                        }
                        auto* link = static_cast<request_link*>(with.home.find_link(self));
                        if (link == nullptr || link->ending_) return;
                        link->on_answered();
                        link->owner_.want_flush();
                      });
}

void request_link::on_answered() {
  --busy_;
  if (ending_) return;
  if (wire_in_.credit() + busy_ <= window / 2) wire_in_.grant(window - busy_);
}

void request_link::on_gone(protocol::departure) {
  ending_ = true;
  partial_.clear();
}

// --- responses -------------------------------------------------------------------------------

response_link::response_link(protocol::connection_handler& owner, protocol::context& with,
                             engine::sender& wire, dialect speaks)
    : link_base(owner, with, wire, kind::management), wire_out_(wire), speaks_(speaks) {}

void response_link::start(const amqp::spec::attach& asked) {
  if (speaks_ == dialect::http && !says_paired(asked)) {
    return refuse(conditions::invalid_field, std::string(not_paired));
  }
  address_ = target_of(asked).value_or("");
  settled_ = asked.snd_settle_mode != amqp::spec::sender_settle_mode::unsettled;
  attached_ = true;
  wire_out_.attach(reply_to(asked));
}

bool response_link::is_meant(const request_link& from, const std::string& reply_to) const {
  if (!attached_ || ending_) return false;
  if (reply_to != pair_address) return !address_.empty() && address_ == reply_to;
  return &wire_.on() == &from.wire().on() && wire_.name() == from.wire().name();
}

void response_link::respond(core::message_ptr response, core::link_ref to) {
  waiting_.push_back({std::move(response), to});
  send_waiting();
}

void response_link::on_event(const engine::event& e) {
  if (ending_) return;
  if (e.kind == engine::event_kind::sender_ready) return send_waiting();
  if (e.kind == engine::event_kind::outcome && !e.is_settled) {
    wire_out_.settle(e.delivery_id, e.state);
  }
}

void response_link::send_waiting() {
  while (!waiting_.empty() && (half_sent_ || wire_out_.can_send())) {
    const auto octets = waiting_.front().response->octets();
    if (half_sent_) {
      half_sent_ = !wire_out_.resume({}, octets).complete;
    } else {
      const std::uint32_t tag = next_tag_++;
      engine::outgoing o;
      o.tag = std::as_bytes(std::span(&tag, 1));
      o.settled = settled_;
      half_sent_ = !wire_out_.send(o, {}, octets).complete;
    }
    if (half_sent_) return;
    const core::link_ref asker = waiting_.front().asker;
    waiting_.pop_front();
    tell(asker);
  }
  if (waiting_.empty() && wire_out_.is_draining()) wire_out_.finish_drain();
}

void response_link::tell(core::link_ref asker) const {
  if (auto* link = static_cast<request_link*>(with_.home.find_link(asker))) link->on_answered();
}

void response_link::on_gone(protocol::departure) {
  ending_ = true;
  for (const waiting& w : waiting_) tell(w.asker);
  waiting_.clear();
}

}  // namespace whimbrel::broker::management
