// SPDX-License-Identifier: Apache-2.0
// The client library's blocking face: connections, senders, receivers, requests. All that a program
// includes; no Asio.
//
//     auto broker = whimbrel::client::connection::open("amqp://localhost");
//     auto sender = broker.open_sender("orders");
//     sender.send(whimbrel::client::text_message("hello")).must_be_accepted();
//     auto receiver = broker.open_receiver("orders");
//     if (auto delivery = receiver.receive()) receiver.accept(*delivery);
#pragma once

#include "whimbrel/client/connection.hpp"  // IWYU pragma: export
#include "whimbrel/client/error.hpp"       // IWYU pragma: export
#include "whimbrel/client/message.hpp"     // IWYU pragma: export
#include "whimbrel/client/options.hpp"     // IWYU pragma: export
#include "whimbrel/client/outcome.hpp"     // IWYU pragma: export
#include "whimbrel/client/receiver.hpp"    // IWYU pragma: export
#include "whimbrel/client/requester.hpp"   // IWYU pragma: export
#include "whimbrel/client/sender.hpp"      // IWYU pragma: export
