// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the messages of SCRAM from a stranger. What is understood is written again, and must
// then say the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "amqp/sasl/scram.hpp"

namespace {

using namespace whimbrel::amqp::sasl;

void expect(bool holds) {
  if (!holds) std::abort();
}

void walk_client_first(std::string_view text) {
  const auto got = parse_client_first(text);
  if (!got) return;
  expect(got->gs2_header + got->bare == text);
  const auto again = parse_client_first(
      got->gs2_header + encode_client_first_bare(got->user, got->nonce));
  expect(again && again->user == got->user && again->nonce == got->nonce);
  expect(again->authzid == got->authzid);
}

void walk_server_first(std::string_view text) {
  const auto got = parse_server_first(text);
  if (!got) return;
  expect(text.starts_with(encode(*got)));  // extensions may follow
}

void walk_client_final(std::string_view text) {
  const auto got = parse_client_final(text);
  if (!got) return;
  expect(encode_client_final(got->without_proof, got->proof) == text);
}

void walk_server_final(std::string_view text) {
  const auto got = parse_server_final(text);
  if (!got) return;
  if (got->error.empty()) expect(text.starts_with(encode_server_final(got->signature)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  walk_client_first(text);
  walk_server_first(text);
  walk_client_final(text);
  walk_server_final(text);
  return 0;
}
