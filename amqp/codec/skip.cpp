// SPDX-License-Identifier: Apache-2.0
// The two walks over encoded values: structure only (iterative), and everything (recursive, bounded
// by the nesting limit).
#include "amqp/codec/skip.hpp"

#include <algorithm>
#include <array>
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
  walk(reader& r, std::size_t depth) : r_(r) {
    *top_ = {.end = r_.position() + r_.remaining(), .left = 1, .depth = depth};
  }

  /// Passes over one value.
  decoded<void> run() {
    while (true) {
      if (top_->left == 0) {
        if (top_->is_exact && room() != 0) return r_.fault(decode_fault::bad_length);
        if (top_ == stack_.data()) return {};
        --top_;
        continue;
      }
      --top_->left;
      code c = top_->element;
      if (!top_->is_array) {
        if (room() == 0) return r_.fault(decode_fault::truncated);
        AMQP_TRY(own, r_.constructor());
        c = own;
      }
      const decoded<void> stepped = step(c);
      if (stepped.has_error()) return stepped.error();
    }
  }

 private:
  /// A value with items that the walk is inside of.
  struct level {
    const std::byte* end = nullptr;
    std::uint32_t left = 0;          // items still to pass over
    code element = code::described;  // of an array
    bool is_array = false;           // the items have no constructors of their own
    bool is_exact = false;           // the items end at `end`
    std::size_t depth = 0;           // of the items
  };

  std::size_t room() const { return static_cast<std::size_t>(top_->end - r_.position()); }

  decoded<void> pass(std::size_t n) {
    if (n > room()) return r_.fault(decode_fault::truncated);
    static_cast<void>(r_.take(n));  // cannot fail: a level ends inside the octets
    return {};
  }

  /// One level down; `stack_` is large enough because a level is never deeper than its depth.
  decoded<void> descend(level next) {
    if (top_->depth == limits::nesting_depth_max) return r_.fault(decode_fault::too_deep);
    next.depth = top_->depth + 1;
    *++top_ = next;
    return {};
  }

  /// Passes over the data behind constructor `c`, or goes into them.
  decoded<void> step(code c) {
    const layout_of_code how = layout_at(c);
    switch (how.kind) {
      case category::none:
        break;
      case category::fixed:
        return pass(how.width);
      case category::described:
        return descend({.end = top_->end, .left = 2});
      case category::variable:
        return step_variable(how.width);
      case category::compound:
        return step_compound(c, how.width);
      case category::array:
        return step_array(how.width);
    }
    return r_.fault(decode_fault::bad_format_code);
  }

  decoded<void> step_variable(std::size_t width) {
    if (room() < width) return r_.fault(decode_fault::truncated);
    if (width == 1) {
      AMQP_TRY(narrow, r_.integer<std::uint8_t>());
      return pass(narrow);
    }
    AMQP_TRY(wide, r_.integer<std::uint32_t>());
    return pass(wide);
  }

  decoded<void> step_compound(code c, std::size_t width) {
    if (room() < 2 * width) return r_.fault(decode_fault::truncated);
    AMQP_TRY(head, read_compound_header(r_, width));
    if (head.size > room()) return r_.fault(decode_fault::bad_length);
    if (is_map(c) && head.count % 2 != 0) return r_.fault(decode_fault::bad_length);
    return descend({.end = r_.position() + head.size, .left = head.count, .is_exact = true});
  }

  decoded<void> step_array(std::size_t width) {
    if (room() < 2 * width) return r_.fault(decode_fault::truncated);
    AMQP_TRY(head, read_array_header(r_, width));
    if (head.size > room()) return r_.fault(decode_fault::bad_length);
    const decoded<void> inside =
        descend({.end = r_.position() + head.size, .is_array = true, .is_exact = true});
    if (inside.has_error()) return inside.error();
    AMQP_TRY(element, element_constructor());
    const layout_of_code how = layout_at(element);
    if (how.kind == category::none) return r_.fault(decode_fault::bad_format_code);
    if (how.kind == category::fixed) {
      if (!fills(head.count, how.width, room())) return r_.fault(decode_fault::bad_length);
      return pass(room());
    }
    if (head.count > room() / how.width) return r_.fault(decode_fault::bad_length);
    top_->left = head.count;
    top_->element = element;
    return {};
  }

  /// The constructor of an array's elements. Each descriptor before it makes the elements one
  /// level deeper.
  decoded<code> element_constructor() {
    while (true) {
      if (room() == 0) return r_.fault(decode_fault::truncated);
      AMQP_TRY(c, r_.constructor());
      if (c != code::described) return c;
      if (top_->depth == limits::nesting_depth_max) return r_.fault(decode_fault::too_deep);
      ++top_->depth;
      AMQP_TRY(descriptor, reader(r_).sub(room()));
      const decoded<void> passed = walk(descriptor, top_->depth).run();
      if (passed.has_error()) return passed.error();
      static_cast<void>(r_.take(static_cast<std::size_t>(descriptor.position() - r_.position())));
    }
  }

  reader& r_;
  std::array<level, limits::nesting_depth_max + 1> stack_{};
  level* top_ = stack_.data();
};

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

decoded<std::size_t> skip_value(reader& r) {
  const std::size_t before = r.remaining();
  // Most values that are passed over are scalars: no stack for those.
  if (before > 0) {
    const layout_of_code how = layout_at(r.peek());
    if (how.kind == category::fixed && how.width < before) {
      static_cast<void>(r.take(1u + how.width));
      return 1u + how.width;
    }
    if (how.kind == category::variable && how.width == 1 && before >= 2) {
      const std::size_t size = 2 + std::to_integer<std::size_t>(r.position()[1]);
      if (size <= before) {
        static_cast<void>(r.take(size));
        return size;
      }
    }
  }
  const decoded<void> passed = walk(r, 0).run();
  if (passed.has_error()) return passed.error();
  return before - r.remaining();
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
