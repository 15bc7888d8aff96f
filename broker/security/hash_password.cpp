// SPDX-License-Identifier: Apache-2.0
#include "broker/security/hash_password.hpp"

#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <termios.h>
#include <unistd.h>

#include "broker/security/scram_record.hpp"

namespace whimbrel::broker::security {
namespace {

constexpr std::size_t salt_size = 16;

constexpr std::string_view help =
    "usage: whimbrel hash-password [--iterations N]\n"
    "\n"
    "Reads a password, from the terminal without showing it or from standard input up to the end\n"
    "of the line, and prints the `passwords` of a [[user]] in the configuration file: for each\n"
    "SCRAM mechanism one record, from which the password cannot be read back.\n"
    "\n"
    "  --iterations N   cost of one guess, and of one login (default 16384, 4096 to 1000000)\n"
    "\n"
    "A password is printable ASCII, at most 1024 characters.\n";

/// Turns the terminal's echo off for as long as it lives. Does nothing on a pipe.
class silent_terminal {
 public:
  silent_terminal() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~silent_terminal() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  silent_terminal(const silent_terminal&) = delete;
  silent_terminal& operator=(const silent_terminal&) = delete;

 private:
  termios before_ = {};
  bool changed_ = false;
};

std::string ask(const char* prompt) {
  std::fputs(prompt, stderr);  // stdout carries the records alone
  std::string line;
  std::getline(std::cin, line);
  std::fputs("\n", stderr);
  return line;
}

/// Throws std::runtime_error with what is wrong.
std::string read_password() {
  std::string password;
  if (isatty(STDIN_FILENO) != 0) {
    const silent_terminal silent;
    password = ask("Password: ");
    if (ask("Again: ") != password) throw std::runtime_error("the two passwords differ");
  } else {
    std::getline(std::cin, password);
    if (!password.empty() && password.back() == '\r') password.pop_back();
  }
  if (!is_acceptable_password(password)) {
    throw std::runtime_error("a password is 1 to 1024 printable ASCII characters");
  }
  return password;
}

std::optional<std::uint32_t> parse_iterations(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < iterations_least || value > iterations_most) return std::nullopt;
  return value;
}

}  // namespace

std::string password_lines(std::string_view password, std::uint32_t iterations) {
  std::string out = "passwords = [\n";
  for (const scram_hash hash : scram_hashes) {
    std::vector<std::uint8_t> salt(salt_size);
    if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1) {
      throw std::runtime_error("no random numbers from OpenSSL");
    }
    out += "  \"" + to_text(derive(hash, password, std::move(salt), iterations)) + "\",\n";
  }
  return out + "]\n";
}

exit_code hash_password(int argc, char** argv) {
  std::uint32_t iterations = iterations_default;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      std::fwrite(help.data(), 1, help.size(), stdout);
      return exit_code::success;
    }
    const auto value = argument == "--iterations" && i + 1 < argc ? parse_iterations(argv[++i])
                                                                  : std::optional<std::uint32_t>{};
    if (!value) {
      std::fprintf(stderr, "whimbrel hash-password: bad argument '%s'; see --help\n", argv[i]);
      return exit_code::usage;
    }
    iterations = *value;
  }
  try {
    std::string password = read_password();
    const std::string lines = password_lines(password, iterations);
    OPENSSL_cleanse(password.data(), password.size());
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    return exit_code::success;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "whimbrel hash-password: %s\n", error.what());
    return exit_code::usage;
  }
}

}  // namespace whimbrel::broker::security
