// SPDX-License-Identifier: Apache-2.0
// The two walks over encoded values: structure only (iterative), and everything (recursive, bounded
// by the nesting limit).
#include "amqp/codec/skip.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <vector>

namespace whimbrel::amqp::codec {

namespace {

constexpr auto layouts = [] {
  std::array<layout_of_code, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = layout(static_cast<code>(i));
  return table;
}();

layout_of_code layout_at(code c) { return layouts[static_cast<std::uint8_t>(c)]; }

/// What stands in front of the elements of an array.
struct array_header {
  std::size_t size = 0;  // octets of the element constructor and the elements
  std::uint32_t count = 0;
};

decoded<array_header> read_array_header(reader& r, std::size_t width) {
  std::size_t size = 0;
  std::uint32_t count = 0;
  if (width == 1) {
    AMQP_TRY(size8, r.integer<std::uint8_t>());
    // At least the count and one constructor.
    if (size8 < 2 || size8 > r.remaining()) return r.fault(decode_fault::bad_length);
    AMQP_TRY(count8, r.integer<std::uint8_t>());
    size = size8 - 1u;
    count = count8;
  } else {
    AMQP_TRY(size32, r.integer<std::uint32_t>());
    if (size32 < 5 || size32 > r.remaining()) return r.fault(decode_fault::bad_length);
    AMQP_TRY(count32, r.integer<std::uint32_t>());
    size = size32 - 4u;
    count = count32;
  }
  return array_header{size, count};
}

/// Whether `count` elements of a fixed width fill `size` octets; elements of no width do for any
/// count.
bool fills(std::uint32_t count, std::size_t width, std::size_t size) {
  return std::uint64_t{count} * width == size;
}

/// A walk with a stack of its own.
class walk {
 public:
  walk(const reader& r, std::size_t depth)
      : begin_(r.position()), offset_(r.offset()), at_(begin_) {
    top_ = new (storage_) level{.end = begin_ + r.remaining(), .depth = depth, .left = 1};
    bottom_ = top_;
  }

  /// Passes over one value and returns its length.
  decoded<std::size_t> run() {
    while (true) {
      if (top_->left == 0) {
        if (top_->is_exact && at_ != top_->end) return fault(decode_fault::bad_length);
        if (top_ == bottom_) return static_cast<std::size_t>(at_ - begin_);
        --top_;
        continue;
      }
      --top_->left;
      code c = top_->element;
      if (!top_->is_array) {
        if (at_ == top_->end) return fault(decode_fault::truncated);
        c = static_cast<code>(*at_++);
      }
      const layout_of_code how = layout_at(c);
      // Nearly all values are scalars.
      if (how.kind == category::fixed && how.width <= room()) [[likely]] {
        at_ += how.width;
        continue;
      }
      const std::optional<decode_fault> failed = step(c, how);
      if (failed) return fault(*failed);
    }
  }

 private:
  using failure = std::optional<decode_fault>;

  /// A value with items that the walk is inside of.
  struct level {
    const std::byte* end = nullptr;
    std::size_t depth = 0;           // of the items
    std::uint32_t left = 0;          // items still to pass over
    code element = code::described;  // of an array
    bool is_array = false;           // the items have no constructors of their own
    bool is_exact = false;           // the items end at `end`
  };

  decode_error fault(decode_fault f) const {
    return {f, offset_ + static_cast<std::uint32_t>(at_ - begin_), {}};
  }

  std::size_t room() const { return static_cast<std::size_t>(top_->end - at_); }

  failure pass(std::size_t n) {
    if (n > room()) return decode_fault::truncated;
    at_ += n;
    return {};
  }

  /// A number of `width` octets; the caller has looked that they are there.
  std::uint32_t number(std::size_t width) {
    const std::byte* const from = at_;
    at_ += width;
    return width == 1 ? std::to_integer<std::uint32_t>(*from)
                      : load_big_endian<std::uint32_t>(from);
  }

  /// One level down; the stack is large enough because a level is never deeper than its depth.
  failure descend(level next) {
    if (top_->depth == limits::nesting_depth_max) return decode_fault::too_deep;
    next.depth = top_->depth + 1;
    top_ = new (top_ + 1) level(next);
    return {};
  }

  /// Passes over the data behind constructor `c`, or goes into them.
  failure step(code c, layout_of_code how) {
    switch (how.kind) {
      case category::none:
        return decode_fault::bad_format_code;
      case category::fixed:
        return pass(how.width);
      case category::described:
        return descend({.end = top_->end, .left = 2});
      case category::variable:
        if (room() < how.width) return decode_fault::truncated;
        return pass(number(how.width));
      case category::compound:
        return step_compound(c, how.width);
      case category::array:
        return step_array(how.width);
    }
    return decode_fault::bad_format_code;
  }

  /// Size and count of a compound or array; the size is left as that of what follows the count.
  failure read_head(std::size_t width, std::size_t& size, std::uint32_t& count) {
    if (room() < width) return decode_fault::truncated;
    size = number(width);
    if (size < width || size > room()) return decode_fault::bad_length;
    count = number(width);
    size -= width;
    return {};
  }

  failure step_compound(code c, std::size_t width) {
    std::size_t size = 0;
    std::uint32_t count = 0;
    if (const failure head = read_head(width, size, count)) return head;
    if (count > size || (is_map(c) && count % 2 != 0)) return decode_fault::bad_length;
    return descend({.end = at_ + size, .left = count, .is_exact = true});
  }

  failure step_array(std::size_t width) {
    std::size_t size = 0;
    std::uint32_t count = 0;
    if (const failure head = read_head(width, size, count)) return head;
    if (size == 0) return decode_fault::bad_length;  // not even a constructor
    if (const failure inside = descend({.end = at_ + size, .is_array = true, .is_exact = true})) {
      return inside;
    }
    code element = code::described;
    if (const failure read = read_element_constructor(element)) return read;
    const layout_of_code how = layout_at(element);
    if (how.kind == category::none) return decode_fault::bad_format_code;
    if (how.kind == category::fixed) {
      if (!fills(count, how.width, room())) return decode_fault::bad_length;
      return pass(room());
    }
    if (count > room() / how.width) return decode_fault::bad_length;
    top_->left = count;
    top_->element = element;
    return {};
  }

  /// The constructor of an array's elements. Each descriptor before it makes the elements one
  /// level deeper.
  failure read_element_constructor(code& out) {
    while (true) {
      if (room() == 0) return decode_fault::truncated;
      out = static_cast<code>(*at_++);
      if (out != code::described) return {};
      if (top_->depth == limits::nesting_depth_max) return decode_fault::too_deep;
      ++top_->depth;
      const auto passed = walk(reader({at_, room()}), top_->depth).run();
      if (passed.has_error()) {
        at_ += passed.error().offset;
        return passed.error().fault;
      }
      at_ += *passed;
    }
  }

  const std::byte* begin_;
  std::uint32_t offset_;  // of `begin_`
  const std::byte* at_;
  // Not an array of levels: a walk would spend its time on clearing those that it never reaches.
  alignas(level) std::byte storage_[(limits::nesting_depth_max + 1) * sizeof(level)];
  level* bottom_ = nullptr;
  level* top_ = nullptr;
};

/// Length of the scalar at `at`, or 0 if it is none, is long, or does not end before `end`.
std::size_t scalar_size(const std::byte* at, const std::byte* end) {
  const auto room = static_cast<std::size_t>(end - at);
  if (room == 0) return 0;
  const layout_of_code how = layout_at(static_cast<code>(*at));
  std::size_t size = 0;
  if (how.kind == category::fixed) {
    size = 1u + how.width;
  } else if (how.kind == category::variable && how.width == 1 && room >= 2) {
    size = 2 + std::to_integer<std::size_t>(at[1]);
  }
  return size <= room ? size : 0;
}

decoded<void> check_one(reader& r, std::size_t depth);
decoded<void> check_data(reader& r, code c, std::size_t depth);

decoded<void> check_fixed(reader& r, code c, std::size_t width) {
  const decode_error misplaced = r.fault(decode_fault::bad_value);
  AMQP_TRY(data, r.take(width));
  if (c == code::boolean && data[0] > std::byte{1}) return misplaced;
  if (c == code::char_ && !is_scalar_value(load_big_endian<std::uint32_t>(data.data()))) {
    return misplaced;
  }
  return {};
}

decoded<void> check_variable(reader& r, code c, std::size_t width) {
  std::size_t size = 0;
  if (width == 1) {
    AMQP_TRY(narrow, r.integer<std::uint8_t>());
    size = narrow;
  } else {
    AMQP_TRY(wide, r.integer<std::uint32_t>());
    size = wide;
  }
  AMQP_TRY(data, r.take(size));
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (is_string(c) && !is_utf8(text)) return r.fault(decode_fault::bad_utf8);
  if (is_symbol(c) && !is_ascii(text)) return r.fault(decode_fault::bad_utf8);
  return {};
}

/// Octets of a key: the same key of the same type is the same octets, because a peer has no reason
/// to encode one key twice in two ways; one that does is let pass.
bool are_distinct(std::vector<std::span<const std::byte>>& keys) {
  const auto before = [](std::span<const std::byte> a, std::span<const std::byte> b) {
    if (a.size() != b.size()) return a.size() < b.size();
    return std::memcmp(a.data(), b.data(), a.size()) < 0;
  };
  std::sort(keys.begin(), keys.end(), before);
  for (std::size_t i = 1; i < keys.size(); ++i)
    if (!before(keys[i - 1], keys[i])) return false;
  return true;
}

/// Items of a list or map, up to the end of `items`.
decoded<void> check_items(reader& items, bool is_map, std::uint32_t count, std::size_t depth) {
  const bool searched = is_map && count / 2 <= limits::map_keys_searched_max;
  std::vector<std::span<const std::byte>> keys;
  if (searched) keys.reserve(count / 2);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* const begin = items.position();
    const decoded<void> item = check_one(items, depth);
    if (item.has_error()) return item.error();
    if (searched && i % 2 == 0) keys.emplace_back(begin, items.position());
  }
  if (items.remaining() != 0) return items.fault(decode_fault::bad_length);
  if (!are_distinct(keys)) return items.fault(decode_fault::bad_value);
  return {};
}

decoded<void> check_compound(reader& r, code c, std::size_t width, std::size_t depth) {
  AMQP_TRY(head, read_compound_header(r, width));
  if (is_map(c) && head.count % 2 != 0) return r.fault(decode_fault::bad_length);
  AMQP_TRY(items, r.sub(head.size));
  return check_items(items, is_map(c), head.count, depth + 1);
}

decoded<void> check_array(reader& r, std::size_t width, std::size_t depth) {
  AMQP_TRY(head, read_array_header(r, width));
  AMQP_TRY(elements, r.sub(head.size));
  std::size_t inside = depth + 1;
  AMQP_TRY(element, elements.constructor());
  while (element == code::described) {
    if (inside == limits::nesting_depth_max) return elements.fault(decode_fault::too_deep);
    ++inside;
    const decoded<void> descriptor = check_one(elements, inside);
    if (descriptor.has_error()) return descriptor.error();
    AMQP_TRY(behind, elements.constructor());
    element = behind;
  }
  const layout_of_code how = layout_at(element);
  if (how.kind == category::none) return elements.fault(decode_fault::bad_format_code);
  if (how.kind == category::fixed && !fills(head.count, how.width, elements.remaining())) {
    return elements.fault(decode_fault::bad_length);
  }
  if (how.kind == category::fixed && how.width == 0) return {};
  for (std::uint32_t i = 0; i < head.count; ++i) {
    const decoded<void> one = check_data(elements, element, inside);
    if (one.has_error()) return one.error();
  }
  if (elements.remaining() != 0) return elements.fault(decode_fault::bad_length);
  return {};
}

/// The data behind constructor `c`.
decoded<void> check_data(reader& r, code c, std::size_t depth) {
  const layout_of_code how = layout_at(c);
  if (how.kind == category::none) return r.fault(decode_fault::bad_format_code);
  if (how.kind == category::fixed) return check_fixed(r, c, how.width);
  if (how.kind == category::variable) return check_variable(r, c, how.width);
  if (depth == limits::nesting_depth_max) return r.fault(decode_fault::too_deep);
  if (how.kind == category::compound) return check_compound(r, c, how.width, depth);
  if (how.kind == category::array) return check_array(r, how.width, depth);
  const decoded<void> descriptor = check_one(r, depth + 1);
  if (descriptor.has_error()) return descriptor.error();
  return check_one(r, depth + 1);
}

decoded<void> check_one(reader& r, std::size_t depth) {
  AMQP_TRY(c, r.constructor());
  return check_data(r, c, depth);
}

/// Length of the UTF-8 sequence at the start of `text`, or 0 if there is none. [RFC 3629]
std::size_t utf8_sequence(std::string_view text) {
  const auto octet = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](std::size_t i) { return (octet(i) & 0xc0u) == 0x80u; };
  const unsigned lead = octet(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;  // a continuation, or an overlong form
  if (lead < 0xe0) return follows(1) ? 2 : 0;
  if (lead < 0xf0) {
    if (lead == 0xe0 && octet(1) < 0xa0) return 0;  // overlong
    if (lead == 0xed && octet(1) > 0x9f) return 0;  // a surrogate
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead > 0xf4) return 0;
  if (lead == 0xf0 && octet(1) < 0x90) return 0;  // overlong
  if (lead == 0xf4 && octet(1) > 0x8f) return 0;  // beyond U+10FFFF
  return follows(1) && follows(2) && follows(3) ? 4 : 0;
}

/// Octets at the start that are ASCII, counted eight at a time.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t n = 0;
  while (text.size() - n >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + n, 8);
    if ((word & 0x8080808080808080u) != 0) break;
    n += 8;
  }
  while (n < text.size() && static_cast<unsigned char>(text[n]) < 0x80) ++n;
  return n;
}

}  // namespace

std::size_t flat_size(std::span<const std::byte> octets) {
  const std::byte* at = octets.data();
  const std::byte* const end = at + octets.size();
  if (const std::size_t size = scalar_size(at, end); size > 0) return size;
  if (octets.size() < 3) return 0;
  const layout_of_code how = layout_at(static_cast<code>(*at));
  const auto size = std::to_integer<std::size_t>(at[1]);
  const auto count = std::to_integer<std::size_t>(at[2]);
  if (how.kind != category::compound || how.width != 1 || size > octets.size() - 2) return 0;
  if (is_map(static_cast<code>(*at)) && count % 2 != 0) return 0;
  const std::byte* const items_end = at + 2 + size;
  at += 3;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t item = at < items_end ? scalar_size(at, items_end) : 0;
    if (item == 0) return 0;
    at += item;
  }
  return at == items_end ? 2 + size : 0;
}

decoded<std::size_t> skip_value(reader& r) {
  if (const std::size_t size = flat_size(r.rest()); size > 0) {
    static_cast<void>(r.take(size));
    return size;
  }
  decoded<std::size_t> passed = walk(r, 0).run();
  if (passed.has_value()) static_cast<void>(r.take(*passed));
  return passed;
}

decoded<std::span<const std::byte>> take_value(reader& r) {
  const std::byte* const begin = r.position();
  AMQP_TRY(size, skip_value(r));
  return std::span<const std::byte>(begin, size);
}

decoded<std::size_t> check_value(reader& r, std::size_t depth) {
  const std::size_t before = r.remaining();
  const decoded<void> checked = check_one(r, depth);
  if (checked.has_error()) return checked.error();
  return before - r.remaining();
}

bool is_utf8(std::string_view text) {
  while (true) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const std::size_t n = utf8_sequence(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
}

bool is_ascii(std::string_view text) { return ascii_prefix(text) == text.size(); }

bool is_scalar_value(std::uint32_t c) { return c < 0xd800 || (c > 0xdfff && c <= 0x10ffff); }

}  // namespace whimbrel::amqp::codec
