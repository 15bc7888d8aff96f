// SPDX-License-Identifier: Apache-2.0
// Families of checks that differ in their octets alone, and what many checks share.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/run/test.hpp"
#include "conformance/wire/peer.hpp"

namespace whimbrel::conformance {

using checks = std::vector<check>;

// One function a file, called by all_checks() in this order.
void add_types(checks& out);
void add_types_relay(checks& out);
void add_transport_connection(checks& out);
void add_transport_idle(checks& out);
void add_transport_session(checks& out);
void add_transport_links(checks& out);
void add_transport_link_errors(checks& out);
void add_transport_credit(checks& out);
void add_transport_transfer(checks& out);
void add_transport_transfer_faults(checks& out);
void add_transport_disposition(checks& out);
void add_transport_resume(checks& out);
void add_messaging_format(checks& out);
void add_messaging_header(checks& out);
void add_messaging_outcomes(checks& out);
void add_messaging_termini(checks& out);
void add_messaging_nodes(checks& out);
void add_transactions(checks& out);
void add_transactions_settlement(checks& out);
void add_security(checks& out);

/// How far we get before the input is sent. On channel 0; `sending` and `receiving` have attached
/// handle 0 to a node of the check's own.
enum class stage { header, opened, begun, sending, receiving };

/// Octets sent at a stage, and what should come of it (see `expectation`).
struct input {
  const char* clauses = "";
  const char* title = "";
  stage at = stage::begun;
  bytes (*make)(const test& t) = nullptr;
  const char* expected = "";
};
void add_inputs(checks& out, std::span<const input> rows);

/// A message sent, and as it came back.
struct relayed {
  bool is_refused = false;
  reaction why = {};               // if refused
  std::optional<delivery> came = {};
};
relayed relay(test& t, const bytes& message);

/// The octets of a message from properties to the last body section. [3.2]
bytes bare_of(const bytes& message);
/// Codes and octets of the sections; what cannot be told is left out.
std::vector<std::pair<std::uint64_t, bytes>> sections_of(const bytes& message);
/// The octets of one section, descriptor included; empty if there is none.
bytes section(const bytes& message, std::uint64_t code);
template <class T>
std::optional<T> section_as(const bytes& message) {
  const bytes found = section(message, T::type.code);
  if (found.empty()) return std::nullopt;
  codec::reader r(found);
  auto decoded = codec::decode_as<T>(r);
  if (decoded.has_error()) return std::nullopt;
  return *std::move(decoded);
}
/// The header as the receiver has to read it, defaults filled in.
spec::header header_in(const bytes& message);
/// The map of an annotations section; empty if there is none.
codec::map annotations_in(const bytes& message, std::uint64_t code);

/// A message that must come back with its bare part unchanged, or (`may_refuse`) be refused.
struct relay_row {
  const char* clauses = "";
  const char* title = "";
  bytes (*make)() = nullptr;
  bool may_refuse = false;
};
void add_relays(checks& out, std::span<const relay_row> rows);

/// `text` numbered, for messages that are told apart.
inline bytes numbered(std::string_view text, std::size_t n) {
  return data_message(std::string(text) + "-" + std::to_string(n));
}

/// Publishes `n` numbered messages on a connection of its own.
void fill(test& t, const std::string& address, std::size_t n);

/// Takes what is in a node by a fresh connection, up to `most`, and accepts it.
std::vector<delivery> take(test& t, const std::string& address, std::size_t most);

inline const codec::raw accepted = state_of(spec::accepted{});
inline const codec::raw released = state_of(spec::released{});
inline const codec::raw rejected = state_of(spec::rejected{});

/// What an attach that should be answered came to; nothing if it was answered.
std::string refusal_of(peer& p, const spec::attach& a, std::uint16_t channel = 0);

}  // namespace whimbrel::conformance
