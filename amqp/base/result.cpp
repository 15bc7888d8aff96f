// SPDX-License-Identifier: Apache-2.0
// Texts of the decode faults, for logs and for the description field of errors sent to peers.
#include "amqp/base/result.hpp"

namespace whimbrel::amqp {

std::string_view to_text(decode_fault fault) {
  switch (fault) {
    case decode_fault::truncated:
      return "truncated";
    case decode_fault::bad_format_code:
      return "bad-format-code";
    case decode_fault::bad_length:
      return "bad-length";
    case decode_fault::bad_utf8:
      return "bad-utf8";
    case decode_fault::missing_mandatory:
      return "missing-mandatory";
    case decode_fault::too_deep:
      return "too-deep";
    case decode_fault::limit_exceeded:
      return "limit-exceeded";
    case decode_fault::bad_value:
      return "bad-value";
    case decode_fault::bad_descriptor:
      return "bad-descriptor";
    case decode_fault::bad_order:
      return "bad-order";
  }
  return "unknown fault";
}

std::string to_text(const decode_error& error) {
  std::string out(to_text(error.fault));
  out += " at octet ";
  out += std::to_string(error.offset);
  if (!error.field.empty()) {
    out += " in field ";
    out += error.field;
  }
  return out;
}

}  // namespace whimbrel::amqp
