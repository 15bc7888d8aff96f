// SPDX-License-Identifier: Apache-2.0
// The only file that includes CLI11.
#include "broker/config/command_line.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <map>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "broker/config/complete.hpp"
#include "broker/config/file.hpp"
#include "broker/config/machine.hpp"
#include "broker/config/value.hpp"
#include "whimbrel/version.hpp"

namespace whimbrel::broker::config {
namespace {

/// What the command line said, still as text.
struct flags {
  std::string config = {};
  std::vector<std::string> listen = {};
  std::map<std::string_view, std::string> values = {};  // by the name in the table
  bool help = false;
  bool version = false;
  bool check = false;
};

struct switch_help {
  std::string_view name = {};
  std::string_view value = {};
  std::string_view help = {};
};
constexpr std::array switches = {
    switch_help{"config", "FILE", "read settings from this TOML file"},
    switch_help{"listen", "ADDRESS:PORT",
                "listen here; may be repeated; port 0 picks one and logs it "
                "(default 127.0.0.1:5672 and [::1]:5672)"},
    switch_help{"check-config", "", "say what the settings come to, and start nothing"},
    switch_help{"version", "", "print the version"},
    switch_help{"help", "", "print this"},
};

/// --listen for "listen".
std::string flag_of(std::string_view name) { return "--" + std::string(name); }

/// WHIMBREL_MAX_FRAME_SIZE for "max-frame-size".
std::string variable_of(std::string_view name) {
  std::string out = "WHIMBREL_";
  for (const char c : name) {
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

[[noreturn]] void refuse_unknown(const std::string& argument) {
  if (argument.rfind("--", 0) != 0) throw invalid(argument + ": unexpected; see --help");
  const std::string name = argument.substr(2, argument.find('=') - 2);
  std::vector<std::string> known;
  for (const setting& row : setting_table) known.push_back(flag_of(row.name));
  for (const switch_help& each : switches) known.push_back(flag_of(each.name));
  throw invalid(flag_of(name) + ": unknown flag" + suggestion(flag_of(name), known));
}

flags parse_flags(const std::vector<std::string>& arguments) {
  flags out;
  CLI::App app;
  app.set_help_flag();  // ours is made from the table
  app.allow_extras();
  app.add_option("--config", out.config);
  app.add_option("--listen", out.listen)->allow_extra_args(false);
  app.add_flag("--check-config", out.check);
  app.add_flag("--version", out.version);
  app.add_flag("--help,-h", out.help);
  std::map<std::string_view, CLI::Option*> options;
  for (const setting& row : setting_table) {
    std::string& value = out.values[row.name];
    options[row.name] = is_boolean(row) ? app.add_flag(flag_of(row.name), value)
                                        : app.add_option(flag_of(row.name), value);
  }
  try {
    app.parse(
        std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 pops the back
  } catch (const CLI::ParseError& error) {
    throw invalid(error.what());
  }
  if (const auto extra = app.remaining(); !extra.empty()) refuse_unknown(extra.front());
  for (const auto& [name, option] : options) {
    if (option->count() == 0) out.values.erase(name);
  }
  return out;
}

/// Where each value came from, in the order of the table.
using origins = std::array<std::string, setting_table.size()>;

std::string& origin_of(origins& from, const setting& which) {
  return from[static_cast<std::size_t>(&which - setting_table.data())];
}

/// Assigns one value and remembers its origin; an error says which flag or variable it was.
void assign_from(settings& to, origins& from, const setting& row, const std::string& text,
                 const std::string& origin) {
  try {
    assign(to, row, text);
  } catch (const invalid& error) {
    throw invalid(origin + ": " + error.what());
  }
  origin_of(from, row) = origin;
}

void set_listeners(settings& to, const std::vector<std::string>& texts, const std::string& origin) {
  to.listeners.clear();
  for (const std::string& text : texts) {
    try {
      to.listeners.push_back(parse_listener(text));
    } catch (const invalid& error) {
      throw invalid(origin + ": " + error.what());
    }
  }
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void apply_environment(settings& to, origins& from, const environment& variables) {
  for (const setting& row : setting_table) {
    const std::string name = variable_of(row.name);
    if (const auto text = variables(name)) assign_from(to, from, row, *text, name);
  }
  const std::string name = variable_of("listen");
  if (const auto text = variables(name)) set_listeners(to, split_at_commas(*text), name);
}

void apply_flags(settings& to, origins& from, const flags& given) {
  for (const setting& row : setting_table) {
    const auto at = given.values.find(row.name);
    if (at != given.values.end()) assign_from(to, from, row, at->second, flag_of(row.name));
  }
  if (!given.listen.empty()) set_listeners(to, given.listen, "--listen");
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : " ") + text;
  return out.empty() ? "-" : out;
}

/// The answer to --check-config: every value and where it came from; then the tables.
std::string check_text(const settings& what, const origins& from,
                       const std::vector<std::string>& notices) {
  std::string out = "The configuration is valid.\n\n";
  for (std::size_t i = 0; i < setting_table.size(); ++i) {
    const setting& row = setting_table[i];
    out += std::string(row.name) + " = " + print(what, row) + "  # " + from[i] + '\n';
  }
  for (const listener& each : what.listeners) {
    out += "listener " + print(each) + (*each.anonymous ? " anonymous" : " with login");
    out += each.speaks_tls() ? " tls " + std::string(to_text(*each.tls)) + '\n' : "\n";
  }
  for (const queue& each : what.queues) {
    out += "queue " + each.name + (each.durable ? " durable" : " transient");
    out += (each.arguments.empty() ? "" : ' ' + amqp::codec::to_text(each.arguments)) + '\n';
  }
  for (const core::named_policy& each : what.policies) {
    out += "policy " + each.name + " for " + each.pattern + " priority " +
           std::to_string(each.priority) + ' ' +
           amqp::codec::to_text(core::to_arguments(each.what)) + '\n';
  }
  for (const auto_create& each : what.auto_creates) {
    out += "auto-create " + each.pattern;
    out += !each.create ? " never\n" : each.durable ? " durable\n" : " transient\n";
  }
  for (const security::user& each : what.users) {
    out += "user " + each.name + ": configure " + joined(each.allowed.configure) + ", send " +
           joined(each.allowed.send) + ", receive " + joined(each.allowed.receive) + ", manage " +
           joined(each.allowed.manage) + '\n';
  }
  for (const std::string& notice : notices) out += "note: " + notice + '\n';
  return out;
}

command load(const flags& given, const environment& variables) {
  command out;
  settings loaded;
  origins from;
  from.fill("default");
  std::string config = variables("WHIMBREL_CONFIG").value_or("");
  if (!given.config.empty()) config = given.config;
  if (!config.empty()) {
    apply_file(loaded, config,
               [&](const setting& row, const std::string& place) { origin_of(from, row) = place; });
  }
  apply_environment(loaded, from, variables);
  apply_flags(loaded, from, given);
  out.notices = complete(loaded, detect_machine());
  if (given.check) {
    out.text = check_text(loaded, from, out.notices);
  } else {
    out.run = std::move(loaded);
  }
  return out;
}

/// "  --name VALUE" and its help, wrapped to 80 columns under itself.
void append_help(std::string& out, const std::string& flag, std::string help) {
  constexpr std::size_t left = 27, right = 80;
  std::string line = "  " + flag;
  line +=
      line.size() + 1 < left ? std::string(left - line.size(), ' ') : '\n' + std::string(left, ' ');
  for (std::string indent; !help.empty(); indent = std::string(left, ' ')) {
    std::size_t cut = help.size() <= right - left ? help.size() : help.rfind(' ', right - left);
    if (cut == std::string::npos) cut = help.size();
    line += indent + help.substr(0, cut) + '\n';
    help.erase(0, std::min(cut + 1, help.size()));
  }
  out += line;
}

}  // namespace

environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

std::string help_text() {
  std::string out =
      "usage: whimbrel broker [flags]\n"
      "\n"
      "Runs the AMQP 1.0 broker in the foreground until SIGTERM or SIGINT.\n"
      "\n";
  for (const switch_help& each : switches) {
    const std::string value = each.value.empty() ? "" : ' ' + std::string(each.value);
    append_help(out, flag_of(each.name) + value, std::string(each.help));
  }
  out +=
      "\nSettings. A flag wins over its variable (WHIMBREL_MAX_FRAME_SIZE for\n"
      "--max-frame-size), that over the file, that over the default. Sizes take KiB,\n"
      "MiB and GiB, times ms, s, min and h (milliseconds without).\n\n";
  const settings defaults;
  for (const setting& row : setting_table) {
    append_help(out, flag_of(row.name) + (is_boolean(row) ? "" : " VALUE"),
                std::string(row.help) + " (default " + print(defaults, row) + ")");
  }
  out +=
      "\nThe file also holds the tables [[listener]], [[queue]], [[policy]], [[user]] and\n"
      "[[auto-create]]; broker/config/README.md describes them.\n"
      "\n"
      "Exit codes: 0 stopped as asked, 1 failure, 2 arguments or configuration,\n"
      "3 data directory, 4 listener, 5 store in doubt.\n";
  return out;
}

command parse_command_line(const std::vector<std::string>& arguments,
                           const environment& variables) {
  try {
    const flags given = parse_flags(arguments);
    if (given.help) return {.text = help_text()};
    if (given.version) return {.text = "whimbrel " + std::string(version) + '\n'};
    return load(given, variables);
  } catch (const invalid& error) {
    return {.text = "whimbrel broker: " + std::string(error.what()) + '\n',
            .code = exit_code::usage};
  }
}

}  // namespace whimbrel::broker::config
