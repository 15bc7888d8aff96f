// SPDX-License-Identifier: Apache-2.0
// The rules on connections and sessions; those on links are in watch_links.cpp.
#include "conformance/wire/watch.hpp"

#include <algorithm>
#include <array>

#include "amqp/codec/descriptor.hpp"
#include "amqp/spec/catalogue.hpp"
#include "conformance/wire/strict.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::array<std::string_view, 12> multiple_fields = {
    "outgoing-locales", "incoming-locales", "offered-capabilities",  "desired-capabilities",
    "outcomes",         "capabilities",     "sasl-server-mechanisms"};

/// The rule that a composite breaks which is well-formed but is not what it should be.
std::string_view broken_by(const amqp::decode_error& fault) {
  using amqp::decode_fault;
  const bool is_multiple = std::find(multiple_fields.begin(), multiple_fields.end(), fault.field) !=
                           multiple_fields.end();
  if (is_multiple && !fault.field.empty()) return "Y-1.4-k";
  switch (fault.fault) {
    case decode_fault::missing_mandatory:
      return fault.field == "condition" ? "T-2.8.14-a" : "Y-1.4-d";
    case decode_fault::bad_value:
      return "Y-1.3.5-a";
    case decode_fault::bad_descriptor:
      return "Y-1.3.4-b";
    default:
      return "Y-1.4-h";
  }
}

/// Elements of the list behind the descriptor; nothing if it cannot be told.
std::optional<std::uint32_t> elements_of(std::span<const std::byte> body) {
  codec::reader r(body);
  if (codec::read_descriptor(r).has_error()) return std::nullopt;
  const auto header = codec::read_list_header(r);
  return header.has_error() ? std::nullopt : std::optional(header->count);
}

}  // namespace

void watch::rule(std::string_view clause, bool held, std::string_view what) {
  test_.rules().seen(clause, held, what, held ? std::vector<std::string>{} : test_.frames());
}

void watch::sent(const frame& f) {
  if (f.fault || f.type > 1 || f.doff < 2) return sent_nonsense();
  if (const auto* o = f.as<spec::open>(); o != nullptr && !we_opened_) {
    we_opened_ = true;
    our_max_frame_size_ = std::max(o->max_frame_size, 512u);
    our_channel_max_ = o->channel_max;
  }
  if (const auto* b = f.as<spec::begin>()) {
    session_state s;
    s.ours = f.channel;
    s.handle_max = b->handle_max;
    waiting_[f.channel] = std::move(s);
  }
  session_state* s = nullptr;
  for (auto& [theirs, each] : sessions_) {
    if (each.ours == f.channel) s = &each;
  }
  if (const auto waits = waiting_.find(f.channel); waits != waiting_.end()) s = &waits->second;
  if (s == nullptr) return;
  if (const auto* a = f.as<spec::attach>()) {
    (a->role == spec::role::sender ? s->asked_senders : s->asked_receivers).insert(a->name);
  }
  if (const auto* d = f.as<spec::disposition>()) {
    const bool settles = d->settled && d->role == spec::role::receiver;
    if (settles) settle(d->first, d->last.value_or(d->first), *s);
  }
  // A delivery-id may come again once its delivery is forgotten.
  if (const auto* x = f.as<spec::transfer>()) s->outcomes.erase(x->delivery_id.value_or(0));
}

watch::session_state* watch::session_of(std::uint16_t channel) {
  const auto found = sessions_.find(channel);
  return found == sessions_.end() ? nullptr : &found->second;
}

void watch::received(const frame& f) {
  rule("T-2.3.1-a", f.octets.size() >= 8, "a frame shorter than its header");
  if (f.octets.size() < 8) return;
  check_encoding(f);
  if (f.type == 1) {
    rule("S-5.3.1-c", f.octets.size() <= 512, "a SASL frame above 512 octets");
    rule("S-5.3.1-g", f.doff == 2 && f.channel == 0, "a SASL frame with DOFF or octets 6-7 set");
  } else {
    check_place(f);
  }
  std::visit([&](const auto& p) { on(f, p); }, f.what);
}

void watch::check_encoding(const frame& f) {
  if (f.is_empty()) return;
  bool well = true;
  const std::size_t walked =
      walk_value(f.body(), [&](std::string_view clause, bool held, std::string_view what) {
        well = well && held;
        rule(clause, held, what);
      });
  if (walked == 0 || !well || we_erred_) return;  // what we sent wrong may come back
  const spec::catalogue_entry* known = spec::find_composite(f.code);
  const bool is_performative =
      (f.code >= 0x10 && f.code <= 0x18) || (f.code >= 0x40 && f.code <= 0x44);
  rule("T-2.3.2-a", known != nullptr && is_performative, "a frame that holds no performative");
  if (known == nullptr) return;
  if (const auto count = elements_of(f.body())) {
    const bool fits = *count <= known->fields.size();
    rule("Y-1.4-i", fits, "more elements than the type has fields");
    if (!fits) return;
  }
  const std::string_view broken = f.fault ? broken_by(*f.fault) : "";
  const std::string what = f.fault ? to_text(f) : "";
  const bool has_mandatory =
      std::any_of(known->fields.begin(), known->fields.end(),
                  [](const spec::catalogue_field& each) { return each.is_mandatory; });
  if (has_mandatory || broken == "Y-1.4-d") rule("Y-1.4-d", broken != "Y-1.4-d", what);
  for (const std::string_view clause : {"Y-1.4-h", "Y-1.4-k", "Y-1.3.5-a"}) {
    rule(clause, broken != clause, what);
  }
  if (broken == "Y-1.3.4-b") rule(broken, false, what);
  if (broken == "T-2.8.14-a") rule(broken, false, what);
  if (f.code != 0x14) {
    rule("T-2.3.2-b", walked == f.body().size(), "octets behind a performative without payload");
  }
}

void watch::check_place(const frame& f) {
  rule("T-2.4.3-b", !closed_, "a frame behind the close");
  rule("T-2.7.1-e", f.octets.size() <= our_max_frame_size_,
       "a frame of " + std::to_string(f.octets.size()) + " octets to a peer that takes " +
           std::to_string(our_max_frame_size_));
  if (!opened_) {
    if (!f.is_empty()) rule("T-2.4.1-a", f.code == 0x10, "a frame before the open");
    rule("T-2.4.1-b", f.code != 0x10 || f.channel == 0, "an open on another channel than 0");
  }
  if (f.is_empty()) {
    rule("T-2.4.5-g", f.channel == 0, "an empty frame on another channel than 0");
    rule("T-2.4.5-h", opened_ && !closed_, "an empty frame before the open or behind the close");
  }
  if (we_opened_) {
    rule("T-2.7.1-j", f.channel <= our_channel_max_, "a channel above our channel-max");
  }
}

void watch::on(const frame&, const std::monostate&) {}

template <class Sasl>
void watch::on(const frame&, const Sasl& s) {
  if constexpr (std::is_same_v<Sasl, spec::sasl_mechanisms>) {
    rule("S-5.3.3.1-a", !s.sasl_server_mechanisms.empty(), "no mechanisms");
  } else if constexpr (std::is_same_v<Sasl, spec::sasl_outcome>) {
    const bool is_ok = s.code == spec::sasl_code::ok;
    rule("S-5.3.3.6-a", true, "");
    if (!is_ok) rule("S-5.3.3.5-b", !s.additional_data, "additional data with a failed outcome");
  } else if constexpr (std::is_same_v<Sasl, spec::sasl_challenge>) {
    rule("S-5.3.3.3-a", true, "");
  }
}

void watch::on(const frame&, const spec::open& o) {
  opened_ = true;
  rule("T-2.7.1-a", true, "");
  if (o.properties) {
    for (const auto& [key, mapped] : *o.properties) {
      rule("T-2.8.13-a", key.is<symbol>(), "a key of properties that is no symbol");
    }
  }
}

void watch::on(const frame& f, const spec::begin& b) {
  rule("T-2.7.2-a", true, "");
  if (we_erred_) return;
  if (!b.remote_channel) {
    rule("T-2.5.1-b", waiting_.empty(), "a begin without remote-channel while ours waits");
    return;
  }
  const auto asked = waiting_.find(*b.remote_channel);
  rule("T-2.5.1-a", asked != waiting_.end(),
       "a begin with remote-channel that answers none of ours");
  if (asked == waiting_.end()) return;
  rule("T-2.5.1-g", sessions_.count(f.channel) == 0, "a begin on a channel that is in use");
  std::uint16_t lowest = 0;
  while (sessions_.count(lowest) > 0) ++lowest;
  rule("T-2.5.1-c", f.channel == lowest, "not the lowest free channel");
  sessions_[f.channel] = std::move(asked->second);
  waiting_.erase(asked);
}

void watch::check_error(std::string_view advice, const std::optional<spec::error>& error) {
  if (!error) return;
  rule(advice, !error->condition.text.empty(), "an error with an empty condition");
  rule("T-2.8.14-a", true, "");
  if (!error->info) return;
  for (const auto& [key, mapped] : *error->info) {
    rule("T-2.8.14-b", key.is<symbol>(), "a key of error.info that is no symbol");
  }
}

void watch::on(const frame& f, const spec::end& e) {
  check_error("T-2.7.8-b", e.error);
  sessions_.erase(f.channel);
}

void watch::on(const frame& f, const spec::close& c) {
  rule("T-2.4.3-f", f.channel == 0, "a close on another channel than 0");
  check_error("T-2.7.9-c", c.error);
  closed_ = true;
}

template void watch::on(const frame&, const spec::sasl_mechanisms&);
template void watch::on(const frame&, const spec::sasl_init&);
template void watch::on(const frame&, const spec::sasl_challenge&);
template void watch::on(const frame&, const spec::sasl_response&);
template void watch::on(const frame&, const spec::sasl_outcome&);

}  // namespace whimbrel::conformance
