// SPDX-License-Identifier: Apache-2.0
// The verb `whimbrel receive`: messages from a broker to the terminal, a file or a pipe.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "client/command.hpp"
#include "client/tools/message_json.hpp"
#include "client/tools/pairs.hpp"
#include "client/tools/progress.hpp"
#include "client/tools/verb.hpp"

namespace whimbrel::client {

namespace {

/// Set by SIGINT and SIGTERM: what has come is settled, and the link closed, before the end.
std::atomic<bool> stopped = false;
static_assert(std::atomic<bool>::is_always_lock_free);

struct arguments : common_arguments {
  std::uint64_t count = 0;
  double idle = 0;
  bool drain = false;
  bool browse = false;
  std::string selector = {};
  std::uint32_t credit = 100;
  bool as_json = false;
  bool raw = false;
  std::string output = {};
  std::string outcome = "accept";
  std::string settle = "unsettled";
  std::string subscription = {};
};

/// Where messages go. A message is settled only after it has been handed to the system.
class outlet {
 public:
  explicit outlet(const arguments& a) : arguments_(a) {
    if (a.output.empty() || a.output == "-") return;
    file_.reset(std::fopen(a.output.c_str(), "wb"));
    if (!file_) throw usage_error(a.output + " cannot be written");
    to_ = file_.get();
  }

  void write(const message& m) {
    std::string text = arguments_.as_json ? to_json_line(m) : body_of(m);
    if (!arguments_.raw) text += '\n';
    if (std::fwrite(text.data(), 1, text.size(), to_) != text.size()) fail();
  }
  void flush() {
    if (std::fflush(to_) != 0) fail();
  }
  [[nodiscard]] bool is_terminal() const { return ::isatty(::fileno(to_)) == 1; }

 private:
  struct closer {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };

  [[noreturn]] void fail() const {
    throw usage_error((arguments_.output.empty() ? "the standard output" : arguments_.output) +
                      " cannot be written");
  }
  static std::string body_of(const message& m) {
    if (const auto text = m.body_text()) return *text;
    if (const auto* v = std::get_if<value>(&m.body)) return amqp::codec::to_text(*v);
    return amqp::message::to_text(m);
  }

  const arguments& arguments_;
  std::unique_ptr<std::FILE, closer> file_ = {};
  std::FILE* to_ = stdout;
};

void settle(receiver& from, const delivery& d, const std::string& how) {
  if (how == "accept") from.accept(d);
  else if (how == "release") from.release(d);
  else from.reject(d);
}

/// One run: takes messages until there is a reason to stop.
class run {
 public:
  run(const arguments& a, receiver from)
      : arguments_(a),
        from_(std::move(from)),
        to_(a),
        shown_(a.count, !a.quiet && !to_.is_terminal()) {}

  verb_result until_done() {
    if (arguments_.drain) from_.drain();
    auto last = clock::now();
    while (!stopped && (arguments_.count == 0 || received_ < arguments_.count)) {
      // What was written is settled when there is time, or much of it.
      if (written_.size() >= batch) settle_written();
      auto got = from_.receive(duration::zero());
      if (!got) {
        settle_written();
        if (arguments_.drain) break;
        got = from_.receive(slice());
      }
      if (!got) {
        if (arguments_.idle > 0 && clock::now() - last >= idle()) break;
        continue;
      }
      last = clock::now();
      to_.write(got->message);
      shown_.show(++received_);
      got->message = {};
      written_.push_back(*std::move(got));
    }
    settle_written();
    if (arguments_.subscription.empty()) from_.close();
    else from_.detach();
    return arguments_.count == 0 || received_ == arguments_.count ? verb_result::done
                                                                  : verb_result::refused;
  }
  [[nodiscard]] std::uint64_t received() const { return received_; }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t batch = 64;

  [[nodiscard]] duration idle() const {
    return duration(static_cast<std::int64_t>(arguments_.idle * 1000));
  }
  /// A signal is noticed between two of them.
  [[nodiscard]] duration slice() const {
    constexpr duration most = std::chrono::milliseconds(200);
    return arguments_.idle > 0 ? std::min(most, idle()) : most;
  }
  void settle_written() {
    if (written_.empty()) return;
    to_.flush();
    if (!arguments_.browse) {
      for (const delivery& d : written_) settle(from_, d, arguments_.outcome);
    }
    written_.clear();
  }

  const arguments& arguments_;
  receiver from_;
  outlet to_;
  progress shown_;
  std::vector<delivery> written_ = {};  // without their messages
  std::uint64_t received_ = 0;
};

verb_result receive(const arguments& a) {
  if (!a.subscription.empty() && a.container_id.empty()) {
    throw usage_error("--subscription needs --container-id: the two name it together");
  }
  std::signal(SIGINT, [](int) { stopped = true; });
  std::signal(SIGTERM, [](int) { stopped = true; });
  std::string address;
  connection on = connect(a, address, false);
  receiver_options how;
  how.name = a.subscription;
  how.durable = !a.subscription.empty();
  how.settle = a.settle == "settled" ? settle_mode::settled : settle_mode::unsettled;
  how.prefetch = a.credit;
  how.limit = a.count;
  how.browse = a.browse;
  how.selector = a.selector;
  how.capabilities = a.symbols();
  receiver from = on.open_receiver(address, how);
  if (!a.selector.empty() && from.filters().empty()) {
    throw error({error_scope::refused, {}, "the broker does not apply the selector"});
  }
  run one(a, std::move(from));
  const verb_result is = one.until_done();
  if (!a.quiet && ::isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "%llu received\n", static_cast<unsigned long long>(one.received()));
  }
  return is;
}

void add_flags(CLI::App& app, arguments& a) {
  app.add_option("--count", a.count, "end after so many (default: go on)");
  app.add_option("--timeout", a.idle, "end when nothing has come for so many seconds")
      ->check(CLI::Range(0.0, 86400.0));
  app.add_option("--wait", a.timeout, "seconds to wait for the broker's answers (default 30)")
      ->check(CLI::Range(0.1, 86400.0));
  app.add_flag("--drain", a.drain, "take what is there now, at most --credit, and end");
  app.add_flag("--browse", a.browse, "only look: the messages stay where they are");
  app.add_option("--selector", a.selector, "only those that match, such as \"colour = 'red'\"");
  app.add_option("--credit", a.credit, "messages to ask for ahead (default 100)")
      ->check(CLI::Range(1, 65536));
  auto* format = app.add_option_group("format", "default: the body's text, one a line");
  format->add_flag("--json", a.as_json, "the whole message as JSON, one a line");
  format->add_flag("--raw", a.raw, "the body's octets, with nothing between them");
  format->require_option(0, 1);
  app.add_option("--output", a.output, "write to this file (default: standard output)");
  app.add_option("--outcome", a.outcome, "accept (default), release or reject what was written")
      ->check(CLI::IsMember({"accept", "release", "reject"}));
  app.add_option("--settle", a.settle,
                 "unsettled (default): the broker keeps a message until it was written; settled: "
                 "it forgets it when sent")
      ->check(CLI::IsMember({"unsettled", "settled"}));
  app.add_option("--subscription", a.subscription,
                 "name of a durable subscription, which stays; needs --container-id");
}

}  // namespace

int run_receive(int argc, char** argv) {
  arguments a;
  CLI::App app("Receives messages from any AMQP 1.0 broker.", "whimbrel receive");
  app.footer("Examples:\n"
             "  whimbrel receive amqp://localhost/orders\n"
             "  whimbrel receive amqp://localhost/orders --count 10 --json > orders.jsonl\n"
             "  whimbrel receive amqp://localhost/orders --browse --drain\n"
             "Ends with Ctrl-C if nothing else is said. "
             "Exit codes: 0 done, 1 fewer than --count or refused, 2 wrong arguments or file, "
             "3 no connection or no answer.");
  add_common(app, a);
  add_flags(app, a);
  return run_verb(app, argc, argv, [&] { return receive(a); });
}

}  // namespace whimbrel::client
