// SPDX-License-Identifier: Apache-2.0
// What we can say to a peer, and how its reaction is found out.
#include <algorithm>

#include "amqp/sasl/plain.hpp"
#include "conformance/wire/peer.hpp"

namespace whimbrel::conformance {

namespace {

/// An echo is only recommended [2.7.4]: after this it is taken as not answered.
constexpr milliseconds echo_wait{1000};

}  // namespace

std::uint32_t link::credit() const {
  if (!flow) return 0;
  const std::uint32_t seen = flow->delivery_count.value_or(0);
  const std::int64_t left = static_cast<std::int32_t>(seen + flow->link_credit.value_or(0) -
                                                      delivery_count);
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
}

// Preparation.

void peer::sasl_login() {
  header(3);
  const auto answer = read_header();
  if (!answer || *answer != header_of(3)) throw not_set_up("the peer speaks no SASL");
  const auto offered = maybe<spec::sasl_mechanisms>();
  if (!offered) throw not_set_up("no sasl-mechanisms came");
  const std::string wanted = test_.peer().user.empty() ? "ANONYMOUS" : "PLAIN";
  if (!offered->sasl_server_mechanisms.contains(wanted)) {
    throw not_set_up("the peer does not offer " + wanted);
  }
  spec::sasl_init init;
  init.mechanism = symbol(wanted);
  init.initial_response = binary(std::string_view("conformance"));
  if (wanted == "PLAIN") {
    init.initial_response = binary(amqp::sasl::encode_plain(
        {.authzid = "", .authcid = test_.peer().user, .passwd = test_.peer().password}));
  }
  init.hostname = test_.peer().host;
  send_sasl(init);
  const auto outcome = maybe<spec::sasl_outcome>();
  if (!outcome) throw not_set_up("no sasl-outcome came");
  if (outcome->code != spec::sasl_code::ok) throw not_set_up("the peer refused the login");
}

void peer::login() {
  const bool bare = test_.peer().takes_bare_amqp && test_.peer().user.empty();
  if (!bare) sasl_login();
  header();
  const auto answer = read_header();
  if (!answer || *answer != header_of(0)) throw not_set_up("the peer did not answer the header");
}

spec::open peer::open(spec::open o) {
  login();
  if (o.container_id.empty()) o.container_id = test_.unique("conformance") + "-" + prefix_;
  if (!o.hostname) o.hostname = test_.peer().host;
  send(0, o);
  try {
    const auto reply = expect<spec::open>();
    opened_ = true;
    return reply;
  } catch (const no_answer& e) {
    throw not_set_up(std::string("open: ") + e.what());
  }
}

spec::begin peer::usual_begin() {
  return {.next_outgoing_id = 0, .incoming_window = 100'000, .outgoing_window = 100'000};
}

spec::begin peer::begin(std::uint16_t channel, spec::begin b) {
  session s;
  s.out = b.next_outgoing_id;
  s.window = b.incoming_window;
  sessions_[channel] = s;
  send(channel, b);
  try {
    return expect<spec::begin>();
  } catch (const no_answer& e) {
    throw not_set_up(std::string("begin: ") + e.what());
  }
}

link& peer::attach(spec::attach a, std::uint16_t channel) {
  session& s = at(channel);
  if (a.handle == 0) a.handle = s.next_handle++;
  if (a.name.empty()) a.name = test_.unique("link") + "-" + std::to_string(links_.size());
  link& l = links_.emplace_back();
  l.channel = channel;
  l.handle = a.handle;
  l.is_sender = a.role == spec::role::sender;
  l.name = a.name;
  if (l.is_sender) l.delivery_count = a.initial_delivery_count.value_or(0);
  send(channel, a);
  try {
    while (l.reply.name.empty()) static_cast<void>(expect<spec::attach>());
  } catch (const no_answer& e) {
    const bool declined = std::any_of(endings_.begin(), endings_.end(), [](const ending& each) {
      return each.condition == "amqp:not-implemented";
    });
    if (declined) throw not_offered(std::string("attach: ") + e.what());
    throw not_set_up(std::string("attach: ") + e.what());
  }
  const bool refused = l.is_sender ? l.reply.target.empty() : !l.reply.source;
  if (!refused) return l;
  const auto why = maybe<spec::detach>();
  const std::string condition = why ? condition_of(why->error) : "";
  send(channel, spec::detach{.handle = l.handle, .closed = true});
  throw not_offered("the peer refused the link" + (condition.empty() ? "" : ": " + condition));
}

link& peer::sender(const std::string& address, spec::attach a, std::uint16_t channel) {
  a.role = spec::role::sender;
  if (!a.source) a.source = spec::source{};
  if (a.target.empty()) a.target = codec::to_raw(spec::target{.address = address});
  if (!a.initial_delivery_count) a.initial_delivery_count = 0;
  return attach(std::move(a), channel);
}

link& peer::receiver(const std::string& address, spec::attach a, std::uint16_t channel) {
  a.role = spec::role::receiver;
  if (!a.source) a.source = spec::source{};
  if (!a.source->address && !a.source->dynamic) a.source->address = address;
  if (a.target.empty()) a.target = codec::to_raw(spec::target{});
  return attach(std::move(a), channel);
}

link& peer::producer(const std::string& address, spec::attach a, std::uint16_t channel) {
  link& l = sender(address, std::move(a), channel);
  const auto deadline = after({});
  while (l.credit() == 0) {
    if (!until(deadline)) throw not_set_up("the peer granted no credit");
  }
  return l;
}

// Messages.

std::uint32_t peer::transfer(link& l, const bytes& message, spec::transfer x) {
  x.handle = l.handle;
  if (!x.delivery_id) x.delivery_id = next_delivery_id++;
  if (!x.delivery_tag) x.delivery_tag = binary("t" + std::to_string(*x.delivery_id));
  if (!x.message_format) x.message_format = 0;
  ++l.delivery_count;
  const std::uint32_t id = *x.delivery_id;
  // Overhead of the frame and performative stays below this.
  constexpr std::size_t overhead = 120;
  const std::size_t piece = std::max(theirs_.max_frame_size, 512u) - overhead;
  const bool ends_with_more = x.more;
  std::size_t from = 0;
  do {
    const std::size_t n = std::min(piece, message.size() - from);
    x.more = ends_with_more || from + n < message.size();
    send(l.channel, x, std::span(message).subspan(from, n));
    from += n;
  } while (from < message.size());
  return id;
}

void peer::flow(std::uint16_t channel, spec::flow f) {
  const session& s = at(channel);
  if (!f.next_incoming_id) f.next_incoming_id = s.in;
  if (f.incoming_window == 0) f.incoming_window = s.window;
  f.next_outgoing_id = s.out;
  f.outgoing_window = 100'000;
  send(channel, f);
}

void peer::credit(link& l, std::uint32_t credit, spec::flow f) {
  f.handle = l.handle;
  if (!f.delivery_count) f.delivery_count = l.delivery_count;
  f.link_credit = credit;
  flow(l.channel, std::move(f));
}

std::optional<delivery> peer::receive(link& l, milliseconds wait) {
  const auto deadline = after(wait);
  inbox& in = inboxes_[&l];
  while (in.whole.empty()) {
    if (!until(deadline)) return std::nullopt;
  }
  delivery d = std::move(in.whole.front());
  in.whole.pop_front();
  return d;
}

std::vector<delivery> peer::receive_all(link& l, std::size_t most, milliseconds quiet) {
  const auto gap = quiet == milliseconds{} ? test_.peer().quiet : quiet;
  std::vector<delivery> out;
  // The first may take its time; a gap behind it ends the wait.
  while (out.size() < most) {
    auto d = receive(l, out.empty() && quiet == milliseconds{} ? milliseconds{} : gap);
    if (!d) break;
    out.push_back(*std::move(d));
  }
  return out;
}

std::optional<spec::disposition> peer::outcome(std::uint32_t id, milliseconds wait) {
  const auto deadline = after(wait);
  for (;;) {
    for (auto it = dispositions_.begin(); it != dispositions_.end(); ++it) {
      const std::uint32_t span = it->last.value_or(it->first) - it->first;
      if (it->role != spec::role::receiver || id - it->first > span) continue;
      const spec::disposition found = *it;
      if (span == 0) dispositions_.erase(it);
      return found;
    }
    if (!until(deadline)) return std::nullopt;
  }
}

void peer::settle(std::uint32_t id, const codec::raw& state, bool settled) {
  send(0, spec::disposition{
              .role = spec::role::receiver, .first = id, .settled = settled, .state = state});
}

std::optional<spec::detach> peer::detach(link& l, bool closed) {
  send(l.channel, spec::detach{.handle = l.handle, .closed = closed});
  auto answer = maybe<spec::detach>();
  l.is_detached = true;
  return answer;
}

void peer::publish(link& l, const bytes& message, spec::transfer x) {
  const std::uint32_t id = transfer(l, message, std::move(x));
  const auto told = outcome(id);
  if (!told || code_of(told->state) != spec::accepted::type.code) {
    throw not_set_up("a message was not accepted: " +
                     (told ? state_text(told->state) : "no outcome " + endings_text()));
  }
}

// Reactions.

std::string peer::endings_text() const {
  std::string out;
  for (const ending& e : endings_) {
    if (!out.empty()) out += ", ";
    out += reaction{.is = e.is, .condition = e.condition}.text();
  }
  return out;
}

/// Reads until something ends, `answer` comes, or the deadline.
reaction peer::collect(socket::clock::time_point deadline, bool& answered, std::uint64_t answer) {
  const auto worst = [this]() -> std::optional<reaction> {
    if (endings_.empty()) return std::nullopt;
    const ending& e = endings_.back();
    return reaction{.is = e.is, .condition = e.condition};
  };
  while (auto f = until(deadline)) {
    if (f->code == answer) {
      answered = true;
      break;
    }
    if (worst()) break;
  }
  if (const auto w = worst()) return *w;
  if (socket_->is_ended() && socket_->input().empty()) return {.is = scope::tcp};
  return {.is = answered ? scope::ignored : scope::silent};
}

reaction peer::react(std::uint16_t channel) {
  if (endings_.empty() && !socket_->is_ended()) flow(channel, {.echo = true});
  bool answered = false;
  reaction out = collect(after(echo_wait), answered, spec::flow::type.code);
  if (out.is == scope::ignored) {
    // It may have been another flow, or the fault may come to light later.
    out = collect(after(test_.peer().quiet), answered, ~0ull);
  }
  if (out.is == scope::silent) {
    // An echo is only recommended. A begin must be answered.
    return react_by_begin(static_cast<std::uint16_t>(channel + 1));
  }
  for (const spec::disposition& d : dispositions_) {
    if (d.role != spec::role::receiver || d.state.empty()) continue;
    out.also = "answered " + state_text(d.state);
    const auto rejected = state_as<spec::rejected>(d.state);
    if (!rejected || out.is != scope::ignored) continue;
    out.is = scope::rejected;
    out.condition = condition_of(rejected->error);
    out.also.clear();
  }
  return out;
}

reaction peer::react_by_begin(std::uint16_t channel) {
  if (endings_.empty() && !socket_->is_ended()) {
    sessions_[channel] = session{.window = 1000};
    send(channel, usual_begin());
  }
  bool answered = false;
  reaction out = collect(after({}), answered, spec::begin::type.code);
  if (out.is == scope::ignored) out = collect(after(test_.peer().quiet), answered, ~0ull);
  return out;
}

reaction peer::react_by_silence(milliseconds wait) {
  bool answered = false;
  return collect(after(wait), answered, ~0ull);
}

bool peer::sync(std::uint16_t channel) {
  const std::size_t before = endings_.size();
  flow(channel, {.echo = true});
  const auto deadline = after(echo_wait);
  while (const auto f = until(deadline)) {
    if (endings_.size() > before || f->code == spec::flow::type.code) break;
  }
  return endings_.size() == before && !socket_->is_ended();
}

}  // namespace whimbrel::conformance
