// SPDX-License-Identifier: Apache-2.0
// Consumers of topics and exchanges get queues of their own: the link's, or one found again.
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/core/directory.hpp"

namespace whimbrel::broker::core {

namespace conditions = amqp::spec::conditions;

namespace {

node_reply refuse(std::string_view condition, std::string description) {
  node_reply out;
  out.condition = condition;
  out.description = std::move(description);
  return out;
}

binding binding_of(const subscription& s) {
  binding out;
  out.source = s.exchange;
  out.destination = s.queue();
  out.key = s.key;
  return out;
}

}  // namespace

void directory::subscribe(const node_request& request, const std::string& exchange,
                          const std::string& key, const answer& done) {
  const subscription_wish& wish = request.wish;
  if (!wish.lasting && !wish.shared) {
    binding to;
    to.source = exchange;
    to.key = key;
    return subscribe_link(request, std::move(to), done);
  }
  const auto named = parse_subscription_name(wish.link);
  const bool whole = !wish.shared && !wish.global && !named.decorated;
  const std::string& name = whole ? wish.link : named.name;
  subscription wanted;
  wanted.global = wish.global || named.global;
  wanted.id = subscription_id(wish.container, name, wanted.global, wish.lasting);
  wanted.address = request.address;
  wanted.exchange = exchange;
  wanted.key = key;
  wanted.filter = wish.filter;
  wanted.lasting = wish.lasting;
  wanted.durable = wish.lasting && wish.durable;
  wanted.shared = wish.shared;
  if (wish.container.size() > name_octets_max || name.size() > name_octets_max) {
    return done(refuse(conditions::invalid_field,
                       "the container-id or the link's name has more than 255 octets"));
  }
  join(request, wanted, done);
}

/// The queue is the link's, like a dynamic one, and goes with it.
void directory::subscribe_link(const node_request& request, binding to, const answer& done) {
  if (nodes_.size() >= options_.queues_max) {
    return done(refuse(conditions::resource_limit_exceeded,
                       "there are already " + std::to_string(nodes_.size()) + " queues"));
  }
  // A temporary topic's maker consumes from it by a queue of the same name: one removal for both.
  to.destination = request.dynamic ? to.source
                                   : std::string(temporary_prefix) + options_.random_name();
  queue_definition as;
  as.durable = false;
  create({to.destination, std::move(as), true, request.connection});
  bind(to, [this, to, done](const refusal& r) {
    const auto found = nodes_.find(to.destination);
    if (!r.is_ok() || found == nodes_.end()) {
      remove_here(to.destination);
      return done(refuse(r.is_ok() ? conditions::resource_deleted : r.condition,
                         r.is_ok() ? "the subscription has been deleted" : r.description));
    }
    node_reply reply;
    reply.queue = found->second.queue;
    reply.name = to.destination;
    reply.temporary = true;
    reply.subscribed = true;
    done(reply);
  });
}

void directory::join(const node_request& request, const subscription& wanted, const answer& done) {
  const auto there = subscriptions_.find(wanted.id);
  if (there == subscriptions_.end()) return found(request, wanted, done);
  subscription& s = there->second;
  if (!s.ready) {
    s.waiting.push_back([this, request, wanted, done] { join(request, wanted, done); });
    return;
  }
  if (!s.is_like(wanted)) {
    if (s.shared && !s.tickets.empty()) {
      return done(refuse(conditions::precondition_failed,
                         "the subscription has consumers, and is another one: its address, "
                         "filter or durability differs"));
    }
    // It is replaced; what it has collected goes with it.
    take_over(s);
    end(wanted.id);
    return found(request, wanted, done);
  }
  if (!s.shared) take_over(s);
  admit(s, done);
}

/// A new subscription: its queue, then the binding and the record that names them both.
void directory::found(const node_request& request, const subscription& wanted,
                      const answer& done) {
  const std::string queue = wanted.queue();
  if (!request.may_configure(queue)) {
    return done(refuse(conditions::unauthorized_access,
                       "no permission to configure '" + queue + "'"));
  }
  if (nodes_.size() >= options_.queues_max) {
    return done(refuse(conditions::resource_limit_exceeded,
                       "there are already " + std::to_string(nodes_.size()) + " queues"));
  }
  if (nodes_.contains(queue)) {
    return done(refuse(conditions::resource_locked, "there is a queue '" + queue + "'"));
  }
  subscriptions_[wanted.id] = wanted;
  queue_definition as;
  as.durable = wanted.durable;
  create({queue, std::move(as), false, 0});
  when_ready(queue, [this, wanted, done] {
    if (wanted.durable) {
      shards_[0]->commits().add(
          {storage::record_kind::subscription, wanted.id, encode_record(wanted)});
    }
    bind(binding_of(wanted), [this, id = wanted.id, done](const refusal& r) {
      subscription& s = subscriptions_.at(id);
      s.ready = true;
      const auto waiting = std::exchange(s.waiting, {});
      if (r.is_ok()) {
        admit(s, done);
      } else {
        end(id);
        done(refuse(r.condition, r.description));
      }
      for (const auto& go_on : waiting) go_on();
    });
  });
}

void directory::admit(subscription& s, const answer& done) {
  const auto queue = nodes_.find(s.queue());
  if (queue == nodes_.end()) {
    return done(refuse(conditions::resource_deleted, "the subscription has been deleted"));
  }
  node_reply reply;
  reply.queue = queue->second.queue;
  reply.name = queue->first;
  reply.subscribed = true;
  reply.subscription = s.id;
  reply.ticket = ++last_ticket_;
  s.tickets.insert(reply.ticket);
  done(reply);
}

/// Whoever has it now is told that somebody else has taken the link over. [2.6.1]
void directory::take_over(subscription& s) {
  if (s.tickets.empty()) return;
  s.tickets.clear();
  const auto queue = nodes_.find(s.queue());
  if (queue == nodes_.end()) return;
  shards_[0]->send_task(queue->second.queue.worker, [ref = queue->second.queue](shard& there) {
    // They leave by themselves when they hear of it.
    if (core::queue* q = there.find(ref)) {
      q->close(conditions::stolen, "another link of that name took the subscription over");
    }
  });
}

void directory::end(const std::string& id) {
  const auto gone = subscriptions_.find(id);
  if (gone == subscriptions_.end()) return;
  const std::string queue = gone->second.queue();
  if (gone->second.durable) {
    shards_[0]->commits().add({storage::record_kind::subscription, id, {}});
  }
  subscriptions_.erase(gone);
  remove_here(queue);
}

void directory::leave(shard& from, std::string id, std::uint64_t ticket, bool closed) {
  from.send_task(worker_id{0}, [this, id = std::move(id), ticket, closed](shard&) {
    const auto s = subscriptions_.find(id);
    if (s == subscriptions_.end() || s->second.tickets.erase(ticket) == 0) return;
    if (s->second.tickets.empty() && (closed || !s->second.lasting)) end(id);
  });
}

void directory::look_up(shard& from, subscription_wish wish,
                        std::function<void(const subscription_reply&)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, wish = std::move(wish),
                                done = std::move(done)](shard& home) {
    const auto named = parse_subscription_name(wish.link);
    subscription_reply reply;
    for (const std::string& id :
         {subscription_id(wish.container, wish.link, false, true),
          subscription_id(wish.container, named.name, wish.global || named.global, true)}) {
      const auto s = subscriptions_.find(id);
      if (s == subscriptions_.end() || !s->second.ready) continue;
      reply.found = true;
      reply.what = s->second;
      break;
    }
    home.send_task(asker, [reply, done](shard&) { done(reply); });
  });
}

void directory::unsubscribe(shard& from, std::string id,
                            std::function<void(const refusal&)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, id = std::move(id),
                                done = std::move(done)](shard& home) {
    refusal said;
    const auto s = subscriptions_.find(id);
    if (s != subscriptions_.end() && !s->second.tickets.empty()) {
      said = {conditions::resource_locked, "the subscription has consumers"};
    } else {
      end(id);
    }
    home.send_task(asker, [said, done](shard&) { done(said); });
  });
}

}  // namespace whimbrel::broker::core
