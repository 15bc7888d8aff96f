// SPDX-License-Identifier: Apache-2.0
// Putting the broker together, and taking it apart again in the right order.
#include "broker/net/server.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <span>
#include <utility>

#include <openssl/rand.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/config/machine.hpp"
#include "broker/config/value.hpp"
#include "broker/security/permissions.hpp"
#include "storage/sqlite/sqlite_store.hpp"
#include "whimbrel/version.hpp"

namespace whimbrel::broker::net {

namespace conditions = amqp::spec::conditions;

namespace {

constexpr auto close_time = std::chrono::seconds(5);
constexpr auto quiet_time = std::chrono::seconds(10);
constexpr auto ready_time = std::chrono::seconds(5);

std::string random_name() {
  std::array<unsigned char, 16> octets{};
  AMQP_ASSERT(RAND_bytes(octets.data(), static_cast<int>(octets.size())) == 1);
  std::string out;
  for (const unsigned char o : octets) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[o >> 4];
    out += digits[o & 15];
  }
  return out;
}

core::directory_options directory_options_of(const config::settings& s) {
  core::directory_options out;
  out.queues_max = s.queues_max;
  out.random_name = random_name;
  out.glob = security::glob_matches;
  out.policies = s.policies;
  for (const config::auto_create& rule : s.auto_creates) {
    out.rules.push_back({[pattern = rule.pattern](std::string_view name) {
                           return security::glob_matches(pattern, name);
                         },
                         rule.create, rule.durable});
  }
  return out;
}

core::exchange_settings exchange_of(const config::exchange& e) {
  core::exchange_settings out;
  out.name = e.name;
  out.type = core::exchange_type_of(e.type).value_or(core::exchange_type::direct);
  out.durable = e.durable;
  out.auto_delete = e.auto_delete;
  out.internal = e.internal;
  out.alternate = e.alternate;
  return out;
}

core::binding binding_of(const std::string& from, const config::exchange_binding& to) {
  core::binding out;
  out.source = from;
  out.to_exchange = to.queue.empty();
  out.destination = out.to_exchange ? to.exchange : to.queue;
  out.key = to.key;
  const auto to_value = [](const auto& v) { return amqp::codec::value(v); };
  for (const auto& [name, argument] : to.arguments) {
    out.arguments.append(amqp::codec::value(name), std::visit(to_value, argument));
  }
  return out;
}

start_error cannot_listen(const config::listener& where, const boost::system::system_error& e) {
  return start_error(exit_code::listener,
                     "cannot listen on " + config::print(where) + ": " + e.code().message());
}

}  // namespace

server::server(config::settings settings, logger& log, test_switches switches)
    : settings_(std::move(settings)),
      log_(log),
      switches_(std::move(switches)),
      users_(settings_.users),
      pages_([this](const std::string& path, const http_pages::answer& done) {
        on_http(path, done);
      }),
      wake_fd_(::eventfd(0, EFD_CLOEXEC)) {
  AMQP_ASSERT(wake_fd_ >= 0);
  logins_ = std::make_unique<security::authenticator>(users_);
  storage::sqlite_options options;
  options.directory = settings_.data;
  options.vfs = switches_.vfs;
  options.log = [this](std::string_view line) { log_.error(line); };
  try {
    store_ = storage::open_sqlite_store(std::move(options), *this);
  } catch (const std::exception& e) {
    throw start_error(exit_code::data_directory, e.what());
  }
  make_workers();
  recover();
  declare_nodes();
  make_listeners();
  make_http_listener();
}

server::~server() {
  // The store's thread calls into the workers: it must be the first to go.
  if (store_) store_->close();
  listeners_.clear();
  http_.reset();
  workers_.clear();
  logins_.reset();
  store_.reset();
  ::close(wake_fd_);
}

void server::make_workers() {
  const config::machine machine = config::detect_machine();
  const std::uint32_t count = settings_.workers != 0 ? settings_.workers : machine.processors;
  const std::uint64_t memory = settings_.memory != 0 ? settings_.memory : machine.memory / 2;
  nodes_ = std::make_unique<core::directory>(directory_options_of(settings_));
  core::shard_owner& owner = *this;
  std::vector<core::shard*> shards;
  for (std::uint32_t i = 0; i < count; ++i) {
    core::shard_options options;
    options.self = static_cast<core::worker_id>(i);
    options.workers = static_cast<std::uint16_t>(count);
    options.memory_octets = memory / count;
    options.store_stall_max = settings_.store_stall_max;
    options.accept_before_commit = switches_.accept_before_commit;
    workers_.push_back(std::make_unique<worker>(
        options, *store_, owner,
        [this](core::worker_id w) -> worker& { return *workers_[static_cast<std::size_t>(w)]; }));
    worker& w = *workers_.back();
    shards.push_back(&w.shard());
    w.set_context(std::make_unique<protocol::context>(protocol::context{
        w.shard(), *nodes_, settings_, users_, *logins_, log_,
        [&w](std::function<void()> work) { w.leave_task(std::move(work)); }}));
  }
  nodes_->set_shards(std::move(shards));
}

void server::recover() {
  try {
    store_->recover(*nodes_);
  } catch (const std::exception& e) {
    throw start_error(exit_code::data_directory, e.what());
  }
  const std::size_t dropped = nodes_->finish_recovery();
  if (dropped != 0) {
    log_.warning("messages of queues that no longer exist were dropped",
                 {{"count", std::to_string(dropped)}});
  }
  log_.info("store opened", {{"directory", settings_.data},
                             {"queues", std::to_string(nodes_->size())},
                             {"messages", std::to_string(nodes_->recovered_messages())}});
}

/// Nobody is let in before all is there: a message would find an exchange without its bindings.
void server::declare_nodes() {
  workers_[0]->leave_task([this] {
    auto left = std::make_shared<std::size_t>(1);
    const auto done = [this, left](const std::string& where, const core::refusal& r) {
      if (!r.is_ok()) log_.error(where + ": " + r.description);
      if (--*left == 0) start_listeners();
    };
    for (const config::queue& q : settings_.queues) {
      nodes_->declare(q.name, q.durable, q.arguments);
    }
    for (const config::exchange& e : settings_.exchanges) {
      ++*left;
      nodes_->declare(exchange_of(e),
                      [done](const core::refusal& r) { done("[[exchange]]", r); });
    }
    for (const config::exchange& e : settings_.exchanges) {
      for (const config::exchange_binding& b : e.bindings) {
        ++*left;
        nodes_->bind(binding_of(e.name, b), [done, name = e.name](const core::refusal& r) {
          done("[[exchange]] \"" + name + "\": bindings", r);
        });
      }
    }
    done("", {});
  });
}

void server::start_listeners() {
  if (stopping_) return;
  for (auto& l : listeners_) l->start();
  if (http_) http_->start();
}

void server::make_listeners() {
  for (const config::listener& where : settings_.listeners) {
    const auto next = [this]() -> boost::asio::io_context& {
      return workers_[next_worker_ % workers_.size()]->context();
    };
    const auto on_accept = [this](boost::asio::ip::tcp::socket socket, const listener& through) {
      worker& to = *workers_[next_worker_++ % workers_.size()];
      accept(std::move(socket), to, through);
    };
    try {
      listeners_.push_back(
          std::make_unique<listener>(workers_[0]->context(), where, next, on_accept));
    } catch (const boost::system::system_error& e) {
      if (!where.required) continue;
      throw cannot_listen(where, e);
    } catch (const security::tls_error& e) {
      throw start_error(exit_code::usage, "listener " + config::print(where) + ": " + e.what());
    }
  }
}

void server::make_http_listener() {
  if (settings_.http == "none") return;
  const config::listener where = config::parse_listener(settings_.http);
  boost::asio::io_context& io = workers_[0]->context();
  try {
    http_ = std::make_unique<listener>(
        io, where, [&io]() -> boost::asio::io_context& { return io; },
        [this](boost::asio::ip::tcp::socket socket, const listener&) {
          pages_.serve(std::move(socket));
        });
  } catch (const boost::system::system_error& e) {
    throw cannot_listen(where, e);
  }
}

void server::on_http(const std::string& path, const http_pages::answer& done) {
  if (path == "/live") return done({200, "live\n"});
  if (path == "/ready") return check_store(done);
  if (path == "/metrics") {
    return count([done](const totals& t) {
      done({200, management::exposition(t), "text/plain; version=0.0.4; charset=utf-8"});
    });
  }
  done({404, "there are /live, /ready and /metrics\n"});
}

/// Ready is who can accept a durable message: a record is written, and the answer waits for its
/// sync. One record at a time, however many ask. Runs on worker 0.
void server::check_store(const http_pages::answer& done) {
  if (stopping_) return done({503, "the broker is stopping\n"});
  worker& here = *workers_[0];
  const auto asked = std::make_shared<http_pages::answer>(done);  // null once answered
  const auto reply = [asked](const http_reply& with) {
    if (const auto answer = std::exchange(*asked, {})) answer(with);
  };
  here.after(ready_time, [reply] {
    reply({503, "the store has not committed within " + std::to_string(ready_time.count()) +
                    " s\n"});
  });
  std::erase_if(store_check_.asked, [](const auto& each) { return !*each; });
  store_check_.asked.push_back(asked);
  if (std::exchange(store_check_.is_under_way, true)) return;
  const auto now = std::to_string(here.wall_ms());
  core::commit& commits = here.shard().commits();
  commits.add({storage::record_kind::setting, "ready",
               storage::make_blob(std::as_bytes(std::span(now)))});
  commits.when_durable([this] {
    store_check_.is_under_way = false;
    for (const auto& each : std::exchange(store_check_.asked, {})) {
      if (const auto answer = std::exchange(*each, {})) answer({200, "ready\n"});
    }
  });
}

void server::accept(boost::asio::ip::tcp::socket socket, worker& to,
                    const listener& through) {
  boost::system::error_code gone;
  const auto remote = socket.remote_endpoint(gone);
  if (gone) return;
  const std::string name = remote.address().to_string() + ":" + std::to_string(remote.port());
  if (connection_count() >= settings_.connections_max) {
    log_.warning("connection refused: there are as many as connections-max allows",
                 {{"peer", name}});
    return;  // the socket closes itself
  }
  protocol::connection_handler::peer who{++last_connection_, name,
                                         through.where().anonymous.value_or(false)};
  auto holder = std::make_shared<boost::asio::ip::tcp::socket>(std::move(socket));
  to.leave_task([this, &to, holder, who, &through] {
    if (stopping_) return;
    auto tls = through.make_tls(*holder);
    to.add_connection(std::move(*holder), options_for(through.where(), who.address), who,
                      std::move(tls));
  });
}

amqp::engine::options server::options_for(const config::listener& through,
                                          const std::string& peer) {
  amqp::engine::options o;
  o.outcome_runs = true;
  const bool anonymous = through.anonymous.value_or(false);
  o.sasl = anonymous ? amqp::engine::sasl_policy::optional : amqp::engine::sasl_policy::required;
  o.mechanisms = users_.mechanisms();
  if (anonymous) o.mechanisms.push_back("ANONYMOUS");
  o.container_id = settings_.container_id;
  o.max_frame_size = settings_.max_frame_size;
  o.channel_max = settings_.channel_max;
  o.handle_max = settings_.handle_max;
  o.links_max = settings_.links_max;
  o.incoming_window = settings_.session_window;
  o.idle_time_out = settings_.idle_time_out.count() > 0
                        ? std::optional(settings_.idle_time_out)
                        : std::nullopt;
  o.max_message_size = settings_.max_message_size;
  o.unsettled_in_max = settings_.unsettled_in_max;
  o.unsettled_out_max = settings_.unsettled_out_max;
  o.output_octets_max = settings_.output_buffer;
  o.handshake_time = settings_.handshake_timeout;
  for (const char* name : {"ANONYMOUS-RELAY", "SHARED-SUBS", "LINK_PAIR_V1_0", "DELAYED_DELIVERY",
                           "AMQP_FILTEX_SQL_V1_0", "AMQP_FILTEX_PROP_V1_0",
                           "AMQP_FILTEX_GROUP_V1_0", "APACHE.ORG:SELECTOR",
                           "APACHE.ORG:NO_LOCAL", "sole-connection-for-container"}) {
    o.offered_capabilities.push_back(amqp::symbol(name));
  }
  amqp::codec::map properties;
  const auto put = [&](const char* key, std::string_view value) {
    properties.append(amqp::codec::value(amqp::symbol(key)), amqp::codec::value(value));
  };
  if (settings_.rabbitmq_identity == "none") {
    put("product", "Whimbrel");
    put("version", whimbrel::version);
  } else {
    // Their clients refuse what does not say so, and look for features by version.
    put("product", "RabbitMQ");
    put("version", settings_.rabbitmq_identity);
    put("node", settings_.container_id);
    put("platform", "Whimbrel " + std::string(whimbrel::version));
  }
  o.properties = std::move(properties);
  if (settings_.trace_frames) {
    o.trace = [this, peer](bool ours, std::uint16_t channel, std::string_view text) {
      log_.write(log_level::info, std::string(ours ? "-> " : "<- ") + std::string(text),
                 {{"peer", peer}, {"channel", std::to_string(channel)}});
    };
  }
  return o;
}

// --- running ---------------------------------------------------------------------------------

exit_code server::run() {
  for (auto& w : workers_) w->start_thread();
  if (http_) log_.info("health and metrics on http://" + http_->address());
  for (const auto& l : listeners_) {
    const bool has_tls = l->where().speaks_tls();
    log_.info("listening on " + l->address() +
              (has_tls ? ", TLS " + std::string(to_text(*l->where().tls)) : ""));
  }
  pollfd wait{wake_fd_, POLLIN, 0};
  while (!stopping_ && !failed_) ::poll(&wait, 1, -1);
  stopping_ = true;
  close_connections();
  if (!failed_) wait_until_quiet();
  for (auto& w : workers_) w->stop_and_join();
  totals sum;
  for (auto& w : workers_) add(sum, *w);
  store_->close();
  sum.store = store_->statistics();
  log_.info(sum.text());
  if (failed_) return exit_code::store_in_doubt;
  log_.info("stopped");
  return exit_code::success;
}

void server::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void server::on_store_failed() {
  if (failed_.exchange(true)) return;
  log_.error("the store is in doubt about a commit: nothing more will be accepted, stopping");
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

/// All are told why; those that do not answer in time are dropped.
void server::close_connections() {
  const bool failed = failed_;
  workers_[0]->leave_task([this] {
    for (auto& l : listeners_) l->close();
    if (http_) http_->close();
  });
  for (auto& w : workers_) {
    w->leave_task([&w, failed] {
      if (failed) {
        w->shut_down_connections(conditions::internal_error, "the store has failed");
      } else {
        w->shut_down_connections(conditions::connection_forced, "the broker is stopping");
      }
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + (failed ? close_time / 5 : close_time);
  while (connection_count() > 0 && std::chrono::steady_clock::now() < deadline) {
    ::poll(nullptr, 0, 5);
  }
  for (auto& w : workers_) {
    w->leave_task([&w] { w->drop_connections(); });
  }
}

/// What the connections left behind reaches its queues, and what the queues owe reaches the store.
void server::wait_until_quiet() {
  const auto deadline = std::chrono::steady_clock::now() + quiet_time;
  // Quiet twice in a row everywhere: a letter may be between two workers at the first look.
  for (int quiet = 0; quiet < 2 && std::chrono::steady_clock::now() < deadline;) {
    std::atomic<std::size_t> answers{0};
    std::atomic<std::size_t> busy{0};
    for (auto& w : workers_) {
      w->leave_task([&w, &answers, &busy] {
        if (!w->is_quiet()) ++busy;
        ++answers;
      });
    }
    while (answers < workers_.size()) ::poll(nullptr, 0, 1);
    quiet = busy == 0 ? quiet + 1 : 0;
  }
}

std::size_t server::connection_count() const {
  std::size_t n = 0;
  for (const auto& w : workers_) n += w->connection_count();
  return n;
}

std::vector<std::string> server::addresses() const {
  std::vector<std::string> out;
  for (const auto& l : listeners_) out.push_back(l->address());
  return out;
}

std::string server::http_address() const { return http_ ? http_->address() : std::string{}; }

void server::add(totals& sum, worker& w) {
  for (std::size_t i = 0; i < sum.settled.size(); ++i) {
    sum.settled[i] += w.with().counted.settled[i];
  }
  sum.unreadable += w.shard().counters().unreadable;
  sum.sessions += w.session_count();
  sum.links += w.link_count();
  w.shard().each_queue([&](const core::queue& q) {
    ++sum.queues;
    sum.depth += q.depth();
  });
  sum.resident += static_cast<std::uint64_t>(std::max<std::int64_t>(w.shard().resident(), 0));
  sum.in += w.with().counted.messages_in;
  sum.out += w.with().counted.messages_out;
  sum.refused += w.with().counted.refused;
  sum.stored += w.shard().commits().counters().puts;
  sum.cancelled += w.shard().commits().counters().cancelled;
  sum.credit_stops += w.shard().counters().credit_stops;
  sum.connections += w.connection_count();
}

void server::count(std::function<void(const totals&)> done) {
  struct gathering {
    std::mutex lock;
    totals sum;
    std::size_t missing = 0;
  };
  auto all = std::make_shared<gathering>();
  all->missing = workers_.size();
  for (auto& w : workers_) {
    w->leave_task([this, &w, all, done] {
      const std::lock_guard hold(all->lock);
      add(all->sum, *w);
      if (--all->missing != 0) return;
      all->sum.store = store_->statistics();
      all->sum.memory = settings_.memory;
      all->sum.connections_accepted = last_connection_;
      done(all->sum);
    });
  }
}

// --- from the store's threads ----------------------------------------------------------------

void server::log(std::string_view line) { log_.error(line); }

void server::on_commit(storage::commit_done d) noexcept {
  workers_[static_cast<std::size_t>(d.worker)]->leave(&inbox_contents::commits, d);
}

void server::on_withdraw(storage::withdraw_done d) noexcept {
  const auto to = static_cast<std::size_t>(d.worker);
  workers_[to]->leave(&inbox_contents::withdrawals, std::move(d));
}

void server::on_read(storage::read_done d) noexcept {
  const auto to = static_cast<std::size_t>(d.worker);
  workers_[to]->leave(&inbox_contents::reads, std::move(d));
}

void server::on_pressure(storage::pressure level, std::string_view reason) noexcept {
  if (level == storage::pressure::none) log_.info("the store takes messages again");
  else log_.warning("the store asks for less", {{"why", std::string(reason)}});
  for (auto& w : workers_) {
    w->leave_task([&w, level] { w->shard().on_pressure(level); });
  }
}

}  // namespace whimbrel::broker::net
