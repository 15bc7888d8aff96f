// SPDX-License-Identifier: Apache-2.0
// What comes without a letter, for links that want letters.
#include "broker/core/letter.hpp"

#include <utility>

namespace whimbrel::broker::core {

void link_end::on_delivery(queue_ref from, const delivery& d, const message_ptr& message) {
  letter l;
  l.kind = letter_kind::deliver;
  l.flags = d.first_acquirer ? letter_flag::first_acquirer : std::uint8_t{0};
  l.count = d.failed;
  l.queue = from;
  l.first = d.at;
  l.message = message;
  l.expires_ms = d.expires_ms;
  on_letter(std::move(l));
}

void link_end::on_verdict(std::uint32_t id, std::uint32_t count, outcome what) {
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = what;
  l.id = id;
  l.last = count - 1;
  on_letter(std::move(l));
}

}  // namespace whimbrel::broker::core
