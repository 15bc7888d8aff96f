// SPDX-License-Identifier: Apache-2.0
// Cuts a stream of octets into frames, resumable at any octet. [2.3]
//
//          +0       +1       +2       +3
//     0  |               SIZE                |   SIZE counts everything
//     4  |  DOFF  |  TYPE  |     CHANNEL     |   CHANNEL: AMQP frames only
//     8  |      extended header, ignored     |   up to DOFF * 4
//        |              BODY                 |
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "amqp/frame/header.hpp"

namespace whimbrel::amqp::frame {

inline constexpr std::size_t header_octets = 8;

/// [2.3.1]; a peer may send others.
enum class frame_type : std::uint8_t { amqp = 0, sasl = 1 };

struct frame_view {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::span<const std::byte> body = {};  // without the extended header
};

/// A frame header that makes no frame.
enum class frame_fault : std::uint8_t {
  none,
  too_short,   // SIZE is below eight
  too_long,    // SIZE is above the limit
  bad_offset,  // DOFF is below two, or points behind the frame
};

/// What lies whole in the lent octets is not copied. What is left of them is kept by `keep`, and
/// only the frame that straddles two chunks is put together in memory of its own: of at most its
/// size (an unfinished one: twice what has come), given back when it is done. A frame that is too
/// long is found out by its header, before anything of it is kept.
class decoder {
 public:
  enum class status : std::uint8_t { frame, need_more, fault };

  explicit decoder(std::uint32_t frame_size_max) : size_max_(frame_size_max) {}

  /// Larger frames are faults from now on.
  void set_frame_size_max(std::uint32_t octets) { size_max_ = octets; }

  /// `chunk` must stay until `keep`, which must come before the next chunk.
  void lend(std::span<const std::byte> chunk);
  void keep();

  /// The next frame; it stays valid until the next call that is not const. After a fault the
  /// decoder stays where it is: `skip_frame` or `drop_all`.
  [[nodiscard]] status next(frame_view& out);
  [[nodiscard]] frame_fault fault() const { return fault_; }

  /// The next eight octets, or nothing if they are not all there.
  [[nodiscard]] std::span<const std::byte> next_protocol_header();

  /// Passes over the frame that is too long or has a bad offset, without keeping any of it. False
  /// if its SIZE cannot be believed.
  bool skip_frame();
  void drop_all();

  /// Octets neither handed out nor passed over.
  [[nodiscard]] std::size_t pending() const { return kept() + chunk_.size(); }
  /// Octets of memory held.
  [[nodiscard]] std::size_t memory() const { return capacity_; }

 private:
  [[nodiscard]] std::size_t kept() const { return end_ - begin_; }
  [[nodiscard]] frame_fault check(const std::byte* header) const;
  [[nodiscard]] status next_kept(frame_view& out);
  /// Moves octets of the chunk behind those kept until `n` are there. False if they do not suffice.
  bool gather(std::size_t n);
  void append(std::span<const std::byte> octets);
  void forget(std::size_t n);

  std::uint32_t size_max_ = 0;
  frame_fault fault_ = frame_fault::none;
  std::span<const std::byte> chunk_ = {};
  std::unique_ptr<std::byte[]> memory_ = {};
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t handed_out_ = 0;  // octets at begin_ that the last `next` gave out
  std::uint32_t skip_ = 0;      // octets still to pass over
};

}  // namespace whimbrel::amqp::frame
