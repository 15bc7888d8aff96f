// SPDX-License-Identifier: Apache-2.0
// One value between text and member, by the kind and range that the settings table gives it.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "broker/config/settings.hpp"

namespace whimbrel::broker::config {

/// What a user got wrong, in words that say where. Thrown and caught inside this folder.
class invalid : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes take KiB, MiB, GiB; times take ms, s, min, h and are milliseconds without; booleans are
/// true and false. Throws `invalid` without the place, which the caller knows.
void assign(settings& to, const setting& which, std::string_view text);

/// The same text form, with the largest unit that divides the value.
std::string print(const settings& from, const setting& which);

/// Text, number or boolean? For --help, and so that `memory = "4GiB"` and `4096` both read.
[[nodiscard]] bool is_boolean(const setting& which);
[[nodiscard]] bool is_number(const setting& which);

/// Throw `invalid`.
security::tls_use parse_tls_use(std::string_view text);
security::client_check parse_client_check(std::string_view text);

/// "127.0.0.1:5672" or "[::1]:5672"; the address is numeric. Throws `invalid`.
listener parse_listener(std::string_view text);
std::string print(const listener& from);
[[nodiscard]] bool is_loopback(const listener& which);

/// The row of that name, or null.
const setting* find_setting(std::string_view name);

/// "; did you mean `x`?" if a name among `known` is near enough to `given`, else nothing.
template <class Names>
std::string suggestion(std::string_view given, const Names& known);

/// Insertions, deletions and replacements that turn one into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Names>
std::string suggestion(std::string_view given, const Names& known) {
  std::string_view best;
  std::size_t best_distance = given.size() / 3 + 2;  // farther off, a guess would only puzzle
  for (const std::string_view name : known) {
    const std::size_t distance = edit_distance(given, name);
    if (distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best.empty() ? std::string{} : "; did you mean `" + std::string(best) + "`?";
}

}  // namespace whimbrel::broker::config
