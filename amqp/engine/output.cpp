// SPDX-License-Identifier: Apache-2.0
// Writing what is not on the hot path, and the trace of everything that is written.
#include "amqp/engine/output.hpp"

#include "amqp/engine/shorten.hpp"
#include "amqp/spec/catalogue.hpp"

namespace whimbrel::amqp::engine {

void output::write_header(const frame::protocol_header& header) {
  octets_.append(frame::encode(header));
  if (trace_) trace_(true, 0, frame::to_text(header));
}

void output::write_empty() {
  frame::append_empty(octets_);
  trace_last(frame::header_octets);
}

void output::trace_last(std::size_t size) const {
  if (!trace_) return;
  const auto frame = octets_.octets().last(size);
  trace_(true, codec::load_big_endian<std::uint16_t>(frame.data() + 6),
         spec::frame_text(frame.subspan(frame::header_octets)));
}

void output::shorten(std::optional<spec::error>& error) {
  AMQP_ASSERT(error.has_value());  // nothing else in these performatives can be too large
  engine::shorten(*error);
}

}  // namespace whimbrel::amqp::engine
