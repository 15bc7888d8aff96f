// SPDX-License-Identifier: Apache-2.0
// No producer hears `accepted` for a durable message before the sync that covers it returned. The
// whole broker runs in this process on a recording SQLite VFS, real clients talk to it, and each
// `accepted` is compared, as it arrives, with what had been synced by then. The one exception is a
// message that a consumer had already settled: responsibility had passed on. The same holds
// when the disk is full, or takes no sync.
#include <doctest/doctest.h>
#include <proton/disposition.h>
#include <proton/terminus.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/crash/amqp_peer.hpp"
#include "tests/durability/embedded_broker.hpp"
#include "tests/support/recording_vfs.hpp"
#include "tests/support/scratch_directory.hpp"

namespace whimbrel {
namespace {

using broker::net::test_switches;
using crash::amqp_peer;
using tests::embedded_broker;
using tests::recording_vfs;

constexpr std::uint32_t message_count = 10'000;
constexpr std::uint32_t committed_least = 5'000;
constexpr std::uint32_t held_first = 10;  // in the commit whose sync is held
constexpr std::uint32_t passed_on_least = 5'000;
constexpr std::uint32_t accepted_first = 500;  // before the disk fails
constexpr auto patience = std::chrono::seconds(180);  // a sanitizer on a busy machine

// A body repeats its mark, since a page of the database may split any one of them.
constexpr std::string_view mark_begin = "<P1:";
constexpr std::size_t mark_digits = 7;
constexpr std::size_t mark_repeats = 20;

std::string mark_of(std::uint32_t id) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "<P1:%07u>", id);
  return text.data();
}

std::string encode(std::uint32_t id) {
  std::string body;
  for (std::size_t i = 0; i < mark_repeats; ++i) body += mark_of(id);
  std::string out("\x00\x53\x70\xc0\x02\x01\x41\x00\x53\x75\xb0\x00\x00", 13);
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

/// Calls `found` with the id of each whole mark in `text`.
template <class Found>
void each_mark(std::string_view text, Found&& found) {
  std::size_t at = 0;
  while ((at = text.find(mark_begin, at)) != std::string_view::npos) {
    at += mark_begin.size();
    const std::string_view digits = text.substr(at, mark_digits + 1);
    if (digits.size() <= mark_digits || digits.back() != '>') continue;
    std::uint32_t id = 0;
    for (const char c : digits.substr(0, mark_digits)) {
      id = id * 10 + static_cast<std::uint32_t>(c - '0');
    }
    found(id);
  }
}

/// Which messages a sync has covered. Written by the store's thread, read by the clients'.
class sync_watch {
 public:
  explicit sync_watch(const std::string& name) : vfs_(name), synced_(message_count) {
    vfs_.on_log_sync([this](std::uint64_t, std::span<const tests::vfs_write> writes) {
      for (const tests::vfs_write& each : writes) {
        const std::string_view text(reinterpret_cast<const char*>(each.octets.data()),
                                    each.octets.size());
        each_mark(text, [this](std::uint32_t id) {
          if (id < message_count) synced_[id] = true;
        });
      }
    });
  }

  [[nodiscard]] recording_vfs& vfs() { return vfs_; }
  [[nodiscard]] bool is_synced(std::uint32_t id) const { return synced_[id]; }
  [[nodiscard]] std::uint32_t synced_count() const {
    std::uint32_t n = 0;
    for (const auto& each : synced_) n += each ? 1 : 0;
    return n;
  }

 private:
  recording_vfs vfs_;
  std::vector<std::atomic<bool>> synced_;
};

struct findings {
  std::uint32_t accepted = 0;
  std::uint32_t refused = 0;
  std::uint32_t early = 0;      // accepted, neither synced nor settled by a consumer
  std::uint32_t passed_on = 0;  // accepted, not synced, settled by a consumer before
};

/// A producer that sends all messages, and a consumer that accepts and settles at once.
class clients : public crash::event_handler {
 public:
  clients(std::uint16_t port, const sync_watch& watch, bool consuming)
      : watch_(watch), consumed_(message_count), producer_(port, "producer", *this) {
    peers_.push_back(&producer_);
    if (consuming) {
      consumer_ = std::make_unique<amqp_peer>(port, "consumer", *this);
      peers_.push_back(consumer_.get());
      pn_link_t* in = pn_receiver(consumer_->session(), "in");
      pn_terminus_set_address(pn_link_source(in), "early");
      pn_link_open(in);
      pn_link_flow(in, static_cast<int>(message_count));
    }
    out_ = pn_sender(producer_.session(), "out");
    pn_terminus_set_address(pn_link_target(out_), "early");
    pn_link_open(out_);
  }

  findings run() {
    send_until(message_count, [this] { return answered() == message_count; });
    return found_;
  }

  /// With the store waiting for a sync, what follows stays in the open batch, where a consumer's
  /// settlement can still cancel it out.
  findings run_with_a_held_sync(recording_vfs& vfs) {
    send_until(0, [this] { return pn_link_credit(out_) > 0; });
    vfs.hold_syncs();
    send_until(held_first, [this] { return sent_ == held_first; });
    amqp_peer::pump(peers_, 0);
    vfs.wait_for_held_sync();
    send_until(message_count, [this] { return found_.passed_on >= passed_on_least; });
    vfs.release_syncs();
    return run();
  }

  /// The disk takes nothing until the producer has used up its credit, then all that it is given.
  findings run_with_a_full_disk(recording_vfs& vfs) {
    send_until(message_count, [this] { return found_.accepted >= accepted_first; });
    vfs.fail({.effect = tests::vfs_effect::full, .file = tests::vfs_file::log});
    send_until(message_count, [&] {
      return vfs.faults_hit() > 1 && pn_link_credit(out_) == 0 && answered() < sent_;
    });
    vfs.heal();
    return run();
  }

  /// Syncs fail from some moment on: ends when the broker has closed the connection.
  findings run_until_syncs_fail(recording_vfs& vfs) {
    send_until(message_count, [this] { return found_.accepted >= accepted_first; });
    vfs.fail({.call = tests::vfs_call::sync,
              .effect = tests::vfs_effect::io_error,
              .file = tests::vfs_file::log});
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!producer_.is_closed()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      while (sent_ < message_count && pn_link_credit(out_) > 0) send();
      amqp_peer::pump(peers_, 100);
    }
    return found_;
  }

 private:
  static void* context_of(std::uint32_t id) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(id) + 1);
  }

  [[nodiscard]] std::uint32_t answered() const { return found_.accepted + found_.refused; }

  /// Sends up to that many in all, as credit permits, until it holds.
  template <class Condition>
  void send_until(std::uint32_t most, Condition&& reached) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!reached()) {
      CAPTURE(sent_);
      CAPTURE(found_.accepted);
      CAPTURE(found_.passed_on);
      CAPTURE(pn_link_credit(out_));
      REQUIRE(std::chrono::steady_clock::now() < end);
      REQUIRE_FALSE(producer_.is_closed());
      while (sent_ < most && pn_link_credit(out_) > 0) send();
      amqp_peer::pump(peers_, 100);
    }
  }

  void send() {
    const std::string octets = encode(sent_);
    pn_delivery_t* delivery =
        pn_delivery(out_, pn_dtag(reinterpret_cast<const char*>(&sent_), sizeof sent_));
    pn_delivery_set_context(delivery, context_of(sent_));
    pn_link_send(out_, octets.data(), octets.size());
    pn_link_advance(out_);
    ++sent_;
  }

  void on_event(pn_event_t* event) override {
    if (pn_event_type(event) != PN_DELIVERY) return;
    pn_delivery_t* delivery = pn_event_delivery(event);
    if (pn_link_is_sender(pn_delivery_link(delivery))) return on_verdict(delivery);
    if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery)) return;
    std::string octets(pn_delivery_pending(delivery), '\0');
    pn_link_recv(pn_delivery_link(delivery), octets.data(), octets.size());
    pn_link_advance(pn_delivery_link(delivery));
    each_mark(octets, [this](std::uint32_t id) { consumed_.at(id) = true; });
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
  }

  void on_verdict(pn_delivery_t* delivery) {
    if (!pn_delivery_updated(delivery) || pn_delivery_remote_state(delivery) == 0) return;
    const auto id = static_cast<std::uint32_t>(
        reinterpret_cast<std::uintptr_t>(pn_delivery_get_context(delivery)) - 1);
    if (pn_delivery_remote_state(delivery) != PN_ACCEPTED) {
      ++found_.refused;
    } else {
      ++found_.accepted;
      if (!watch_.is_synced(id)) ++(consumed_[id] ? found_.passed_on : found_.early);
    }
    pn_delivery_settle(delivery);
  }

  const sync_watch& watch_;
  std::vector<bool> consumed_;
  findings found_ = {};
  std::uint32_t sent_ = 0;
  std::vector<amqp_peer*> peers_ = {};
  pn_link_t* out_ = nullptr;
  amqp_peer producer_;
  std::unique_ptr<amqp_peer> consumer_ = nullptr;
};

class release_at_end {
 public:
  explicit release_at_end(recording_vfs& vfs) : vfs_(vfs) {}
  ~release_at_end() { vfs_.release_syncs(); }
  release_at_end(const release_at_end&) = delete;
  release_at_end& operator=(const release_at_end&) = delete;

 private:
  recording_vfs& vfs_;
};

struct outcome_of_run {
  findings seen = {};
  std::uint32_t synced = 0;
  broker::net::totals counted = {};
};

struct scenario {
  std::uint32_t workers = 1;
  bool consuming = false;
  bool accept_before_commit = false;
  bool skip_syncs = false;
  bool hold_a_sync = false;
  bool full_disk = false;
  bool failing_sync = false;
};

findings talk(clients& both, const scenario& how, recording_vfs& vfs) {
  if (how.hold_a_sync) return both.run_with_a_held_sync(vfs);
  if (how.full_disk) return both.run_with_a_full_disk(vfs);
  if (how.failing_sync) return both.run_until_syncs_fail(vfs);
  return both.run();
}

outcome_of_run play(const scenario& how) {
  static int runs = 0;
  tests::scratch_directory directory;
  sync_watch watch("early-" + std::to_string(++runs));
  embedded_broker broker(directory.path().string(), how.workers,
                         {.accept_before_commit = how.accept_before_commit,
                          .vfs = watch.vfs().name()});
  if (how.skip_syncs) {
    watch.vfs().fail({.call = tests::vfs_call::sync,
                      .effect = tests::vfs_effect::skipped,
                      .file = tests::vfs_file::log});
  }
  outcome_of_run out;
  const release_at_end release(watch.vfs());  // or a failed test would wait for ever
  clients both(broker.port(), watch, how.consuming);
  out.seen = talk(both, how, watch.vfs());
  out.synced = watch.synced_count();
  if (!how.failing_sync) out.counted = broker.totals();  // a broker that has ended cannot be asked
  CHECK(broker.stop() == (how.failing_sync ? broker::exit_code::store_in_doubt
                                           : broker::exit_code::success));
  const std::string_view whom = how.consuming ? "consumer keeping up" : "no consumer";
  MESSAGE("workers " << how.workers << ", " << whom << ": accepted " << out.seen.accepted
                     << ", synced " << out.synced << ", early " << out.seen.early
                     << ", passed on before their sync " << out.seen.passed_on
                     << ", cancelled out " << out.counted.cancelled << ", elided "
                     << out.counted.store.puts_elided << ", commits "
                     << out.counted.store.commits);
  return out;
}

}  // namespace

TEST_CASE("durability: no accepted comes before the sync of its message, without a consumer") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    const auto out = play({.workers = workers});
    CHECK(out.seen.accepted == message_count);
    CHECK(out.seen.early == 0);
    CHECK(out.synced >= committed_least);
    CHECK(out.counted.cancelled == 0);
  }
}

TEST_CASE("durability: no accepted comes before the sync, except where a consumer has settled") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    const auto out = play({.workers = workers, .consuming = true});
    CHECK(out.seen.accepted == message_count);
    CHECK(out.seen.early == 0);
    CHECK(out.seen.passed_on <= out.counted.cancelled + out.counted.store.puts_elided);
  }
}

TEST_CASE("durability: a message that a consumer settled first is accepted without its sync") {
  const auto out = play({.consuming = true, .hold_a_sync = true});
  CHECK(out.seen.accepted == message_count);
  CHECK(out.seen.early == 0);
  CHECK(out.seen.passed_on >= passed_on_least);
  CHECK(out.seen.passed_on <= out.counted.cancelled + out.counted.store.puts_elided);
}

TEST_CASE("durability: a full disk stops credit, answers nothing, and heals") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    const auto out = play({.workers = workers, .full_disk = true});
    CHECK(out.seen.accepted == message_count);
    CHECK(out.seen.early == 0);
    CHECK(out.counted.credit_stops >= 1);
  }
}

TEST_CASE("durability: a sync that fails ends the broker, and nothing is answered behind it") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    const auto out = play({.workers = workers, .failing_sync = true});
    CHECK(out.seen.accepted >= accepted_first);
    CHECK(out.seen.accepted < message_count);
    CHECK(out.seen.early == 0);
    CHECK(out.seen.refused == 0);
  }
}

TEST_CASE("durability: the check notices a broker that accepts before it commits") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    CHECK(play({.workers = workers, .accept_before_commit = true}).seen.early > 0);
  }
}

TEST_CASE("durability: the check notices a disk that does not sync") {
  for (const std::uint32_t workers : {1U, 3U}) {
    CAPTURE(workers);
    CHECK(play({.workers = workers, .skip_syncs = true}).seen.early > 0);
  }
}

}  // namespace whimbrel
