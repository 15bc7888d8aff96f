// SPDX-License-Identifier: Apache-2.0
// Signs of life and their absence. [2.4.5]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

using clock = test::clock;

/// Longest idle-time-out of the peer that we wait out.
constexpr std::uint32_t waited_for_max = 35'000;

std::int64_t ms_since(clock::time_point t) {
  return std::chrono::duration_cast<milliseconds>(clock::now() - t).count();
}

void keeps_us_alive(test& t) {
  constexpr std::uint32_t idle = 2000;
  peer p(t);
  p.open({.idle_time_out = idle});
  std::int64_t longest = 0;
  auto last = clock::now();
  const auto end = last + milliseconds(4 * idle);
  while (clock::now() < end && p.endings().empty()) {
    const auto f = p.next(milliseconds(2 * idle + 500));
    longest = std::max(longest, ms_since(last));
    last = clock::now();
    if (!f) break;
  }
  if (!p.endings().empty()) return t.note("T-2.4.5-a", p.endings_text());
  const std::string text = "at most " + std::to_string(longest) +
                           " ms without a frame; asked for " + std::to_string(idle);
  if (longest > 2 * idle) return t.say("T-2.4.5-a", verdict::fail, text);
  t.say("T-2.4.5-a", longest > idle + 100 ? verdict::warn : verdict::pass, text);
}

void tiny_idle(test& t) {
  peer p(t);
  p.login();
  p.send(0, spec::open{.container_id = t.unique("idle"), .idle_time_out = 1});
  const reaction what = p.react_by_silence(milliseconds(600));
  const bool closed = what.is == scope::close;
  for (const char* c : {"T-2.4.5-d", "T-2.7.1-m"}) {
    t.expect(c, closed || what.is == scope::silent,
             closed ? "refused 1 ms: " + what.text() : "went on with an idle-time-out of 1 ms");
  }
}

void zero_idle(test& t) {
  peer p(t);
  p.open({.idle_time_out = 0});
  const reaction what = p.react_by_begin();
  t.judge("T-2.4.5-e", what, "ignored");
}

void silence_is_ended(test& t) {
  const std::uint32_t idle = t.peer().idle_time_out;
  if (idle == 0) {
    t.note("T-2.7.1-u", "the peer announces no idle-time-out");
    throw not_offered("the peer announces no idle-time-out");
  }
  t.note("T-2.7.1-u", "the peer announces " + std::to_string(idle) + " ms");
  if (idle > waited_for_max) throw not_offered("its idle-time-out is too long to wait for");
  peer p(t);
  p.open();
  p.listen(milliseconds(idle + idle / 5));
  t.expect("T-2.4.5-c", p.endings().empty() && !p.is_gone(),
           p.endings().empty() ? "alive after 1.2 times its idle-time-out" : p.endings_text());
  const reaction what = p.react_by_silence(milliseconds(idle + 3000));
  t.expect("T-2.4.5-b", what.is == scope::close && !what.condition.empty(),
           "after twice its idle-time-out: " + what.text());
}

void flows_keep_alive(test& t) {
  const std::uint32_t idle = t.peer().idle_time_out;
  if (idle == 0) throw not_offered("the peer announces no idle-time-out");
  if (idle > waited_for_max) throw not_offered("its idle-time-out is too long to wait for");
  peer p(t);
  p.start();
  const auto end = clock::now() + milliseconds(2 * idle + idle / 2);
  while (clock::now() < end && p.endings().empty() && !p.is_gone()) {
    p.flow(0);
    p.listen(milliseconds(idle / 2));
  }
  const bool alive = p.endings().empty() && !p.is_gone();
  for (const char* c : {"T-2.4.5-i", "T-2.4.5-j"}) {
    t.expect(c, alive, alive ? "flows kept the connection" : "ended: " + p.endings_text());
  }
}

}  // namespace

void add_transport_idle(checks& out) {
  out.push_back({"T-2.4.5-a", "signs of life within our idle-time-out", keeps_us_alive, true});
  out.push_back({"T-2.4.5-d T-2.7.1-m", "an idle-time-out of 1 ms", tiny_idle});
  out.push_back({"T-2.4.5-e", "an idle-time-out of 0", zero_idle});
  out.push_back({"T-2.4.5-b T-2.4.5-c T-2.7.1-u", "silence beyond its idle-time-out",
                 silence_is_ended, true});
  out.push_back({"T-2.4.5-i T-2.4.5-j", "flows as signs of life", flows_keep_alive, true});
}

}  // namespace whimbrel::conformance
