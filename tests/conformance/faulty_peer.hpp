// SPDX-License-Identifier: Apache-2.0
// A peer with one fault: it stands in front of a broker that has none and changes single frames on
// their way, in either direction.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "conformance/wire/frame.hpp"

namespace whimbrel::conformance::testing {

/// What a deviation remembers of one connection.
struct exchange {
  std::map<std::string, std::int64_t> numbers = {};
  [[nodiscard]] bool has(const std::string& key) const { return numbers.count(key) > 0; }
};

/// Sees a frame; `out` holds what goes on instead of it, at first the frame itself.
using hook = std::function<void(exchange&, const frame&, std::vector<bytes>& out)>;

struct deviation {
  std::string title = {};
  std::string clause = {};  // fails, or warns if it is a recommendation
  std::string also = {};    // clauses that say the same thing, or stand on it
  hook from_client = {};
  hook from_server = {};
  bool stays_open = false;  // the end of the broker's stream is not passed on
};

/// Listens on a port of its own until it is destroyed.
class faulty_peer {
 public:
  faulty_peer(std::uint16_t broker_port, deviation fault);
  ~faulty_peer();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// How many frames were changed, lest a deviation deviates in nothing.
  [[nodiscard]] std::uint64_t changed() const;

 private:
  struct wire;
  struct impl;
  void accept_all();

  std::uint16_t port_ = 0;
  std::unique_ptr<impl> impl_;
};

}  // namespace whimbrel::conformance::testing
