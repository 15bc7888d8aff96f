// SPDX-License-Identifier: Apache-2.0
#include "client/core/link.hpp"

#include "client/core/connection.hpp"

namespace whimbrel::client::core {

void link::detach(bool closed, done then) {
  switch (phase_) {
    case phase::gone: return then(std::nullopt);
    case phase::idle:
      gone(std::nullopt);
      return then(std::nullopt);
    case phase::attaching:
    case phase::attached: {
      phase_ = phase::detaching;
      when_gone_ = std::move(then);
      end()->detach(closed);
      on_->owe_flush();
      return;
    }
    case phase::detaching: {
      // Both are told.
      when_gone_ = [first = std::move(when_gone_), then = std::move(then)](const auto& why) {
        if (first) first(why);
        then(why);
      };
      return;
    }
  }
}

void link::attached(const amqp::spec::attach& theirs) {
  if (phase_ != phase::attaching || !is_admitted(theirs)) return;
  phase_ = phase::attached;
  on_attached(theirs);
  if (const done then = std::exchange(when_attached_, {})) then(std::nullopt);
}

void link::gone(std::optional<failure> why) {
  if (phase_ == phase::gone) return;
  const bool was_ours = phase_ == phase::detaching;
  phase_ = phase::gone;
  on_ = nullptr;
  const failure told = why.value_or(failure{error_scope::link, {}, "the link was detached"});
  if (!was_ours) why_gone_ = told;
  on_gone(told);
  if (const done then = std::exchange(when_attached_, {})) then(told);
  // A detach that the peer answers with an error of its own crossed it: we are as far either way.
  if (const done then = std::exchange(when_gone_, {})) then(std::nullopt);
}

}  // namespace whimbrel::client::core
