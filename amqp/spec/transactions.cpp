// SPDX-License-Identifier: Apache-2.0
// The composites of transactions, instantiated once for all who include the declarations.
#include "amqp/spec/transactions.hpp"

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::coordinator>;
template struct composite_codec<spec::declare>;
template struct composite_codec<spec::discharge>;
template struct composite_codec<spec::declared>;
template struct composite_codec<spec::transactional_state>;

}  // namespace whimbrel::amqp::codec
