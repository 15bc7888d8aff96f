// SPDX-License-Identifier: Apache-2.0
// A queue that takes a message once: one whose id it has seen lately is accepted, counted, and goes
// nowhere.
//
// Two promises hang on this. What is told of the second is true of the first: `accepted` waits
// until that is durable. And an id is known only while its message is, or was, there: both are in
// one batch, from which neither is cancelled out nor taken back.
#include <utility>

#include "broker/core/duplicate_window.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// The policy has come, gone or changed.
void queue::begin_window() {
  auto& window = manners_->window;
  const queue_policy& p = manners_->policy;
  if (!p.dedup_window) {
    erase_window();
    window.reset();
    return;
  }
  if (!window) window = std::make_unique<duplicate_window>();
  window->set(*p.dedup_window, p.dedup_max.value_or(duplicate_window::count_max_usual));
  trim_window();
}

void queue::trim_window() {
  for (storage::record& r : manners_->window->trim(settings_.id, home_.run_on().wall_ms())) {
    home_.commits().add(std::move(r));
  }
}

void queue::erase_window() {
  if (!manners_ || !manners_->window) return;
  for (storage::record& r : manners_->window->erase_all(settings_.id)) {
    home_.commits().add(std::move(r));
  }
}

/// The ids of a batch join it when it leaves.
void queue::save_window() {
  if (auto record = manners_->window->take_record(settings_.id)) {
    home_.commits().add(*std::move(record));
  }
}

void queue::restore_ids(std::uint64_t record, std::span<const std::byte> value) {
  if (!manners_) manners_ = std::make_unique<queue_manners>();
  if (!manners_->window) manners_->window = std::make_unique<duplicate_window>();
  manners_->window->restore(record, value);
}

/// True: it has been here before, and `answer` is called when that one is safe. Else `id` is what
/// it is to be remembered by, if anything.
bool queue::is_duplicate(const message& m, std::optional<std::string>& id,
                         const std::function<void()>& answer) {
  trim_window();
  id = duplicate_window::id_of(m);
  const duplicate_window::memory* before = id ? manners_->window->find(*id) : nullptr;
  if (before == nullptr) return false;
  ++counters_.duplicates;
  const stub* s = before->at == 0 ? nullptr : ring_.find(before->at);
  if (s != nullptr && s->at == place::prepared) {
    manners_->unapplied.emplace_back(before->at, answer);
  } else if (before->stored) {
    home_.commits().when_durable(answer);  // behind the batch that the first is in
  } else {
    answer();
  }
  return true;
}

bool queue::is_duplicate_put(const message& m, std::optional<std::string>& id, link_ref producer,
                             std::uint32_t delivery) {
  return is_duplicate(m, id, [&home = home_, producer, delivery] {
    if (producer) home.send_verdict(producer, delivery, outcome::accepted);
  });
}

bool queue::is_duplicate_part(const letter& l, std::optional<std::string>& id) {
  return is_duplicate(*l.message, id, [&home = home_, link = l.link, change = l.id,
                                       part = l.count] {
    letter known;
    known.kind = letter_kind::prepared;
    known.flags = letter_flag::known;
    known.link = link;
    known.id = change;
    known.count = part;
    home.send(std::move(known));
  });
}

/// The message has got its place.
void queue::note_id(sequence at, stub& s, std::string id) {
  const bool stored = s.body->header().durable && settings_.durable;
  manners_->window->add(std::move(id), at, stored, home_.run_on().wall_ms());
  if (!stored) return;
  s.joint = true;
  s.bound = true;
}

/// As part of a joint change: the coordinator writes the id with the message.
std::unique_ptr<letter_detail> queue::note_prepared_id(sequence at, std::string id) {
  auto out = std::make_unique<letter_detail>();
  out->record = manners_->window->add_alone(settings_.id, std::move(id), at,
                                            home_.run_on().wall_ms());
  return out;
}

/// The message at `at` is durable: whoever sent it again hears of it now.
void queue::answer_unapplied(sequence at) {
  auto& waiting = manners_->unapplied;
  std::vector<std::function<void()>> due;
  for (auto& [first, answer] : waiting) {
    if (first == at) due.push_back(std::move(answer));
  }
  std::erase_if(waiting, [&](const auto& w) { return w.first == at; });
  for (const auto& answer : due) answer();
}

}  // namespace whimbrel::broker::core
