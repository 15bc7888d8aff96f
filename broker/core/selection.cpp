// SPDX-License-Identifier: Apache-2.0
// Selective consumers by what they want.
#include "broker/core/selection.hpp"

#include <algorithm>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core {

void selection::add(slot s, const predicate& wants, sequence from) {
  if (members_.size() <= s) members_.resize(s + 1);
  auto m = std::make_unique<member>();
  m->wants = &wants;
  m->next = from;
  if (const auto equality = wants.find_equality()) {
    m->of = find_field(equality->field, wants, from);
    m->hash = equality->hash;
  }
  if (m->of != nullptr) {
    ++m->of->consumers;
    m->of->open.consumers.push_back(s);
    m->of->by_hash[m->hash].consumers.push_back(s);
  } else {
    others_.push_back(s);
  }
  members_[s] = std::move(m);
  ++count_;
}

/// The index of this field, made if there is room for one; it then reads all messages there are.
selection::field* selection::find_field(const std::string& name, const predicate& wants,
                                        sequence from) {
  for (auto& f : fields_) {
    if (f->name == name) return f.get();
  }
  if (fields_.size() == fields_max) return nullptr;
  auto f = std::make_unique<field>();
  f->name = name;
  f->asks = &wants;
  f->indexed_to = from;
  return fields_.emplace_back(std::move(f)).get();
}

void selection::remove(slot s) {
  const std::unique_ptr<member> gone = std::move(members_[s]);
  AMQP_ASSERT(gone != nullptr);
  --count_;
  std::erase(ready, s);
  std::erase(blocked, s);
  if (gone->of == nullptr) {
    std::erase(others_, s);
    return;
  }
  field& f = *gone->of;
  std::erase(f.open.consumers, s);
  std::erase(f.by_hash[gone->hash].consumers, s);
  if (--f.consumers == 0) {
    for (const auto& entry : f.by_hash) kept_ -= entry.second.waiting.size();
    kept_ -= f.open.waiting.size();
    std::erase_if(fields_, [&](const auto& each) { return each.get() == &f; });
  } else if (f.asks == gone->wants) {
    f.asks = members_[f.open.consumers.front()]->wants;
  }
}

storage::sequence selection::next_unindexed(sequence end) const {
  for (const auto& f : fields_) end = std::min(end, f->indexed_to);
  return end;
}

void selection::look_again(const std::vector<slot>& slots, sequence at) {
  for (const slot s : slots) {
    if (at < members_[s]->next) members_[s]->again.insert(at);
  }
}

void selection::insert(posting& p, sequence at) {
  const auto place = std::lower_bound(p.waiting.begin(), p.waiting.end(), at);
  if (place == p.waiting.end() || *place != at) p.waiting.insert(place, at);
}

void selection::trim(posting& p, stub_ring& ring) {
  while (!p.waiting.empty()) {
    const stub* s = ring.find(p.waiting.front());
    if (s != nullptr && s->at != place::gone) return;
    p.waiting.pop_front();
  }
}

void selection::sweep(stub_ring& ring, std::size_t depth) {
  constexpr std::size_t few = 1024;
  if (kept_ <= few || kept_ <= 2 * fields_.size() * depth) return;
  kept_ = 0;
  const auto has_gone = [&](sequence at) {
    const stub* s = ring.find(at);
    return s == nullptr || s->at == place::gone;
  };
  for (auto& f : fields_) {
    std::erase_if(f->open.waiting, has_gone);
    kept_ += f->open.waiting.size();
    for (auto& entry : f->by_hash) {
      std::erase_if(entry.second.waiting, has_gone);
      kept_ += entry.second.waiting.size();
    }
    boost::unordered::erase_if(f->by_hash, [](const auto& entry) {
      return entry.second.waiting.empty() && entry.second.consumers.empty();
    });
  }
}

/// The first in either of its postings that it has not looked at.
storage::sequence selection::next_posted(member& m, stub_ring& ring) {
  sequence out = ring.end();
  for (posting* p : {&m.of->by_hash[m.hash], &m.of->open}) {
    const std::size_t before = p->waiting.size();
    trim(*p, ring);
    kept_ -= std::min(kept_, before - p->waiting.size());
    const auto found = std::lower_bound(p->waiting.begin(), p->waiting.end(), m.next);
    if (found != p->waiting.end()) out = std::min(out, *found);
  }
  return out;
}

storage::sequence selection::next_for(slot s, stub_ring& ring) {
  member& m = *members_[s];
  if (!m.again.empty()) return *m.again.begin();
  m.next = std::max(m.next, ring.first());
  return m.of != nullptr ? next_posted(m, ring) : ring.next_present(m.next);
}

void selection::end_turn(slot s) {
  const member& m = *members_[s];
  const auto to_end = [s](std::vector<slot>& line) {
    if (line.back() == s) return;
    line.erase(std::find(line.begin(), line.end(), s));
    line.push_back(s);
  };
  if (m.of == nullptr) return to_end(others_);
  to_end(m.of->by_hash[m.hash].consumers);
}

void selection::pass(slot s, sequence at) {
  member& m = *members_[s];
  if (m.again.erase(at) == 0) m.next = at + 1;
}

}  // namespace whimbrel::broker::core
