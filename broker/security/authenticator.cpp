// SPDX-License-Identifier: Apache-2.0
#include "broker/security/authenticator.hpp"

#include <utility>

#include <openssl/crypto.h>

namespace whimbrel::broker::security {

authenticator::authenticator(const user_table& users, std::size_t depth_max)
    : users_(users), depth_max_(depth_max), thread_([this] { run(); }) {}

authenticator::~authenticator() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool authenticator::submit(std::string user, std::string password, std::function<void(bool)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= depth_max_) return false;
    waiting_.push_back({std::move(user), std::move(password), std::move(done)});
  }
  changed_.notify_one();
  return true;
}

void authenticator::run() {
  for (;;) {
    login next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    const bool verdict = users_.verify_plain(next.user, next.password);
    OPENSSL_cleanse(next.password.data(), next.password.size());
    next.done(verdict);
  }
}

}  // namespace whimbrel::broker::security
