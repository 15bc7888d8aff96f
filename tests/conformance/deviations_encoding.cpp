// SPDX-License-Identifier: Apache-2.0
// Faults of encoding: a flow that nobody waits for, put in front of the peer's begin.
#include "tests/conformance/deviations.hpp"

namespace whimbrel::conformance::testing {

namespace {

/// Puts a frame in front of each begin of the peer, on its channel.
hook before_begin(std::function<bytes(std::uint16_t)> make) {
  return [make = std::move(make)](exchange&, const frame& f, std::vector<bytes>& out) {
    if (f.as<spec::begin>() != nullptr) out.insert(out.begin(), make(f.channel));
  };
}

/// A flow whose properties hold these octets.
hook flow_with(const bytes& properties) {
  return before_begin([properties](std::uint16_t channel) {
    const bytes zero = hex("43");
    return frame_of(channel, composite(0x13, {zero, zero, zero, zero, nil(), nil(), nil(), nil(),
                                              nil(), nil(), properties}));
  });
}

/// A frame of this body.
hook body(const bytes& octets) {
  return before_begin([octets](std::uint16_t channel) { return frame_of(channel, octets); });
}

}  // namespace

std::vector<deviation> encoding_faults() {
  const bytes zero = hex("43");
  return {
      {"an undefined format code", "Y-1.6-a", "", {}, flow_with(map_of({sym("k"), hex("4f")}))},
      {"a map of three items",
       "Y-1.6.23-a",
       "",
       {},
       flow_with(map_of({sym("k"), hex("41"), sym("l")}))},
      {"a map key twice",
       "Y-1.6.23-b",
       "",
       {},
       flow_with(map_of({sym("k"), hex("41"), sym("k"), hex("42")}))},
      {"a string that is not UTF-8",
       "Y-1.6.20-b",
       "",
       {},
       flow_with(map_of({sym("k"), hex("a1 02 c0 80")}))},
      {"a string with a byte order mark",
       "Y-1.6.20-a",
       "",
       {},
       flow_with(map_of({sym("k"), hex("a1 04 ef bb bf 78")}))},
      {"a symbol that is not ASCII",
       "Y-1.6.21-a",
       "",
       {},
       flow_with(map_of({sym("k"), hex("a3 02 c3 a4")}))},
      {"a boolean of 02", "Y-1.6.2-b", "", {}, flow_with(map_of({sym("k"), hex("56 02")}))},
      {"a list whose items end before its size",
       "Y-1.2.3-b",
       "",
       {},
       flow_with(map_of({sym("k"), hex("c0 03 01 41 41")}))},
      {"a list that counts more than it has",
       "Y-1.2.3-c",
       "",
       {},
       flow_with(map_of({sym("k"), hex("c0 02 05 41")}))},
      {"a string that runs past its list",
       "Y-1.2.2-b",
       "",
       {},
       flow_with(map_of({sym("k"), hex("c0 03 01 a1 09")}))},
      {"an array without constructor",
       "Y-1.2.4-f",
       "",
       {},
       flow_with(map_of({sym("k"), hex("e0 01 00")}))},
      {"a descriptor that is a string",
       "Y-1.5-c",
       "",
       {},
       flow_with(map_of({sym("k"), hex("00 a1 01 78 41")}))},
      {"a flow of twelve elements",
       "Y-1.4-i",
       "",
       {},
       body(composite(0x13, {zero, zero, zero, zero, nil(), nil(), nil(), nil(), nil(), nil(),
                             nil(), hex("41")}))},
      {"a flow without incoming-window",
       "Y-1.4-d",
       "",
       {},
       body(composite(0x13, {zero, nil(), zero, zero}))},
      {"a flow whose handle is a string",
       "Y-1.4-h",
       "",
       {},
       body(composite(0x13, {zero, zero, zero, zero, enc("one")}))},
      {"a begin whose capabilities are strings",
       "Y-1.4-k",
       "",
       {},
       body(composite(0x11, {nil(), zero, zero, zero, nil(), enc("x")}))},
      {"a role of 2 as a settle mode",
       "Y-1.3.5-a",
       "",
       {},
       body(composite(0x12, {enc("n"), zero, hex("42"), hex("50 07")}))},
      {"a state that is a source",
       "Y-1.3.4-b",
       "",
       {},
       body(composite(0x15, {hex("42"), zero, nil(), nil(), composite(0x28, {})}))},
      {"an error without condition",
       "T-2.8.14-a",
       "",
       {},
       body(composite(0x16, {hex("52 09"), hex("41"), composite(0x1d, {})}))},
      {"an error.info with a string as key",
       "T-2.8.14-b",
       "",
       {},
       body(composite(0x16,
                      {hex("52 09"), hex("41"),
                       composite(0x1d, {sym("amqp:x"), nil(), map_of({enc("k"), hex("41")})})}))},
      {"octets behind a flow",
       "T-2.3.2-b",
       "",
       {},
       body(composite(0x13, {zero, zero, zero, zero}) + hex("01 02"))},
      {"a frame of no performative", "T-2.3.2-a", "", {}, body(composite(0x70, {}))},
      {"a frame of the descriptor 0x19", "T-2.3.2-a", "", {}, body(composite(0x19, {}))},
      {"an empty frame on channel 5", "T-2.4.5-g", "T-2.7.1-j", {}, before_begin([](std::uint16_t) {
         return hex("00 00 00 08 02 00 00 05");
       })},
  };
}

}  // namespace whimbrel::conformance::testing
