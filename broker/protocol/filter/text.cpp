// SPDX-License-Identifier: Apache-2.0
// Characters, patterns and case.
#include "broker/protocol/filter/text.hpp"

#include <algorithm>
#include <span>

#include "broker/protocol/filter/case_table.hpp"

namespace whimbrel::broker::protocol::filter {

std::size_t character_octets(std::string_view text) {
  const auto head = static_cast<unsigned char>(text[0]);
  const std::size_t octets = head < 0xc0 ? 1 : head < 0xe0 ? 2 : head < 0xf0 ? 3 : 4;
  return octets <= text.size() ? octets : 1;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(character_octets(text));
  return count;
}

std::size_t octets_of_characters(std::string_view text, std::uint64_t count) {
  std::size_t octets = 0;
  for (; count > 0 && octets < text.size(); --count) {
    octets += character_octets(text.substr(octets));
  }
  return octets;
}

namespace {

/// The next element of a pattern: a wildcard, or a character that stands for itself.
struct element {
  char wildcard = '\0';
  std::string_view literal = {};
  std::size_t octets = 0;  // in the pattern
};

element next_element(std::string_view pattern, std::string_view escape) {
  element out;
  std::size_t begin = 0;
  if (!escape.empty() && pattern.starts_with(escape) && pattern.size() > escape.size()) {
    begin = escape.size();
  } else if (pattern[0] == '%' || pattern[0] == '_') {
    out.wildcard = pattern[0];
    out.octets = 1;
    return out;
  }
  const std::size_t octets = character_octets(pattern.substr(begin));
  out.literal = pattern.substr(begin, octets);
  out.octets = begin + octets;
  return out;
}

}  // namespace

bool is_like(std::string_view text, std::string_view pattern, std::string_view escape) {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star_pattern = none;  // behind the last `%`
  std::size_t star_text = 0;        // where what it takes ends
  while (t < text.size()) {
    if (p < pattern.size()) {
      const element e = next_element(pattern.substr(p), escape);
      if (e.wildcard == '%') {
        star_pattern = p += e.octets;
        star_text = t;
        continue;
      }
      if (e.wildcard == '_' || text.substr(t).starts_with(e.literal)) {
        p += e.octets;
        t += e.wildcard == '_' ? character_octets(text.substr(t)) : e.literal.size();
        continue;
      }
    }
    // Only the last `%` need take more: what stands before it has matched as early as it can.
    if (star_pattern == none) return false;
    star_text += character_octets(text.substr(star_text));
    t = star_text;
    p = star_pattern;
  }
  while (p < pattern.size()) {
    const element e = next_element(pattern.substr(p), escape);
    if (e.wildcard != '%') return false;
    p += e.octets;
  }
  return true;
}

namespace {

std::uint32_t decode_character(std::string_view octets) {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i]));
  };
  switch (octets.size()) {
    case 2: return (at(0) & 0x1f) << 6 | (at(1) & 0x3f);
    case 3: return (at(0) & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
    case 4:
      return (at(0) & 0x07) << 18 | (at(1) & 0x3f) << 12 | (at(2) & 0x3f) << 6 | (at(3) & 0x3f);
    default: return at(0);
  }
}

void append_character(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t octet) { out += static_cast<char>(octet); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3f));
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

std::uint32_t mapped(std::span<const case_range> ranges, std::uint32_t c) {
  const auto found = std::lower_bound(ranges.begin(), ranges.end(), c,
                                      [](const case_range& r, std::uint32_t v) {
                                        return r.last < v;
                                      });
  if (found == ranges.end() || c < found->first) return c;
  if ((c - found->first) % found->step != 0) return c;
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(c) + found->delta);
}

void append_mapped(std::string& out, std::string_view text, std::span<const case_range> ranges) {
  while (!text.empty()) {
    const std::string_view octets = text.substr(0, character_octets(text));
    text.remove_prefix(octets.size());
    const std::uint32_t c = decode_character(octets);
    const std::uint32_t other = mapped(ranges, c);
    if (other == c) out += octets;
    else append_character(out, other);
  }
}

}  // namespace

void append_lower(std::string& out, std::string_view text) {
  append_mapped(out, text, lower_ranges);
}
void append_upper(std::string& out, std::string_view text) {
  append_mapped(out, text, upper_ranges);
}

}  // namespace whimbrel::broker::protocol::filter
