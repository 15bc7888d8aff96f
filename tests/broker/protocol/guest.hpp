// SPDX-License-Identifier: Apache-2.0
// Connections of a broker without sockets and threads: a peer that says frame by frame what the
// test wants, to a connection handler on one of the workers of a town.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/protocol/connection_handler.hpp"
#include "tests/amqp/engine/raw_peer.hpp"
#include "tests/broker/core/town.hpp"

namespace whimbrel::test {

namespace protocol = broker::protocol;

/// A town, and what its connections share.
struct house {
  explicit house(std::uint16_t workers) : w({.workers = workers}), t((w.start(), w)) {
    for (auto& s : w.shards) {
      contexts.push_back(std::make_unique<protocol::context>(protocol::context{
          *s, t.nodes, settings, users, logins, log, [](const std::function<void()>&) {}}));
    }
  }
  /// The queue of that name, made if need be.
  core::queue& queue(const std::string& name) { return w.at(t.reply(ask(name)).queue); }

  world w;
  town t;
  broker::config::settings settings = {};
  broker::security::user_table users{{}};
  broker::security::authenticator logins{users};
  broker::logger log{broker::log_level::off, broker::log_format::text};
  std::vector<std::unique_ptr<protocol::context>> contexts = {};
};

/// One connection, opened, with a session on channel 0. Its frames are in `heard`.
class guest : public raw_peer {
 public:
  guest(house& in, std::size_t worker, const std::string& container)
      : guest(in, worker, spec::open{.container_id = container}) {}
  /// It may have been refused.
  guest(house& in, std::size_t worker, const spec::open& as)
      : in_(in),
        handler(*in.contexts[worker % in.contexts.size()], side.wire,
                {.id = ++last_id, .address = "test", .anonymous_allowed = true}, [] {}) {
    side.polled_by = [this] { handler.on_events(); };
    open(as);
    settle();
    if (count<spec::close>() > 0) return;
    tell(spec::begin{.next_outgoing_id = 0, .incoming_window = 100, .outgoing_window = 100});
  }

  /// Until nobody has anything left to say.
  void settle() {
    for (std::size_t before = 0;;) {
      in_.w.settle_down();
      listen();
      handler.on_output_written();
      if (heard.size() == before) return;
      before = heard.size();
    }
  }
  template <class Performative>
  void tell(const Performative& p, std::string_view payload = {}, std::uint16_t channel = 0) {
    say(p, payload, channel);
    settle();
  }

  /// Attaches a receiver, and returns the source in force.
  spec::source consume(std::uint32_t handle, const std::string& link, spec::source source,
                       std::uint32_t credit = 10, std::uint16_t channel = 0) {
    tell(spec::attach{.name = link,
                      .handle = handle,
                      .role = spec::role::receiver,
                      .source = std::move(source),
                      .target = codec::to_raw(spec::target{})},
         {}, channel);
    const auto reply = last<spec::attach>();
    REQUIRE(reply.has_value());
    REQUIRE(reply->source.has_value());
    give_credit(handle, credit, channel);
    return *reply->source;
  }
  void give_credit(std::uint32_t handle, std::uint32_t credit, std::uint16_t channel = 0) {
    tell(spec::flow{.incoming_window = 1000,
                    .next_outgoing_id = 0,
                    .outgoing_window = 100,
                    .handle = handle,
                    .delivery_count = 0,
                    .link_credit = credit},
         {}, channel);
  }
  /// Attaches a sender, and returns the target in force.
  spec::target produce(std::uint32_t handle, const std::string& link, const spec::target& target) {
    tell(spec::attach{.name = link,
                      .handle = handle,
                      .role = spec::role::sender,
                      .source = spec::source{},
                      .target = codec::to_raw(target),
                      .initial_delivery_count = 0});
    const auto reply = last<spec::attach>();
    REQUIRE(reply.has_value());
    const auto in_force = codec::from_raw<spec::target>(reply->target);
    REQUIRE(in_force.has_value());
    return *in_force;
  }
  void detach(std::uint32_t handle, bool closed, std::uint16_t channel = 0) {
    tell(spec::detach{.handle = handle, .closed = closed}, {}, channel);
  }
  /// Accepts what it has received.
  void accept(std::uint32_t from, std::uint32_t to, std::uint16_t channel = 0) {
    tell(spec::disposition{.role = spec::role::receiver,
                           .first = from,
                           .last = to,
                           .settled = true,
                           .state = codec::to_raw(spec::accepted{})},
         {}, channel);
  }
  /// The deliveries heard since the last call: ids, tags, and the failures so far.
  struct delivery {
    std::uint32_t id = 0;
    std::string tag = {};
    std::uint32_t failed = 0;
  };
  [[nodiscard]] std::vector<delivery> deliveries() {
    std::vector<delivery> out;
    for (; taken_ < heard.size(); ++taken_) {
      const heard_frame& f = heard[taken_];
      if (f.code != spec::transfer::type.code) continue;
      codec::reader r(f.body);
      const auto t = codec::decode_as<spec::transfer>(r);
      REQUIRE(t.has_value());
      const auto seen = amqp::message::scan(r.rest());
      REQUIRE(seen.has_value());
      const auto header = amqp::message::read_header(r.rest().first(seen->header_end));
      REQUIRE(header.has_value());
      out.push_back({*t->delivery_id, to_hex(t->delivery_tag->octets), header->delivery_count});
    }
    return out;
  }

 private:
  static inline std::uint64_t last_id = 100;
  house& in_;
  std::size_t taken_ = 0;

 public:
  protocol::connection_handler handler;
};

/// A message with a body of one octet, durable or not.
inline std::string one_octet(bool durable = false) {
  return text_of(hex(durable ? "00 53 70 c0 02 01 41 00 53 75 a0 01 78" : "00 53 75 a0 01 78"));
}

}  // namespace whimbrel::test
