// SPDX-License-Identifier: Apache-2.0
// The directory as administrators see it: declaring, deleting, emptying and looking at queues.
#include <algorithm>
#include <memory>
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/core/directory.hpp"

namespace whimbrel::broker::core {

namespace {

/// Messages that one turn of a queue's worker drops, so that its other queues get theirs.
constexpr std::size_t purged_a_turn = 10'000;

std::string text_of(bool b) { return b ? "true" : "false"; }

/// An argument as people write it: strings bare, the rest as values are printed.
std::string text_of(const amqp::codec::value& v) {
  if (auto text = v.text()) return *std::move(text);
  return amqp::codec::to_text(v);
}

/// Numbers are the same whatever their width, text whether string or symbol.
bool is_same_value(const amqp::codec::value& a, const amqp::codec::value& b) {
  if (a == b) return true;
  if (const auto n = a.to_signed(); n && n == b.to_signed()) return true;
  const auto text = a.text();
  return text && text == b.text();
}

bool differs(admin_reply& out, std::string_view field, std::string wanted, std::string present) {
  out.status = admin_status::differs;
  out.field = field;
  out.wanted = std::move(wanted);
  out.present = std::move(present);
  return false;
}

/// The rest of a purge, slice by slice, up to what was there when it began.
void purge_on(shard& there, queue_ref ref, sequence from, sequence end, std::uint64_t gone,
              const std::function<void(shard&, std::uint64_t)>& done) {
  queue* q = there.find(ref);
  if (q == nullptr || from >= end) return done(there, gone);
  gone += q->purge(from, end, purged_a_turn);
  if (from >= end) return done(there, gone);
  there.run_on().post([&there, ref, from, end, gone, done] {
    purge_on(there, ref, from, end, gone, done);
  });
}

/// The same argument, by whichever of its names it was given.
std::optional<amqp::codec::value> find_argument(const amqp::codec::map& in, std::string_view name) {
  for (const auto& [key, value] : in) {
    const auto text = key.text();
    if (text && argument_name(*text) == argument_name(name)) return value;
  }
  return std::nullopt;
}

/// Do both tell a queue to do the same, in whatever words?
bool mean_the_same(const amqp::codec::map& a, const amqp::codec::map& b) {
  queue_policy first;
  queue_policy second;
  return !set_arguments(first, a) && !set_arguments(second, b) && first == second;
}

}  // namespace

bool is_same(const queue_definition& present, const queue_definition& wanted, admin_reply& out) {
  if (present.durable != wanted.durable) {
    return differs(out, "durable", text_of(wanted.durable), text_of(present.durable));
  }
  if (present.exclusive != wanted.exclusive) {
    return differs(out, "exclusive", text_of(wanted.exclusive), text_of(present.exclusive));
  }
  if (present.auto_delete != wanted.auto_delete) {
    return differs(out, "auto_delete", text_of(wanted.auto_delete), text_of(present.auto_delete));
  }
  const bool same_effect = mean_the_same(present.arguments, wanted.arguments);
  for (const auto& [key, value] : wanted.arguments) {
    const std::string name = key.text().value_or("");
    if (same_effect && is_effective(name)) continue;
    const auto there = find_argument(present.arguments, name);
    if (there && is_same_value(*there, value)) continue;
    return differs(out, name, text_of(value), there ? text_of(*there) : "none");
  }
  for (const auto& [key, value] : present.arguments) {
    const std::string name = key.text().value_or("");
    if (same_effect && is_effective(name)) continue;
    if (!find_argument(wanted.arguments, name)) return differs(out, name, "none", text_of(value));
  }
  return true;
}

/// Runs `work` on worker 0; the answer that it is given runs `done` on the worker of `from`.
template <class Reply, class Work>
void directory::on_home(shard& from, std::function<void(const Reply&)> done, Work work) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [asker, done = std::move(done), work](shard& home) {
    work(std::function<void(shard&, Reply)>([asker, done](shard& there, Reply reply) {
      there.send_task(asker, [done, reply = std::move(reply)](shard&) { done(reply); });
    }));
    static_cast<void>(home);
  });
}

// --- declaring -------------------------------------------------------------------------------

void directory::declare_queue(shard& from, queue_declaration what, admin_answer done) {
  on_home<admin_reply>(from, std::move(done),
                       [this, what = std::move(what)](const admin_sender& reply) {
                         declare_here(what, reply);
                       });
}

void directory::declare_here(const queue_declaration& what, const admin_sender& reply) {
  shard& home = *shards_[0];
  const auto found = nodes_.find(what.name);
  if (found == nodes_.end()) {
    if (nodes_.size() >= options_.queues_max) {
      admin_reply out;
      out.status = admin_status::limit;
      return reply(home, std::move(out));
    }
    create({what.name, what.as, false, what.connection});
    return when_ready(what.name, [this, name = what.name, reply] {
      send_info(name, admin_status::created, reply);
    });
  }
  if (!found->second.ready) {
    return when_ready(what.name, [this, what, reply] { declare_here(what, reply); });
  }
  admin_reply out;
  if (is_locked(found->second, what.connection)) out.status = admin_status::locked;
  else if (is_same(found->second.as, what.as, out)) {
    return send_info(what.name, admin_status::ok, reply);
  }
  reply(home, std::move(out));
}

bool directory::is_locked(const node& n, std::uint64_t connection) {
  return (n.temporary || n.as.exclusive) && n.owner != connection;
}

void directory::when_ready(const std::string& name, std::function<void()> run) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || found->second.ready) return run();
  found->second.waiting.push_back(std::move(run));
}

// --- looking ---------------------------------------------------------------------------------

queue_info directory::info_of(const std::string& name, const node& n) const {
  queue_info out;
  out.name = name;
  out.as = n.as;
  out.temporary = n.temporary;
  out.obeys = policy_of(name, n);
  return out;
}

void directory::count(shard& there, queue_ref ref, queue_info& into) {
  const queue* q = there.find(ref);
  if (q == nullptr) return;
  into.messages = q->depth();
  into.consumers = static_cast<std::uint32_t>(q->consumer_count());
}

/// Answers with what the node is, and with what its worker counts.
void directory::send_info(const std::string& name, admin_status status,
                          const admin_sender& reply) {
  admin_reply out;
  out.status = status;
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) {
    out.status = admin_status::not_found;
    return reply(*shards_[0], std::move(out));
  }
  out.queue = info_of(name, found->second);
  const queue_ref ref = found->second.queue;
  shards_[0]->send_task(ref.worker, [ref, out = std::move(out), reply](shard& there) {
    admin_reply counted = out;
    count(there, ref, counted.queue);
    reply(there, std::move(counted));
  });
}

void directory::read_queue(shard& from, std::string name, admin_answer done) {
  on_home<admin_reply>(from, std::move(done),
                       [this, name = std::move(name)](const admin_sender& reply) {
                         const auto found = nodes_.find(name);
                         if (found == nodes_.end()) {
                           return send_info(name, admin_status::not_found, reply);
                         }
                         when_ready(name, [this, name, reply] {
                           send_info(name, admin_status::ok, reply);
                         });
                       });
}

void directory::read_queues(shard& from, page_request which,
                            std::function<void(const queue_page&)> done) {
  on_home<queue_page>(from, std::move(done),
                      [this, which = std::move(which)](const page_sender& reply) {
                        read_page(which, reply);
                      });
}

void directory::read_page(const page_request& which, const page_sender& reply) {
  struct gathering {
    queue_page page = {};
    std::size_t missing = 0;
  };
  auto all = std::make_shared<gathering>();
  std::vector<std::vector<std::pair<std::size_t, queue_ref>>> by_worker(shards_.size());
  std::size_t skip = which.offset;
  auto at = which.after.empty() ? nodes_.begin() : nodes_.upper_bound(which.after);
  for (; at != nodes_.end(); ++at) {
    const node& n = at->second;
    if (!n.ready || !which.may_see(at->first)) continue;
    if (skip > 0) {
      --skip;
      continue;
    }
    if (all->page.queues.size() == which.count) {
      all->page.more = true;
      break;
    }
    by_worker[static_cast<std::size_t>(n.queue.worker)].emplace_back(all->page.queues.size(),
                                                                     n.queue);
    all->page.queues.push_back(info_of(at->first, n));
  }
  all->missing = shards_.size();
  for (std::size_t w = 0; w < shards_.size(); ++w) {
    shards_[0]->send_task(worker_id{static_cast<std::uint16_t>(w)},
                          [all, reply, which_here = by_worker[w]](shard& there) {
      std::vector<std::pair<std::size_t, queue_info>> counted;
      for (const auto& [place, ref] : which_here) {
        counted.emplace_back(place, queue_info{});
        count(there, ref, counted.back().second);
      }
      there.send_task(worker_id{0}, [all, reply, counted](shard& home) {
        for (const auto& [place, info] : counted) {
          all->page.queues[place].messages = info.messages;
          all->page.queues[place].consumers = info.consumers;
        }
        if (--all->missing == 0) reply(home, std::move(all->page));
      });
    });
  }
}

// --- emptying and deleting -------------------------------------------------------------------

void directory::purge_queue(shard& from, std::string name, admin_answer done) {
  on_home<admin_reply>(
      from, std::move(done), [this, name = std::move(name)](const admin_sender& reply) {
        if (!nodes_.contains(name)) return send_info(name, admin_status::not_found, reply);
        when_ready(name, [this, name, reply] {
          const auto found = nodes_.find(name);
          if (found == nodes_.end()) return send_info(name, admin_status::not_found, reply);
          const queue_ref ref = found->second.queue;
          shards_[0]->send_task(ref.worker, [ref, reply](shard& there) {
            const queue* q = there.find(ref);
            const sequence end = q == nullptr ? 0 : q->end();
            purge_on(there, ref, q == nullptr ? 0 : q->begin(), end, 0,
                     [reply](shard& here, std::uint64_t gone) {
                       // Told when the store has let go of them too.
                       here.commits().when_durable([&here, reply, gone] {
                         admin_reply out;
                         out.messages = gone;
                         reply(here, std::move(out));
                       });
                     });
          });
        });
      });
}

void directory::delete_queue(shard& from, queue_removal what, admin_answer done) {
  on_home<admin_reply>(
      from, std::move(done), [this, what = std::move(what)](const admin_sender& reply) {
        if (!nodes_.contains(what.name)) {
          return send_info(what.name, admin_status::not_found, reply);
        }
        when_ready(what.name, [this, what, reply] { check_removal(what, reply); });
      });
}

void directory::check_removal(const queue_removal& what, const admin_sender& reply) {
  const auto found = nodes_.find(what.name);
  if (found == nodes_.end()) return send_info(what.name, admin_status::not_found, reply);
  if (is_locked(found->second, what.connection)) {
    admin_reply out;
    out.status = admin_status::locked;
    return reply(*shards_[0], std::move(out));
  }
  if (!what.if_empty && !what.if_unused) return delete_here(what.name, reply);
  const queue_ref ref = found->second.queue;
  shards_[0]->send_task(ref.worker, [this, ref, what, reply](shard& there) {
    queue_info now;
    count(there, ref, now);
    const bool in_use =
        (what.if_empty && now.messages > 0) || (what.if_unused && now.consumers > 0);
    there.send_task(worker_id{0}, [this, what, in_use, reply](shard& home) {
      if (!in_use) return delete_here(what.name, reply);
      admin_reply out;
      out.status = admin_status::in_use;
      reply(home, std::move(out));
    });
  });
}

/// A queue says that nobody needs it any more; that may have changed since.
void directory::retire(const std::string& name, queue_ref which) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || found->second.queue != which || !found->second.ready) return;
  queue_removal what;
  what.name = name;
  what.connection = found->second.owner;
  what.if_unused = true;
  check_removal(what, [](shard&, const admin_reply&) {});
}

/// The definition first: what a crash between the two leaves is swept out by the next start.
void directory::delete_here(const std::string& name, const admin_sender& reply) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return send_info(name, admin_status::not_found, reply);
  forget_ties(name);
  const node gone = std::move(found->second);
  nodes_.erase(found);
  shard& home = *shards_[0];
  const auto finish = [&home, name, ref = gone.queue, reply] {
    home.send_task(ref.worker, [ref, name, reply](shard& there) {
      admin_reply out;
      if (const queue* q = there.find(ref)) out.messages = q->depth();
      there.delete_queue(ref, amqp::spec::conditions::resource_deleted,
                         "queue '" + name + "' was deleted");
      reply(there, std::move(out));
    });
  };
  if (gone.id_is_stored()) {
    home.commits().add({storage::record_kind::queue, name, {}});
    return home.commits().when_durable(finish);
  }
  finish();
}

}  // namespace whimbrel::broker::core
