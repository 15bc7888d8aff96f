// SPDX-License-Identifier: Apache-2.0
// The error vocabulary of everything that turns octets into values, and the one control-flow macro.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace whimbrel::amqp {

/// Why octets could not be turned into a value. Trivially copyable: the decode path never
/// allocates in order to fail.
enum class decode_fault : std::uint8_t {
  truncated,          // the octets ended inside a value
  bad_format_code,    // the constructor octet is not one that is admitted here
  bad_length,         // a size or count disagrees with the octets present
  bad_utf8,           // a string is not UTF-8, or a symbol not ASCII
  missing_mandatory,  // a mandatory field is absent or null
  too_deep,           // nested beyond limits::nesting_depth_max
  limit_exceeded,     // more of something than `limits` admits
  bad_value,       // well-formed, but outside the type: boolean 2, an unlisted choice, a key twice
  bad_descriptor,  // described, but not as a type that is admitted here
  bad_order,       // a message section is out of its place, or there twice [3.2]
};

struct decode_error {
  decode_fault fault = decode_fault::truncated;
  std::uint32_t offset = 0;     // octets from the start of the octets given to the outermost reader
  std::string_view field = {};  // always a literal from a field list, or empty

  bool operator==(const decode_error&) const = default;
};

template <class T>
using decoded = boost::system::result<T, decode_error>;

std::string_view to_text(decode_fault fault);

/// `bad-length at octet 12 in field handle`.
std::string to_text(const decode_error& error);

}  // namespace whimbrel::amqp

/// Bind the value of `expr` to `name`, or return its error to the caller.
/// This is the only control-flow macro of the project.
#define AMQP_TRY(name, expr)                             \
  auto name##_or_ = (expr);                              \
  if (name##_or_.has_error()) return name##_or_.error(); \
  auto name = *std::move(name##_or_)
