// SPDX-License-Identifier: Apache-2.0
// The one binary: finds the verb and hands over. The only file that sees the broker's, the
// client's and the suite's commands together; each is reached through its command.hpp alone.
#include <array>
#include <cstdio>
#include <exception>
#include <string_view>

#include "broker/command.hpp"
#include "client/command.hpp"
#include "conformance/command.hpp"
#include "whimbrel/version.hpp"

namespace {

struct verb {
  std::string_view name = {};
  std::string_view help = {};
  int (*run)(int argc, char** argv) = nullptr;
};

constexpr std::array verbs = {
    verb{"broker", "run the broker", whimbrel::broker::run_broker},
    verb{"hash-password", "make the password records of a [[user]]",
         whimbrel::broker::run_hash_password},
    verb{"send", "send messages to any AMQP 1.0 broker", whimbrel::client::run_send},
    verb{"receive", "receive messages from any AMQP 1.0 broker", whimbrel::client::run_receive},
    verb{"ctl", "administer a broker: queues, definitions", whimbrel::client::run_ctl},
    verb{"conformance", "check an AMQP 1.0 broker against the standard",
         whimbrel::conformance::run_conformance},
};

constexpr int usage_error = 2;

void print_help(std::FILE* out) {
  std::fputs(
      "whimbrel - an AMQP 1.0 message broker\n"
      "\n"
      "usage: whimbrel VERB [arguments]\n"
      "       whimbrel VERB --help\n"
      "       whimbrel --version\n"
      "\n"
      "verbs:\n",
      out);
  for (const verb& each : verbs) {
    std::fprintf(out, "  %-15.*s %.*s\n", static_cast<int>(each.name.size()), each.name.data(),
                 static_cast<int>(each.help.size()), each.help.data());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (name == "--version") {
    std::printf("whimbrel %.*s\n", static_cast<int>(whimbrel::version.size()),
                whimbrel::version.data());
    return 0;
  }
  for (const verb& each : verbs) {
    if (each.name != name) continue;
    try {
      return each.run(argc - 1, argv + 1);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "whimbrel %s: %s\n", argv[1], error.what());
      return 1;
    }
  }
  if (argc > 1) std::fprintf(stderr, "whimbrel: no such verb: %s\n\n", argv[1]);
  print_help(stderr);
  return usage_error;
}
