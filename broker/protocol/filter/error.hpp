// SPDX-License-Identifier: Apache-2.0
// What is wrong with a filter, and where.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <boost/system/result.hpp>

namespace whimbrel::broker::protocol::filter {

struct error {
  error() = default;
  // Of two arguments, so that nothing else is taken for an error.
  error(std::size_t where, std::string what) : position(where), text(std::move(what)) {}

  std::size_t position = 0;  // of the character in the expression, from 1; 0: not in an expression
  std::string text = {};     // what, and what would be right

  /// `at character 12: ...`
  [[nodiscard]] std::string to_text() const {
    return position == 0 ? text : "at character " + std::to_string(position) + ": " + text;
  }
};

template <class T>
using checked = boost::system::result<T, error>;

}  // namespace whimbrel::broker::protocol::filter
