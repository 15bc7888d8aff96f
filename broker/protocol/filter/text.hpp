// SPDX-License-Identifier: Apache-2.0
// What expressions do with text, by characters of UTF-8. Octets that are not UTF-8 count as a
// character each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace whimbrel::broker::protocol::filter {

/// Octets of the first character of `text`, which is not empty.
std::size_t character_octets(std::string_view text);

std::size_t count_characters(std::string_view text);

/// Octets of the first `count` characters, or of all there are.
std::size_t octets_of_characters(std::string_view text, std::uint64_t count);

/// SQL's LIKE: `%` any characters, `_` one, each themselves behind `escape` (empty: there is
/// none). At most the product of both lengths in steps, whatever the pattern; no allocation.
bool is_like(std::string_view text, std::string_view pattern, std::string_view escape);

/// Appends the text in lower or upper case: Unicode's simple mappings, a character for a
/// character, whatever the language.
void append_lower(std::string& out, std::string_view text);
void append_upper(std::string& out, std::string_view text);

/// A range of characters of which every `step`-th maps to another, `delta` further on.
struct case_range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t step = 1;
  std::int32_t delta = 0;
};

}  // namespace whimbrel::broker::protocol::filter
