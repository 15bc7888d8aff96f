// SPDX-License-Identifier: Apache-2.0
// The verb `whimbrel send`: messages from the command line, a file or a pipe to a broker.
#include <cstdio>
#include <fstream>
#include <optional>

#include <CLI/CLI.hpp>

#include "client/command.hpp"
#include "client/tools/input.hpp"
#include "client/tools/message_json.hpp"
#include "client/tools/pairs.hpp"
#include "client/tools/progress.hpp"
#include "client/tools/verb.hpp"

namespace whimbrel::client {

namespace {

struct arguments : common_arguments {
  std::uint64_t count = 1;
  // Where bodies come from: one of these.
  std::string body = {};
  std::size_t size = 0;
  std::string file = {};
  std::string lines = {};
  std::string text_lines = {};
  // What is added to each message.
  std::string subject = {};
  std::string to = {};
  std::string message_id = {};
  std::string correlation_id = {};
  std::string reply_to = {};
  std::string content_type = {};
  std::string group_id = {};
  std::vector<std::string> properties = {};
  std::vector<std::string> annotations = {};
  bool durable = false;
  std::optional<std::uint32_t> ttl = {};
  std::optional<unsigned> priority = {};
  std::string settle = "unsettled";
  std::size_t pipeline = 1000;
};

void set_if(std::optional<std::string>& field, const std::string& text) {
  if (!text.empty()) field = text;
}

void set_entries(std::optional<map>& section, const map& more) {
  if (more.empty()) return;
  if (!section) section.emplace();
  for (const auto& [key, mapped] : more) section->set(key, mapped);
}

/// Lays over a message what the flags say.
class decorator {
 public:
  explicit decorator(const arguments& a)
      : arguments_(a),
        properties_(typed_map(a.properties, "--property")),
        annotations_(typed_map(a.annotations, "--annotation", true)) {}

  void operator()(message& m) const {
    const arguments& a = arguments_;
    if (a.durable || a.ttl || a.priority) {
      if (!m.header) m.header.emplace();
      if (a.durable) m.header->durable = true;
      if (a.ttl) m.header->ttl = a.ttl;
      if (a.priority) m.header->priority = static_cast<std::uint8_t>(*a.priority);
    }
    if (has_properties()) {
      auto& p = m.props();
      set_if(p.subject, a.subject);
      set_if(p.to, a.to);
      set_if(p.reply_to, a.reply_to);
      set_if(p.group_id, a.group_id);
      if (!a.message_id.empty()) p.message_id = a.message_id;
      if (!a.correlation_id.empty()) p.correlation_id = a.correlation_id;
      if (!a.content_type.empty()) p.content_type = symbol(a.content_type);
    }
    set_entries(m.application_properties, properties_);
    set_entries(m.message_annotations, annotations_);
  }

 private:
  [[nodiscard]] bool has_properties() const {
    const arguments& a = arguments_;
    return !(a.subject + a.to + a.reply_to + a.group_id + a.message_id + a.correlation_id +
             a.content_type).empty();
  }

  const arguments& arguments_;
  map properties_;
  map annotations_;
};

message single_message(const arguments& a) {
  if (!a.file.empty()) {
    const std::string octets = read_input(a.file);
    return data_message(std::as_bytes(std::span(octets)));
  }
  if (a.size > 0) {
    const std::vector<std::byte> octets(a.size, std::byte{'x'});
    return data_message(octets);
  }
  return text_message(a.body);
}

/// Counts what the pipeline takes, and shows it.
class outlet {
 public:
  outlet(sender to, const arguments& a, std::uint64_t total)
      : to_(std::move(to)), decorate_(a), shown_(total, !a.quiet) {}

  void send(message m) {
    decorate_(m);
    last_ = to_.post(m);
    shown_.show(++sent_);
  }
  [[nodiscard]] outcome_counts finish() {
    if (sent_ > 0) to_.flush();
    if (last_) static_cast<void>(last_->poll());  // one that could not be sent at all says so
    to_.close();
    return to_.counts();
  }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  sender to_;
  decorator decorate_;
  progress shown_;
  std::optional<tracker> last_ = {};
  std::uint64_t sent_ = 0;
};

/// The file with a message a line; empty if there is none.
const std::string& file_of_lines(const arguments& a) {
  return a.lines.empty() ? a.text_lines : a.lines;
}

void send_lines(outlet& to, const arguments& a, std::istream& in) {
  const bool is_json = !a.lines.empty();
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (is_json && line.empty()) continue;
    try {
      to.send(is_json ? from_json_line(line) : text_message(line));
    } catch (const usage_error& e) {
      static_cast<void>(to.finish());
      throw usage_error(file_of_lines(a) + ", line " + std::to_string(number) + ": " + e.what() +
                        " (" + std::to_string(to.sent()) + " messages sent before it)");
    }
  }
}

verb_result send(const arguments& a) {
  const decorator checked(a);  // this and the input before anything is asked of the broker
  const bool has_lines = !file_of_lines(a).empty();
  std::ifstream lines;
  std::optional<message> single;
  if (has_lines) {
    lines = open_input(file_of_lines(a));
  } else {
    single = single_message(a);
  }
  std::string address;
  connection on = connect(a, address, !a.to.empty() || has_lines);
  sender_options how;
  how.settle = a.settle == "settled" ? settle_mode::settled : settle_mode::unsettled;
  how.pipeline_max = a.pipeline;
  how.capabilities = a.symbols();
  outlet to(on.open_sender(address, how), a, has_lines ? 0 : a.count);
  if (has_lines) send_lines(to, a, lines);
  for (std::uint64_t i = 0; single && i < a.count; ++i) to.send(*single);
  const outcome_counts is = to.finish();
  const std::uint64_t taken = is.accepted + is.unstated;
  if (!a.quiet || taken != to.sent()) {
    std::fprintf(stderr, "%llu sent: %llu accepted, %llu rejected, %llu released, %llu modified",
                 static_cast<unsigned long long>(to.sent()),
                 static_cast<unsigned long long>(is.accepted),
                 static_cast<unsigned long long>(is.rejected),
                 static_cast<unsigned long long>(is.released),
                 static_cast<unsigned long long>(is.modified));
    if (is.unstated > 0) {
      std::fprintf(stderr, ", %llu settled", static_cast<unsigned long long>(is.unstated));
    }
    std::fputc('\n', stderr);
  }
  return taken == to.sent() ? verb_result::done : verb_result::refused;
}

void add_content(CLI::App& app, arguments& a) {
  auto* from = app.add_option_group("body", "where messages come from: one of these");
  from->add_option("--body", a.body, "this text");
  from->add_option("--size", a.size, "so many octets")->check(CLI::Range(1, 128 << 20));
  from->add_option("--file", a.file, "the file's octets, as one message; - is standard input");
  from->add_option("--lines", a.lines,
                   "a message a line, as JSON (what `whimbrel receive --json` prints): "
                   R"({"body": "hello", "properties": {"subject": "s"}}; - is standard input)");
  from->add_option("--text-lines", a.text_lines, "a message a line, its text; - is standard input");
  from->require_option(1);
  app.add_option("--count", a.count, "send the message so many times (default 1)");
}

void add_flags(CLI::App& app, arguments& a) {
  app.add_option("--subject", a.subject, "properties.subject");
  app.add_option("--to", a.to, "properties.to; with no address the broker routes by it");
  app.add_option("--message-id", a.message_id, "properties.message-id");
  app.add_option("--correlation-id", a.correlation_id, "properties.correlation-id");
  app.add_option("--reply-to", a.reply_to, "properties.reply-to");
  app.add_option("--content-type", a.content_type, "properties.content-type");
  app.add_option("--group-id", a.group_id, "properties.group-id");
  app.add_option("--property", a.properties,
                 "KEY=VALUE, an application property; true, false and whole numbers are taken as "
                 "such; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--annotation", a.annotations, "KEY=VALUE, a message annotation, likewise")
      ->allow_extra_args(false);
  app.add_flag("--durable", a.durable, "ask the broker to store it");
  app.add_option("--ttl", a.ttl, "milliseconds that it is worth something");
  app.add_option("--priority", a.priority, "0 to 255; 4 is usual")->check(CLI::Range(0, 255));
  app.add_option("--settle", a.settle,
                 "unsettled (default): wait for outcomes; settled: send and forget")
      ->check(CLI::IsMember({"unsettled", "settled"}));
  app.add_option("--pipeline", a.pipeline, "messages under way at once (default 1000)")
      ->check(CLI::Range(1, 65536));
  app.add_option("--timeout", a.timeout, "seconds to wait for the broker (default 30)")
      ->check(CLI::Range(0.1, 86400.0));
}

}  // namespace

int run_send(int argc, char** argv) {
  arguments a;
  CLI::App app("Sends messages to any AMQP 1.0 broker.", "whimbrel send");
  app.footer("Examples:\n"
             "  whimbrel send amqp://localhost/orders --body hello --durable\n"
             "  whimbrel send amqp://localhost/orders --size 1000 --count 100000\n"
             "  tail -f log | whimbrel send amqp://localhost/logs --text-lines -\n"
             "Exit codes: 0 all accepted, 1 not all, 2 wrong arguments or file, "
             "3 no connection or no answer.");
  add_common(app, a);
  add_content(app, a);
  add_flags(app, a);
  return run_verb(app, argc, argv, [&] { return send(a); });
}

}  // namespace whimbrel::client
