// SPDX-License-Identifier: Apache-2.0
// Links of a session: attach and detach in either direction. [2.6.2-2.6.6]
#include <algorithm>
#include <utility>

#include "amqp/engine/connection_core.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

namespace conditions = spec::conditions;

namespace {

std::unique_ptr<link> no_link() { return nullptr; }

}  // namespace

// --- ours ---

std::optional<std::uint32_t> session::free_handle() const {
  const auto at = std::find(links_.begin(), links_.end(), nullptr);
  const auto handle = static_cast<std::uint32_t>(at - links_.begin());
  const std::uint32_t most = begin_seen_ ? std::min(remote_handle_max_, handle_max_most) : 0;
  return handle <= most ? std::optional(handle) : std::nullopt;
}

link& session::adopt(std::unique_ptr<link> fresh, std::uint32_t handle) {
  if (handle == links_.size()) links_.push_back(no_link());
  fresh->handle_ = handle;
  links_[handle] = std::move(fresh);
  core_.count_link(*links_[handle]);
  return *links_[handle];
}

template <class Link>
Link* session::attach_ours(spec::attach&& attach) {
  const auto handle = free_handle();
  if (!may_send() || !handle || core_.link_count() >= core_.settings().links_max) return nullptr;
  auto& fresh = static_cast<Link&>(
      adopt(std::unique_ptr<Link>(new Link(*this, std::move(attach.name))), *handle));
  if (fresh.send_attach(std::move(attach))) return &fresh;
  core_.uncount_link(fresh);
  links_[*handle].reset();
  return nullptr;
}

sender* session::attach_sender(spec::attach attach) {
  return attach_ours<sender>(std::move(attach));
}
receiver* session::attach_receiver(spec::attach attach) {
  return attach_ours<receiver>(std::move(attach));
}

// --- the peer's ---

/// The link that an attach with this name is about: one whose attach is not answered, else a live
/// one. Links on their way out do not count: their names are free again.
link* session::by_name(std::string_view name, spec::role ours) const {
  link* live = nullptr;
  for (const auto& l : links_) {
    if (!l || l->role_ != ours || l->name_ != name) continue;
    if (l->remote_ == link::half::unattached) return l.get();
    if (l->local_ != link::half::detached && l->remote_ == link::half::attached) live = l.get();
  }
  return live;
}

checked<const event*> session::on_attach(spec::attach&& attach) {
  if (attach.handle > std::min(core_.settings().handle_max, handle_max_most))
    return connection_violation(
        conditions::framing_error,
        "handle " + std::to_string(attach.handle) + " exceeds handle-max");  // [2.7.2]
  if (const link* user = at_remote_handle(attach.handle))
    return session_violation(conditions::handle_in_use, "handle " + std::to_string(attach.handle) +
                                                            " is attached to " + user->name_);
  const spec::role ours =
      attach.role == spec::role::sender ? spec::role::receiver : spec::role::sender;
  link* const known = by_name(attach.name, ours);
  if (known != nullptr && known->remote_ == link::half::unattached)
    return on_answer(*known, std::move(attach));
  if (known == nullptr) return on_remote_link(std::move(attach));
  core_.detach_with(*known, {.condition = symbol(conditions::stolen),
                             .description = "the link was attached again"});  // [2.6.1]
  checked<const event*> result = on_remote_link(std::move(attach));
  if (result.has_error() || *result == nullptr) return result;
  core_.defer_attach(*(*result)->on_link);  // behind the loss of the old one
  return nullptr;
}

const event* session::on_answer(link& l, spec::attach&& attach) {
  l.on_remote_attach(std::move(attach));
  if (l.local_ == link::half::detached) return nullptr;  // the peer's detach is still to come
  event& e = core_.next_event(event_kind::link_attached, this, &l);
  e.attach = &l.remote_attach_;
  return &e;
}

checked<const event*> session::on_remote_link(spec::attach&& attach) {
  const auto handle = free_handle();
  if (!handle)
    return session_violation(conditions::resource_limit_exceeded,
                             "no handle left that the peer admits");
  const bool too_many = core_.link_count() >= core_.settings().links_max;
  std::unique_ptr<link> fresh;
  if (attach.role == spec::role::sender) {
    fresh.reset(new receiver(*this, std::move(attach.name)));
  } else {
    fresh.reset(new sender(*this, std::move(attach.name)));
  }
  link& l = adopt(std::move(fresh), *handle);
  l.on_remote_attach(std::move(attach));
  if (too_many) {
    l.told_gone_ = true;  // never told of
    l.refuse({.condition = symbol(conditions::resource_limit_exceeded),
              .description = "too many links on this connection"});
    return nullptr;
  }
  event& e = core_.next_event(event_kind::link_attached, this, &l);
  e.attach = &l.remote_attach_;
  return &e;
}

checked<const event*> session::on_detach(spec::detach&& detach) {
  link* const at = at_remote_handle(detach.handle);
  if (at == nullptr)
    return session_violation(
        conditions::unattached_handle,
        "detach of handle " + std::to_string(detach.handle) + ", which is not attached");
  by_remote_handle_[detach.handle] = nullptr;
  at->remote_ = link::half::detached;
  const bool told = at->told_gone_;
  at->told_gone_ = true;
  if (at->local_ == link::half::detached) core_.retire(*at);
  if (told) return nullptr;
  event& e = core_.next_event(event_kind::link_detached, this, at);
  e.closed = detach.closed;
  e.error = core_.keep_error(std::move(detach.error));
  return &e;
}

bool session::awaits_detach() const {
  return std::any_of(links_.begin(), links_.end(), [](const auto& l) {
    return l && l->local_ == link::half::detached && l->remote_ == link::half::attached;
  });
}

}  // namespace whimbrel::amqp::engine
