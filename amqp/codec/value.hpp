// SPDX-License-Identifier: Apache-2.0
// Any AMQP value, for maps of properties, filters, and bodies that applications look into.
//
// Compounds keep their items encoded and decode one at a time on access. So what a peer sends is
// held once, in about the octets that it sent, however small its items are: a list of a million
// nulls is a megabyte, an array of 2^32-1 zero-width elements eleven octets.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "amqp/base/assert.hpp"
#include "amqp/base/result.hpp"
#include "amqp/codec/code.hpp"
#include "amqp/codec/reader.hpp"
#include "amqp/codec/types.hpp"
#include "amqp/codec/writer.hpp"

namespace whimbrel::amqp::codec {

class value;
using entry = std::pair<value, value>;  // key, value

/// Items one after another; the base of list and map.
class item_octets {
 public:
  item_octets() = default;
  /// `octets` are `count` whole encoded values that have passed `check_value`.
  item_octets(std::span<const std::byte> octets, std::uint32_t count)
      : octets_(octets.begin(), octets.end()), count_(count) {}

  std::span<const std::byte> octets() const { return octets_; }
  std::uint32_t count() const { return count_; }

 protected:
  void append(const value& item);

  std::vector<std::byte> octets_ = {};
  std::uint32_t count_ = 0;
};

/// A sequence of values of any types. [1.6.22]
class list : public item_octets {
 public:
  class iterator {
   public:
    using value_type = value;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = value;
    using pointer = void;

    explicit iterator(std::span<const std::byte> rest) : rest_(rest) {}
    value operator*() const;
    iterator& operator++();
    bool operator==(const iterator& other) const { return rest_.size() == other.rest_.size(); }
    bool operator!=(const iterator& other) const { return !(*this == other); }

   private:
    std::span<const std::byte> rest_;
  };

  list() = default;
  list(std::initializer_list<value> items);
  using item_octets::item_octets;

  std::uint32_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  void push_back(const value& item);
  iterator begin() const { return iterator(octets_); }
  iterator end() const { return iterator(std::span<const std::byte>(octets_).last(0)); }
  value operator[](std::size_t index) const;  // linear in `index`

  friend bool operator==(const list& a, const list& b);
};

/// Pairs in the order in which they were sent. Look-ups are linear. [1.6.23]
class map : public item_octets {
 public:
  class iterator {
   public:
    using value_type = entry;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = entry;
    using pointer = void;

    explicit iterator(std::span<const std::byte> rest) : rest_(rest) {}
    entry operator*() const;
    iterator& operator++();
    bool operator==(const iterator& other) const { return rest_.size() == other.rest_.size(); }
    bool operator!=(const iterator& other) const { return !(*this == other); }

   private:
    std::span<const std::byte> rest_;
  };

  map() = default;
  map(std::initializer_list<entry> entries);
  using item_octets::item_octets;

  /// Entries, not items.
  std::uint32_t size() const { return count_ / 2; }
  bool empty() const { return count_ == 0; }
  iterator begin() const { return iterator(octets_); }
  iterator end() const { return iterator(std::span<const std::byte>(octets_).last(0)); }

  /// The value of the key `name`, given as symbol or as string: peers mix the two up.
  std::optional<value> find(std::string_view name) const;
  /// The value of exactly this key.
  std::optional<value> find_key(const value& key) const;
  bool contains(std::string_view name) const;

  /// The value of `name` if it is there and of type T, and nothing otherwise.
  template <class T>
  std::optional<T> get(std::string_view name) const;

  /// Adds an entry; the key must not be there yet.
  void append(const value& key, const value& mapped);
  /// Replaces the value of `key` in its place, or adds the entry at the end.
  void set(const value& key, const value& mapped);
  /// True if the key was there.
  bool erase(const value& key);

  friend bool operator==(const map& a, const map& b);

 private:
  /// Octets of the entry with this key: where they begin and end.
  std::optional<std::pair<std::size_t, std::size_t>> locate(const value& key) const;
};

/// Elements of one type behind one constructor. [1.6.24]
class array {
 public:
  class iterator {
   public:
    using value_type = value;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = value;
    using pointer = void;

    iterator(const array* owner, std::span<const std::byte> rest, std::uint32_t index)
        : owner_(owner), rest_(rest), index_(index) {}
    value operator*() const;
    iterator& operator++();
    bool operator==(const iterator& other) const { return index_ == other.index_; }
    bool operator!=(const iterator& other) const { return !(*this == other); }

   private:
    const array* owner_;
    std::span<const std::byte> rest_;
    std::uint32_t index_;
  };

  /// The empty array of nulls, for want of another type.
  array() : array(std::vector<std::byte>{std::byte{0x40}}, 0, {}) {}

  /// From octets that have passed `check_value`: `constructor` is the element constructor with its
  /// descriptors, `data` the elements without.
  array(std::vector<std::byte> constructor, std::uint32_t count, std::vector<std::byte> data)
      : constructor_(std::move(constructor)), data_(std::move(data)), count_(count) {}

  /// An array of the values given, each encoded alike. T is one of the primitive types.
  template <class T>
  static array of(const std::vector<T>& values);

  std::uint32_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  iterator begin() const { return {this, data_, 0}; }
  iterator end() const { return {this, {}, count_}; }

  /// The constructor of the elements; behind the descriptors if these are described.
  code element_code() const { return static_cast<code>(constructor_.back()); }
  bool is_described() const { return constructor_.size() > 1; }

  /// The elements, if they are of type T and not so many more than their octets that holding them
  /// apart would be an attack; nothing otherwise.
  template <class T>
  std::optional<std::vector<T>> to_vector() const;

  std::span<const std::byte> constructor() const { return constructor_; }
  std::span<const std::byte> data() const { return data_; }

  friend bool operator==(const array& a, const array& b);

 private:
  std::vector<std::byte> constructor_ = {};
  std::vector<std::byte> data_ = {};
  std::uint32_t count_ = 0;
};

/// A value with a descriptor that says what it means. [1.1.2]
class described {
 public:
  described(const value& descriptor, const value& body);
  /// From octets that have passed `check_value`: descriptor and body, each one value.
  described(std::span<const std::byte> descriptor, std::span<const std::byte> body);

  value descriptor() const;
  value body() const;
  /// The descriptor's number; for a symbol of the standard the number that goes with it.
  std::optional<std::uint64_t> descriptor_code() const;

  std::span<const std::byte> descriptor_octets() const { return octets().first(split_); }
  std::span<const std::byte> body_octets() const { return octets().subspan(split_); }

  friend bool operator==(const described& a, const described& b);

 private:
  std::span<const std::byte> octets() const { return octets_; }

  std::vector<std::byte> octets_ = {};
  std::size_t split_ = 0;
};

struct null {
  bool operator==(const null&) const = default;
};

using any = std::variant<null, bool, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t,
                         std::int8_t, std::int16_t, std::int32_t, std::int64_t, float, double,
                         decimal32, decimal64, decimal128, char32_t, timestamp, uuid, binary,
                         std::string, symbol, list, map, array, described>;

template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Alternatives>
inline constexpr bool is_alternative<T, std::variant<Alternatives...>> =
    (std::is_same_v<T, Alternatives> || ...);

/// A C++ type that is the image of one AMQP type.
template <class T>
concept amqp_type = is_alternative<T, any>;

/// Any value. Made from exactly the types above, without conversions: value(1) is an int, never a
/// uint.
class value {
 public:
  value() = default;
  template <class T>
  requires amqp_type<std::remove_cvref_t<T>> value(T&& v)
      : held_(std::forward<T>(v)) {}                          // NOLINT: a value is what it holds
  value(const char* text) : held_(std::string(text)) {}       // NOLINT
  value(std::string_view text) : held_(std::string(text)) {}  // NOLINT

  bool is_null() const { return std::holds_alternative<null>(held_); }

  template <amqp_type T>
  bool is() const {
    return std::holds_alternative<T>(held_);
  }
  /// The held T, or null. Not of a temporary: most values are, see `to`.
  template <amqp_type T>
  const T* get_if() const& {
    return std::get_if<T>(&held_);
  }
  template <amqp_type T>
  const T* get_if() && = delete;
  /// A copy of the held T.
  template <amqp_type T>
  std::optional<T> to() const {
    if (const T* held = std::get_if<T>(&held_)) return *held;
    return std::nullopt;
  }

  /// The held T, moved out.
  template <amqp_type T>
  T take() && {
    T* held = std::get_if<T>(&held_);
    AMQP_ASSERT(held != nullptr);
    return std::move(*held);
  }

  /// The characters of a string or symbol.
  std::optional<std::string> text() const;
  /// Any of the eight integer types, if the number fits.
  std::optional<std::int64_t> to_signed() const;
  std::optional<std::uint64_t> to_unsigned() const;

  const any& held() const { return held_; }

  friend bool operator==(const value&, const value&) = default;

 private:
  any held_ = null{};
};

void encode(writer& w, const value& v);
void encode(writer& w, const list& v);
void encode(writer& w, const map& v);
void encode(writer& w, const array& v);
void encode(writer& w, const described& v);

/// For people: strings quoted, symbols with a colon in front, binary in hex. Bounded, see `limits`.
void print(std::string& out, const value& v);
void print(std::string& out, const list& v);
void print(std::string& out, const map& v);
void print(std::string& out, const array& v);
void print(std::string& out, const described& v);
std::string to_text(const value& v);
std::string to_text(const map& v);

/// The value whose octets are these; they have passed `check_value`.
value value_of_checked(std::span<const std::byte> octets);

/// The first of `items`, all of which have passed `check_value`. Looks at sizes alone: values that
/// we put together ourselves may be nested deeper than a peer's.
std::span<const std::byte> first_of_checked(std::span<const std::byte> items);

template <class T>
std::optional<T> map::get(std::string_view name) const {
  const std::optional<value> found = find(name);
  return found ? found->to<T>() : std::nullopt;
}

}  // namespace whimbrel::amqp::codec

#include "amqp/codec/array.hpp"
