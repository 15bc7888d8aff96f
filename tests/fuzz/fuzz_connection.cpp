// SPDX-License-Identifier: Apache-2.0
// A server's engine against any octets, with an application that does what applications do: it
// answers most of what it is told, sends, settles, drains, detaches and sometimes forgets. Nothing
// may abort or go on for ever; what is written is whole frames of the agreed size, and bounded.
//
// Input: three octets that choose the options, how far the handshake is done for it and the dice;
// then what the peer sends.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "amqp/engine/connection.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/frame/encoder.hpp"
#include "tests/support/hex.hpp"

namespace {

using namespace whimbrel;
using namespace whimbrel::amqp;
using engine::event_kind;

void require(bool condition) {
  if (!condition) std::abort();
}

engine::options options_of(std::uint8_t choice) {
  engine::options o;
  o.role = engine::side::server;
  o.sasl = static_cast<engine::sasl_policy>(choice & 1u);
  o.mechanisms = {"PLAIN", "ANONYMOUS"};
  o.container_id = "fuzz";
  o.max_frame_size = (choice & 2u) != 0 ? 512 : 8192;
  o.incoming_window = (choice & 4u) != 0 ? 3 : 100;
  o.unsettled_in_max = (choice & 8u) != 0 ? 2 : 100;
  o.unsettled_out_max = (choice & 16u) != 0 ? 2 : 1000;
  o.output_octets_max = (choice & 32u) != 0 ? 700 : 20'000;
  o.links_max = (choice & 64u) != 0 ? 3 : 100;
  o.first_delivery_id = (choice & 128u) != 0 ? 0xffff'fffe : 0;
  o.max_message_size = 50'000;
  o.partial_octets_max = 100'000;
  o.channel_max = 7;
  o.handle_max = 15;
  return o;
}

template <class Performative>
void add(std::vector<std::byte>& to, const Performative& p) {
  octet_buffer out;
  require(frame::append(out, frame::frame_type::amqp, 0, p, 512) != 0);
  to.insert(to.end(), out.octets().begin(), out.octets().end());
}

/// What an orderly peer would have sent so far.
std::vector<std::byte> prefix(std::uint8_t stages) {
  std::vector<std::byte> out;
  if (stages == 0) return out;
  const auto header = frame::encode(frame::protocol_header(frame::protocol::amqp));
  out.assign(header.begin(), header.end());
  add(out, spec::open{.container_id = "peer", .idle_time_out = 1000});
  if (stages == 1) return out;
  add(out,
      spec::begin{.next_outgoing_id = 0xffff'fffe, .incoming_window = 50, .outgoing_window = 50});
  add(out, spec::attach{.name = "in",
                        .handle = 0,
                        .role = spec::role::sender,
                        .initial_delivery_count = 0xffff'fffe});
  add(out, spec::attach{.name = "out",
                        .handle = 1,
                        .role = spec::role::receiver,
                        .rcv_settle_mode = spec::receiver_settle_mode::second});
  add(out, spec::flow{.incoming_window = 50,
                      .next_outgoing_id = 0xffff'fffe,
                      .outgoing_window = 50,
                      .handle = 1,
                      .link_credit = 30});
  return out;
}

class application {
 public:
  application(engine::options o, std::uint64_t seed) : wire_(std::move(o)), dice_(seed) {
    wire_.start(now_);
  }

  void hear(std::span<const std::byte> octets) {
    for (bool first = true; first || !octets.empty(); first = false) {
      const std::size_t n = octets.empty() ? 0 : 1 + dice_.below(octets.size());
      const std::vector<std::byte> chunk(octets.begin(),
                                         octets.begin() + static_cast<std::ptrdiff_t>(n));
      octets = octets.subspan(n);
      heard_ += n;
      wire_.on_octets(chunk, now_);
      drain_events();
      speak();
      if (dice_.one_in(8)) pass_time();
      if (dice_.one_in(4)) late_answers();
    }
  }

  void finish() {
    late_answers();
    wire_.on_lost();
    drain_events();
    require(closed_ == 1);
    require(wire_.is_finished());
  }

 private:
  void drain_events() {
    // Each octet may tell of something, and so may each delivery that is unsettled.
    for (std::uint64_t told = 0; const engine::event* e = wire_.poll_event(); ++told) {
      require(told < 100'000 + 100 * heard_);
      require(closed_ == 0);
      on_event(*e);
    }
  }

  void on_event(const engine::event& e) {
    switch (e.kind) {
      case event_kind::sasl_init:
      case event_kind::sasl_response:
        on_login();
        break;
      case event_kind::opened:
        dice_.one_in(10) ? void(owes_open_ = true) : wire_.open();
        break;
      case event_kind::connection_closed:
        ++closed_;
        break;
      case event_kind::link_attached:
        on_attached(e);
        break;
      case event_kind::link_detached:
        on_detached(e);
        break;
      case event_kind::session_ended:
        forget(e.on_session, nullptr);
        break;
      case event_kind::sender_ready:
        send_some(*e.on_sender);
        break;
      case event_kind::transfer:
        on_transfer(e);
        break;
      case event_kind::outcome:
        if (!e.is_settled && !dice_.one_in(3)) e.on_sender->settle(e.delivery_id, e.state);
        send_some(*e.on_sender);
        break;
      default:
        break;
    }
  }

  void on_login() {
    switch (dice_.below(8)) {
      case 0:
        wire_.sasl_outcome(spec::sasl_code::auth);
        break;
      case 1:
        wire_.sasl_challenge({});
        break;
      case 2:
        owes_login_ = true;
        break;
      default:
        wire_.sasl_outcome(spec::sasl_code::ok);
        break;
    }
  }

  void on_attached(const engine::event& e) {
    require(!e.on_link->name().empty() || e.attach->name.empty());
    links_.push_back(e.on_link);
    switch (dice_.below(10)) {
      case 0:
        e.on_link->refuse({.condition = "amqp:not-found"});
        return;
      case 1:
        return;  // answered late
      default:
        break;
    }
    e.on_link->attach({.rcv_settle_mode = e.attach->rcv_settle_mode,
                       .source = e.attach->source,
                       .target = e.attach->target});
    if (e.on_receiver != nullptr) e.on_receiver->grant(static_cast<std::uint32_t>(dice_.below(40)));
  }

  void on_detached(const engine::event& e) {
    if (e.on_sender != nullptr) count_unsettled(*e.on_sender);
    if (!e.by_us) e.on_link->detach(e.closed);
    forget(nullptr, e.on_link);
  }

  void on_transfer(const engine::event& e) {
    require(e.delivery_id != 0 || !e.first || e.tag.size() <= 32);
    engine::receiver& r = *e.on_receiver;
    switch (dice_.below(8)) {
      case 0:
        r.settle(e.delivery_id, spec::fast::released_octets);
        break;
      case 1:
        r.settle_range(e.delivery_id - 3, e.delivery_id, spec::fast::accepted_octets);
        break;
      case 2:
        r.update(e.delivery_id, spec::fast::modified_octets);
        break;
      case 3:
        r.remember(e.delivery_id, e.delivery_id);
        break;
      case 4:
        break;
      default:
        r.settle(e.delivery_id, spec::fast::accepted_octets);
        break;
    }
    if (dice_.one_in(5)) r.grant(static_cast<std::uint32_t>(dice_.below(40)));
    if (dice_.one_in(30)) r.drain(static_cast<std::uint32_t>(dice_.below(10)));
    if (dice_.one_in(60)) r.detach(dice_.one_in(2));
    if (dice_.one_in(60)) r.on().set_incoming_window(static_cast<std::uint32_t>(dice_.below(9)));
    if (dice_.one_in(200)) r.on().end(spec::error{.condition = "amqp:internal-error"});
  }

  void send_some(engine::sender& s) {
    static const std::vector<std::byte> body(3000, std::byte{'x'});
    if (half_ == &s) {
      if (dice_.one_in(5)) {
        s.abort();
        half_ = nullptr;
      } else if (s.is_attached() && s.resume({}, std::span(body).first(half_size_)).complete) {
        half_ = nullptr;
      }
    }
    for (int n = 0; n < 3 && half_ == nullptr && s.can_send(); ++n) {
      half_size_ = dice_.one_in(4) ? dice_.below(body.size()) : dice_.below(50);
      const auto tag = std::span(body).first(dice_.below(33));
      const bool whole = s.send({.tag = tag, .settled = dice_.one_in(3), .token = 1}, {},
                                std::span(body).first(half_size_))
                             .complete;
      if (!whole) half_ = &s;
    }
    if (s.is_draining() && !dice_.one_in(3)) s.finish_drain();
    count_unsettled(s);
  }

  void count_unsettled(engine::sender& s) {
    std::uint32_t n = 0;
    s.each_unsettled([](void* count, std::uint32_t, std::uint64_t,
                        bool) { ++*static_cast<std::uint32_t*>(count); },
                     &n);
    require(n == s.unsettled());
  }

  /// What was put off.
  void late_answers() {
    if (owes_login_) wire_.sasl_outcome(spec::sasl_code::ok);
    if (owes_open_) wire_.open();
    owes_login_ = owes_open_ = false;
    if (!links_.empty() && dice_.one_in(3)) {
      engine::link& l = *links_[dice_.below(links_.size())];
      dice_.one_in(4) ? l.refuse({.condition = "amqp:not-found"}) : l.attach({});
      if (dice_.one_in(10)) l.detach(true, spec::error{.condition = "amqp:resource-deleted"});
    }
    if (dice_.one_in(200)) wire_.close();
    drain_events();
    speak();
  }

  void pass_time() {
    now_ += std::chrono::milliseconds(dice_.below(3000));
    wire_.on_timeout(now_);
    drain_events();
  }

  /// The engine's octets, taken in pieces, must be headers and frames that the peer admits.
  void speak() {
    const auto out = wire_.poll_octets();
    require(out.size() <= 20'000 + 9000 + 2000 + 100 * heard_);
    const std::size_t n = dice_.one_in(3) ? dice_.below(out.size() + 1) : out.size();
    said_.insert(said_.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
    wire_.on_written(n);
    drain_events();
    std::span<const std::byte> rest = said_;
    while (rest.size() >= 8) {
      const bool is_header = frame::parse_protocol_header(rest.first(8)).has_value();
      const std::size_t size = is_header ? 8 : codec::load_big_endian<std::uint32_t>(rest.data());
      require(size >= 8 && size <= 8192);
      if (size > rest.size()) break;
      rest = rest.subspan(size);
    }
    said_.assign(rest.begin(), rest.end());
  }

  void forget(const engine::session* s, const engine::link* l) {
    std::erase_if(links_, [&](const engine::link* known) {
      const bool gone = known == l || (s != nullptr && &known->on() == s);
      if (gone && known == half_) half_ = nullptr;
      return gone;
    });
  }

  engine::connection wire_;
  test::random_source dice_;
  engine::clock::time_point now_ = engine::clock::time_point{} + std::chrono::hours(1);
  std::vector<engine::link*> links_ = {};
  std::vector<std::byte> said_ = {};
  engine::sender* half_ = nullptr;
  std::size_t half_size_ = 0;
  std::uint64_t heard_ = 0;
  int closed_ = 0;
  bool owes_login_ = false;
  bool owes_open_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  if (size < 3 || size > 100'000) return 0;
  application app(options_of(octets[0]), octets[2]);
  app.hear(prefix(octets[1] % 3));
  app.hear(std::as_bytes(std::span(octets + 3, size - 3)));
  app.finish();
  return 0;
}
