// SPDX-License-Identifier: Apache-2.0
// `whimbrel ctl peek`, `move` and `replay`: looking at the messages of a queue, and taking them to
// others. A copy is accepted at its new place before the message leaves the old one: what is cut
// short leaves some at both, and loses none.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <thread>
#include <utility>

#include <CLI/CLI.hpp>

#include "amqp/base/octet_buffer.hpp"
#include "client/tools/ctl.hpp"
#include "client/tools/message_json.hpp"
#include "client/tools/pairs.hpp"
#include "client/tools/progress.hpp"
#include "client/tools/table.hpp"
#include "whimbrel/client.hpp"

namespace whimbrel::client::ctl {

namespace json = boost::json;

namespace {

/// The address of just this queue, whatever else has its name.
std::string queue_address(const std::string& name) {
  constexpr std::string_view plain = "-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "/queues/";
  for (const char c : name) {
    const auto octet = static_cast<unsigned char>(c);
    const bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (is_letter || (c >= '0' && c <= '9') || plain.find(c) != plain.npos) {
      out += c;
    } else {
      out += {'%', digits[octet >> 4u], digits[octet & 15u]};
    }
  }
  return out;
}

connection connect(const arguments& a) {
  connection_options how;
  how.time_out = a.time_out();
  how.tls = a.tls;
  return connection::open(url_of(a.url, a.tls), how);
}

receiver open(connection& on, const arguments& a, bool browse) {
  receiver_options how;
  how.prefetch = 0;
  how.browse = browse;
  how.selector = a.selector;
  receiver out = on.open_receiver(queue_address(a.name), how);
  if (!a.selector.empty() && out.filters().empty()) {
    throw std::runtime_error("the broker does not apply the selector");
  }
  return out;
}

/// A message-annotation that is a string or symbol; empty if it is not there.
std::string note(const message& m, std::string_view name) {
  const auto found = m.message_annotations ? m.message_annotations->find(name) : std::nullopt;
  return found ? found->text().value_or("") : "";
}

// --- peek ------------------------------------------------------------------------------------

std::string shortened(std::string text) {
  constexpr std::size_t most = 60;
  if (text.size() <= most) return text;
  std::size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
  return text.substr(0, end) + "...";
}

std::string start_of_body(const message& m) {
  if (auto text = m.body_text()) return shortened(*std::move(text));
  if (const auto* v = std::get_if<value>(&m.body)) return shortened(amqp::codec::to_text(*v));
  return "";
}

const std::vector<std::string> peek_columns = {"message-id", "subject", "died", "octets", "body"};

json::object row_of(const message& m) {
  json::object out;
  const json::value whole = json::parse(to_json_line(m));
  if (const auto* properties = whole.as_object().if_contains("properties")) {
    for (const char* name : {"message-id", "subject"}) {
      const auto* v = properties->as_object().if_contains(name);
      if (v != nullptr) out[name] = *v;
    }
  }
  const std::string why = note(m, "x-last-death-reason");
  if (!why.empty()) out["died"] = why + " in " + note(m, "x-last-death-queue");
  amqp::octet_buffer octets;
  amqp::message::encode(octets, m);
  out["octets"] = octets.octets().size();
  out["body"] = start_of_body(m);
  return out;
}

result peek(const arguments& a, session&) {
  connection on = connect(a);
  receiver from = open(on, a, true);
  from.grant(static_cast<std::uint32_t>(a.count));
  from.drain();
  json::array rows;
  while (const auto d = from.receive(duration::zero())) {
    if (a.as_json) std::printf("%s\n", to_json_line(d->message).c_str());
    else rows.push_back(row_of(d->message));
  }
  if (!a.as_json) print_table(peek_columns, rows);
  on.close();
  return result::done;
}

// --- move and replay -------------------------------------------------------------------------

/// Where a message goes; empty: it stays.
using where = std::function<std::string(const message&)>;

class transport {
 public:
  /// `forgets`: what a message says of its deaths does not go along.
  transport(const arguments& a, session& s, where to, bool forgets)
      : arguments_(a),
        to_(std::move(to)),
        forgets_(forgets),
        most_(number_there(a, s)),
        shown_(most_, true) {}

  result run() {
    connection on = connect(arguments_);
    receiver from = open(on, arguments_, arguments_.dry_run);
    bool more = true;
    while (more && taken_ < most_) {
      const auto credit = static_cast<std::uint32_t>(std::min(most_ - taken_, step()));
      from.grant(credit);
      from.drain();
      std::uint32_t came = 0;
      for (; auto d = from.receive(duration::zero()); ++came) take(on, *std::move(d));
      taken_ += came;
      more = came == credit;
      settle_posted(from);
    }
    for (const delivery& d : staying_) from.release(d);
    on.close();
    return tell();
  }

 private:
  using clock = std::chrono::steady_clock;
  struct posted {
    delivery of = {};
    tracker outcome;
    std::string to = {};
  };

  /// What was there at the beginning is what is moved: messages may come back to where they were.
  static std::uint64_t number_there(const arguments& a, session& s) {
    const auto r = (*s).request("READ", on_queue(a.name));
    if (!r.is_ok()) throw std::runtime_error(r.text);
    const auto there = r.body.to<map>().value_or(map{}).get<std::uint64_t>("message_count");
    return a.count == 0 ? there.value_or(0) : std::min(a.count, there.value_or(0));
  }
  /// With a rate, no more are taken from the queue than go on within a second.
  [[nodiscard]] std::uint64_t step() const {
    constexpr std::uint64_t most = 100;
    if (arguments_.rate == 0) return most;
    return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(arguments_.rate), 1, most);
  }

  void take(connection& on, delivery d) {
    const std::string to = to_(d.message);
    if (to.empty() || arguments_.dry_run) {
      if (!to.empty()) ++counted_[to];
      d.message = {};
      if (!arguments_.dry_run) staying_.push_back(std::move(d));
      return;
    }
    wait_for_turn();
    auto at = senders_.find(to);
    if (at == senders_.end()) at = senders_.emplace(to, on.open_sender(queue_address(to))).first;
    tracker outcome = at->second.post(as_new(std::move(d.message)));
    d.message = {};
    posted_.push_back({std::move(d), std::move(outcome), to});
  }

  /// As if it had never been delivered.
  message as_new(message m) const {
    if (m.header) m.header->delivery_count = 0;
    if (!m.message_annotations || !forgets_) return m;
    map kept;
    for (const auto& [key, v] : *m.message_annotations) {
      if (!is_history(key.text().value_or(""))) kept.append(key, v);
    }
    if (kept.empty()) m.message_annotations.reset();
    else m.message_annotations = kept;
    return m;
  }
  static bool is_history(std::string_view name) {
    constexpr std::array<std::string_view, 5> starts = {
        "x-opt-deaths", "x-first-death-", "x-last-death-", "x-opt-ORIG-", "x-opt-ACTUAL-EXPIRY"};
    return std::any_of(starts.begin(), starts.end(),
                       [name](std::string_view s) { return name.starts_with(s); });
  }

  void wait_for_turn() {
    if (arguments_.rate == 0) return;
    const std::chrono::duration<double> due(static_cast<double>(moved_ + posted_.size()) /
                                            arguments_.rate);
    std::this_thread::sleep_until(began_ + std::chrono::duration_cast<clock::duration>(due));
  }

  void settle_posted(receiver& from) {
    std::string refusal;
    for (const posted& p : posted_) {
      const outcome is = p.outcome.wait();
      if (is.is_accepted()) {
        from.accept(p.of);
        shown_.show(++moved_);
        ++counted_[p.to];
        continue;
      }
      from.release(p.of);
      if (refusal.empty()) refusal = refusal_text(p.to, is);
    }
    posted_.clear();
    if (!refusal.empty()) throw std::runtime_error(std::to_string(moved_) + " moved; " + refusal);
  }
  static std::string refusal_text(const std::string& to, const outcome& is) {
    std::string out = to + ": the message was " + is.text();
    if (!is.condition.empty()) out += ": " + is.condition;
    if (!is.description.empty()) out += ": " + is.description;
    return out;
  }

  result tell() const {
    for (const auto& [to, number] : counted_) {
      std::printf("%llu %s to %s\n", static_cast<unsigned long long>(number),
                  arguments_.dry_run ? "would go" : "moved", to.c_str());
    }
    std::uint64_t gone = 0;
    for (const auto& [to, number] : counted_) gone += number;
    if (gone == 0) std::printf("0 %s\n", arguments_.dry_run ? "would go" : "moved");
    if (gone == taken_) return result::done;
    std::fprintf(stderr, "whimbrel ctl: %llu stayed: they do not say where they died; use --to\n",
                 static_cast<unsigned long long>(taken_ - gone));
    return result::refused;
  }

  const arguments& arguments_;
  where to_;
  bool forgets_;
  std::uint64_t most_;
  progress shown_;
  std::uint64_t taken_ = 0;
  std::uint64_t moved_ = 0;
  std::map<std::string, sender> senders_ = {};
  std::vector<posted> posted_ = {};
  std::vector<delivery> staying_ = {};  // without their messages
  std::map<std::string, std::uint64_t> counted_ = {};  // by where they went
  clock::time_point began_ = clock::now();
};

result move(const arguments& a, session& s) {
  if (a.destination == a.name) throw usage_error("FROM and TO are the same queue");
  return transport(a, s, [&a](const message&) { return a.destination; }, false).run();
}

result replay(const arguments& a, session& s) {
  if (a.destination == a.name) throw usage_error("--to is the queue itself");
  const where back = [&a](const message& m) {
    if (!a.destination.empty()) return a.destination;
    const std::string first = note(m, "x-first-death-queue");
    return first.empty() ? note(m, "x-opt-ORIG-QUEUE") : first;
  };
  return transport(a, s, back, true).run();
}

void takes_selection(CLI::App* of, arguments& a) {
  of->add_option("--selector", a.selector,
                 "only those that match, such as \"colour = 'red'\"");
}

void takes_pace(CLI::App* of, arguments& a) {
  takes_selection(of, a);
  of->add_option("--count", a.count, "so many at most (default: all that are there now)");
  of->add_option("--rate", a.rate, "so many a second at most")->check(CLI::Range(0.001, 1e9));
  of->add_flag("--dry-run", a.dry_run, "only say how many would go where");
}

}  // namespace

void add_message_commands(CLI::App& app, arguments& a, command& chosen) {
  auto* look = add(&app, "peek", "look at the first messages of a queue, which stay there", chosen,
                   [](const arguments& b, session& s) {
                     arguments most = b;
                     if (most.count == 0) most.count = 10;
                     return peek(most, s);
                   });
  look->add_option("NAME", a.name, "the queue")->required();
  look->add_option("--count", a.count, "so many at most (default 10)")
      ->check(CLI::Range(1, 1'000'000));
  takes_selection(look, a);
  look->footer("With --json each message is a line, as `whimbrel receive --json` prints it.");
  auto* away = add(&app, "move", "take messages from one queue to another", chosen, move);
  away->add_option("FROM", a.name, "the queue")->required();
  away->add_option("TO", a.destination, "another queue")->required();
  takes_pace(away, a);
  auto* again = add(&app, "replay", "take dead letters back to the queues where they died first",
                    chosen, replay);
  again->add_option("NAME", a.name, "the queue of dead letters")->required();
  again->add_option("--to", a.destination, "all of them to this queue");
  takes_pace(again, a);
}

}  // namespace whimbrel::client::ctl
