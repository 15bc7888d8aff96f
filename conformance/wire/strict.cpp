// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire/strict.hpp"

#include <algorithm>
#include <set>

#include "amqp/codec/skip.hpp"

namespace whimbrel::conformance {

namespace {

constexpr int depth_max = 64;

class walker {
 public:
  walker(std::span<const std::byte> octets, const rule_sink& sink) : octets_(octets), sink_(sink) {}

  bool value(int depth = 0) {
    if (depth > depth_max) return broken("Y-1.6-a", "nested more than 64 deep");
    if (left() == 0) return broken("Y-1.2.3-c", "octets end where a constructor should be");
    if (peek() == 0x00) {
      ++at_;
      return descriptor(depth) && value(depth + 1);
    }
    return content(octet(), depth);
  }

  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  [[nodiscard]] std::size_t left() const { return octets_.size() - at_; }
  [[nodiscard]] unsigned peek() const { return std::to_integer<unsigned>(octets_[at_]); }
  unsigned octet() { return std::to_integer<unsigned>(octets_[at_++]); }

  bool broken(std::string_view clause, std::string_view what) {
    sink_(clause, false, what);
    return false;
  }

  bool descriptor(int depth) {
    if (left() == 0) return broken("Y-1.2.3-c", "octets end where a descriptor should be");
    const unsigned code = peek();
    const bool is_usual = code == 0x80 || code == 0x53 || code == 0x44 || code == 0xa3 ||
                          code == 0xb3;
    sink_("Y-1.5-c", is_usual, "a descriptor that is neither a ulong nor a symbol");
    return value(depth + 1);
  }

  /// Data behind the constructor `code`.
  bool content(unsigned code, int depth) {
    switch (code >> 4) {
      case 0x4:
        return known(code <= 0x45, code);
      case 0x5:
        return known(code <= 0x56, code) && skip(1, code);
      case 0x6:
        return known(code <= 0x61, code) && skip(2, code);
      case 0x7:
        return known(code <= 0x74, code) && skip(4, code);
      case 0x8:
        return known(code <= 0x84, code) && skip(8, code);
      case 0x9:
        return known(code == 0x94 || code == 0x98, code) && skip(16, code);
      case 0xa:
      case 0xb:
        return known((code & 15) == 0 || (code & 15) == 1 || (code & 15) == 3, code) && text(code);
      case 0xc:
      case 0xd:
        return known((code & 15) <= 1, code) && compound(code, depth);
      case 0xe:
      case 0xf:
        return known((code & 15) == 0, code) && array(code, depth);
      default:
        return known(false, code);
    }
  }

  bool known(bool is_defined, unsigned code) {
    sink_("Y-1.6-a", is_defined, "format code 0x" + to_hex(bytes{static_cast<std::byte>(code)}));
    return is_defined;
  }

  bool skip(std::size_t n, unsigned code) {
    if (left() < n) return broken("Y-1.2.3-c", "octets end inside a value");
    if (code == 0x56) sink_("Y-1.6.2-b", peek() <= 1, "a boolean of neither 00 nor 01");
    at_ += n;
    return true;
  }

  bool length(bool is_wide, std::size_t& out) {
    const std::size_t width = is_wide ? 4 : 1;
    if (left() < width) return broken("Y-1.2.2-b", "octets end inside a size");
    out = 0;
    for (std::size_t i = 0; i < width; ++i) out = out << 8 | octet();
    return true;
  }

  bool text(unsigned code) {
    std::size_t size = 0;
    if (!length((code & 0xf0) == 0xb0, size)) return false;
    const bool fits = size <= left();
    sink_("Y-1.2.2-b", fits, "a size that runs past what is around it");
    if (!fits) return false;
    const std::string_view seen(reinterpret_cast<const char*>(octets_.data() + at_), size);
    if ((code & 15) == 1) {
      sink_("Y-1.6.20-b", amqp::codec::is_utf8(seen), "a string that is not UTF-8");
      sink_("Y-1.6.20-a", !seen.starts_with("\xef\xbb\xbf"), "a string with a byte order mark");
    }
    if ((code & 15) == 3) {
      sink_("Y-1.6.21-a", amqp::codec::is_ascii(seen), "a symbol that is not ASCII");
    }
    at_ += size;
    return true;
  }

  bool compound(unsigned code, int depth) {
    const bool is_wide = (code & 0xf0) == 0xd0;
    std::size_t size = 0;
    if (!length(is_wide, size)) return false;
    const bool fits = size <= left() && size >= (is_wide ? 4u : 1u);
    sink_("Y-1.2.3-b", fits, "a compound whose size does not fit its surroundings");
    if (!fits) return false;
    const std::size_t end = at_ + size;
    walker inner(octets_.first(end), sink_);
    inner.at_ = at_;
    const bool well = inner.items(is_wide, (code & 15) == 1, depth);
    at_ = end;
    return well;
  }

  bool items(bool is_wide, bool is_map, int depth) {
    std::size_t count = 0;
    if (!length(is_wide, count)) return false;
    if (is_map) sink_("Y-1.6.23-a", count % 2 == 0, "a map of an odd number of items");
    std::set<bytes> keys;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = at_;
      if (left() == 0) return broken("Y-1.2.3-c", "a count larger than the items there are");
      if (!value(depth + 1)) return false;
      const auto item = octets_.subspan(from, at_ - from);
      if (!is_map || i % 2 != 0) continue;
      sink_("Y-1.6.23-b", keys.emplace(item.begin(), item.end()).second, "a map key twice");
    }
    sink_("Y-1.2.3-b", left() == 0, "a compound whose items end before its size");
    return left() == 0;
  }

  bool array(unsigned code, int depth) {
    const bool is_wide = code == 0xf0;
    std::size_t size = 0;
    std::size_t count = 0;
    if (!length(is_wide, size)) return false;
    const bool fits = size <= left() && size >= (is_wide ? 4u : 1u);
    sink_("Y-1.2.3-b", fits, "an array whose size does not fit its surroundings");
    if (!fits) return false;
    const std::size_t end = at_ + size;
    walker inner(octets_.first(end), sink_);
    inner.at_ = at_;
    const bool well = inner.length(is_wide, count) && inner.elements(count, depth);
    at_ = end;
    return well;
  }

  bool elements(std::size_t count, int depth) {
    sink_("Y-1.2.4-f", left() > 0, "an array without an element constructor");
    if (left() == 0) return false;
    while (left() > 0 && peek() == 0x00) {
      ++at_;
      if (!descriptor(depth)) return false;
    }
    if (left() == 0) return broken("Y-1.2.4-f", "an array without an element constructor");
    const unsigned code = octet();
    if (code >> 4 == 4) return known(code <= 0x45, code);  // no octets each
    for (std::size_t i = 0; i < count; ++i) {
      if (left() == 0) return broken("Y-1.2.3-c", "a count larger than the elements there are");
      if (!content(code, depth + 1)) return false;
    }
    sink_("Y-1.2.3-b", left() == 0, "an array whose elements end before its size");
    return left() == 0;
  }

  std::span<const std::byte> octets_;
  const rule_sink& sink_;
  std::size_t at_ = 0;
};

}  // namespace

std::size_t walk_value(std::span<const std::byte> octets, const rule_sink& sink) {
  walker w(octets, sink);
  return w.value() ? w.at() : 0;
}

}  // namespace whimbrel::conformance
