// SPDX-License-Identifier: Apache-2.0
#include "conformance/checks/family.hpp"

#include "amqp/codec/descriptor.hpp"
#include "conformance/wire/strict.hpp"

namespace whimbrel::conformance {

namespace {

reaction send_at(test& t, const input& row) {
  peer p(t);
  if (row.at == stage::header) {
    p.login();
    p.write(row.make(t));
    return p.react_by_begin();
  }
  p.open();
  if (row.at == stage::opened) {
    p.write(row.make(t));
    return p.react_by_begin();
  }
  p.begin();
  if (row.at == stage::sending) p.producer(t.address());
  if (row.at == stage::receiving) p.receiver(t.address());
  p.write(row.make(t));
  return p.react();
}

}  // namespace

void add_inputs(checks& out, std::span<const input> rows) {
  for (const input& row : rows) {
    out.push_back({row.clauses, row.title, [row](test& t) {
                     const reaction what = send_at(t, row);
                     t.judge_all(what, row.expected);
                     if (what.is != scope::tcp && what.is != scope::silent) return;
                     peer again(t);  // throws if the peer is no more
                     again.open();
                   }});
  }
}

relayed relay(test& t, const bytes& message) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t id = p.transfer(out, message);
  relayed result;
  const auto told = p.outcome(id);
  if (!told || code_of(told->state) != spec::accepted::type.code) {
    result.is_refused = true;
    result.why = told ? reaction{.is = scope::rejected, .condition = state_text(told->state)}
                      : p.react_by_silence(t.peer().quiet);
    return result;
  }
  link& in = p.receiver(t.address());
  p.credit(in, 1);
  result.came = p.receive(in);
  if (result.came) p.settle(result.came->id, accepted);
  return result;
}

std::vector<std::pair<std::uint64_t, bytes>> sections_of(const bytes& message) {
  std::vector<std::pair<std::uint64_t, bytes>> out;
  std::span<const std::byte> rest = message;
  while (!rest.empty()) {
    const std::size_t n = walk_value(rest, [](std::string_view, bool, std::string_view) {});
    if (n == 0) break;
    codec::reader r(rest);
    const auto code = codec::read_descriptor(r);
    out.emplace_back(code.has_error() ? 0 : *code, bytes(rest.begin(), rest.begin() +
                                                         static_cast<std::ptrdiff_t>(n)));
    rest = rest.subspan(n);
  }
  return out;
}

bytes bare_of(const bytes& message) {
  std::span<const std::byte> rest = message;
  std::size_t tail = 0;
  for (const auto& [code, octets] : sections_of(message)) {
    const bool is_before = code >= 0x70 && code <= 0x72;
    if (is_before && rest.size() == message.size() - tail) {
      rest = rest.subspan(octets.size());
      tail += octets.size();
    }
    if (code == 0x78) rest = rest.first(rest.size() - octets.size());
  }
  return {rest.begin(), rest.end()};
}

bytes section(const bytes& message, std::uint64_t wanted) {
  for (auto& [code, octets] : sections_of(message)) {
    if (code == wanted) return octets;
  }
  return {};
}

spec::header header_in(const bytes& message) {
  return section_as<spec::header>(message).value_or(spec::header{});
}

codec::map annotations_in(const bytes& message, std::uint64_t code) {
  const bytes found = section(message, code);
  if (found.empty()) return {};
  codec::reader r(found);
  if (codec::read_descriptor(r).has_error()) return {};
  auto decoded = codec::decode_as<codec::map>(r);
  if (decoded.has_error()) return {};
  return *std::move(decoded);
}

void add_relays(checks& out, std::span<const relay_row> rows) {
  for (const relay_row& row : rows) {
    out.push_back({row.clauses, row.title, [row](test& t) {
                     const bytes sent = row.make();
                     const relayed r = relay(t, sent);
                     const std::string why = "refused: " + r.why.text();
                     if (r.is_refused && row.may_refuse) return t.rest(verdict::noted, why);
                     if (r.is_refused) return t.expect_all(false, why);
                     if (!r.came) return t.expect_all(false, "accepted, but it never came back");
                     const bytes came = bare_of(r.came->message);
                     const bool same = came == bare_of(sent);
                     t.expect_all(same, same ? "came back unchanged"
                                             : "came back as " + to_hex(came));
                   }});
  }
}

void fill(test& t, const std::string& address, std::size_t n) {
  peer p(t);
  p.start();
  link& out = p.producer(address);
  for (std::size_t i = 0; i < n; ++i) p.publish(out, numbered("m", i));
}

std::vector<delivery> take(test& t, const std::string& address, std::size_t most) {
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.credit(in, static_cast<std::uint32_t>(most));
  auto out = p.receive_all(in, most, t.peer().quiet * 2);
  for (const delivery& d : out) p.settle(d.id, accepted);
  p.sync();
  return out;
}

std::string refusal_of(peer& p, const spec::attach& a, std::uint16_t channel) {
  try {
    p.attach(a, channel);
    return {};
  } catch (const std::runtime_error& e) {
    return e.what();
  }
}

}  // namespace whimbrel::conformance
