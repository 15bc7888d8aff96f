// SPDX-License-Identifier: Apache-2.0
// Part 1 by what comes back of values that a broker carries: a bare message leaves as it came.
// [1.2, 1.6, 3.2]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

/// A message whose application-properties hold these values, and a data section.
bytes carrying(std::initializer_list<const char*> values) {
  bytes items;
  std::size_t n = 0;
  for (const char* each : values) {
    items = items + enc("k" + std::to_string(n++)) + hex(each);
  }
  bytes map = hex("d1");
  const auto put = [&map](std::size_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      map.push_back(static_cast<std::byte>(value >> shift));
    }
  };
  put(items.size() + 4);
  put(2 * n);
  return described(0x74, map + items) + data_message("x");
}

bytes with_id(const bytes& message_id) {
  return described(0x73, list_of({message_id})) + data_message("x");
}

/// amqp-value of a list nested 10,000 deep.
bytes deep_list() {
  constexpr std::size_t depth = 10'000;
  bytes out = hex("00 53 77");
  for (std::size_t i = 0; i < depth; ++i) {
    const std::size_t inside = 9 * (depth - 1 - i) + 1;
    out.push_back(std::byte{0xd0});
    for (const std::size_t value : {inside + 4, std::size_t{1}}) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<std::byte>(value >> shift));
      }
    }
  }
  out.push_back(std::byte{0x45});
  return out;
}

bytes many_items(std::size_t n) {
  const std::size_t size = n + 4;
  bytes out = hex("00 53 77 d0");
  for (const std::size_t value : {size, n}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<std::byte>(value >> shift));
    }
  }
  out.resize(out.size() + n, std::byte{0x40});
  return out;
}

const std::array rows = {
    relay_row{"Y-1.2.1-a", "a value of each width",
              [] {
                return carrying({"40", "50 ff", "60 ff ff", "70 ff ff ff ff",
                                 "80 ff ff ff ff ff ff ff ff",
                                 "98 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"});
              }},
    relay_row{"Y-1.2.2-a", "data of 255 octets in a vbin8",
              [] { return data_message(std::string(255, 'a')); }},
    relay_row{"Y-1.2.2-a", "data of 256 octets in a vbin32",
              [] { return data_message(std::string(256, 'a')); }},
    relay_row{"Y-1.2.4-c", "array of two described list0",
              [] { return value_message(hex("e0 05 02 00 53 24 45")); }},
    relay_row{"Y-1.2.4-d", "array of list8",
              [] { return value_message(hex("e0 07 02 c0 02 01 40 01 00")); }},
    relay_row{"Y-1.2.4-d", "array of arrays",
              [] { return value_message(hex("e0 0a 02 e0 03 01 50 01 03 01 50 02")); }},
    relay_row{"Y-1.6.2-a", "booleans in all forms",
              [] {
                return carrying({"41", "42", "56 00", "56 01"});
              }},
    relay_row{"Y-1.6.3-a", "ubyte 0 and 255",
              [] {
                return carrying({"50 00", "50 ff"});
              }},
    relay_row{"Y-1.6.4-a", "ushort 0 and 65535",
              [] {
                return carrying({"60 00 00", "60 ff ff"});
              }},
    relay_row{"Y-1.6.5-a", "uint in three widths",
              [] {
                return carrying({"43", "52 00", "52 ff", "70 00 00 00 00", "70 ff ff ff ff"});
              }},
    relay_row{"Y-1.6.6-a", "ulong in three widths",
              [] {
                return carrying({"44", "53 00", "53 ff", "80 00 00 00 00 00 00 00 00",
                                 "80 ff ff ff ff ff ff ff ff"});
              }},
    relay_row{"Y-1.6.6-a M-3.2.4-b", "message-id of ulong 2^64-1",
              [] { return with_id(hex("80 ff ff ff ff ff ff ff ff")); }},
    relay_row{"Y-1.6.7-a", "byte -128 and 127",
              [] {
                return carrying({"51 80", "51 7f"});
              }},
    relay_row{"Y-1.6.8-a", "short at its ends",
              [] {
                return carrying({"61 80 00", "61 7f ff"});
              }},
    relay_row{"Y-1.6.9-a", "int -1 in both widths",
              [] {
                return carrying({"54 ff", "71 ff ff ff ff"});
              }},
    relay_row{"Y-1.6.10-a", "long -128 in both widths",
              [] {
                return carrying({"55 80", "81 ff ff ff ff ff ff ff 80"});
              }},
    relay_row{"Y-1.6.11-a", "float: NaN, infinities, -0, subnormal",
              [] {
                return carrying({"72 7f c0 00 01", "72 7f 80 00 00", "72 ff 80 00 00",
                                 "72 80 00 00 00", "72 00 00 00 01"});
              }},
    relay_row{"Y-1.6.12-a", "double: NaN, infinities, -0, subnormal",
              [] {
                return carrying({"82 7f f8 00 00 00 00 00 01", "82 7f f0 00 00 00 00 00 00",
                                 "82 80 00 00 00 00 00 00 00", "82 00 00 00 00 00 00 00 01"});
              }},
    relay_row{"Y-1.6.13-a", "decimals of three widths",
              [] {
                return carrying({"74 22 50 00 01", "84 31 c0 00 00 00 00 00 01",
                                 "94 30 40 00 00 00 00 00 00 00 00 00 00 00 00 00 01"});
              }},
    relay_row{"Y-1.6.16-a", "char U+0041 and U+10FFFF",
              [] {
                return carrying({"73 00 00 00 41", "73 00 10 ff ff"});
              }},
    relay_row{"Y-1.6.16-b", "char beyond U+10FFFF", [] { return carrying({"73 00 11 00 00"}); },
              true},
    relay_row{"Y-1.6.17-a", "creation-time before the epoch",
              [] {
                return described(0x73, list_of({nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                                nil(), nil(), hex("83 ff ff ff ff ff ff ff ff")})) +
                       data_message("x");
              }},
    relay_row{"Y-1.6.18-a M-3.2.4-b", "message-id as a uuid",
              [] { return with_id(hex("98 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f")); }},
    relay_row{"Y-1.6.19-a M-3.2.4-b", "correlation-id of no octets, data of no octets",
              [] {
                return described(0x73, list_of({hex("a0 01 7a"), nil(), nil(), nil(), nil(),
                                                hex("a0 00")})) +
                       hex("00 53 75 a0 00");
              }},
    relay_row{"Y-1.6.22-a", "list of 255 items", [] { return many_items(255); }},
    relay_row{"Y-1.6.22-a", "list of 256 items", [] { return many_items(256); }},
    relay_row{"Y-1.6.22-a", "list of none", [] { return value_message(hex("45")); }},
    relay_row{"Y-1.6.23-c", "order of application-properties",
              [] {
                return described(0x74, map_of({enc("z"), hex("41"), enc("a"), hex("42"), enc("m"),
                                               hex("41")})) +
                       data_message("x");
              }},
    relay_row{"Y-1.6.23-d", "map keys of like content and other type",
              [] {
                return value_message(map_of({sym("a"), hex("41"), enc("a"), hex("41"), hex("52 01"),
                                             hex("41"), hex("53 01"), hex("41")}));
              }},
    relay_row{"Y-1.6.24-a", "arrays of booleans, strings and uuids",
              [] {
                return value_message(
                    list_of({hex("e0 04 02 56 01 00"), hex("e0 06 02 a1 01 61 01 62"),
                             hex("f0 00 00 00 05 00 00 00 00 98")}));
              }},
    relay_row{"Y-1.2-a", "descriptor that is itself described",
              [] { return value_message(hex("00 00 53 01 53 02 a1 01 78")); }, true},
    relay_row{"Y-1.2-b", "constructor that is described twice",
              [] { return value_message(hex("00 53 61 00 53 62 a1 01 78")); }, true},
    relay_row{"Y-1.5-c", "descriptor that is a string",
              [] { return value_message(hex("00 a1 03 55 52 4c a1 01 78")); }, true},
    relay_row{"Y-1.2.3-e", "10,000 lists inside one another", deep_list, true},
    relay_row{"Y-1.2.4-e", "array of 2^32-1 nulls in ten octets",
              [] { return value_message(hex("f0 00 00 00 05 ff ff ff ff 40")); }, true},
};

}  // namespace

void add_types_relay(checks& out) { add_relays(out, rows); }

}  // namespace whimbrel::conformance
