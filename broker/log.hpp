// SPDX-License-Identifier: Apache-2.0
// The broker's log: one line an event, as text for people or JSON for machines. A thin front, so
// that only log.cpp pays for compiling the library behind it. Octets that came from a peer are
// safe to pass: control characters are escaped and long lines cut, in both formats.
#pragma once

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace whimbrel::broker {

enum class log_level : std::uint8_t { trace, debug, info, warning, error, off };
enum class log_format : std::uint8_t { text, json };

std::string_view to_text(log_level level);
std::string_view to_text(log_format format);
std::optional<log_level> log_level_of(std::string_view text);
std::optional<log_format> log_format_of(std::string_view text);

/// One named value beside the message: `name="value"` in text, a member in JSON.
struct log_field {
  std::string_view name = {};
  std::string value = {};
};

/// Guarantees whole lines, flushed one by one, from any thread; a line costs a lock and a write,
/// so nothing on the message path logs above `trace`. Ask `is_enabled` before building expensive
/// fields. Limitation: a reader that does not drain stderr blocks the writer.
class logger {
 public:
  /// `out` must outlive the logger.
  logger(log_level least, log_format format, std::FILE* out = stderr);
  ~logger();
  logger(const logger&) = delete;
  logger& operator=(const logger&) = delete;

  [[nodiscard]] bool is_enabled(log_level level) const { return level >= least_; }
  void write(log_level level, std::string_view message,
             std::initializer_list<log_field> fields = {});

  void debug(std::string_view message, std::initializer_list<log_field> fields = {}) {
    write(log_level::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<log_field> fields = {}) {
    write(log_level::info, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<log_field> fields = {}) {
    write(log_level::warning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<log_field> fields = {}) {
    write(log_level::error, message, fields);
  }

 private:
  struct backend;

  log_level least_ = log_level::info;
  log_format format_ = log_format::text;
  std::unique_ptr<backend> backend_;
};

}  // namespace whimbrel::broker
