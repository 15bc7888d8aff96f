// SPDX-License-Identifier: Apache-2.0
// Random AMQP values and fields, from a seeded source.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "amqp/codec/codec.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::test {

amqp::codec::value random_value(random_source& random, int depth);

/// Small numbers, large ones and those around the borders of the encodings.
template <class T>
T random_number(random_source& random) {
  constexpr std::uint64_t borders[] = {0, 1, 127, 128, 255, 256, 65535, 65536};
  switch (random.below(3)) {
    case 0:
      return static_cast<T>(borders[random.below(8)]);
    case 1:
      return static_cast<T>(~borders[random.below(8)]);
    default:
      return static_cast<T>(random.next() >> random.below(64));
  }
}

inline std::size_t random_size(random_source& random) {
  return random.one_in(12) ? 200 + random.below(200) : random.below(20);
}

inline void randomise(random_source& random, bool& out) { out = random.one_in(2); }
inline void randomise(random_source& random, std::uint8_t& out) {
  out = random_number<std::uint8_t>(random);
}
inline void randomise(random_source& random, std::uint16_t& out) {
  out = random_number<std::uint16_t>(random);
}
inline void randomise(random_source& random, std::uint32_t& out) {
  out = random_number<std::uint32_t>(random);
}
inline void randomise(random_source& random, std::uint64_t& out) {
  out = random_number<std::uint64_t>(random);
}
inline void randomise(random_source& random, std::string& out) {
  static const std::string pieces[] = {"a", "key", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  out.clear();
  for (std::size_t n = random_size(random); n > 0; --n) out += pieces[random.below(5)];
}
inline void randomise(random_source& random, amqp::symbol& out) {
  out.text.clear();
  for (std::size_t n = random_size(random); n > 0; --n) {
    out.text += static_cast<char>('a' + random.below(26));
  }
}
inline void randomise(random_source& random, amqp::binary& out) {
  out.octets.resize(random_size(random));
  for (std::byte& b : out.octets) b = static_cast<std::byte>(random.next());
}
inline void randomise(random_source& random, amqp::timestamp& out) {
  out.ms = random_number<std::int64_t>(random);
}
inline void randomise(random_source& random, amqp::uuid& out) {
  for (std::byte& b : out.octets) b = static_cast<std::byte>(random.next());
}
inline void randomise(random_source& random, amqp::codec::map& out) {
  out = {};
  for (std::size_t n = random.below(5); n > 0; --n) {
    amqp::symbol key;
    randomise(random, key);
    out.set(key, random_value(random, 3));
  }
}
inline void randomise(random_source& random, amqp::codec::raw& out) {
  // `accepted` and its like, as most are.
  if (random.one_in(3)) {
    out = amqp::codec::raw(hex(random.one_in(2) ? "00 53 24 45" : "00 53 26 45"));
    return;
  }
  do {
    out = amqp::codec::to_raw(random_value(random, 3));
  } while (out.octets()[0] == std::byte{0x40});  // null is an absent field
}
inline void randomise(random_source& random,
                      std::variant<std::uint64_t, amqp::uuid, amqp::binary, std::string>& out) {
  switch (random.below(4)) {
    case 0:
      out = random_number<std::uint64_t>(random);
      break;
    case 1:
      randomise(random, out.emplace<amqp::uuid>());
      break;
    case 2:
      randomise(random, out.emplace<amqp::binary>());
      break;
    default:
      randomise(random, out.emplace<std::string>());
      break;
  }
}
template <amqp::codec::restricted E>
void randomise(random_source& random, E& out) {
  const auto choices = choices_of(out);
  out = choices[random.below(choices.size())].value;
}
template <class T>
void randomise(random_source& random, amqp::codec::multiple<T>& out) {
  out = {};
  for (std::size_t n = random.below(4); n > 0; --n) randomise(random, out.values.emplace_back());
}
template <amqp::codec::composite T>
void randomise(random_source& random, T& out) {
  amqp::codec::each_field<T>([&](const auto& f, std::size_t) {
    randomise(random, out.*f.member);
    return true;
  });
}
template <class T>
void randomise(random_source& random, std::optional<T>& out) {
  randomise(random, out.emplace());
}

inline amqp::codec::value random_array(random_source& random) {
  const std::size_t n = random.below(6);
  const auto of = [&]<class T>(T) {
    std::vector<T> items(n);
    for (T& item : items) {
      if constexpr (std::is_same_v<T, std::uint32_t> || std::is_same_v<T, std::string> ||
                    std::is_same_v<T, amqp::symbol>) {
        randomise(random, item);
      } else {
        item = random_number<T>(random);
      }
    }
    return amqp::codec::value(amqp::codec::array::of(items));
  };
  switch (random.below(5)) {
    case 0:
      return of(std::int64_t{});
    case 1:
      return of(std::uint32_t{});
    case 2:
      return of(std::string{});
    case 3:
      return of(amqp::symbol{});
    default:
      return of(std::int8_t{});
  }
}

/// A scalar of any type.
inline amqp::codec::value random_scalar(random_source& random) {
  using amqp::codec::value;
  const auto filled = [&]<class T>(T v) {
    randomise(random, v);
    return value(std::move(v));
  };
  switch (random.below(18)) {
    case 0:
      return {};
    case 1:
      return filled(bool{});
    case 2:
      return filled(std::uint8_t{});
    case 3:
      return filled(std::uint16_t{});
    case 4:
      return filled(std::uint32_t{});
    case 5:
      return filled(std::uint64_t{});
    case 6:
      return random_number<std::int8_t>(random);
    case 7:
      return random_number<std::int16_t>(random);
    case 8:
      return random_number<std::int32_t>(random);
    case 9:
      return random_number<std::int64_t>(random);
    case 10:
      return static_cast<float>(random.below(1000)) / 8;
    case 11:
      return static_cast<double>(random.below(1000)) / 8;
    case 12:
      return filled(amqp::timestamp{});
    case 13:
      return filled(amqp::uuid{});
    case 14:
      return filled(amqp::binary{});
    case 15:
      return filled(std::string{});
    case 16:
      return filled(amqp::symbol{});
    default:
      return static_cast<char32_t>(random.below(0xd800));
  }
}

inline amqp::codec::value random_value(random_source& random, int depth) {
  using namespace amqp::codec;
  if (depth == 0 || random.one_in(2)) return random_scalar(random);
  switch (random.below(4)) {
    case 0: {
      list out;
      for (std::size_t n = random.below(6); n > 0; --n) {
        out.push_back(random_value(random, depth - 1));
      }
      return out;
    }
    case 1: {
      map out;
      for (std::size_t n = random.below(4); n > 0; --n) {
        out.set(random_scalar(random), random_value(random, depth - 1));
      }
      return out;
    }
    case 2:
      return random_array(random);
    default:
      return described(random_value(random, depth - 1), random_value(random, depth - 1));
  }
}

}  // namespace whimbrel::test
