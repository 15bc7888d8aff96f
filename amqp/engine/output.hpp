// SPDX-License-Identifier: Apache-2.0
// The octets of a connection on their way out, and how frames get into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "amqp/base/limits.hpp"
#include "amqp/base/octet_buffer.hpp"
#include "amqp/frame/encoder.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

/// Nothing written through here is larger than `frame_size_max`: what does not fit is shortened
/// where that is possible, else not written.
class output {
 public:
  using trace_function = std::function<void(bool, std::uint16_t, std::string_view)>;

  output(std::size_t octets_max, const trace_function& trace)
      : octets_max_(octets_max), trace_(trace) {}

  [[nodiscard]] bool has_room() const { return octets_.size() < octets_max_; }
  [[nodiscard]] std::size_t octets_max() const { return octets_max_; }
  [[nodiscard]] std::uint32_t frame_size_max() const { return frame_size_max_; }
  void set_frame_size_max(std::uint32_t octets) { frame_size_max_ = octets; }
  [[nodiscard]] octet_buffer& octets() { return octets_; }
  [[nodiscard]] const octet_buffer& octets() const { return octets_; }

  void write_header(const frame::protocol_header& header);
  void write_empty();

  /// False, and nothing written, if the frame would be too large.
  template <class Performative>
  [[nodiscard]] bool write(frame::frame_type type, std::uint16_t channel, const Performative& p) {
    const std::size_t size = frame::append(octets_, type, channel, p, frame_size_max_);
    if (size != 0) trace_last(size);
    return size != 0;
  }

  /// A performative that may carry an error: in need without its info, then with less of its
  /// description.
  template <class Performative>
  void write_with_error(std::uint16_t channel, Performative p) {
    while (!write(frame::frame_type::amqp, channel, p)) shorten(p.error);
  }

  /// A frame whose performative, of at most `octets_max` octets, `encode(at)` writes; it returns
  /// the length.
  template <class Encode>
  void write_fast(std::uint16_t channel, std::size_t octets_max, Encode&& encode) {
    std::byte* at = octets_.reserve(frame::header_octets + octets_max);
    const std::size_t size = frame::header_octets + encode(at + frame::header_octets);
    commit(at, size, channel);
  }

  /// `size` octets at `at`, as reserved, have become a frame, but for its header.
  void commit(std::byte* at, std::size_t size, std::uint16_t channel) {
    frame::store_header(at, static_cast<std::uint32_t>(size), frame::frame_type::amqp, channel);
    octets_.commit(size);
    if (trace_) [[unlikely]]
      trace_last(size);
  }

 private:
  static void shorten(std::optional<spec::error>& error);
  void trace_last(std::size_t size) const;

  octet_buffer octets_ = {};
  std::size_t octets_max_ = 0;
  std::uint32_t frame_size_max_ = limits::frame_size_least;
  const trace_function& trace_;
};

}  // namespace whimbrel::amqp::engine
