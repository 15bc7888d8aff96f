// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/ledger.hpp"

#include <algorithm>

namespace whimbrel::crash {
namespace {

constexpr std::size_t violations_max = 20;

}  // namespace

void ledger::note(std::uint64_t& counter, const std::string& what) {
  ++counter;
  if (violations_.size() < violations_max) violations_.push_back(what);
}

void ledger::corrupted(const std::string& what) { note(other_, "wrong: " + what); }

ledger::record* ledger::known(message_id id) {
  if (id < records_.size()) return &records_[id];
  note(invented_, "invented: message " + std::to_string(id) + " was never sent");
  return nullptr;
}

message_id ledger::send(std::uint32_t producer, std::uint32_t queue) {
  record r;
  r.producer = producer;
  r.queue = static_cast<std::uint16_t>(queue);
  r.waits_accept = true;
  records_.push_back(r);
  ++totals_.sent;
  ++unanswered_sends_;
  return records_.size() - 1;
}

void ledger::accept(message_id id) {
  record& r = records_[id];
  if (!r.waits_accept) return;
  r.waits_accept = false;
  r.accepted = true;
  --unanswered_sends_;
  ++totals_.accepted;
}

void ledger::refuse(message_id id) {
  record& r = records_[id];
  if (!r.waits_accept) return;
  r.waits_accept = false;
  --unanswered_sends_;
  note(other_, "refused: message " + std::to_string(id));
}

void ledger::end(record& r) {
  if (!r.gone) ++ended_;
  r.gone = true;
}

/// What holds for every sight of a message, whenever it is.
void ledger::check_sight(record& r, message_id id, std::uint32_t queue,
                         std::uint32_t delivery_count) {
  const std::string name = "message " + std::to_string(id);
  if (r.queue != queue) note(other_, "strayed: " + name + " came from another queue");
  if (r.final_answered || r.gone) {
    note(resurrected_, "resurrected: " + name + (r.final_answered
                                                     ? " came after its settlement was answered"
                                                     : " came after it was found to be gone"));
  }
  if (delivery_count < r.failed_least || delivery_count > r.failed_most) {
    note(other_, "miscounted: " + name + " has delivery-count " + std::to_string(delivery_count) +
                     ", not " + std::to_string(r.failed_least) + " to " +
                     std::to_string(r.failed_most));
  }
}

void ledger::receive(message_id id, std::uint32_t queue, std::uint32_t delivery_count) {
  record* r = known(id);
  if (r == nullptr) return;
  ++totals_.received;
  check_sight(*r, id, queue, delivery_count);
  if (r->held) note(other_, "two holders of message " + std::to_string(id));
  if (r->final_sent && !r->final_answered) {
    note(other_, "message " + std::to_string(id) + " came again after its final outcome");
  }
  r->held = true;
}

void ledger::send_outcome(message_id id, outcome what) {
  record& r = records_[id];
  r.held = false;
  r.outcome_waits = true;
  ++unanswered_outcomes_;
  if (is_final(what)) r.final_sent = true;
  if (what == outcome::failed) ++r.failed_most;
}

void ledger::answer(message_id id, outcome what) {
  record& r = records_[id];
  --unanswered_outcomes_;
  ++totals_.answered;
  if (is_final(what)) {
    r.final_answered = true;
    end(r);
  }
  if (what == outcome::failed) ++r.failed_least;
}

void ledger::crash() {
  for (std::size_t i = judged_from_; i < records_.size(); ++i) {
    records_[i].held = false;
    records_[i].waits_accept = false;
    records_[i].outcome_waits = false;
  }
  unanswered_sends_ = 0;
  unanswered_outcomes_ = 0;
}

void ledger::begin_recovery() {
  for (std::size_t i = judged_from_; i < records_.size(); ++i) records_[i].found = false;
  last_found_.clear();
  found_ = 0;
  in_doubt_ = 0;
}

void ledger::found(message_id id, std::uint32_t queue, std::uint32_t delivery_count) {
  record* r = known(id);
  if (r == nullptr) return;
  ++found_;
  check_sight(*r, id, queue, delivery_count);
  if (r->found) {
    note(other_, "doubled: message " + std::to_string(id) + " is there twice");
    return;
  }
  r->found = true;
  const std::size_t lane = r->producer;
  if (last_found_.size() <= lane) last_found_.resize(lane + 1, 0);
  if (last_found_[lane] > id + 1) {
    note(other_, "disorder: message " + std::to_string(id) + " came after " +
                     std::to_string(last_found_[lane] - 1) + " of the same producer");
  }
  last_found_[lane] = id + 1;
  // From here on it is known to be stored, and how often it has failed.
  r->accepted = true;
  r->final_sent = false;
  r->failed_least = r->failed_most = static_cast<std::uint16_t>(delivery_count);
}

void ledger::end_recovery() {
  for (std::size_t i = judged_from_; i < records_.size(); ++i) {
    record& r = records_[i];
    if (r.found || r.gone) continue;
    if (r.accepted && !r.final_sent) {
      note(lost_, "lost: message " + std::to_string(i) + " was accepted, and has no outcome");
    } else {
      ++in_doubt_;
    }
    end(r);
  }
  while (judged_from_ < records_.size() && records_[judged_from_].gone) ++judged_from_;
}

}  // namespace whimbrel::crash
