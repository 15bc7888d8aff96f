// SPDX-License-Identifier: Apache-2.0
// Any octets as a value: the two walks agree, what decodes survives re-encoding, the frames of the
// hot path are read alike by both decoders, and the text of it all is bounded.
#include <cstdint>
#include <span>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/codec/skip.hpp"
#include "amqp/spec/catalogue.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace {

using namespace whimbrel::amqp;

void check_value_alone(std::span<const std::byte> octets) {
  codec::reader structure(octets);
  codec::reader everything(octets);
  const auto skipped = codec::skip_value(structure);
  const auto checked = codec::check_value(everything);
  if (checked.has_error()) return;
  AMQP_ASSERT(skipped.has_value());
  AMQP_ASSERT(*skipped == *checked);
  AMQP_ASSERT(codec::first_of_checked(octets).size() == *checked);

  const auto first = codec::decode<codec::value>(octets.first(*checked));
  AMQP_ASSERT(first.has_value());
  const codec::raw again = codec::to_raw(*first);
  AMQP_ASSERT(again.octets().size() <= *checked);
  const auto second = codec::from_raw<codec::value>(again);
  AMQP_ASSERT(second.has_value());
  AMQP_ASSERT(codec::to_raw(*second) == again);
  AMQP_ASSERT(codec::to_text(*first) == codec::to_text(*second));
}

void check_frames(std::span<const std::byte> body) {
  static_cast<void>(spec::frame_text(body));
  codec::reader r(body);
  const auto quick_transfer = spec::fast::decode_transfer(body);
  const auto slow_transfer = codec::decode_as<spec::transfer>(r);
  AMQP_ASSERT(quick_transfer.has_value() == slow_transfer.has_value());
  if (quick_transfer.has_value()) {
    AMQP_ASSERT(quick_transfer->handle == slow_transfer->handle);
    AMQP_ASSERT(quick_transfer->delivery_id == slow_transfer->delivery_id);
    AMQP_ASSERT(quick_transfer->state.size() == slow_transfer->state.octets().size());
    AMQP_ASSERT(quick_transfer->payload.size() == r.remaining());
  }
  const auto quick_flow = spec::fast::decode_flow(body);
  const auto slow_flow = codec::decode<spec::flow>(body);
  AMQP_ASSERT(quick_flow.has_value() == slow_flow.has_value());
  if (quick_flow.has_value()) {
    AMQP_ASSERT(quick_flow->link_credit == slow_flow->link_credit);
    AMQP_ASSERT(quick_flow->echo == slow_flow->echo);
  }
  const auto quick_disposition = spec::fast::decode_disposition(body);
  const auto slow_disposition = codec::decode<spec::disposition>(body);
  AMQP_ASSERT(quick_disposition.has_value() == slow_disposition.has_value());
  if (quick_disposition.has_value()) {
    AMQP_ASSERT(quick_disposition->first == slow_disposition->first);
    AMQP_ASSERT(quick_disposition->settled == slow_disposition->settled);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto octets = std::as_bytes(std::span(data, size));
  check_value_alone(octets);
  check_frames(octets);
  return 0;
}
