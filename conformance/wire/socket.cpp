// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire/socket.hpp"

#include <memory>
#include <stdexcept>

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>

namespace whimbrel::conformance {

namespace asio = boost::asio;
using boost::system::error_code;

socket::socket(const std::string& host, std::uint16_t port, clock::time_point deadline) {
  asio::ip::tcp::resolver resolver(context_);
  error_code failed;
  const auto places = resolver.resolve(host, std::to_string(port), failed);
  if (failed) throw std::runtime_error("cannot resolve " + host + ": " + failed.message());
  bool done = false;
  asio::async_connect(socket_, places, [&](error_code e, const asio::ip::tcp::endpoint&) {
    failed = e;
    done = true;
  });
  while (!done && run_one(deadline)) continue;
  if (!done) {
    drop();
    while (!done && context_.run_one() > 0) continue;
    failed = asio::error::timed_out;
  }
  if (failed) {
    throw std::runtime_error("cannot connect to " + host + ":" + std::to_string(port) + ": " +
                             failed.message());
  }
  socket_.set_option(asio::ip::tcp::no_delay(true), failed);
  read_on();
}

bool socket::run_one(clock::time_point deadline) {
  context_.restart();
  return context_.run_one_until(deadline) > 0;
}

void socket::read_on() {
  socket_.async_read_some(asio::buffer(chunk_), [this](error_code e, std::size_t n) {
    input_.insert(input_.end(), chunk_.begin(), chunk_.begin() + static_cast<std::ptrdiff_t>(n));
    arrived_ += n;
    if (e) {
      ended_ = true;
      reset_ = e != asio::error::eof;
    } else {
      read_on();
    }
  });
}

bool socket::write(std::span<const std::byte> octets, clock::time_point deadline) {
  // The octets outlive this call if the deadline passes before they are taken.
  auto kept = std::make_shared<bytes>(octets.begin(), octets.end());
  auto result = std::make_shared<std::pair<bool, bool>>(false, false);  // done, well
  asio::async_write(socket_, asio::buffer(*kept), [kept, result](error_code e, std::size_t) {
    *result = {true, !e};
  });
  while (!result->first && run_one(deadline)) continue;
  return result->second;
}

bool socket::wait(clock::time_point deadline) {
  const std::uint64_t before = arrived_;
  while (arrived_ == before && !ended_) {
    if (!run_one(deadline)) return false;
  }
  return true;
}

void socket::shutdown_write() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void socket::drop() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace whimbrel::conformance
