// SPDX-License-Identifier: Apache-2.0
// Making smaller what the peer's max-frame-size does not admit. [2.7.1]
#pragma once

#include <span>

#include "amqp/codec/types.hpp"
#include "amqp/spec/definitions.hpp"

namespace whimbrel::amqp::engine {

/// Makes the error smaller: first its info goes, then half of its description each time. The
/// condition stays.
void shorten(spec::error& error);

/// A delivery-state that says the same in 400 octets at most: a rejection with its error shortened,
/// a modification without its annotations. A state of any other kind is not longer.
codec::raw shorten_state(std::span<const std::byte> state);

}  // namespace whimbrel::amqp::engine
