// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire/frame.hpp"

#include <algorithm>

#include "amqp/codec/descriptor.hpp"
#include "amqp/spec/catalogue.hpp"

namespace whimbrel::conformance {

namespace {

/// Tries each alternative until one has this descriptor.
template <std::size_t Index = 1>
void decode_body(frame& out, codec::reader& r) {
  if constexpr (Index < std::variant_size_v<performative>) {
    using P = std::variant_alternative_t<Index, performative>;
    if (P::type.code != out.code) return decode_body<Index + 1>(out, r);
    auto decoded = codec::decode_fields<P>(r);
    if (decoded.has_error()) {
      out.fault = decoded.error();
    } else {
      out.what = *std::move(decoded);
      out.payload.assign(r.rest().begin(), r.rest().end());
    }
  } else {
    out.fault = r.fault(amqp::decode_fault::bad_descriptor);
  }
}

}  // namespace

frame parse_frame(bytes octets) {
  frame out;
  out.octets = std::move(octets);
  if (out.octets.size() < 8) return out;
  out.doff = std::to_integer<std::uint8_t>(out.octets[4]);
  out.type = std::to_integer<std::uint8_t>(out.octets[5]);
  out.channel = codec::load_big_endian<std::uint16_t>(out.octets.data() + 6);
  if (out.is_empty()) return out;
  codec::reader r(out.body());
  const auto code = codec::read_descriptor(r);
  if (code.has_error()) {
    out.fault = code.error();
  } else {
    out.code = *code;
    decode_body(out, r);
  }
  return out;
}

std::string to_text(const frame& f) {
  std::string out = f.type == 1 ? "sasl " : "[" + std::to_string(f.channel) + "] ";
  if (f.type > 1) out = "type " + std::to_string(f.type) + " ";
  if (f.doff != 2) out += "doff " + std::to_string(f.doff) + " ";
  out += spec::frame_text(f.body());
  if (f.fault) out += "  octets " + to_hex(f.octets);
  return out;
}

std::string condition_of(const std::optional<spec::error>& error) {
  return error ? error->condition.text : std::string();
}

std::uint64_t code_of(const codec::raw& state) {
  if (state.empty()) return 0;
  codec::reader r(state.octets());
  const auto code = codec::read_descriptor(r);
  return code.has_error() ? 0 : *code;
}

std::string state_text(const codec::raw& state) {
  if (state.empty()) return "none";
  const spec::catalogue_entry* entry = spec::find_composite(code_of(state));
  if (entry == nullptr) return "unknown state";
  std::string out(entry->name);
  if (const auto rejected = state_as<spec::rejected>(state); rejected && rejected->error) {
    out += "(" + rejected->error->condition.text + ")";
  }
  if (const auto txn = state_as<spec::transactional_state>(state)) {
    out += "(" + state_text(txn->outcome) + ")";
  }
  return out;
}

}  // namespace whimbrel::conformance
