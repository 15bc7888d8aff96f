// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/faulty_peer.hpp"

#include <atomic>
#include <list>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace whimbrel::conformance::testing {

namespace asio = boost::asio;
using asio::ip::tcp;

struct faulty_peer::impl {
  explicit impl(deviation d) : fault(std::move(d)) {}

  deviation fault;
  std::uint16_t broker_port = 0;
  asio::io_context context = {};
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> changed{0};
  std::mutex mutex = {};
  std::list<std::thread> threads = {};
  std::list<std::weak_ptr<wire>> wires = {};
};

/// One connection, with a thread for each direction.
struct faulty_peer::wire {
  wire(impl& of, tcp::socket from) : owner(of), client(std::move(from)), server(of.context) {
    server.connect(tcp::endpoint(asio::ip::address_v4::loopback(), of.broker_port));
    boost::system::error_code ignored;
    server.set_option(tcp::no_delay(true), ignored);
    client.set_option(tcp::no_delay(true), ignored);
  }

  void run(tcp::socket& from, tcp::socket& to, const hook& change, bool passes_end) {
    bytes pending;
    bytes chunk(16384);
    boost::system::error_code failed;
    while (!failed) {
      const std::size_t n = from.read_some(asio::buffer(chunk), failed);
      if (failed) break;
      pending.insert(pending.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
      pass_on(pending, to, change, failed);
    }
    boost::system::error_code ignored;
    if (passes_end) to.shutdown(tcp::socket::shutdown_send, ignored);
  }

  /// Whole frames go through `change`; whatever is none goes on as it is.
  void pass_on(bytes& pending, tcp::socket& to, const hook& change,
               boost::system::error_code& failed) {
    while (pending.size() >= 8 && !failed) {
      std::size_t size = codec::load_big_endian<std::uint32_t>(pending.data());
      const bool is_header = pending[0] == std::byte{'A'};
      if (is_header) size = 8;
      const bool is_frame = !is_header && size >= 8 && size < (8u << 20);
      if (!is_header && !is_frame) size = pending.size();
      if (pending.size() < size) return;
      bytes octets(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(size));
      pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(size));
      std::vector<bytes> out = {octets};
      if (is_frame && change) {
        const frame f = parse_frame(octets);
        const std::lock_guard lock(mutex);
        change(state, f, out);
        if (out.size() != 1 || out[0] != octets) ++owner.changed;
      }
      for (const bytes& each : out) asio::write(to, asio::buffer(each), failed);
    }
  }

  impl& owner;
  tcp::socket client;
  tcp::socket server;
  std::mutex mutex = {};
  exchange state = {};
};

faulty_peer::faulty_peer(std::uint16_t broker_port, deviation fault)
    : impl_(std::make_unique<impl>(std::move(fault))) {
  impl_->broker_port = broker_port;
  port_ = impl_->acceptor.local_endpoint().port();
  impl_->threads.emplace_back([this] { accept_all(); });
}

void faulty_peer::accept_all() {
  for (;;) {
    boost::system::error_code failed;
    tcp::socket client(impl_->context);
    impl_->acceptor.accept(client, failed);
    if (failed || impl_->stopping) return;
    auto w = std::make_shared<wire>(*impl_, std::move(client));
    const std::lock_guard lock(impl_->mutex);
    impl_->wires.push_back(w);
    impl_->threads.emplace_back(
        [w] { w->run(w->client, w->server, w->owner.fault.from_client, true); });
    impl_->threads.emplace_back([w] {
      w->run(w->server, w->client, w->owner.fault.from_server, !w->owner.fault.stays_open);
    });
  }
}

faulty_peer::~faulty_peer() {
  impl_->stopping = true;
  boost::system::error_code ignored;
  tcp::socket knock(impl_->context);
  knock.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port_), ignored);
  impl_->threads.front().join();
  impl_->threads.pop_front();
  for (const auto& weak : impl_->wires) {
    if (const auto w = weak.lock()) {
      w->client.shutdown(tcp::socket::shutdown_both, ignored);
      w->server.shutdown(tcp::socket::shutdown_both, ignored);
    }
  }
  for (std::thread& t : impl_->threads) t.join();
}

std::uint64_t faulty_peer::changed() const { return impl_->changed; }

}  // namespace whimbrel::conformance::testing
