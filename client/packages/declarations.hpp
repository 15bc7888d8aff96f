// SPDX-License-Identifier: Apache-2.0
// In the installed headers, in place of the codec: what the declarations of messages mention and
// applications have no use for. So a program needs neither Boost nor the codec to be compiled. Each
// line stands in amqp/ too, word by word; tests/packages/run.sh compares them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "amqp/base/assert.hpp"
#include "amqp/codec/code.hpp"
#include "amqp/codec/types.hpp"

namespace boost::system {
template <class T, class E>
class result;
}

namespace whimbrel::amqp {

struct decode_error;
class octet_buffer;

template <class T>
using decoded = boost::system::result<T, decode_error>;

}  // namespace whimbrel::amqp

namespace whimbrel::amqp::codec {

class reader;
class writer;

struct descriptor {
  std::uint64_t code = 0;
  std::string_view name = {};
};

enum class presence : std::uint8_t { optional, mandatory };

enum class privacy : std::uint8_t { shown, secret };

template <class Owner, class T>
struct field {
  std::string_view name = {};  // as the standard spells it
  T Owner::*member = nullptr;
  presence need = presence::optional;
  privacy text = privacy::shown;
};
template <class Owner, class T>  // clang 14 cannot deduce aggregates unaided
field(std::string_view, T Owner::*, presence = presence::optional, privacy = privacy::shown)
    ->field<Owner, T>;

template <class E>
struct choice {
  E value = {};
  std::string_view name = {};
};
template <class E>  // clang 14 cannot deduce aggregates unaided
choice(E, std::string_view)->choice<E>;

template <class T>
[[nodiscard]] decoded<T> decode_as(reader& r);

}  // namespace whimbrel::amqp::codec

#include "amqp/codec/value.hpp"
