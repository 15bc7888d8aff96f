// SPDX-License-Identifier: Apache-2.0
// A ledger that notices nothing would make every crash test pass. So: histories of a broker that
// does what it must not, each of which has to be noticed, and one of a broker that does not.
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/crash/ledger.hpp"

namespace whimbrel::crash {
namespace {

struct history {
  std::string what = {};
  std::function<void(ledger&)> run = {};
  std::uint64_t (ledger::*noticed)() const = nullptr;
};

message_id accepted_message(ledger& l) {
  const message_id id = l.send(0, 0);
  l.accept(id);
  return id;
}

void settle(ledger& l, message_id id, outcome what, bool answered) {
  l.receive(id, 0, 0);
  l.send_outcome(id, what);
  if (answered) l.answer(id, what);
}

void recover(ledger& l, const std::vector<message_id>& there, std::uint32_t delivery_count = 0) {
  l.crash();
  l.begin_recovery();
  for (const message_id id : there) l.found(id, 0, delivery_count);
  l.end_recovery();
}

const std::vector<history> faults = {
    {"an accepted message is not found", [](ledger& l) { accepted_message(l); recover(l, {}); },
     &ledger::lost},
    {"an accepted message that was released is not found",
     [](ledger& l) { settle(l, accepted_message(l), outcome::released, true); recover(l, {}); },
     &ledger::lost},
    {"a message survives one crash and not the next",
     [](ledger& l) { recover(l, {accepted_message(l)}); recover(l, {}); }, &ledger::lost},
    {"a sent message is found once, then not",
     [](ledger& l) { recover(l, {l.send(0, 0)}); recover(l, {}); }, &ledger::lost},
    {"a message is found that nobody sent", [](ledger& l) { recover(l, {7}); },
     &ledger::invented},
    {"a message is found after its settlement was answered",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       settle(l, id, outcome::accepted, true);
       recover(l, {id});
     },
     &ledger::resurrected},
    {"a message is received after its settlement was answered",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       settle(l, id, outcome::rejected, true);
       l.receive(id, 0, 0);
     },
     &ledger::resurrected},
    {"a message comes back after it was gone",
     [](ledger& l) {
       const message_id id = l.send(0, 0);
       recover(l, {});
       recover(l, {id});
     },
     &ledger::resurrected},
    {"a message is there twice",
     [](ledger& l) { const message_id id = accepted_message(l); recover(l, {id, id}); },
     &ledger::other},
    {"a producer's messages change places",
     [](ledger& l) {
       const message_id a = accepted_message(l);
       const message_id b = accepted_message(l);
       recover(l, {b, a});
     },
     &ledger::other},
    {"a crash counts as a delivery attempt",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       l.receive(id, 0, 0);
       recover(l, {id}, 1);
     },
     &ledger::other},
    {"an answered delivery-failed is not counted",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       settle(l, id, outcome::failed, true);
       recover(l, {id}, 0);
     },
     &ledger::other},
    {"two consumers hold one message",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       l.receive(id, 0, 0);
       l.receive(id, 0, 0);
     },
     &ledger::other},
    {"a message comes again after its final outcome was sent",
     [](ledger& l) {
       const message_id id = accepted_message(l);
       settle(l, id, outcome::accepted, false);
       l.receive(id, 0, 0);
     },
     &ledger::other},
    {"a message changes its queue",
     [](ledger& l) { accepted_message(l); l.receive(0, 1, 0); }, &ledger::other},
    {"a message is refused", [](ledger& l) { l.refuse(l.send(0, 0)); }, &ledger::other},
};

/// Everything that is permitted, in doubt both ways.
void honest(ledger& l) {
  const message_id kept = accepted_message(l);
  const message_id taken = accepted_message(l);
  settle(l, taken, outcome::accepted, true);
  const message_id doubt_gone = accepted_message(l);
  settle(l, doubt_gone, outcome::accepted, false);
  const message_id doubt_there = accepted_message(l);
  settle(l, doubt_there, outcome::accepted, false);
  const message_id sent_there = l.send(1, 0);
  l.send(1, 0);  // not there
  recover(l, {kept, doubt_there, sent_there});
  settle(l, kept, outcome::failed, false);
  l.crash();
  l.begin_recovery();
  l.found(kept, 0, 1);
  l.found(doubt_there, 0, 0);
  l.found(sent_there, 0, 0);
  l.end_recovery();
}

}  // namespace

int self_test() {
  int unnoticed = 0;
  for (const history& each : faults) {
    ledger l;
    each.run(l);
    if ((l.*each.noticed)() == 1 && !l.is_clean()) continue;
    std::fprintf(stderr, "not noticed: %s\n", each.what.c_str());
    ++unnoticed;
  }
  ledger l;
  honest(l);
  if (!l.is_clean() || l.found_count() != 3) {
    std::fprintf(stderr, "an honest broker was blamed\n");
    for (const std::string& each : l.violations()) std::fprintf(stderr, "  %s\n", each.c_str());
    ++unnoticed;
  }
  std::printf("%zu faults of a broker, %d not noticed\n", faults.size(), unnoticed);
  return unnoticed;
}

}  // namespace whimbrel::crash
