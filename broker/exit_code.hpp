// SPDX-License-Identifier: Apache-2.0
// What the broker's verbs return to the shell. Scripts and supervisors rely on these numbers; they
// are also listed in broker/config/README.md.
#pragma once

namespace whimbrel::broker {

enum class exit_code : int {
  success = 0,         // asked to stop, and everything is on disk
  failure = 1,         // a failure at run time that no other number names
  usage = 2,           // wrong arguments or configuration; nothing was started
  data_directory = 3,  // the data directory is in use, unreadable, damaged or newer than we are
  listener = 4,        // an address that was asked for could not be bound
  store_in_doubt = 5,  // a commit or sync failed; only recovery can say what is durable
};

}  // namespace whimbrel::broker
