// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/clients.hpp"

#include <algorithm>

namespace whimbrel::simulation {

namespace flag = core::letter_flag;

// --- producer --------------------------------------------------------------------------------

void producer::put(bool durable, bool presettled) {
  const std::string text = name_ + ':' + std::to_string(next_++);
  in_.book.entries[text].durable = durable;
  ++in_.book.totals.sent;
  letter l;
  l.kind = letter_kind::put;
  l.flags = presettled ? flag::presettled : std::uint8_t{0};
  l.id = next_id_++;
  l.message = test::make_text(text, {.durable = durable});
  if (!presettled) waiting_[l.id] = text;
  in_.book.note(text, l.id);
  post(std::move(l));
}

void producer::on_letter(letter&& l) {
  if (l.kind == letter_kind::gate) open_ = l.has(flag::open);
  if (l.kind != letter_kind::verdict) return;
  for (std::uint32_t i = 0; i <= l.last; ++i) on_verdict(l.id + i, l.outcome);
}

void producer::on_verdict(std::uint32_t id, outcome what) {
  in_.book.note("verdict", id, static_cast<std::uint64_t>(what));
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) {
    ++in_.book.faults.twice;
    return;
  }
  const std::string text = found->second;
  waiting_.erase(found);
  ledger_entry& e = in_.book.entries.at(text);
  if (what != outcome::accepted) {
    e.refused = true;
    ++in_.book.totals.rejected;
    // What a consumer has seen, or the store has, is not refused.
    if (in_.touched.contains(text) || in_.spy.is_durable(text)) ++in_.book.faults.early;
    return;
  }
  e.accepted = true;
  ++in_.book.totals.accepted;
  if (!e.durable || in_.spy.is_durable(text)) return;
  // Cancelled out: its consumer has settled it, and the store never saw it.
  ++in_.book.totals.cancelled;
  if (!e.settled || in_.spy.was_submitted(text)) ++in_.book.faults.early;
}

// --- consumer --------------------------------------------------------------------------------

void consumer::grant(std::uint32_t more, bool drain) {
  // Never less than before: what is under way keeps within it, so every delivery can be judged.
  if (static_cast<std::int32_t>(received_ + more - limit_) > 0) limit_ = received_ + more;
  draining_ = drain;
  post(letter_kind::grant, drain ? flag::drain : std::uint8_t{0}, limit_);
}

void consumer::on_letter(letter&& l) {
  switch (l.kind) {
    case letter_kind::deliver:
      return on_deliver(l);
    case letter_kind::answer:
      for (std::uint32_t i = 0; i <= l.last; ++i) on_answer(l.id + i, l.outcome);
      return;
    case letter_kind::drained:
      in_.book.note("drained", received_);
      draining_ = false;
      if (l.count != received_) ++in_.book.faults.over_credit;
      return;
    default:
      return;
  }
}

void consumer::on_deliver(const letter& l) {
  ledger& book = in_.book;
  const std::string text = test::text_of(*l.message);
  book.note(text, l.first, l.count);
  ++book.totals.delivered;
  const auto found = book.entries.find(text);
  if (found == book.entries.end() || found->second.refused) {
    ++book.faults.invented;
    return;
  }
  ledger_entry& e = found->second;
  if (e.answered) ++book.faults.seen_again;
  if (static_cast<std::int32_t>(limit_ - ++received_) < 0) ++book.faults.over_credit;
  check_count(e, l.count);
  book.totals.redelivered += e.deliveries > 0 ? 1 : 0;
  ++e.deliveries;
  if (in_.touched.insert(text).second) {
    const auto colon = text.find(':');
    const int number = std::stoi(text.substr(colon + 1));
    int& newest = newest_.emplace(text.substr(0, colon), -1).first->second;
    if (number <= newest) ++book.faults.out_of_order;
    newest = std::max(newest, number);
  }
  held_[l.first] = {next_id_++, text};
}

/// Between crashes the count is exactly what consumers said; a crash may forget what was not
/// answered, and nothing else.
void consumer::check_count(ledger_entry& e, std::uint32_t count) {
  const bool fine =
      e.count_is_sure ? count == e.failed : count >= e.failed_answered && count <= e.failed;
  if (!fine) ++in_.book.faults.bad_count;
  if (!e.count_is_sure) e.failed_answered = std::max(e.failed_answered, count);
  e.failed = count;
  e.count_is_sure = true;
}

void consumer::settle_oldest(outcome what, bool failed, bool answer, std::size_t range_max) {
  if (held_.empty()) return;
  const auto first = held_.begin();
  letter l;
  l.kind = letter_kind::settle;
  l.outcome = what;
  if (answer) l.flags |= flag::answer;
  if (failed) l.flags |= flag::failed;
  l.id = first->second.id;
  l.first = l.last = first->first;
  auto it = first;
  for (std::uint32_t n = 0; it != held_.end() && n < range_max; ++it, ++n) {
    if (it->first != l.first + n || it->second.id != l.id + n) break;
    l.last = it->first;
    conclude(it->second, what, failed, answer);
  }
  held_.erase(first, it);
  post(std::move(l));
}

void consumer::conclude(const holding& h, outcome what, bool failed, bool answer) {
  ledger_entry& e = in_.book.entries.at(h.text);
  in_.book.note(h.text, h.id, static_cast<std::uint64_t>(what));
  if (failed) ++e.failed;
  if (what == outcome::accepted || what == outcome::rejected) {
    e.settled = true;
    ++in_.book.totals.settled;
  }
  if (answer) waiting_[h.id] = {h.text, what, failed ? e.failed : 0};
}

void consumer::on_answer(std::uint32_t id, outcome what) {
  ledger& book = in_.book;
  book.note("answer", id, static_cast<std::uint64_t>(what));
  const auto found = waiting_.find(id);
  if (found == waiting_.end() || found->second.what != what) {
    ++book.faults.twice;
    return;
  }
  const question q = found->second;
  waiting_.erase(found);
  ++book.totals.answered;
  ledger_entry& e = book.entries.at(q.text);
  e.failed_answered = std::max(e.failed_answered, q.failed);
  if (what != outcome::accepted && what != outcome::rejected) return;
  e.answered = true;
  // The removal is durable, or there is nothing to remove.
  const bool in_store = in_.spy.was_submitted(q.text) || in_.spy.is_durable(q.text);
  if (in_store && !in_.spy.is_removed(q.text)) ++book.faults.early;
}

void consumer::leave(bool failed) {
  in_.book.note("leave", held_.size());
  post(letter_kind::unsubscribe);
  while (!held_.empty()) {
    settle_oldest(failed ? outcome::modified : outcome::released, failed, false, 1);
  }
}

}  // namespace whimbrel::simulation
