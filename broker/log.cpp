// SPDX-License-Identifier: Apache-2.0
// The only file that includes spdlog. Lines are built here, so that escaping is in one place, and
// handed over as they are.
#include "broker/log.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace whimbrel::broker {
namespace {

constexpr std::size_t value_size_max = 4'096;  // a peer chooses many of these texts

constexpr std::array<std::string_view, 6> level_names = {"trace",   "debug", "info",
                                                         "warning", "error", "off"};
constexpr std::array<std::string_view, 2> format_names = {"text", "json"};

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace:
      return spdlog::level::trace;
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warning:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
    case log_level::off:
      break;
  }
  return spdlog::level::off;
}

/// Octets of the well-formed UTF-8 sequence at the front of `text`, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  std::size_t length = 0;
  unsigned char second_least = 0x80, second_most = 0xbf;  // tighter where overlong or surrogate
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  if (lead >= 0xe0 && lead <= 0xef) length = 3;
  if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  if (lead == 0xe0) second_least = 0xa0;
  if (lead == 0xed) second_most = 0x9f;
  if (lead == 0xf0) second_least = 0x90;
  if (lead == 0xf4) second_most = 0x8f;
  if (length == 0 || text.size() < length) return 0;
  if (at(1) < second_least || at(1) > second_most) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  }
  return length;
}

void append_hex(std::string& out, std::string_view prefix, unsigned char octet) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += prefix;
  out += digits[octet >> 4];
  out += digits[octet & 0xf];
}

/// Appends `text` so that it can neither end a line nor a quoted string. In JSON, what is not UTF-8
/// becomes U+FFFD, because a JSON text must be valid.
void append_escaped(std::string& out, std::string_view text, log_format format, bool quoted) {
  const bool json = format == log_format::json;
  const bool cut = text.size() > value_size_max;
  if (cut) text = text.substr(0, value_size_max);
  while (!text.empty()) {
    const auto octet = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_length(text);
    if (octet < 0x20 || octet == 0x7f) {
      append_hex(out, json ? "\\u00" : "\\x", octet);
    } else if (quoted && (octet == '"' || octet == '\\')) {
      out += '\\';
      out += static_cast<char>(octet);
    } else if (length == 0 && json) {
      out += "\\ufffd";
    } else if (length == 0) {
      append_hex(out, "\\x", octet);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (cut) out += "...";
}

/// UTC with milliseconds, as RFC 3339 has it.
std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  const std::time_t seconds = static_cast<std::time_t>(since.count() / 1'000);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text = {};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string out(text.data(), size);
  const std::string millis = std::to_string(1'000 + since.count() % 1'000);
  return out + '.' + millis.substr(1) + 'Z';
}

void append_json(std::string& out, std::string_view name, std::string_view value) {
  out += out.empty() ? "{\"" : ",\"";
  append_escaped(out, name, log_format::json, true);
  out += "\":\"";
  append_escaped(out, value, log_format::json, true);
  out += '"';
}

std::string json_line(log_level level, std::string_view message,
                      std::initializer_list<log_field> fields) {
  std::string out;
  append_json(out, "time", timestamp());
  append_json(out, "level", to_text(level));
  append_json(out, "message", message);
  for (const log_field& field : fields) append_json(out, field.name, field.value);
  return out + '}';
}

std::string text_line(log_level level, std::string_view message,
                      std::initializer_list<log_field> fields) {
  std::string out = timestamp() + ' ';
  out += to_text(level);
  out += ' ';
  append_escaped(out, message, log_format::text, false);
  for (const log_field& field : fields) {
    out += ' ';
    out += field.name;
    out += "=\"";
    append_escaped(out, field.value, log_format::text, true);
    out += '"';
  }
  return out;
}

}  // namespace

std::string_view to_text(log_level level) { return level_names[static_cast<std::size_t>(level)]; }

std::string_view to_text(log_format format) {
  return format_names[static_cast<std::size_t>(format)];
}

std::optional<log_level> log_level_of(std::string_view text) {
  const auto at = std::find(level_names.begin(), level_names.end(), text);
  if (at == level_names.end()) return std::nullopt;
  return static_cast<log_level>(at - level_names.begin());
}

std::optional<log_format> log_format_of(std::string_view text) {
  const auto at = std::find(format_names.begin(), format_names.end(), text);
  if (at == format_names.end()) return std::nullopt;
  return static_cast<log_format>(at - format_names.begin());
}

struct logger::backend {
  using sink = spdlog::sinks::stdout_sink_base<spdlog::details::console_mutex>;

  explicit backend(std::FILE* out) : log("whimbrel", std::make_shared<sink>(out)) {
    log.set_pattern("%v");
    log.set_level(spdlog::level::trace);  // logger::write has already decided
    log.flush_on(spdlog::level::trace);
  }

  spdlog::logger log;
};

logger::logger(log_level least, log_format format, std::FILE* out)
    : least_(least), format_(format), backend_(std::make_unique<backend>(out)) {}

logger::~logger() = default;

void logger::write(log_level level, std::string_view message,
                   std::initializer_list<log_field> fields) {
  if (!is_enabled(level)) return;
  const std::string line = format_ == log_format::json ? json_line(level, message, fields)
                                                       : text_line(level, message, fields);
  backend_->log.log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace whimbrel::broker
