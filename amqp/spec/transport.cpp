// SPDX-License-Identifier: Apache-2.0
// The performatives, instantiated once for all who include the declarations.
#include "amqp/spec/transport.hpp"

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::open>;
template struct composite_codec<spec::begin>;
template struct composite_codec<spec::attach>;
template struct composite_codec<spec::flow>;
template struct composite_codec<spec::transfer>;
template struct composite_codec<spec::disposition>;
template struct composite_codec<spec::detach>;
template struct composite_codec<spec::end>;
template struct composite_codec<spec::close>;

}  // namespace whimbrel::amqp::codec
