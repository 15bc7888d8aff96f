// SPDX-License-Identifier: Apache-2.0
// Results for people: columns, or one field a line.
#pragma once

#include <string>
#include <vector>

#include <boost/json.hpp>

namespace whimbrel::client {

/// Octets that could move the cursor are written as ?.
[[nodiscard]] std::string cell_text(const boost::json::value& v);

void print_table(const std::vector<std::string>& columns, const boost::json::array& rows);
void print_fields(const boost::json::object& fields);

}  // namespace whimbrel::client
