// SPDX-License-Identifier: Apache-2.0
// What both ends of a link have in common: attaching, refusing, detaching. [2.6.3-2.6.6]
#include "amqp/engine/link.hpp"

#include "amqp/codec/codec.hpp"
#include "amqp/engine/connection_core.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

namespace conditions = spec::conditions;

connection_core& link::core() const { return session_.core_; }

void link::on_remote_attach(spec::attach&& attach) {
  remote_ = half::attached;
  remote_handle_ = attach.handle;
  auto& handles = session_.by_remote_handle_;
  if (handles.size() <= remote_handle_) handles.resize(remote_handle_ + 1u);
  handles[remote_handle_] = this;
  attach.name = name_;
  remote_attach_ = std::move(attach);
  core().on_fresh_attach(*this);
  if (is_sender()) {
    rcv_mode_ = remote_attach_.rcv_settle_mode;  // the receiver's word is final [2.7.3]
  } else {
    snd_mode_ = remote_attach_.snd_settle_mode;
    static_cast<receiver*>(this)->on_sender_attach();
  }
}

void link::attach(spec::attach reply) {
  if (local_ != half::unattached || !session_.may_send()) return;
  const bool fits = send_attach(std::move(reply));
  if (!fits) {
    core().detach_with(*this, {.condition = symbol(conditions::frame_size_too_small),
                               .description = "the attach does not fit the frames you admit"});
  } else if (is_sender()) {
    static_cast<sender*>(this)->on_attached();
  }
}

/// Fills in what is ours to say. Less than all of it goes out when the peer's frames are too small.
bool link::send_attach(spec::attach&& mine) {
  mine.name = name_;
  mine.handle = handle_;
  mine.role = role_;
  mine.initial_delivery_count.reset();
  if (is_sender()) {
    mine.initial_delivery_count = sender_credit::initial.value();
    snd_mode_ = mine.snd_settle_mode;
  } else {
    rcv_mode_ = mine.rcv_settle_mode;
    static_cast<receiver*>(this)->on_own_attach(mine);
  }
  output& out = core().out();
  const auto write = [&] { return out.write(frame::frame_type::amqp, session_.channel_, mine); };
  bool written = write();
  if (!written) {
    mine.properties.reset();
    mine.offered_capabilities = {};
    mine.desired_capabilities = {};
    written = write();
  }
  if (written) local_ = half::attached;
  return written;
}

void link::refuse(spec::error error) {
  if (local_ != half::unattached || !session_.may_send()) return;
  spec::attach bare{.snd_settle_mode = remote_attach_.snd_settle_mode,
                    .rcv_settle_mode = remote_attach_.rcv_settle_mode};
  if (is_sender()) {
    bare.target = remote_attach_.target;
  } else {
    bare.source = remote_attach_.source;
  }
  if (!send_attach(std::move(bare))) send_bare_attach();
  detach(true, std::move(error));
}

/// The least that is an attach: no termini.
void link::send_bare_attach() {
  if (send_attach({})) return;
  // Not even the name fits. Without an attach there is nothing to detach: the session goes.
  core().end_with(session_, {.condition = symbol(conditions::frame_size_too_small),
                             .description = "the link's name does not fit the frames you admit"});
}

void link::detach(bool closed, std::optional<spec::error> error) {
  if (local_ == half::detached || !session_.may_send()) return;
  if (local_ == half::unattached) send_bare_attach();
  if (!session_.may_send()) return;
  session_.flush_dispositions();
  failed_ = error.has_value();
  core().out().write_with_error(
      session_.channel_,
      spec::detach{.handle = handle_, .closed = closed || failed_, .error = std::move(error)});
  local_ = half::detached;
  incoming_at_detach_ = session_.incoming_.farthest();
  outgoing_at_detach_ = session_.outgoing_.next();
  if (!keeps_) drop_deliveries();
  if (remote_ == half::detached) core().retire(*this);
}

void link::suspend() {
  if (local_ != half::attached || remote_ != half::detached || !session_.may_send()) return;
  end_partial();
  keeps_ = true;
  detach(false);
}

void link::forget() { core().retire_suspended(*this); }

}  // namespace whimbrel::amqp::engine
