// SPDX-License-Identifier: Apache-2.0
// The whole broker in the test's own process, on a VFS of the test's choice.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "broker/net/server.hpp"

namespace whimbrel::tests {

class embedded_broker {
 public:
  embedded_broker(const std::string& directory, std::uint32_t workers,
                  broker::net::test_switches switches)
      : log_(broker::log_level::off, broker::log_format::text),
        server_(settings_for(directory, workers), log_, std::move(switches)),
        thread_([this] { code_ = server_.run(); }) {}
  ~embedded_broker() { stop(); }
  embedded_broker(const embedded_broker&) = delete;
  embedded_broker& operator=(const embedded_broker&) = delete;

  [[nodiscard]] std::uint16_t port() const {
    const std::string address = server_.addresses().at(0);
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  /// Of its pages, as ADDRESS:PORT.
  [[nodiscard]] std::string http_address() const { return server_.http_address(); }
  broker::net::totals totals() {
    const auto answer = std::make_shared<std::promise<broker::net::totals>>();
    auto coming = answer->get_future();
    server_.count([answer](const broker::net::totals& t) { answer->set_value(t); });
    return coming.get();
  }
  broker::exit_code stop() {
    if (thread_.joinable()) {
      server_.stop();
      thread_.join();
    }
    return code_;
  }

 private:
  static broker::config::settings settings_for(const std::string& directory,
                                               std::uint32_t workers) {
    broker::config::settings out;
    out.data = directory;
    out.workers = workers;
    out.http = "127.0.0.1:0";
    out.memory = 256 * broker::config::mib;
    out.listeners = {{.address = "127.0.0.1", .port = 0, .required = true, .anonymous = true}};
    return out;
  }

  broker::logger log_;
  broker::exit_code code_ = broker::exit_code::failure;
  broker::net::server server_;
  std::thread thread_;
};

}  // namespace whimbrel::tests
