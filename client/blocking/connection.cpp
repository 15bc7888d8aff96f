// SPDX-License-Identifier: Apache-2.0
#include "whimbrel/client/connection.hpp"

#include <algorithm>

#include "client/blocking/runtime.hpp"

namespace whimbrel::client {

namespace {

/// How long a connection that nobody wants any more may take to say goodbye.
constexpr duration goodbye = std::chrono::seconds(2);

}  // namespace

connection::impl::impl(const broker_url& url, const connection_options& o)
    : options(o),
      work(io.get_executor()),
      core(std::make_shared<core::connection>(io.get_executor(), url, o)) {
  thread = std::thread([this] { io.run(); });
}

connection::impl::~impl() {
  const auto closed = std::make_shared<answer>();
  post([link = core, closed] { link->close(giving(closed)); });
  if (!closed->wait_until(deadline_after(goodbye))) {
    post([link = core] { link->stop(); });
    static_cast<void>(closed->wait_until(deadline_after(goodbye)));
  }
  work.reset();
  io.stop();
  thread.join();
}

void connection::impl::attach(const std::shared_ptr<core::link>& fresh, const std::string& what) {
  const auto attached = std::make_shared<answer>();
  post([on = core, fresh, attached] { on->attach(fresh, giving(attached)); });
  try {
    attached->expect(deadline_after(options.time_out), "answer to the attach of " + what);
  } catch (const error&) {
    post([fresh] { fresh->detach(true, [](const auto&) {}); });
    throw;
  }
}

void connection::impl::detach(const std::shared_ptr<core::link>& link, bool closed) {
  const auto detached = std::make_shared<answer>();
  post([link, closed, detached] { link->detach(closed, giving(detached)); });
  detached->expect(deadline_after(options.time_out), "answer to the detach");
}

connection connection::open(const std::string& url, const connection_options& options) {
  return open(parse_broker_url(url), options);
}

connection connection::open(const broker_url& url, const connection_options& options) {
  auto made = std::make_shared<impl>(url, options);
  const auto opened = std::make_shared<answer>();
  made->post([core = made->core, opened] { core->open(giving(opened)); });
  // The library's thread keeps that time itself, and says more about it.
  opened->expect(deadline_after(options.time_out + std::chrono::seconds(1)), "connection");
  made->container_id = made->core->container_id();
  made->remote_container_id = made->core->remote_container_id();
  return connection(std::move(made));
}

const std::string& connection::container_id() const { return impl_->container_id; }

const std::string& connection::remote_container_id() const { return impl_->remote_container_id; }

bool connection::is_open() const {
  const auto asked = std::make_shared<answer>();
  impl_->post([core = impl_->core, asked] {
    asked->give(core->is_open() ? std::nullopt : std::optional(failure{}));
  });
  try {
    asked->expect(deadline_after(impl_->options.time_out), "word from the library's thread");
  } catch (const error&) {
    return false;
  }
  return true;
}

void connection::close() {
  const auto closed = std::make_shared<answer>();
  impl_->post([core = impl_->core, closed] { core->close(giving(closed)); });
  closed->expect(deadline_after(impl_->options.time_out), "answer to the close");
}

}  // namespace whimbrel::client
