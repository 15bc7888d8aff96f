// SPDX-License-Identifier: Apache-2.0
// Dynamic values: compounds that keep their items encoded.
#include "amqp/codec/value.hpp"

#include <algorithm>
#include <limits>

#include "amqp/codec/descriptor.hpp"
#include "amqp/codec/primitives.hpp"
#include "amqp/codec/skip.hpp"

namespace whimbrel::amqp::codec {

namespace {

using span = std::span<const std::byte>;

/// For octets that have been checked before: a fault now is our mistake.
template <class T>
T must(decoded<T> result) {
  AMQP_ASSERT(result.has_value());
  return *std::move(result);
}

void append(std::vector<std::byte>& to, span octets) {
  to.insert(to.end(), octets.begin(), octets.end());
}

/// The octets of `v` alone.
std::vector<std::byte> encoded(const value& v) {
  octet_buffer out;
  writer w(out);
  encode(w, v);
  return {out.octets().begin(), out.octets().end()};
}

void drop_first(span& items) { items = items.subspan(first_of_checked(items).size()); }

/// The next value, passed over.
span take_checked(reader& r) { return must(r.take(first_of_checked(r.rest()).size())); }

list list_of_checked(reader& r) {
  const compound_header head = must(read_list_header(r));
  return {must(r.take(head.size)), head.count};
}

map map_of_checked(reader& r) {
  const compound_header head = must(read_map_header(r));
  return {must(r.take(head.size)), head.count};
}

described described_of_checked(reader& r) {
  static_cast<void>(must(r.constructor()));
  const span descriptor = take_checked(r);
  return {descriptor, take_checked(r)};
}

array array_of_checked(reader& r) {
  const bool is_narrow = must(r.constructor()) == code::array8;
  const std::size_t size =
      is_narrow ? must(r.integer<std::uint8_t>()) - 1u : must(r.integer<std::uint32_t>()) - 4u;
  const std::uint32_t count =
      is_narrow ? must(r.integer<std::uint8_t>()) : must(r.integer<std::uint32_t>());
  reader elements = must(r.sub(size));
  const span all = elements.rest();
  while (must(elements.constructor()) == code::described) take_checked(elements);
  const span constructor = all.first(all.size() - elements.remaining());
  const span data = elements.rest();
  return {{constructor.begin(), constructor.end()}, count, {data.begin(), data.end()}};
}

/// Octets of the first element of an array's data.
std::size_t element_size(code c, span data) {
  const layout_of_code how = layout(c);
  if (how.kind == category::fixed) return how.width;
  reader r(data);
  if (how.width == 1) return 1u + must(r.integer<std::uint8_t>());
  return 4u + must(r.integer<std::uint32_t>());
}

template <class List>
bool equal_items(const List& a, const List& b) {
  if (a.count() != b.count()) return false;
  if (std::ranges::equal(a.octets(), b.octets())) return true;
  auto other = b.begin();
  for (auto it = a.begin(); it != a.end(); ++it, ++other)
    if (!(*it == *other)) return false;
  return true;
}

}  // namespace

std::span<const std::byte> first_of_checked(std::span<const std::byte> items) {
  reader r(items);
  for (std::size_t left = 1; left > 0; --left) {
    const layout_of_code how = layout(must(r.constructor()));
    if (how.kind == category::described) {
      left += 2;  // the descriptor and the body
    } else if (how.kind == category::fixed) {
      must(r.take(how.width));
    } else {
      must(r.take(how.width == 1 ? must(r.integer<std::uint8_t>())
                                 : must(r.integer<std::uint32_t>())));
    }
  }
  return items.first(items.size() - r.remaining());
}

void item_octets::append(const value& item) {
  codec::append(octets_, encoded(item));
  ++count_;
}

list::list(std::initializer_list<value> items) {
  for (const value& item : items) append(item);
}

void list::push_back(const value& item) { append(item); }

value list::operator[](std::size_t index) const {
  AMQP_ASSERT(index < count_);
  iterator it = begin();
  for (std::size_t i = 0; i < index; ++i) ++it;
  return *it;
}

value list::iterator::operator*() const { return value_of_checked(first_of_checked(rest_)); }
list::iterator& list::iterator::operator++() {
  drop_first(rest_);
  return *this;
}

bool operator==(const list& a, const list& b) { return equal_items(a, b); }

map::map(std::initializer_list<entry> entries) {
  for (const entry& e : entries) set(e.first, e.second);
}

entry map::iterator::operator*() const {
  span rest = rest_;
  value key = value_of_checked(first_of_checked(rest));
  drop_first(rest);
  return {std::move(key), value_of_checked(first_of_checked(rest))};
}
map::iterator& map::iterator::operator++() {
  drop_first(rest_);
  drop_first(rest_);
  return *this;
}

std::optional<value> map::find(std::string_view name) const {
  for (span rest = octets_; !rest.empty();) {
    reader r(rest);
    const code c = r.peek();
    const bool is_wanted = (is_symbol(c) && must(read_symbol(r)) == name) ||
                           (is_string(c) && must(read_string(r)) == name);
    drop_first(rest);
    if (is_wanted) return value_of_checked(first_of_checked(rest));
    drop_first(rest);
  }
  return std::nullopt;
}

std::optional<value> map::find_key(const value& key) const {
  for (iterator it = begin(); it != end(); ++it) {
    entry e = *it;
    if (e.first == key) return std::move(e.second);
  }
  return std::nullopt;
}

bool map::contains(std::string_view name) const { return find(name).has_value(); }

std::optional<std::pair<std::size_t, std::size_t>> map::locate(const value& key) const {
  span rest = octets_;
  while (!rest.empty()) {
    const std::size_t begin = octets_.size() - rest.size();
    const bool is_wanted = value_of_checked(first_of_checked(rest)) == key;
    drop_first(rest);
    drop_first(rest);
    if (is_wanted) return std::pair{begin, octets_.size() - rest.size()};
  }
  return std::nullopt;
}

void map::append(const value& key, const value& mapped) {
  item_octets::append(key);
  item_octets::append(mapped);
}

void map::set(const value& key, const value& mapped) {
  const auto at = locate(key);
  if (!at) return append(key, mapped);
  std::vector<std::byte> next(octets_.begin(),
                              octets_.begin() + static_cast<std::ptrdiff_t>(at->first));
  codec::append(next, encoded(key));
  codec::append(next, encoded(mapped));
  codec::append(next, span(octets_).subspan(at->second));
  octets_ = std::move(next);
}

bool map::erase(const value& key) {
  const auto at = locate(key);
  if (!at) return false;
  const auto begin = octets_.begin();
  octets_.erase(begin + static_cast<std::ptrdiff_t>(at->first),
                begin + static_cast<std::ptrdiff_t>(at->second));
  count_ -= 2;
  return true;
}

bool operator==(const map& a, const map& b) { return equal_items(a, b); }

value array::iterator::operator*() const {
  std::vector<std::byte> one = owner_->constructor_;
  append(one, rest_.first(element_size(owner_->element_code(), rest_)));
  return value_of_checked(one);
}
array::iterator& array::iterator::operator++() {
  rest_ = rest_.subspan(element_size(owner_->element_code(), rest_));
  ++index_;
  return *this;
}

bool operator==(const array& a, const array& b) {
  if (a.count_ != b.count_) return false;
  if (a.constructor_ == b.constructor_) {
    if (a.data_ == b.data_) return true;
    if (layout(a.element_code()).kind == category::fixed && !a.is_described()) return false;
  }
  if (a.empty()) return false;
  // Elements of no width are all the same one.
  if (a.data_.empty() && b.data_.empty()) return *a.begin() == *b.begin();
  auto other = b.begin();
  for (auto it = a.begin(); it != a.end(); ++it, ++other)
    if (!(*it == *other)) return false;
  return true;
}

described::described(const value& descriptor, const value& body)
    : octets_(encoded(descriptor)), split_(octets_.size()) {
  append(octets_, encoded(body));
}
described::described(span descriptor, span body)
    : octets_(descriptor.begin(), descriptor.end()), split_(descriptor.size()) {
  append(octets_, body);
}

value described::descriptor() const { return value_of_checked(descriptor_octets()); }
value described::body() const { return value_of_checked(body_octets()); }

std::optional<std::uint64_t> described::descriptor_code() const {
  const value d = descriptor();
  if (const auto* number = d.get_if<std::uint64_t>()) return *number;
  if (const auto* name = d.get_if<symbol>()) return code_of(name->text);
  return std::nullopt;
}

bool operator==(const described& a, const described& b) {
  if (a.octets_ == b.octets_ && a.split_ == b.split_) return true;
  return a.descriptor() == b.descriptor() && a.body() == b.body();
}

std::optional<std::string> value::text() const {
  if (const auto* s = std::get_if<std::string>(&held_)) return *s;
  if (const auto* s = std::get_if<symbol>(&held_)) return s->text;
  return std::nullopt;
}

std::optional<std::int64_t> value::to_signed() const {
  return std::visit(
      [](const auto& v) -> std::optional<std::int64_t> {
        using T = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool> &&
                      !std::is_same_v<T, char32_t>) {
          if (std::in_range<std::int64_t>(v)) return static_cast<std::int64_t>(v);
        }
        return std::nullopt;
      },
      held_);
}

std::optional<std::uint64_t> value::to_unsigned() const {
  return std::visit(
      [](const auto& v) -> std::optional<std::uint64_t> {
        using T = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool> &&
                      !std::is_same_v<T, char32_t>) {
          if (std::in_range<std::uint64_t>(v)) return static_cast<std::uint64_t>(v);
        }
        return std::nullopt;
      },
      held_);
}

void encode(writer& w, const value& v) {
  std::visit([&](const auto& held) { encode(w, held); }, v.held());
}
void encode(writer& w, const list& v) {
  if (v.empty()) return w.constructor(code::list0);
  w.compound_header(code::list8, code::list32, v.octets().size(), v.count());
  w.octets(v.octets());
}
void encode(writer& w, const map& v) {
  w.compound_header(code::map8, code::map32, v.octets().size(), v.count());
  w.octets(v.octets());
}
void encode(writer& w, const array& v) {
  w.compound_header(code::array8, code::array32, v.constructor().size() + v.data().size(),
                    v.size());
  w.octets(v.constructor());
  w.octets(v.data());
}
void encode(writer& w, const described& v) {
  w.constructor(code::described);
  w.octets(v.descriptor_octets());
  w.octets(v.body_octets());
}

value compound_of_checked(reader& r, code c) {
  if (c == code::map8 || c == code::map32) return map_of_checked(r);
  if (c == code::array8 || c == code::array32) return array_of_checked(r);
  return list_of_checked(r);
}

value value_of_checked(span octets) {
  reader r(octets);
  const code c = r.peek();
  switch (c) {
    case code::described:
      return described_of_checked(r);
    case code::null:
      return {};
    case code::true_:
    case code::false_:
    case code::boolean:
      return must(decode_as<bool>(r));
    case code::ubyte:
      return must(decode_as<std::uint8_t>(r));
    case code::ushort:
      return must(decode_as<std::uint16_t>(r));
    case code::uint0:
    case code::smalluint:
    case code::uint:
      return must(decode_as<std::uint32_t>(r));
    case code::ulong0:
    case code::smallulong:
    case code::ulong:
      return must(decode_as<std::uint64_t>(r));
    case code::byte:
      return must(decode_as<std::int8_t>(r));
    case code::short_:
      return must(decode_as<std::int16_t>(r));
    case code::smallint:
    case code::int_:
      return must(decode_as<std::int32_t>(r));
    case code::smalllong:
    case code::long_:
      return must(decode_as<std::int64_t>(r));
    case code::float_:
      return must(decode_as<float>(r));
    case code::double_:
      return must(decode_as<double>(r));
    case code::decimal32:
      return must(decode_as<decimal32>(r));
    case code::decimal64:
      return must(decode_as<decimal64>(r));
    case code::decimal128:
      return must(decode_as<decimal128>(r));
    case code::char_:
      return must(decode_as<char32_t>(r));
    case code::timestamp:
      return must(decode_as<timestamp>(r));
    case code::uuid:
      return must(decode_as<uuid>(r));
    case code::vbin8:
    case code::vbin32:
      return must(decode_as<binary>(r));
    case code::str8:
    case code::str32:
      return must(decode_as<std::string>(r));
    case code::sym8:
    case code::sym32:
      return must(decode_as<symbol>(r));
    case code::list0:
    case code::list8:
    case code::list32:
    case code::map8:
    case code::map32:
    case code::array8:
    case code::array32:
      return compound_of_checked(r, c);
  }
  amqp::detail::assertion_failed("the octets have been checked", __FILE__, __LINE__);
}

template <>
decoded<value> decode_as(reader& r) {
  const std::byte* const begin = r.position();
  AMQP_TRY(size, check_value(r));
  return value_of_checked({begin, size});
}

namespace {

/// A value of one of the kinds that `value` holds, after a look at the constructor.
template <class T>
decoded<T> decode_kind(reader& r, bool is_kind) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  if (r.remaining() == 0) return r.fault(decode_fault::truncated);
  if (!is_kind) return misplaced;
  AMQP_TRY(any_value, decode_as<value>(r));
  return std::move(any_value).template take<T>();
}

}  // namespace

template <>
decoded<list> decode_as(reader& r) {
  return decode_kind<list>(r, is_list(r.peek()));
}
template <>
decoded<map> decode_as(reader& r) {
  return decode_kind<map>(r, is_map(r.peek()));
}
template <>
decoded<array> decode_as(reader& r) {
  return decode_kind<array>(r, is_array(r.peek()));
}
template <>
decoded<described> decode_as(reader& r) {
  return decode_kind<described>(r, r.peek() == code::described);
}

}  // namespace whimbrel::amqp::codec
