// SPDX-License-Identifier: Apache-2.0
// `whimbrel hash-password`: reads a password from the terminal (twice, without echo) or from a pipe
// (one line), and prints the records that a [[user]] of the configuration file needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/exit_code.hpp"

namespace whimbrel::broker::security {

/// `passwords = [ ... ]`, ready for the file: one record for each hash, each with a salt of its own
/// from OpenSSL's generator. Throws std::runtime_error if OpenSSL fails.
std::string password_lines(std::string_view password, std::uint32_t iterations);

/// The verb. Arguments as main has them, the verb itself at 0.
exit_code hash_password(int argc, char** argv);

}  // namespace whimbrel::broker::security
