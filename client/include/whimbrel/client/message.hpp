// SPDX-License-Identifier: Apache-2.0
// The message that applications handle: the owning one of amqp/message, under a short name. [3.2]
#pragma once

#include "amqp/codec/value.hpp"
#include "amqp/message/message.hpp"

namespace whimbrel::client {

using message = amqp::message::message;
using amqp::message::data_message;
using amqp::message::text_message;

using amqp::binary;
using amqp::symbol;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;

}  // namespace whimbrel::client
