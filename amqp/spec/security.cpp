// SPDX-License-Identifier: Apache-2.0
// The SASL frames, instantiated once for all who include the declarations.
#include "amqp/spec/security.hpp"

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::sasl_mechanisms>;
template struct composite_codec<spec::sasl_init>;
template struct composite_codec<spec::sasl_challenge>;
template struct composite_codec<spec::sasl_response>;
template struct composite_codec<spec::sasl_outcome>;

}  // namespace whimbrel::amqp::codec
