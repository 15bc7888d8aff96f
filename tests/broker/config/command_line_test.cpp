// SPDX-License-Identifier: Apache-2.0
// Settings as a user gives them: flags, variables, the file; precedence, and what is refused.
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "broker/config/command_line.hpp"
#include "broker/config/value.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace whimbrel::broker::config;
using whimbrel::broker::exit_code;
using whimbrel::broker::log_level;
using whimbrel::tests::scratch_directory;

namespace {

/// A command line, an environment and a file of its own.
class fixture {
 public:
  std::map<std::string, std::string> variables = {};

  std::string file(const std::string& text) {
    const auto path = directory_.path() / "w.toml";
    std::ofstream(path) << text;
    return path.string();
  }
  [[nodiscard]] command parse(const std::vector<std::string>& arguments) const {
    return parse_command_line(arguments, [this](const std::string& name) {
      const auto at = variables.find(name);
      return at == variables.end() ? std::nullopt : std::optional<std::string>(at->second);
    });
  }
  [[nodiscard]] settings run(const std::vector<std::string>& arguments) const {
    command got = parse(arguments);
    CAPTURE(got.text);
    REQUIRE(got.run.has_value());
    return *std::move(got.run);
  }

 private:
  scratch_directory directory_ = {};
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const std::string record =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const std::string bob = "[[user]]\nname = \"bob\"\npasswords = [\"" + record + "\"]\n";

}  // namespace

TEST_CASE("command line: nothing said gives the defaults") {
  const settings s = fixture().run({});
  REQUIRE(s.listeners.size() == 2);
  CHECK(print(s.listeners[0]) == "127.0.0.1:5672");
  CHECK(print(s.listeners[1]) == "[::1]:5672");
  CHECK(s.listeners[0].required);
  CHECK_FALSE(s.listeners[1].required);
  CHECK(s.listeners[0].anonymous == true);
  CHECK(s.workers >= 1);
  CHECK(s.memory >= 16 * mib);
  CHECK(s.data == "./.data");
}

TEST_CASE("command line: a flag wins over a variable, that over the file, that over the default") {
  fixture f;
  const std::string path = f.file("link-credit = 11\nhandle-max = 12\nchannel-max = 13\n");
  f.variables["WHIMBREL_LINK_CREDIT"] = "21";
  f.variables["WHIMBREL_HANDLE_MAX"] = "22";
  const settings s = f.run({"--config", path, "--link-credit", "31"});
  CHECK(s.link_credit == 31);
  CHECK(s.handle_max == 22);
  CHECK(s.channel_max == 13);
  CHECK(s.session_window == 2'048);
}

TEST_CASE("command line: every setting can be given as a flag and as a variable") {
  for (const setting& row : setting_table) {
    if (row.name == "tls") continue;  // goes with files: see tls_test.cpp
    CAPTURE(row.name);
    settings changed;
    const std::string text = is_boolean(row)                   ? "true"
                             : row.name == "log-level"         ? "error"
                             : row.name == "log-format"        ? "json"
                             : row.name == "max-message-size"  ? "1MiB"
                             : row.name == "memory"            ? "512MiB"
                             : row.name == "http"              ? "127.0.0.1:1"
                             : row.name == "tls-verify-client" ? "optional"
                             : is_number(row)                  ? std::to_string(row.most - 1)
                                                               : "other";
    assign(changed, row, text);
    REQUIRE(print(changed, row) != print(settings{}, row));

    fixture by_flag;
    const settings flagged = by_flag.run({"--" + std::string(row.name) + '=' + text});
    CHECK(print(flagged, row) == print(changed, row));

    fixture by_variable;
    std::string name = "WHIMBREL_";
    for (const char c : row.name) name += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
    by_variable.variables[name] = text;
    CHECK(print(by_variable.run({}), row) == print(changed, row));
  }
}

TEST_CASE("command line: every setting can be given in the file, and is reported with its line") {
  for (const setting& row : setting_table) {
    CAPTURE(row.name);
    fixture f;
    const std::string value = is_boolean(row) ? "true" : '"' + print(settings{}, row) + '"';
    const std::string path = f.file("\n\n" + std::string(row.name) + " = " + value + "\n");
    const command got = f.parse({"--config", path, "--check-config"});
    CAPTURE(got.text);
    CHECK(got.code == exit_code::success);
    CHECK(contains(got.text, "  # " + path + ":3\n"));
  }
}

TEST_CASE("command line: --listen replaces the listeners and may be repeated") {
  fixture f;
  f.variables["WHIMBREL_LISTEN"] = "127.0.0.1:7,[::1]:8";
  settings s = f.run({});
  REQUIRE(s.listeners.size() == 2);
  CHECK(print(s.listeners[1]) == "[::1]:8");
  CHECK(s.listeners[1].required);

  s = f.run({"--listen", "127.0.0.1:0", "--listen=127.0.0.2:1"});
  REQUIRE(s.listeners.size() == 2);
  CHECK(print(s.listeners[0]) == "127.0.0.1:0");
  CHECK(print(s.listeners[1]) == "127.0.0.2:1");
}

TEST_CASE("command line: a boolean needs no value and takes one") {
  const fixture f;
  CHECK(f.run({"--trace-frames"}).trace_frames);
  CHECK(f.run({"--trace-frames=true"}).trace_frames);
  CHECK_FALSE(f.run({"--trace-frames=false"}).trace_frames);
  CHECK(f.run({"--anonymous"}).anonymous == true);
}

TEST_CASE("command line: help lists every setting, version prints it, neither starts anything") {
  const command help = fixture().parse({"--help"});
  CHECK(help.code == exit_code::success);
  CHECK_FALSE(help.run.has_value());
  for (const setting& row : setting_table) {
    CAPTURE(row.name);
    CHECK(contains(help.text, "\n  --" + std::string(row.name)));
  }
  std::size_t lines = 0;
  for (std::size_t at = 0, end = 0; (end = help.text.find('\n', at)) != std::string::npos;
       at = end + 1, ++lines) {
    CHECK(end - at <= 80);
  }
  CHECK(lines > setting_table.size());
  const command version = fixture().parse({"--version"});
  CHECK(version.text.rfind("whimbrel ", 0) == 0);
  CHECK_FALSE(version.run.has_value());
}

TEST_CASE("command line: what is wrong is said with its flag or variable") {
  const struct {
    std::string_view what;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> variables;
    std::string_view says;
  } rows[] = {
      {"unknown flag",
       {"--link-credti=1"},
       {},
       "--link-credti: unknown flag; did you mean `--link-credit`?"},
      {"stray word", {"fast"}, {}, "fast: unexpected"},
      {"no value", {"--memory"}, {}, "--memory"},
      {"bad value", {"--memory", "much"}, {}, "--memory: \"much\" is not a size"},
      {"twice", {"--memory=1GiB", "--memory=2GiB"}, {}, "--memory"},
      {"bad variable",
       {},
       {{"WHIMBREL_MEMORY", "much"}},
       "WHIMBREL_MEMORY: \"much\" is not a size"},
      {"bad listener", {"--listen", "here"}, {}, "--listen: \"here\" is not ADDRESS:PORT"},
      {"bad listener variable", {}, {{"WHIMBREL_LISTEN", "127.0.0.1:1,"}}, "WHIMBREL_LISTEN: "},
      {"no such file",
       {"--config", "/nonexistent.toml"},
       {},
       "/nonexistent.toml: cannot be read: No such file"},
      {"a directory", {"--config", "/"}, {}, "/: cannot be read: Is a directory"},
      {"file by variable",
       {},
       {{"WHIMBREL_CONFIG", "/nonexistent.toml"}},
       "/nonexistent.toml: cannot"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    fixture f;
    f.variables = row.variables;
    const command got = f.parse(row.arguments);
    CAPTURE(got.text);
    CHECK(got.code == exit_code::usage);
    CHECK_FALSE(got.run.has_value());
    CHECK(contains(got.text, row.says));
  }
}

TEST_CASE("file: tables become listeners, queues, users and rules") {
  fixture f;
  const std::string path =
      f.file("log-level = \"debug\"\nmemory = 268435456\nidle-time-out = \"5s\"\n" + bob +
             "configure = [\"a.*\"]\nsend = [\"b\", \"c\"]\nmanage = []\n"
             "[[listener]]\naddress = \"0.0.0.0:5672\"\n"
             "[[listener]]\naddress = \"[::1]:0\"\nanonymous = true\n"
             "[[queue]]\nname = \"q\"\n[[queue]]\nname = \"t\"\ndurable = false\n"
             "[[auto-create]]\npattern = \"private.*\"\ncreate = false\n"
             "[[auto-create]]\npattern = \"x.*\"\ndurable = false\n");
  const settings s = f.run({"--config", path});
  CHECK(s.log_least == log_level::debug);
  CHECK(s.memory == 256 * mib);
  CHECK(s.idle_time_out == std::chrono::seconds(5));
  REQUIRE(s.listeners.size() == 2);
  CHECK(s.listeners[0].anonymous == false);
  CHECK(s.listeners[1].anonymous == true);
  CHECK(s.queues ==
        std::vector<queue>{{.name = "q", .durable = true}, {.name = "t", .durable = false}});
  CHECK(s.auto_creates ==
        std::vector<auto_create>{{.pattern = "private.*", .create = false, .durable = true},
                                 {.pattern = "x.*", .create = true, .durable = false}});
  REQUIRE(s.users.size() == 1);
  CHECK(s.users[0].name == "bob");
  REQUIRE(s.users[0].passwords.size() == 1);
  CHECK(to_text(s.users[0].passwords[0]) == record);
  CHECK(s.users[0].allowed.configure == std::vector<std::string>{"a.*"});
  CHECK(s.users[0].allowed.send == std::vector<std::string>{"b", "c"});
  CHECK(s.users[0].allowed.receive.empty());
  CHECK(s.users[0].allowed.manage.empty());
}

TEST_CASE("file: exchanges come with their bindings") {
  fixture f;
  const std::string path =
      f.file("[[exchange]]\nname = \"plain\"\n"
             "[[exchange]]\nname = \"shop\"\ntype = \"headers\"\ndurable = false\n"
             "auto-delete = true\ninternal = true\nalternate = \"plain\"\nbindings = [\n"
             "{queue = \"q\", key = \"k\"},\n"
             "{exchange = \"plain\", arguments = {colour = \"red\", n = 3, urgent = true}}]\n");
  const settings s = f.run({"--config", path});
  REQUIRE(s.exchanges.size() == 2);
  CHECK(s.exchanges[0] == exchange{.name = "plain"});
  exchange shop{.name = "shop", .type = "headers", .durable = false, .auto_delete = true,
                .internal = true, .alternate = "plain"};
  shop.bindings.push_back({.queue = "q", .key = "k"});
  shop.bindings.push_back(
      {.exchange = "plain",
       .arguments = {{"colour", std::string("red")}, {"n", std::int64_t{3}}, {"urgent", true}}});
  CHECK(s.exchanges[1] == shop);
}

TEST_CASE("file: queues have arguments, policies have them for many") {
  fixture f;
  const std::string path =
      f.file("[[queue]]\nname = \"q\"\nmax-length = 5\nx-overflow = \"reject-publish\"\n"
             "priorities = true\n"
             "[[policy]]\nname = \"p\"\npattern = \"a.*\"\npriority = -2\n"
             "dead-letter-queue = \"dead\"\n"
             "[[policy]]\nname = \"r\"\npattern = \"*\"\nmessage-ttl = 1000\n");
  const settings s = f.run({"--config", path});
  REQUIRE(s.queues.size() == 1);
  whimbrel::broker::core::queue_policy own;
  CHECK_FALSE(set_arguments(own, s.queues[0].arguments));
  CHECK(own.max_length == 5);
  CHECK(own.overflow == whimbrel::broker::core::overflow::reject);
  CHECK(own.priorities == true);
  REQUIRE(s.policies.size() == 2);
  CHECK(s.policies[0].name == "p");
  CHECK(s.policies[0].pattern == "a.*");
  CHECK(s.policies[0].priority == -2);
  CHECK(s.policies[0].what.dead_letter_routing_key == "dead");
  CHECK(s.policies[1].priority == 0);
  CHECK(s.policies[1].what.message_ttl == 1000);
}

TEST_CASE("file: an empty one changes nothing") {
  fixture f;
  CHECK(f.run({"--config", f.file("")}).link_credit == 1'000);
}

TEST_CASE("file: what is wrong is said with its line and key") {
  const struct {
    std::string_view what;
    std::string text;
    std::string_view says;
  } rows[] = {
      {"not TOML", "a = 1\nb = [\n", ":2: "},
      {"unknown key", "\nmemry = 1\n", ":2: memry: is not a setting; did you mean `memory`?"},
      {"unknown table", "[[queues]]\nname=\"a\"\n",
       "queues: is not a setting; did you mean `queue`?"},
      {"text for a number", "\n\nworkers = \"many\"\n",
       ":3: workers: \"many\" is not a whole number"},
      {"fraction", "workers = 1.5\n", ":1: workers: must be a whole number"},
      {"negative", "workers = -1\n", ":1: workers: \"-1\" is not a whole number"},
      {"number for a text", "data = 1\n", ":1: data: must be a text in quotes"},
      {"text for a boolean", "anonymous = \"true\"\n", ":1: anonymous: must be true or false"},
      {"out of range", "max-frame-size = 1\n", ":1: max-frame-size: 1 is out of range"},
      {"type of exchange", "\n[[exchange]]\nname = \"e\"\ntype = \"odd\"\n",
       ":4: exchange.type: is one of direct, topic"},
      {"reserved exchange", "[[exchange]]\nname = \"amq.e\"\n",
       ":2: exchange.name: names that begin with `amq.`"},
      {"binding without an end", "[[exchange]]\nname = \"e\"\nbindings = [{key = \"k\"}]\n",
       ":3: exchange.bindings: needs either `queue` or `exchange`"},
      {"binding with two ends",
       "[[exchange]]\nname = \"e\"\nbindings = [{queue = \"q\", exchange = \"f\"}]\n",
       ":3: exchange.bindings: needs either"},
      {"unknown key of a binding",
       "[[exchange]]\nname = \"e\"\nbindings = [{queue = \"q\", kee = \"k\"}]\n",
       ":3: exchange.bindings.kee: is not a key of [[exchange.bindings]]; did you mean `key`?"},
      {"bindings that are no list", "[[exchange]]\nname = \"e\"\nbindings = \"q\"\n",
       ":3: exchange.bindings: must be a list of tables"},
      {"argument of a strange type",
       "[[exchange]]\nname = \"e\"\nbindings = [{queue = \"q\", arguments = {a = 1.5}}]\n",
       ":3: exchange.bindings.arguments.a: must be a text, a whole number"},
      {"one table", "[queue]\nname = \"a\"\n", ":1: queue: is a list of tables; write [[queue]]"},
      {"unknown key in a table", "[[queue]]\nname = \"a\"\ndurabel = true\n",
       ":3: queue.durabel: is not a key of [[queue]]; did you mean `durable`?"},
      {"argument out of range", "[[queue]]\nname = \"a\"\nmax-length = 0\n",
       ":3: queue.max-length: argument 'max-length' must be a whole number from 1"},
      {"argument of another type", "[[queue]]\nname = \"a\"\npriorities = [1]\n",
       ":3: queue.priorities: argument 'priorities' must be true or false"},
      {"arguments that need others", "[[queue]]\nname = \"a\"\noverflow = \"dead-letter\"\n",
       ":1: queue: argument 'overflow' is dead-letter: it needs"},
      {"policy without pattern", "[[policy]]\nname = \"a\"\nmax-length = 1\n",
       ":1: policy: needs `pattern`"},
      {"policy that sets nothing", "[[policy]]\nname = \"a\"\npattern = \"*\"\n",
       ":1: policy: policy \"a\" sets nothing"},
      {"priority too large",
       "[[policy]]\nname = \"a\"\npattern = \"*\"\nmax-length = 1\npriority = 3000000000\n",
       ":5: policy.priority: must be a whole number of 32 bits"},
      {"durable in a policy", "[[policy]]\nname = \"a\"\npattern = \"*\"\ndurable = true\n",
       ":4: policy.durable: is not a key of [[policy]]"},
      {"no name", "\n[[queue]]\n", ":2: queue: needs `name`"},
      {"empty name", "[[queue]]\nname = \"\"\n", ":2: queue.name: must have 1 to 255"},
      {"long name", "[[queue]]\nname = \"" + std::string(256, 'x') + "\"\n",
       ":2: queue.name: must have"},
      {"control character", "[[queue]]\nname = \"a\\nb\"\n", ":2: queue.name: must not contain"},
      {"name of another type", "[[queue]]\nname = 3\n", ":2: queue.name: must be a text"},
      {"two queues of a name", "[[queue]]\nname=\"a\"\n[[queue]]\nname=\"a\"\n",
       ":3: queue: \"a\" is declared twice"},
      {"two users of a name", bob + bob, ":4: user: \"bob\" is declared twice"},
      {"no passwords", "[[user]]\nname = \"bob\"\n", ":1: user: user \"bob\" has no `passwords`"},
      {"bad record", "[[user]]\nname = \"bob\"\npasswords = [\"secret\"]\n",
       ":3: user.passwords: is not a record"},
      {"two records of a kind",
       "[[user]]\nname = \"bob\"\npasswords = [\"" + record + "\",\n\"" + record + "\"]\n",
       ":4: user.passwords: is a second record for SCRAM-SHA-256"},
      {"patterns not a list", bob + "send = \"a\"\n", ":4: user.send: must be a list of texts"},
      {"pattern not a text", bob + "send = [1]\n", ":4: user.send: must be a list of texts"},
      {"bad listener", "[[listener]]\naddress = \"here\"\n",
       ":1: listener: \"here\" is not ADDRESS:PORT"},
      {"rule without a pattern", "[[auto-create]]\ndurable = true\n",
       ":1: auto-create: needs `pattern`"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    fixture f;
    const std::string path = f.file(row.text);
    const command got = f.parse({"--config", path});
    CAPTURE(got.text);
    CHECK(got.code == exit_code::usage);
    CHECK(contains(got.text, path + ':'));
    CHECK(contains(got.text, row.says));
  }
}

TEST_CASE("check-config: valid or not, nothing is started") {
  fixture f;
  const std::string path = f.file(bob + "[[queue]]\nname = \"q\"\n");
  const command good = f.parse({"--check-config", "--config", path, "--workers=2"});
  CAPTURE(good.text);
  CHECK(good.code == exit_code::success);
  CHECK_FALSE(good.run.has_value());
  CHECK(contains(good.text, "The configuration is valid."));
  CHECK(contains(good.text, "\nworkers = 2  # --workers\n"));
  CHECK(contains(good.text, "\nuser bob: configure -, send -, receive -, manage -\n"));
  CHECK(contains(good.text, "\nqueue q durable\n"));
  CHECK_FALSE(contains(good.text, record));

  const command bad = f.parse({"--check-config", "--workers=x"});
  CHECK(bad.code == exit_code::usage);
  CHECK_FALSE(contains(bad.text, "valid"));
}
