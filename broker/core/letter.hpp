// SPDX-License-Identifier: Apache-2.0
// What links and queues say to each other. The same values whether both live on one worker (then
// they are handed over by a direct call) or on two (then they wait in a mailbox until its turn).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/codec/value.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/core/predicate.hpp"

namespace whimbrel::broker::core {

class shard;

enum class letter_kind : std::uint8_t {
  // link -> queue
  put,              // message, from `link`; `id` comes back in the verdict. presettled: no verdict
  subscribe,        // `link` wants to receive; flag copy: browse. `count`: its priority, an int32
  grant,            // `limit`: the link's deliveries may number this many in all (absolute, wraps);
                    // flag drain: give what there is, then answer `drained`
  settle,           // sequences [first, last] held by `link` reached `outcome`; flag answer: the
                    // consumer waits for our `settled`, delivery-ids from `id` on
  unsubscribe,      // the last from this consumer, but for settles of deliveries still under way
  add_producer,     // answered by `gate`
  prepare,          // message, as part `count` of joint change `id`; answered by `prepared`
  apply,            // the message at `first` of queue-id `last`, prepared before, is there now
  undo,             // ... or never was
  remove_producer,
  // queue -> link
  deliver,          // message at sequence `first`; `count` failed deliveries so far
  verdict,          // deliveries [id, id + (last - first)] reached `outcome`
  answer,           // the consumer may be told that [id, id + (last - first)] are settled so
  drained,          // all that there was has been delivered before this; `first`: the limit of
                    // the grant that it answers
  gate,             // flag open: worker `id` lets this producer be given credit
  detached,         // the queue has gone, or refused the link: `detail` says why
  prepared,         // part `count` of joint change `id` will be at `first` of queue-id `last`; at 0
                    // if the queue has gone, or refuses it: then `detail` says why; flag known:
                    // or because it has it
  active,           // flag open: of those who wait for one active consumer, this is it
  // any worker -> any worker
  task,             // `detail->run` is called with the receiving shard: the cold paths
};

/// What became of a message, at either end. [3.4]
enum class outcome : std::uint8_t { accepted, rejected, released, modified };

namespace letter_flag {
inline constexpr std::uint8_t presettled = 1;       // put
inline constexpr std::uint8_t internal = 8;         // put, prepare: not from a producer
inline constexpr std::uint8_t copy = 1;             // subscribe
inline constexpr std::uint8_t drain = 1;            // grant
inline constexpr std::uint8_t answer = 1;           // settle
inline constexpr std::uint8_t failed = 2;           // settle: modified with delivery-failed
inline constexpr std::uint8_t undeliverable = 4;    // settle: modified with undeliverable-here
inline constexpr std::uint8_t first_acquirer = 1;   // deliver
inline constexpr std::uint8_t known = 1;            // prepared: the queue had it before
inline constexpr std::uint8_t open = 1;             // gate, active
}  // namespace letter_flag

/// The rare attachments.
struct letter_detail {
  std::string_view condition = {};  // a literal: why rejected or detached
  std::string description = {};
  std::string queue = {};        // rejected: by which queue, and why, for the error's info
  std::string_view reason = {};  // a literal
  std::optional<amqp::codec::map> annotations = {};  // settle: modified's message-annotations
  std::function<void(shard&)> run = {};         // task
  storage::record record = {};   // prepared, at a place: joins the batch with the message
  std::unique_ptr<const predicate> wants = {};  // subscribe: what it selects; null: everything
};

struct letter {
  letter_kind kind = letter_kind::task;
  core::outcome outcome = outcome::accepted;
  std::uint8_t flags = 0;
  std::uint32_t id = 0;
  std::uint32_t count = 0;   // deliver: delivery-count. grant: the limit
  link_ref link{};
  queue_ref queue{};
  sequence first = 0;
  sequence last = 0;
  message_ptr message;
  std::int64_t expires_ms = 0;  // deliver: 0 is never
  std::unique_ptr<letter_detail> detail;

  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

/// What a deliver says besides the message.
struct delivery {
  sequence at = 0;
  std::uint32_t failed = 0;     // failed deliveries so far
  bool first_acquirer = false;
  std::int64_t expires_ms = 0;  // 0: never
};

/// The link's side of the conversation: implemented by protocol links.
class link_end {
 public:
  virtual ~link_end() = default;
  /// The two that come once a message, when the other end is on this worker: as the letter, without
  /// one. The message is the queue's, and may go with the first letter that this link sends.
  virtual void on_delivery(queue_ref from, const delivery& d, const message_ptr& message);
  virtual void on_verdict(std::uint32_t id, std::uint32_t count, outcome what);
  /// deliver, verdict, answer, drained, gate, detached. Must not destroy the link before returning.
  virtual void on_letter(letter&&) = 0;
  /// Another link has its name now. Says which queue it had dealings with, if any: whatever it
  /// still has to tell it has been sent. May destroy the link.
  virtual queue_ref on_stolen() { return {}; }
};

}  // namespace whimbrel::broker::core
