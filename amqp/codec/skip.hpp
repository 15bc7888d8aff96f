// SPDX-License-Identifier: Apache-2.0
// Passing over encoded values without decoding them.
#pragma once

#include <cstddef>
#include <span>

#include "amqp/base/limits.hpp"
#include "amqp/codec/reader.hpp"

namespace whimbrel::amqp::codec {

/// Passes over one value and returns its length in octets.
///
/// Guarantees on success: every constructor inside is one of the standard, every size and count
/// agrees with the items present at every level, maps have an even count, and nothing is nested
/// deeper than `limits::nesting_depth_max`. Iterative; no allocation; time is linear in the octets,
/// also for arrays of zero-width elements whatever their count. Not checked: what is inside
/// strings, symbols, booleans and characters, and equal keys (see `check_value`).
[[nodiscard]] decoded<std::size_t> skip_value(reader& r);

/// Length of the value at the start of `octets` if it is a scalar, or a short list or map of
/// scalars, as nearly all are; 0 for the others and for what is malformed, which `skip_value`
/// judges. What it passes, that passes.
[[nodiscard]] std::size_t flat_size(std::span<const std::byte> octets);

/// The octets of the next value, which is passed over as by `skip_value`.
[[nodiscard]] decoded<std::span<const std::byte>> take_value(reader& r);

/// As `skip_value`, and checks the rest as well: UTF-8, ASCII, the range of booleans and
/// characters, and that no map has two equal keys. What passes decodes into `value` in every part.
/// `depth` counts the levels that the caller is already inside of.
[[nodiscard]] decoded<std::size_t> check_value(reader& r, std::size_t depth = 0);

bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);

/// Whether `c` is a Unicode character: in range, and no surrogate.
bool is_scalar_value(std::uint32_t c);

}  // namespace whimbrel::amqp::codec
