// SPDX-License-Identifier: Apache-2.0
// A peer that says whatever the test wants, and takes down what the engine answers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "amqp/frame/encoder.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transport.hpp"
#include "tests/support/wire_pair.hpp"

namespace whimbrel::test {

namespace codec = amqp::codec;
namespace frame = amqp::frame;

/// A frame of the engine's.
struct heard_frame {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::size_t size = 0;
  std::uint64_t code = 0;  // 0: empty
  std::vector<std::byte> body = {};
};

/// The engine under test is `side`; it agrees to everything unless told otherwise.
class raw_peer {
 public:
  explicit raw_peer(engine::options settings = server_options()) : side(std::move(settings)) {
    side.on_event = [this](const engine::event& e) { agree(side.wire, e); };
    side.wire.start(now);
    listen();
  }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;

  endpoint side;
  engine::clock::time_point now = engine::clock::time_point{} + std::chrono::hours(1);
  std::vector<frame::protocol_header> headers = {};
  std::vector<heard_frame> heard = {};

  void say_octets(std::span<const std::byte> octets) {
    const std::vector<std::byte> chunk(octets.begin(), octets.end());
    side.wire.on_octets(chunk, now);
    side.drain_events();
    listen();
  }
  void say_header(frame::protocol_header header) { say_octets(frame::encode(header)); }

  template <class Performative>
  static std::vector<std::byte> encode(std::uint16_t channel, const Performative& p,
                                       std::string_view payload = {},
                                       frame::frame_type type = frame::frame_type::amqp) {
    amqp::octet_buffer out;
    static_cast<void>(frame::append(out, type, channel, p, SIZE_MAX));
    const auto more = bytes(payload);
    out.append(more);
    frame::store_header(out.at(0), static_cast<std::uint32_t>(out.size()), type, channel);
    return {out.octets().begin(), out.octets().end()};
  }

  template <class Performative>
  void say(const Performative& p, std::string_view payload = {}, std::uint16_t channel = 0) {
    say_octets(encode(channel, p, payload));
  }
  template <class Performative>
  void say_sasl(const Performative& p) {
    say_octets(encode(0, p, {}, frame::frame_type::sasl));
  }

  /// Takes down what the engine has to say.
  void listen() {
    const auto out = side.wire.poll_octets();
    pending_.insert(pending_.end(), out.begin(), out.end());
    side.wire.on_written(out.size());
    side.drain_events();
    std::span<const std::byte> rest = pending_;
    while (rest.size() >= 8) {
      if (const auto header = frame::parse_protocol_header(rest.first(8))) {
        headers.push_back(*header);
        rest = rest.subspan(8);
        continue;
      }
      const auto size = codec::load_big_endian<std::uint32_t>(rest.data());
      AMQP_ASSERT(size >= 8 && size <= rest.size());  // the engine writes whole frames
      heard_frame f{.type = std::to_integer<std::uint8_t>(rest[5]),
                    .channel = codec::load_big_endian<std::uint16_t>(rest.data() + 6),
                    .size = size,
                    .body = {rest.begin() + 8, rest.begin() + static_cast<std::ptrdiff_t>(size)}};
      std::size_t offset = 0;
      if (!f.body.empty()) f.code = spec::fast::performative_code(f.body, offset);
      heard.push_back(std::move(f));
      rest = rest.subspan(size);
    }
    pending_.assign(rest.begin(), rest.end());
  }

  template <class Performative>
  [[nodiscard]] std::size_t count() const {
    std::size_t n = 0;
    for (const auto& f : heard) n += f.code == Performative::type.code ? 1 : 0;
    return n;
  }
  /// The newest of its kind, if any.
  template <class Performative>
  [[nodiscard]] std::optional<Performative> last() const {
    for (auto f = heard.rbegin(); f != heard.rend(); ++f) {
      if (f->code != Performative::type.code) continue;
      codec::reader r(f->body);  // a transfer's payload follows
      auto p = codec::decode_as<Performative>(r);
      AMQP_ASSERT(p.has_value());
      return *std::move(p);
    }
    return std::nullopt;
  }
  /// Condition of the newest close, end or detach; "none" if it has no error, "" if there is none.
  template <class Performative>
  [[nodiscard]] std::string condition() const {
    const auto p = last<Performative>();
    if (!p) return "";
    return p->error ? p->error->condition.text : "none";
  }

  // --- the usual ---
  void exchange_headers() { say_header(frame::protocol_header(frame::protocol::amqp)); }
  void open(const spec::open& open = {.container_id = "raw"}) {
    exchange_headers();
    say(open);
  }
  void begin(std::uint16_t channel = 0,
             const spec::begin& begin = {
                 .next_outgoing_id = 0, .incoming_window = 100, .outgoing_window = 100}) {
    say(begin, {}, channel);
  }
  /// Attaches a link of which we, the raw peer, are the sender.
  void attach_sender(std::uint32_t handle, std::string name = "in",
                     std::uint32_t initial_count = 0) {
    say(spec::attach{.name = std::move(name),
                     .handle = handle,
                     .role = spec::role::sender,
                     .source = spec::source{.address = "a"},
                     .target = codec::to_raw(spec::target{.address = "q"}),
                     .initial_delivery_count = initial_count});
  }
  void attach_receiver(std::uint32_t handle, std::string name = "out") {
    say(spec::attach{.name = std::move(name),
                     .handle = handle,
                     .role = spec::role::receiver,
                     .source = spec::source{.address = "q"},
                     .target = codec::to_raw(spec::target{.address = "a"})});
  }
  /// All of it: a session on channel 0, and the engine's receiver at our handle 0, with credit.
  void ready_to_send(std::uint32_t credit = 100) {
    open();
    begin();
    attach_sender(0);
    receiver().grant(credit);
    listen();
  }
  /// The engine's sender at our handle 0, with credit.
  void ready_to_receive(std::uint32_t credit = 100) {
    open();
    begin();
    attach_receiver(0);
    flow_credit(0, 0, credit);
  }
  void flow_credit(std::uint32_t handle, std::uint32_t count, std::uint32_t credit,
                   bool drain = false) {
    say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                   .incoming_window = 100,
                   .next_outgoing_id = 0,
                   .outgoing_window = 100,
                   .handle = handle,
                   .delivery_count = count,
                   .link_credit = credit,
                   .drain = drain});
  }
  static spec::transfer transfer(std::uint32_t handle, std::uint32_t id) {
    return {.handle = handle,
            .delivery_id = id,
            .delivery_tag = amqp::binary(std::string_view("t")),
            .message_format = 0};
  }
  [[nodiscard]] engine::receiver& receiver() const {
    return static_cast<engine::receiver&>(*side.last(engine::event_kind::link_attached).on_link);
  }
  [[nodiscard]] engine::sender& sender() const {
    return static_cast<engine::sender&>(*side.last(engine::event_kind::link_attached).on_link);
  }

 private:
  std::vector<std::byte> pending_ = {};
};

}  // namespace whimbrel::test
