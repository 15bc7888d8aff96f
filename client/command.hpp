// SPDX-License-Identifier: Apache-2.0
// The client's verbs: arguments as main has them, with the verb at 0.
#pragma once

namespace whimbrel::client {

/// `whimbrel ctl`. 0: done; 1: the broker refused; 2: wrong arguments or file; 3: no connection.
int run_ctl(int argc, char** argv);

/// `whimbrel send` and `whimbrel receive`. 0: done; 1: the broker refused, or not all came;
/// 2: wrong arguments or file; 3: no connection, or it was lost.
int run_send(int argc, char** argv);
int run_receive(int argc, char** argv);

}  // namespace whimbrel::client
