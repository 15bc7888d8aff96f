// SPDX-License-Identifier: Apache-2.0
// Routing of letters, tables of names, and the gate that producers' credit passes.
#include "broker/core/shard.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/joint.hpp"
#include "broker/core/router.hpp"
#include "broker/core/slab.hpp"

namespace whimbrel::broker::core {

namespace {

storage::token pack(queue_ref ref) {
  return storage::token{std::uint64_t{ref.slot} << 32 | ref.generation};
}

queue_ref unpack(worker_id worker, storage::token t) {
  const auto bits = static_cast<std::uint64_t>(t);
  return {worker, static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits)};
}

bool goes_to_queue(letter_kind kind) { return kind <= letter_kind::remove_producer; }

}  // namespace

shard::shard(shard_options options, executor& run_on, storage::store& store, post_office& post,
             shard_owner& owner)
    : options_(options),
      run_on_(run_on),
      store_(store),
      post_(post),
      owner_(owner),
      commits_(options.self, store, [this](letter&& l) { send(std::move(l)); }),
      outboxes_(options.workers),
      memory_(static_cast<std::int64_t>(options.memory_octets)),
      routes_(std::make_unique<router>()),
      joints_(std::make_unique<joint>(*this)) {
  commits_.accept_before_commit = options.accept_before_commit;
  commits_.on_durable = [this](queue_ref ref, sequence last) {
    if (queue* q = find(ref)) q->on_durable(last);
  };
  commits_.on_submitted = [this](queue_ref ref) {
    if (queue* q = find(ref)) q->on_submitted();
  };
  commits_.on_withdrawn = [this](queue_ref ref, sequence at, bool gone) {
    if (queue* q = find(ref)) q->end_withdraw(at, gone);
  };
}

shard::~shard() {
  if (stall_timer_) run_on_.cancel(*stall_timer_);
  // Queues give back their memory; nobody is told of the gate any more.
  memory_ = std::numeric_limits<std::int64_t>::max();
  gate_open_ = true;
  for (queue_slot& s : queues_) s.at.reset();
}

// --- letters ---------------------------------------------------------------------------------

void shard::send(letter&& l) {
  const worker_id to = goes_to_queue(l.kind) ? l.queue.worker : l.link.worker;
  if (to == options_.self) return receive(std::move(l));
  auto& outbox = outboxes_[static_cast<std::size_t>(to)];
  if (!outbox.empty() && merge(outbox.back(), l)) return;
  outbox.push_back(std::move(l));
}

/// Verdicts and answers for neighbouring deliveries travel as one.
bool shard::merge(letter& before, const letter& l) {
  if (l.kind != letter_kind::verdict && l.kind != letter_kind::answer) return false;
  if (before.kind != l.kind || before.link != l.link || before.outcome != l.outcome) return false;
  if (before.detail || l.detail) return false;
  if (before.id + static_cast<std::uint32_t>(before.last) + 1 != l.id) return false;
  before.last += l.last + 1;
  return true;
}

void shard::send_put(queue_ref to, link_ref from, std::uint32_t id, bool presettled,
                     message_ptr message) {
  const auto write = [&](letter& l) {
    l.kind = letter_kind::put;
    l.flags = presettled ? letter_flag::presettled : std::uint8_t{0};
    l.id = id;
    l.link = from;
    l.queue = to;
    l.message = std::move(message);
  };
  if (to.worker != options_.self) {
    return write(outboxes_[static_cast<std::size_t>(to.worker)].emplace_back());
  }
  if (queue* q = find(to)) return q->put(std::move(message), from, id, presettled);
  letter l;
  write(l);
  refuse(std::move(l));
}

void shard::send_delivery(link_ref to, queue_ref from, const delivery& d,
                          const message_ptr& message) {
  if (to.worker == options_.self) {
    link_end* const end = find_link(to);
    if (end == nullptr) return send_back(from, to, d.at);
    ++counters_.delivered;
    return end->on_delivery(from, d, message);
  }
  letter& l = outboxes_[static_cast<std::size_t>(to.worker)].emplace_back();
  l.kind = letter_kind::deliver;
  l.flags = d.first_acquirer ? letter_flag::first_acquirer : std::uint8_t{0};
  l.count = d.failed;
  l.link = to;
  l.queue = from;
  l.first = d.at;
  l.message = message;
  l.expires_ms = d.expires_ms;
}

void shard::send_verdict(link_ref producer, std::uint32_t id, outcome what) {
  if (producer.worker == options_.self) {
    if (link_end* end = find_link(producer)) end->on_verdict(id, 1, what);
    return;
  }
  auto& outbox = outboxes_[static_cast<std::size_t>(producer.worker)];
  if (!outbox.empty()) {  // mostly the next after the one before
    letter& before = outbox.back();
    if (before.kind == letter_kind::verdict && before.link == producer && before.outcome == what &&
        before.id + static_cast<std::uint32_t>(before.last) + 1 == id && !before.detail) {
      ++before.last;
      return;
    }
  }
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = what;
  l.link = producer;
  l.id = id;
  send(std::move(l));
}

void shard::send_answer(link_ref consumer, std::uint32_t id, std::uint32_t count, outcome what) {
  letter l;
  l.kind = letter_kind::answer;
  l.outcome = what;
  l.link = consumer;
  l.id = id;
  l.last = count - 1;
  send(std::move(l));
}

void shard::send_gate(link_ref producer, bool also) {
  letter l;
  l.kind = letter_kind::gate;
  l.flags = gate_open_ && also ? letter_flag::open : std::uint8_t{0};
  l.id = static_cast<std::uint32_t>(options_.self);
  l.link = producer;
  send(std::move(l));
}

void shard::send_task(worker_id to, std::function<void(shard&)> run) {
  letter l;
  l.kind = letter_kind::task;
  l.link.worker = to;
  l.detail = std::make_unique<letter_detail>();
  l.detail->run = std::move(run);
  send(std::move(l));
}

void shard::receive(letter&& l) {
  if (l.kind == letter_kind::task) return l.detail->run(*this);
  if (goes_to_queue(l.kind)) return to_queue(std::move(l));
  to_link(std::move(l));
}

void shard::to_queue(letter&& l) {
  if (queue* q = find(l.queue)) return q->on_letter(std::move(l));
  refuse(std::move(l));
}

void shard::to_link(letter&& l) {
  if (link_end* end = find_link(l.link)) {
    counters_.delivered += l.kind == letter_kind::deliver ? 1 : 0;
    return end->on_letter(std::move(l));
  }
  if (l.kind == letter_kind::deliver) send_back(l.queue, l.link, l.first);
}

/// Answers for a queue that has gone, so that nobody waits for ever.
void shard::refuse(letter&& l) {
  letter answer;
  answer.link = l.link;
  switch (l.kind) {
    case letter_kind::put:
      if (l.has(letter_flag::presettled)) return;
      answer.kind = letter_kind::verdict;
      answer.outcome = outcome::rejected;
      answer.id = l.id;
      break;
    case letter_kind::subscribe:
    case letter_kind::add_producer: answer.kind = letter_kind::detached; break;
    case letter_kind::prepare:
      answer.kind = letter_kind::prepared;
      answer.id = l.id;
      answer.count = l.count;
      break;
    case letter_kind::apply:
      // The queue's messages went from the store before this one came to it.
      return commits_.settle(storage::queue_id{l.last}, l.first, l.first);
    case letter_kind::grant:
      if (!l.has(letter_flag::drain)) return;
      answer.kind = letter_kind::drained;
      answer.first = l.count;
      break;
    case letter_kind::settle:
      if (!l.has(letter_flag::answer)) return;
      // Behind the queue's removal, which may still have to become durable.
      return commits_.answer(l.link, l.id, static_cast<std::uint32_t>(l.last - l.first + 1),
                             l.outcome);
    default: return;
  }
  if (answer.kind == letter_kind::verdict || answer.kind == letter_kind::detached) {
    answer.detail = std::make_unique<letter_detail>();
    answer.detail->condition = amqp::spec::conditions::resource_deleted;
    answer.detail->description = "the queue has been deleted";
  }
  send(std::move(answer));
}

/// Each `deliver` is answered exactly once, also when its link has gone.
void shard::send_back(queue_ref from, link_ref to, sequence at) {
  letter answer;
  answer.kind = letter_kind::settle;
  answer.outcome = outcome::released;
  answer.link = to;
  answer.queue = from;
  answer.first = answer.last = at;
  send(std::move(answer));
}

void shard::flush_store() { commits_.flush(); }

void shard::flush_letters() {
  for (std::size_t to = 0; to < outboxes_.size(); ++to) {
    if (!outboxes_[to].empty()) post_.hand_over(static_cast<worker_id>(to), outboxes_[to]);
  }
}

// --- links -----------------------------------------------------------------------------------

link_ref shard::add_link(link_end& end) {
  std::uint32_t slot = 0;
  if (free_links_.empty()) {
    slot = static_cast<std::uint32_t>(links_.size());
    links_.emplace_back();
  } else {
    slot = free_links_.back();
    free_links_.pop_back();
  }
  links_[slot].at = &end;
  return {options_.self, slot, links_[slot].generation};
}

void shard::remove_link(link_ref ref) {
  link_slot& s = links_[ref.slot];
  AMQP_ASSERT(s.generation == ref.generation);
  s.at = nullptr;
  if (++s.generation == 0) s.generation = 1;
  free_links_.push_back(ref.slot);
}

link_end* shard::find_link(link_ref ref) const {
  if (ref.slot >= links_.size() || links_[ref.slot].generation != ref.generation) return nullptr;
  return links_[ref.slot].at;
}

void shard::watch_gate(link_ref link) {
  gate_watchers_.push_back(link);
  send_gate(link);
}

void shard::unwatch_gate(link_ref link) { std::erase(gate_watchers_, link); }

// --- queues ----------------------------------------------------------------------------------

queue_ref shard::create_queue(queue_settings settings) {
  std::uint32_t slot = 0;
  if (free_queues_.empty()) {
    slot = static_cast<std::uint32_t>(queues_.size());
    queues_.emplace_back();
  } else {
    slot = free_queues_.back();
    free_queues_.pop_back();
  }
  const queue_ref ref{options_.self, slot, queues_[slot].generation};
  queues_[slot].at = std::make_unique<queue>(*this, ref, std::move(settings));
  return ref;
}

void shard::delete_queue(queue_ref ref, std::string_view condition,
                         const std::string& description) {
  if (find(ref) == nullptr) return;
  queue_slot& s = queues_[ref.slot];
  const auto gone = std::move(s.at);
  if (++s.generation == 0) s.generation = 1;
  free_queues_.push_back(ref.slot);
  if (gone->settings().durable) commits_.drop_queue(gone->settings().id);
  gone->erase_window();
  gone->close(condition, description);
}

queue* shard::find(queue_ref ref) {
  if (ref.slot >= queues_.size() || queues_[ref.slot].generation != ref.generation) return nullptr;
  return queues_[ref.slot].at.get();
}

// --- the store -------------------------------------------------------------------------------

void shard::on_commit(const storage::commit_done& done) {
  if (!commits_.on_commit(done)) owner_.on_store_failed();
}

void shard::on_withdraw(const storage::withdraw_done& done) { commits_.on_withdraw(done); }

void shard::read(queue_ref ref, storage::queue_id id, sequence from, std::size_t octets) {
  store_.read(options_.self, id, from, octets, pack(ref));
}

void shard::on_read(storage::read_done done) {
  queue* q = find(unpack(options_.self, done.done));
  if (q != nullptr) q->on_read(std::move(done.items), done.failed);
}

void shard::on_pressure(storage::pressure level) {
  pressure_ = level;
  if (level == storage::pressure::stalled) {
    if (!stall_timer_) start_stall_timer();
  } else if (stall_timer_) {
    run_on_.cancel(*std::exchange(stall_timer_, std::nullopt));
  }
  if (level == storage::pressure::failed) return owner_.on_store_failed();
  update_gate();
}

/// Producers that have waited for the disk all this time are told so; consumers keep what they
/// have been given.
void shard::on_stalled_too_long() {
  stall_timer_.reset();
  commits_.withdraw([this](queue_ref ref, sequence at, link_ref producer, std::uint32_t id) {
    if (joints_->is_coordinator(producer)) return joints_->may_withdraw(producer, id);
    queue* q = find(ref);
    return q != nullptr && q->begin_withdraw(at);
  });
  start_stall_timer();
}

void shard::start_stall_timer() {
  stall_timer_ = run_on_.after(options_.store_stall_max, [this] { on_stalled_too_long(); });
}

// --- memory and credit -----------------------------------------------------------------------

void shard::add_resident(std::int64_t octets) {
  resident_ += octets;
  const bool full = resident_ > memory_ - memory_ / 10;
  const bool room = resident_ < memory_ - memory_ / 5;
  if ((full && gate_open_) || (room && !gate_open_)) update_gate();
}

void shard::update_gate() {
  const bool memory_ok = gate_open_ ? resident_ <= memory_ - memory_ / 10
                                    : resident_ < memory_ - memory_ / 5;
  const bool store_ok = pressure_ == storage::pressure::none;
  if (gate_open_ == (memory_ok && store_ok)) return;
  gate_open_ = !gate_open_;
  counters_.credit_stops += gate_open_ ? 0 : 1;
  each_queue([](queue& q) { q.on_gate(); });
  for (const link_ref& link : gate_watchers_) send_gate(link);
}

void shard::tick() {
  slab::tidy();
  each_queue([this](queue& q) {
    if (q.has_expiring()) q.drop_expired();
    q.retire_if_unused();
    if (q.depth() == 0) q.release_spares();
    if (memory_is_short()) q.leave_memory();
  });
}

void shard::report_unreadable(const std::string& queue_name, sequence at) {
  ++counters_.unreadable;
  owner_.log("message " + std::to_string(at) + " of queue '" + queue_name +
             "' cannot be read back: dropped");
}

}  // namespace whimbrel::broker::core
