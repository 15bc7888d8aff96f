// SPDX-License-Identifier: Apache-2.0
// The allowed includes: the layers of the tree as a table.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string_view>

#include "tests/tidy/checks.hpp"

namespace whimbrel::tidy {
namespace {

using words = std::initializer_list<std::string_view>;

bool starts_with_any(std::string_view text, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

// Boost that does no I/O.
constexpr std::array<std::string_view, 6> boost_pure = {
    "boost/system/",         "boost/pfr",       "boost/container/", "boost/unordered",
    "boost/container_hash/", "boost/intrusive/"};
constexpr std::array<std::string_view, 3> io_libraries = {"boost/asio", "boost/beast", "openssl/"};
constexpr std::array<std::string_view, 1> sqlite = {"sqlite3.h"};
// What gives threads, clocks, randomness, files and sockets of one's own.
constexpr std::array<std::string_view, 14> impure_std = {
    "thread", "mutex",   "shared_mutex", "condition_variable", "future", "stop_token",
    "random", "fstream", "iostream",     "filesystem",         "ctime",  "semaphore",
    "latch",  "barrier"};

/// One layer: the files below `folder` (the longest prefix counts) may include files of ours below
/// `ours`, but not below `not_ours`; and the libraries that the three flags admit.
struct layer {
  std::string_view folder = {};
  std::span<const std::string_view> ours = {};
  std::span<const std::string_view> not_ours = {};
  bool pure = false;   // std without threads, clocks, files; Boost without I/O; nothing else
  bool io = true;      // Asio, Beast, OpenSSL
  bool sqlite = true;  // sqlite3.h
};

using names = std::array<std::string_view, 1>;
constexpr std::array<std::string_view, 1> only_amqp = {"amqp/"};
constexpr std::array<std::string_view, 1> only_storage = {"storage/"};
constexpr std::array<std::string_view, 1> amqp_io = {"amqp/io/"};
constexpr std::array<std::string_view, 4> for_broker = {"amqp/", "storage/", "broker/",
                                                        "whimbrel/version.hpp"};
constexpr std::array<std::string_view, 3> not_for_core = {"amqp/io/", "broker/net/",
                                                          "storage/sqlite/"};
constexpr std::array<std::string_view, 3> for_client = {"amqp/", "client/", "whimbrel/"};
constexpr std::array<std::string_view, 4> for_client_state = {"amqp/", "client/", "whimbrel/",
                                                              "storage/sqlite/database."};
constexpr std::array<std::string_view, 3> for_conformance = {"amqp/", "conformance/",
                                                             "whimbrel/version.hpp"};
constexpr std::array<std::string_view, 4> for_main = {
    "broker/command.hpp", "client/command.hpp", "conformance/command.hpp", "whimbrel/version.hpp"};

const std::array layers = {
    layer{.folder = "amqp/",
          .ours = only_amqp,
          .not_ours = amqp_io,
          .pure = true,
          .io = false,
          .sqlite = false},
    layer{.folder = "amqp/io/", .ours = only_amqp, .sqlite = false},
    layer{.folder = "storage/", .ours = only_storage, .io = false, .sqlite = false},
    layer{.folder = "storage/sqlite/", .ours = only_storage, .io = false},
    layer{.folder = "broker/", .ours = for_broker, .not_ours = amqp_io, .sqlite = false},
    layer{.folder = "broker/net/", .ours = for_broker, .sqlite = false},
    layer{.folder = "broker/core/",
          .ours = for_broker,
          .not_ours = not_for_core,
          .io = false,
          .sqlite = false},
    layer{.folder = "client/", .ours = for_client, .sqlite = false},
    layer{.folder = "client/state/", .ours = for_client_state, .sqlite = false},
    layer{.folder = "client/tools/main.cpp", .ours = for_main, .io = false, .sqlite = false},
    layer{.folder = "conformance/", .ours = for_conformance, .sqlite = false},
};

const layer* layer_of(const source_file& file) {
  const layer* best = nullptr;
  for (const layer& each : layers) {
    const bool longer = best == nullptr || each.folder.size() > best->folder.size();
    if (longer && file.is_below(each.folder)) best = &each;
  }
  return best;
}

bool is_allowed_ours(const layer& in, std::string_view name) {
  return starts_with_any(name, in.ours) && !starts_with_any(name, in.not_ours);
}

bool is_allowed_library(const layer& in, std::string_view name) {
  if (starts_with_any(name, io_libraries)) return in.io;
  if (starts_with_any(name, sqlite)) return in.sqlite;
  if (!in.pure) return true;
  const bool is_std = name.find_first_of("./") == std::string_view::npos;
  if (!is_std) return starts_with_any(name, boost_pure);
  return std::find(impure_std.begin(), impure_std.end(), name) == impure_std.end();
}

}  // namespace

findings check_includes(const source_file& file) {
  findings out;
  const layer* in = file.is_cpp() ? layer_of(file) : nullptr;
  if (in == nullptr) return out;  // tests may include anything
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string_view line = file.lines[i];
    if (!line.starts_with("#include ")) continue;
    const std::size_t open = line.find_first_of("\"<");
    if (open == std::string_view::npos) continue;
    const bool ours = line[open] == '"';
    const std::size_t close = line.find(ours ? '"' : '>', open + 1);
    const std::string_view name = line.substr(open + 1, close - open - 1);
    if (ours ? is_allowed_ours(*in, name) : is_allowed_library(*in, name)) continue;
    out.push_back(file.path + ':' + std::to_string(i + 1) + ": may not include " +
                  std::string(name) + " (rules of " + std::string(in->folder) + ')');
  }
  return out;
}

}  // namespace whimbrel::tidy
