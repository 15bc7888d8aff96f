// SPDX-License-Identifier: Apache-2.0
// C++ types for the primitive types that C++ does not have. [1.6]
//
// The others map to: bool, std::uint8_t ... std::uint64_t, std::int8_t ... std::int64_t, float,
// double, char32_t, std::string (UTF-8).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whimbrel::amqp {

/// A name from a constrained domain, 7-bit ASCII. [1.6.21]
struct symbol {
  std::string text = {};

  symbol() = default;
  symbol(std::string name) : text(std::move(name)) {}  // NOLINT: conditions are literals
  symbol(std::string_view name) : text(name) {}        // NOLINT
  symbol(const char* name) : text(name) {}             // NOLINT

  bool operator==(const symbol&) const = default;
  auto operator<=>(const symbol&) const = default;

  // Friends seen only where a symbol is compared: the constructors above are implicit.
  friend bool operator==(const symbol& a, std::string_view b) {
    return std::string_view(a.text) == b;
  }
  friend bool operator==(const symbol& a, const std::string& b) { return a.text == b; }
  friend bool operator==(const symbol& a, const char* b) { return a.text == b; }
};

/// Octets without meaning to AMQP. [1.6.19]
struct binary {
  std::vector<std::byte> octets = {};

  binary() = default;
  explicit binary(std::vector<std::byte> data) : octets(std::move(data)) {}
  explicit binary(std::span<const std::byte> data) : octets(data.begin(), data.end()) {}
  explicit binary(std::string_view text);

  /// The same octets seen as characters.
  std::string_view text() const {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
  }

  bool operator==(const binary&) const = default;
  auto operator<=>(const binary&) const = default;
};
inline binary::binary(std::string_view text) {
  const auto data = std::as_bytes(std::span(text));
  octets.assign(data.begin(), data.end());
}

/// RFC 4122, octets in network order. [1.6.18]
struct uuid {
  std::array<std::byte, 16> octets = {};
  bool operator==(const uuid&) const = default;
  auto operator<=>(const uuid&) const = default;
};

/// Milliseconds since the Unix epoch, UTC. [1.6.17]
struct timestamp {
  std::int64_t ms = 0;
  bool operator==(const timestamp&) const = default;
  auto operator<=>(const timestamp&) const = default;
};

/// IEEE 754 decimals, kept as the octets of the wire: nothing here computes with them. [1.6.13-15]
struct decimal32 {
  std::array<std::byte, 4> octets = {};
  bool operator==(const decimal32&) const = default;
};
struct decimal64 {
  std::array<std::byte, 8> octets = {};
  bool operator==(const decimal64&) const = default;
};
struct decimal128 {
  std::array<std::byte, 16> octets = {};
  bool operator==(const decimal128&) const = default;
};

namespace codec {

using amqp::binary;
using amqp::decimal128;
using amqp::decimal32;
using amqp::decimal64;
using amqp::symbol;
using amqp::timestamp;
using amqp::uuid;

/// A field that the standard declares `multiple="true"`: null or an empty array (no value), one
/// bare value, or an array. All are accepted; one value is sent bare. [1.4]
template <class T>
struct multiple {
  std::vector<T> values = {};

  multiple() = default;
  multiple(std::initializer_list<T> list) : values(list) {}
  explicit multiple(std::vector<T> list) : values(std::move(list)) {}

  bool empty() const { return values.empty(); }
  std::size_t size() const { return values.size(); }
  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }
  const T& operator[](std::size_t index) const { return values[index]; }
  void push_back(T value) { values.push_back(std::move(value)); }

  template <class U>
  bool contains(const U& wanted) const {
    for (const T& value : values)
      if (value == wanted) return true;
    return false;
  }

  bool operator==(const multiple&) const = default;
};

/// The exact octets of one encoded value, owned: relayed octet for octet, and compared so. Empty
/// when the field is absent.
class raw {
 public:
  raw() = default;
  /// `octets` must be one whole encoded value, or empty; whoever decoded it has checked that.
  explicit raw(std::span<const std::byte> octets) : octets_(octets.begin(), octets.end()) {}
  explicit raw(std::vector<std::byte> octets) : octets_(std::move(octets)) {}

  std::span<const std::byte> octets() const { return octets_; }
  bool empty() const { return octets_.empty(); }
  bool operator==(const raw&) const = default;

 private:
  std::vector<std::byte> octets_ = {};
};

}  // namespace codec
}  // namespace whimbrel::amqp
