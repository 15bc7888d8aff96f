// SPDX-License-Identifier: Apache-2.0
// Bounds of filters, each with its reason: a filter is a program that a stranger lets us run for
// every message. [filtex 7.1]
#pragma once

#include <cstddef>

namespace whimbrel::broker::protocol::filter::limits {

/// Octets of one expression. A selector that lists 500 customer numbers has about 5,000.
inline constexpr std::size_t expression_octets_max = 8192;

/// Operators, fields and constants of one filter set: what one evaluation may cost.
inline constexpr std::size_t nodes_max = 1024;

/// Levels of parentheses, and of operators above one another; evaluation recurses so deep.
inline constexpr std::size_t depth_max = 64;

/// Members of one IN list.
inline constexpr std::size_t in_list_max = 512;

/// Octets of a pattern that the message supplies; one in the expression is bounded by that. A
/// match costs at most the product of the lengths of pattern and text.
inline constexpr std::size_t like_pattern_octets_max = 1024;

/// Octets of a text that LIKE looks at: with the above, the most that one match may cost.
inline constexpr std::size_t like_text_octets_max = 64 * 1024;

/// Octets of a text that an expression puts together: `a + a` may double what is in the message.
inline constexpr std::size_t text_result_octets_max = 64 * 1024;

/// Filters of one source, those in groups included.
inline constexpr std::size_t filters_max = 32;

/// Levels of groups in one another. [filtex 3]
inline constexpr std::size_t group_depth_max = 8;

/// Entries of one property filter. RabbitMQ admits 16.
inline constexpr std::size_t entries_max = 64;

/// Levels of lists and maps in a reference value of a property filter.
inline constexpr std::size_t reference_depth_max = 8;

}  // namespace whimbrel::broker::protocol::filter::limits
