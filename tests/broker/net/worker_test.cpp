// SPDX-License-Identifier: Apache-2.0
// A worker on its own thread, with a real socket: what the end of a turn does, and in which order.
#include "broker/net/worker.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "amqp/engine/connection.hpp"

namespace whimbrel::broker::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Keeps nothing; says when it is given something.
class watched_store final : public storage::store {
 public:
  std::function<void()> on_submit = [] {};

  void recover(storage::recovery_visitor&) override {}
  void submit(storage::worker_id, storage::batch, storage::token) override { on_submit(); }
  void withdraw(storage::worker_id, std::vector<storage::entry_key>, storage::token) override {}
  void read(storage::worker_id, storage::queue_id, storage::sequence, std::size_t,
            storage::token) override {}
  void read_body(storage::worker_id, storage::body_id, std::uint64_t, std::size_t,
                 storage::token) override {}
  void close() override {}
  [[nodiscard]] storage::store_statistics statistics() const override { return {}; }
};

class quiet_owner final : public core::shard_owner {
 public:
  void on_store_failed() override {}
  void log(std::string_view) override {}
};

core::shard_options options_of(std::uint16_t self) {
  core::shard_options o;
  o.self = static_cast<core::worker_id>(self);
  o.workers = 2;
  return o;
}

/// Two workers, of which the first runs; a client is connected to it, and has opened.
class running_worker {
 public:
  running_worker() {
    nodes_.set_shards({&first_.shard(), &second_.shard()});
    first_.set_context(std::make_unique<protocol::context>(protocol::context{
        first_.shard(), nodes_, settings_, users_, logins_, log_,
        [this](std::function<void()> work) { first_.leave_task(std::move(work)); }}));
    tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    client_.connect(acceptor.local_endpoint());
    auto served = std::make_shared<tcp::socket>(acceptor.accept(first_.context()));
    first_.leave_task([this, served] {
      amqp::engine::options o;
      o.sasl = amqp::engine::sasl_policy::none;
      first_.add_connection(std::move(*served), o,
                            {.id = 1, .address = "test", .anonymous_allowed = true},
                            nullptr);
    });
    first_.start_thread();
    open();
  }
  ~running_worker() {
    first_.leave_task([this] { first_.drop_connections(); });
    first_.stop_and_join();
  }
  running_worker(const running_worker&) = delete;
  running_worker& operator=(const running_worker&) = delete;

  worker& first() { return first_; }
  watched_store& store() { return store_; }
  tcp::socket& client() { return client_; }
  std::function<void()> on_mailbox = [] {};

 private:
  void open() {
    amqp::engine::options o;
    o.role = amqp::engine::side::client;
    o.sasl = amqp::engine::sasl_policy::none;
    o.container_id = "client";
    amqp::engine::connection wire(o);
    wire.start({});
    wire.open();
    std::array<std::byte, 4096> octets{};
    for (bool opened = false; !opened;) {
      while (!wire.poll_octets().empty()) {
        const auto out = wire.poll_octets();
        asio::write(client_, asio::buffer(out.data(), out.size()));
        wire.on_written(out.size());
      }
      const std::size_t n = client_.read_some(asio::buffer(octets));
      wire.on_octets(std::span(octets).first(n), {});
      while (const amqp::engine::event* e = wire.poll_event()) {
        opened = opened || e->kind == amqp::engine::event_kind::opened;
      }
    }
  }

  asio::io_context io_{1};
  watched_store store_;
  quiet_owner owner_;
  core::directory nodes_{core::directory_options{}};
  config::settings settings_{};
  security::user_table users_{settings_.users};
  security::authenticator logins_{users_};
  logger log_{log_level::off, log_format::text};
  worker first_{options_of(0), store_, owner_, [this](core::worker_id w) -> worker& {
                  on_mailbox();
                  return w == core::worker_id{0} ? first_ : second_;
                }};
  worker second_{options_of(1), store_, owner_,
                 [this](core::worker_id) -> worker& { return first_; }};
  tcp::socket client_{io_};
};

TEST_CASE("worker: a turn submits to the store, then hands over mailboxes, then writes") {
  running_worker w;
  // Loopback delivers within the call that writes: what is unread at a step was written before it.
  std::vector<std::string> steps;
  std::vector<std::size_t> written_by_then;
  const auto note = [&](const char* step) {
    steps.emplace_back(step);
    written_by_then.push_back(w.client().available());
  };
  w.store().on_submit = [&] { note("store"); };
  w.on_mailbox = [&] { note("mailbox"); };
  w.first().leave_task([&w] {
    // In the opposite order, which must not matter.
    w.first().shut_down_connections("amqp:connection:forced", "over");
    w.first().shard().send_task(core::worker_id{1}, [](core::shard&) {});
    w.first().shard().commits().add({storage::record_kind::setting, "key", nullptr});
  });
  std::array<std::byte, 512> octets{};
  CHECK(w.client().read_some(asio::buffer(octets)) > 8);
  CHECK(steps == std::vector<std::string>{"store", "mailbox"});
  CHECK(written_by_then == std::vector<std::size_t>{0, 0});
}

}  // namespace
}  // namespace whimbrel::broker::net
