// SPDX-License-Identifier: Apache-2.0
// Receives messages on one link and says what became of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "whimbrel/client/options.hpp"

namespace whimbrel::client {

/// A message that has come. A plain value; means something to the receiver that it came from.
struct delivery {
  client::message message = {};
  std::uint32_t id = 0;  // of the session
  bool is_settled = false;  // the sender has forgotten it: an outcome reaches nobody
  std::vector<std::byte> tag = {};
};

/// Any number of threads may use one receiver: each message goes to one of them. Detaches when
/// destroyed, without waiting; what has no outcome then goes back where it came from.
class receiver {
 public:
  struct impl;

  /// The next message; nothing if none came in time. Throws error when the link or connection has
  /// gone and all that had come was handed out.
  std::optional<delivery> receive();
  std::optional<delivery> receive(duration time_out);

  // Outcomes go out at once and together; close() waits until the peer has read them.
  void accept(const delivery& d);
  void reject(const delivery& d, const std::string& condition = {},
              const std::string& description = {});
  void release(const delivery& d);
  void modify(const delivery& d, bool delivery_failed, bool undeliverable_here,
              const map& annotations = {});

  /// Manual credit (prefetch 0): the peer may have `credit` messages outstanding from now on.
  void grant(std::uint32_t credit);
  /// Asks the peer to send what it has, as far as credit reaches (manual) or up to `prefetch`,
  /// and waits until it has: then `receive(0)` hands out all that there was. Afterwards there is
  /// no credit; `grant` gives new, and with a prefetch keeps it at that again.
  void drain();
  void drain(duration time_out);

  /// Of the source; the peer's word where the node is dynamic.
  [[nodiscard]] const std::string& address() const;
  /// The filters that the peer says it applies.
  [[nodiscard]] const map& filters() const;
  /// Messages that could not be read and were rejected.
  [[nodiscard]] std::uint64_t malformed() const;

  /// Detaches and waits for the answer. A durable subscription stays after `detach` and ends with
  /// `close`.
  void detach();
  void close();

 private:
  friend class connection;
  explicit receiver(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

}  // namespace whimbrel::client
