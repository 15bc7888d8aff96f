// SPDX-License-Identifier: Apache-2.0
// The broker's verbs, as the `whimbrel` binary calls them: arguments as main has them, with the
// verb at 0. They return a process exit code, see exit_code.hpp.
#pragma once

namespace whimbrel::broker {

int run_broker(int argc, char** argv);
int run_hash_password(int argc, char** argv);

}  // namespace whimbrel::broker
