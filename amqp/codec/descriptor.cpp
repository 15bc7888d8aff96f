// SPDX-License-Identifier: Apache-2.0
// The descriptors of the standard. A test compares them with the declarations and with the XML.
#include "amqp/codec/descriptor.hpp"

#include <array>

#include "amqp/codec/primitives.hpp"

namespace whimbrel::amqp::codec {

namespace {

constexpr std::array standard{
    descriptor{0x10, "amqp:open:list"},
    descriptor{0x11, "amqp:begin:list"},
    descriptor{0x12, "amqp:attach:list"},
    descriptor{0x13, "amqp:flow:list"},
    descriptor{0x14, "amqp:transfer:list"},
    descriptor{0x15, "amqp:disposition:list"},
    descriptor{0x16, "amqp:detach:list"},
    descriptor{0x17, "amqp:end:list"},
    descriptor{0x18, "amqp:close:list"},
    descriptor{0x1d, "amqp:error:list"},
    descriptor{0x23, "amqp:received:list"},
    descriptor{0x24, "amqp:accepted:list"},
    descriptor{0x25, "amqp:rejected:list"},
    descriptor{0x26, "amqp:released:list"},
    descriptor{0x27, "amqp:modified:list"},
    descriptor{0x28, "amqp:source:list"},
    descriptor{0x29, "amqp:target:list"},
    descriptor{0x2b, "amqp:delete-on-close:list"},
    descriptor{0x2c, "amqp:delete-on-no-links:list"},
    descriptor{0x2d, "amqp:delete-on-no-messages:list"},
    descriptor{0x2e, "amqp:delete-on-no-links-or-messages:list"},
    descriptor{0x30, "amqp:coordinator:list"},
    descriptor{0x31, "amqp:declare:list"},
    descriptor{0x32, "amqp:discharge:list"},
    descriptor{0x33, "amqp:declared:list"},
    descriptor{0x34, "amqp:transactional-state:list"},
    descriptor{0x40, "amqp:sasl-mechanisms:list"},
    descriptor{0x41, "amqp:sasl-init:list"},
    descriptor{0x42, "amqp:sasl-challenge:list"},
    descriptor{0x43, "amqp:sasl-response:list"},
    descriptor{0x44, "amqp:sasl-outcome:list"},
    descriptor{0x70, "amqp:header:list"},
    descriptor{0x71, "amqp:delivery-annotations:map"},
    descriptor{0x72, "amqp:message-annotations:map"},
    descriptor{0x73, "amqp:properties:list"},
    descriptor{0x74, "amqp:application-properties:map"},
    descriptor{0x75, "amqp:data:binary"},
    descriptor{0x76, "amqp:amqp-sequence:list"},
    descriptor{0x77, "amqp:amqp-value:*"},
    descriptor{0x78, "amqp:footer:map"},
};

}  // namespace

std::span<const descriptor> standard_descriptors() { return standard; }

std::optional<std::uint64_t> code_of(std::string_view symbolic) {
  for (const descriptor& d : standard)
    if (d.name == symbolic) return d.code;
  return std::nullopt;
}

decoded<std::uint64_t> read_descriptor(reader& r) {
  const decode_error undescribed = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(zero, r.constructor());
  if (zero != code::described) return undescribed;
  const decode_error unknown = r.fault(decode_fault::bad_descriptor);
  const code c = r.peek();
  if (c == code::smallulong || c == code::ulong || c == code::ulong0) {
    return decode_as<std::uint64_t>(r);
  }
  if (r.remaining() == 0) return r.fault(decode_fault::truncated);
  if (!is_symbol(c)) return unknown;
  AMQP_TRY(name, read_symbol(r));
  const std::optional<std::uint64_t> known = code_of(name);
  if (!known) return unknown;
  return *known;
}

decoded<std::uint64_t> descriptor_of(std::span<const std::byte> octets) {
  reader r(octets);
  return read_descriptor(r);
}

decoded<std::uint64_t> descriptor_of(const raw& octets) { return descriptor_of(octets.octets()); }

}  // namespace whimbrel::amqp::codec
