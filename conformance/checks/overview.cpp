// SPDX-License-Identifier: Apache-2.0
// The list of all checks; the clauses that other clauses stand for; those that all frames are held
// against; those that have no check, and why.
#include <algorithm>
#include <array>
#include <set>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

/// A whole exchange without anything that the standard does not have.
void plain_peer(test& t) {
  peer p(t);
  p.login();
  p.send(0, spec::open{.container_id = t.unique("plain"), .hostname = t.peer().host});
  p.expect<spec::open>();
  p.begin();
  link& out = p.producer(t.address());
  const std::uint32_t id = p.transfer(out, data_message("plain"));
  const auto told = p.outcome(id);
  link& in = p.receiver(t.address());
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (d) p.settle(d->id, accepted);
  const bool well = told && d && bare_of(d->message) == data_message("plain") && p.sync();
  const std::string text = well ? "sent, received and settled" : "the exchange did not succeed";
  for (const std::string& c : t.clauses()) t.expect(c, well, text);
}

void offers_transactions(test& t) {
  t.note("O-0.2-g",
         t.peer().has_transactions ? "the coordinator is there" : t.peer().no_transactions);
  t.note("O-0.2-d", t.peer().has_transactions ? "see part 4" : t.peer().no_transactions);
}

struct reason {
  std::string_view ids = "";
  std::string_view why = "";
};

constexpr std::array reasons = {
    reason{"Y-1.2.3-d Y-1.2.4-b", "a property of the encoder alone: unit tests of the codec"},
    reason{"Y-1.5-e", "needs the peer's documentation of its own descriptors"},
    reason{"T-2.4.3-c T-2.4.5-k T-2.6.3-g T-2.6.7-k T-2.7.1-p T-2.7.1-r T-2.8.16-a T-2.8.18-a "
           "M-3.2.10-b M-3.5.3-i",
           "only to be seen at a client"},
    reason{"T-2.4.6-c T-2.5.5-a",
           "a permission that the peer may or may not use; nothing to judge"},
    reason{"T-2.7.1-i T-2.7.1-q T-2.7.2-f T-2.7.3-r", "nothing that would show it can be provoked"},
    reason{"T-2.7.3-q", "needs more unsettled deliveries than fit a frame"},
    reason{"T-2.7.5-ac T-2.6.12-i", "needs a resumed link, or a message that expires while held"},
    reason{"T-2.7.9-b T-2.8.15-d T-2.8.15-g T-2.8.15-h T-2.8.15-b T-2.8.16-b T-2.8.18-b",
           "needs the broker's own management or configuration"},
    reason{"T-2.8.19-a S-5.1-b S-5.2-b S-5.2-e S-5.2-f S-5.2.1-a", "needs TLS"},
    reason{"M-3.2.1-b M-3.2.1-e M-3.5.5-a", "needs the broker to be killed and restarted"},
    reason{"M-3.2.1-g", "needs the number of priorities that the broker keeps apart"},
    reason{"M-3.2.4-f M-3.2.4-g M-3.2.4-h", "binds whoever makes the message"},
    reason{"M-3.3-f", "needs a node that fans out"},
    reason{"M-3.4.1-b M-3.4.1-d M-3.4.6-e M-3.4.6-f M-3.4.6-g M-3.4.6-h M-3.4.6-i M-3.4.6-j "
           "M-3.4.6-k M-3.4.6-l M-3.4.6-m M-3.4.6-n M-3.4.6-o M-3.4.6-p M-3.4.6-q",
           "states that a broker cannot be brought into from outside: library level"},
    reason{"M-3.5.8-b", "needs two filters that the peer is known to apply"},
    reason{"X-4.3-e X-4.4.2-g X-4.4.3-e X-4.4.4.1-a X-4.4.4.1-c X-4.5.8-a",
           "needs a commit that the broker cannot complete, or a discharge inside a transfer"},
    reason{"S-5.3.3.5-c S-5.3.3.6-b", "needs SCRAM, or an authentication back-end that fails"},
};

}  // namespace

std::string why_not_automated(const clause& c) {
  for (const reason& r : reasons) {
    const auto ids = words_of(r.ids);
    if (std::find(ids.begin(), ids.end(), c.id) != ids.end()) return std::string(r.why);
  }
  if (c.binds == "cli" || c.binds == "ctl") return "binds the client";
  return {};
}

const std::vector<std::string>& observed_clauses() {
  static const std::vector<std::string> all = words_of(
      "Y-1.4-d Y-1.4-h Y-1.4-i Y-1.4-k Y-1.3.4-b Y-1.3.5-a Y-1.5-c Y-1.2.2-b Y-1.2.3-b Y-1.2.3-c "
      "Y-1.2.4-f Y-1.6-a Y-1.6.2-b Y-1.6.20-a Y-1.6.20-b Y-1.6.21-a Y-1.6.23-a Y-1.6.23-b "
      "T-2.3.1-a T-2.3.2-a T-2.3.2-b T-2.4.1-a T-2.4.1-b T-2.4.3-b T-2.4.3-f T-2.4.5-g T-2.4.5-h "
      "T-2.5.1-a T-2.5.1-b T-2.5.1-c T-2.5.1-g T-2.6.2-d T-2.6.12-a T-2.6.14-b T-2.7.1-a T-2.7.1-e "
      "T-2.7.1-j T-2.7.2-a T-2.7.2-c T-2.7.3-c T-2.7.3-i T-2.7.3-t T-2.7.4-a T-2.7.4-b T-2.7.4-d "
      "T-2.7.4-e T-2.7.5-a T-2.7.5-b T-2.7.5-e T-2.7.5-g T-2.7.5-i T-2.7.5-l T-2.7.5-m T-2.7.5-o "
      "T-2.7.5-w T-2.7.5-aa T-2.7.6-a T-2.7.7-c T-2.7.8-b T-2.7.9-c T-2.8.13-a T-2.8.14-a "
      "T-2.8.14-b M-3.4-a M-3.4.3-b M-3.4.3-c M-3.5.3-d M-3.5.3-k M-3.5.3-l M-3.5.4-c M-3.5.6-f "
      "M-3.5.8-a S-5.3.1-c S-5.3.1-g S-5.3.3.1-a S-5.3.3.3-a S-5.3.3.5-b S-5.3.3.6-a");
  return all;
}

const std::vector<check>& all_checks() {
  static const std::vector<check> all = [] {
    checks out;
    add_types(out);
    add_types_relay(out);
    add_transport_connection(out);
    add_transport_idle(out);
    add_transport_session(out);
    add_transport_links(out);
    add_transport_link_errors(out);
    add_transport_credit(out);
    add_transport_transfer(out);
    add_transport_transfer_faults(out);
    add_transport_disposition(out);
    add_transport_resume(out);
    add_messaging_format(out);
    add_messaging_header(out);
    add_messaging_outcomes(out);
    add_messaging_termini(out);
    add_messaging_nodes(out);
    add_transactions(out);
    add_transactions_settlement(out);
    add_security(out);
    out.push_back({"O-0.2-f O-0.1-a O-0.2-a O-0.2-b O-0.2-c M-3.2-j", "a plain peer", plain_peer});
    out.push_back({"O-0.2-g O-0.2-d", "transactions are offered", offers_transactions});
    return out;
  }();
  return all;
}

}  // namespace whimbrel::conformance
