// SPDX-License-Identifier: Apache-2.0
// The composites of messages and termini, instantiated once for all who include the declarations.
#include "amqp/spec/messaging.hpp"

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::header>;
template struct composite_codec<spec::properties>;
template struct composite_codec<spec::received>;
template struct composite_codec<spec::accepted>;
template struct composite_codec<spec::rejected>;
template struct composite_codec<spec::released>;
template struct composite_codec<spec::modified>;
template struct composite_codec<spec::source>;
template struct composite_codec<spec::target>;
template struct composite_codec<spec::delete_on_close>;
template struct composite_codec<spec::delete_on_no_links>;
template struct composite_codec<spec::delete_on_no_messages>;
template struct composite_codec<spec::delete_on_no_links_or_messages>;

}  // namespace whimbrel::amqp::codec
