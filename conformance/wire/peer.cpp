// SPDX-License-Identifier: Apache-2.0
// Reading, writing and what a peer's frames change in our books; the verbs are in peer_verbs.cpp.
#include "conformance/wire/peer.hpp"

#include <algorithm>

#include "amqp/sasl/plain.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::size_t frame_octets_max = 64u << 20;  // what we are ready to hold of one frame

}  // namespace

peer::peer(test& t) : test_(t), watch_(t), prefix_(std::to_string(t.next_connection())) {
  try {
    socket_ = std::make_unique<socket>(t.peer().host, t.peer().port, after({}));
  } catch (const std::runtime_error& e) {
    throw not_set_up(e.what());
  }
}

peer::~peer() { finish(); }

/// Leaves in good order, so that the peer has nothing left of us.
void peer::finish() {
  if (!opened_ || they_closed_ || socket_->is_ended()) return;
  constexpr milliseconds farewell{500};
  if (!we_closed_) send(0, spec::close{});
  while (!they_closed_ && until(socket::clock::now() + farewell)) continue;
}

socket::clock::time_point peer::after(milliseconds wait) const {
  const auto usual = wait == milliseconds{} ? test_.peer().timeout : wait;
  return std::min(socket::clock::now() + usual, test_.deadline());
}

void peer::log(std::string_view direction, std::string text) {
  test_.log(prefix_ + " " + std::string(direction) + " " + std::move(text));
}

void peer::write(std::span<const std::byte> octets) {
  // Frames by their sizes; from the first that makes no sense on, octets.
  std::size_t from = 0;
  while (octets.size() - from >= 8) {
    const auto rest = octets.subspan(from);
    const bool is_header = rest[0] == std::byte{'A'} && rest[1] == std::byte{'M'};
    if (is_header && from == 0) {
      log("->", to_hex(rest.first(8)) + "  AMQP header");
      from += 8;
      continue;
    }
    const auto size = codec::load_big_endian<std::uint32_t>(rest.data());
    if (size < 8 || size > rest.size() || is_header) break;
    const frame f = parse_frame({rest.begin(), rest.begin() + size});
    log("->", to_text(f));
    note_sent(f);
    from += size;
  }
  if (from < octets.size()) {
    log("->", to_hex(octets.subspan(from)));
    if (opened_) watch_.sent_nonsense();
  }
  if (!socket_->write(octets, after({})) && !socket_->is_ended()) {
    log("->", "(the peer took not all of it)");
  }
}

void peer::note_sent(const frame& f) {
  watch_.sent(f);
  if (f.as<spec::close>() != nullptr) we_closed_ = true;
  const auto s = sessions_.find(f.channel);
  if (f.as<spec::transfer>() != nullptr && s != sessions_.end()) ++s->second.out;
}

void peer::header(std::uint8_t id, std::uint8_t major, std::uint8_t minor, std::uint8_t revision) {
  write(header_of(id, major, minor, revision));
}

void peer::drop() {
  log("--", "we drop the connection");
  socket_->drop();
  they_closed_ = true;
}

std::optional<bytes> peer::read_header(milliseconds wait) {
  const auto deadline = after(wait);
  while (socket_->input().size() < 8 && !socket_->is_ended()) {
    if (!socket_->wait(deadline)) break;
  }
  bytes& in = socket_->input();
  if (in.size() < 8) {
    log("<-", socket_->is_ended() ? "(end of stream)" : "(no header)");
    return std::nullopt;
  }
  bytes out(in.begin(), in.begin() + 8);
  in.erase(in.begin(), in.begin() + 8);
  log("<-", to_hex(out) + "  header");
  return out;
}

std::optional<frame> peer::take_frame() {
  bytes& in = socket_->input();
  if (in.size() < 4) return std::nullopt;
  const auto size = codec::load_big_endian<std::uint32_t>(in.data());
  if (size < 8 || size > frame_octets_max) {
    test_.rules().seen("T-2.3.1-a", false, "a frame of size " + std::to_string(size),
                       test_.frames());
    log("<-", to_hex(in));
    in.clear();
    socket_->drop();
    return std::nullopt;
  }
  if (in.size() < size) return std::nullopt;
  frame f = parse_frame({in.begin(), in.begin() + size});
  in.erase(in.begin(), in.begin() + size);
  log("<-", to_text(f));
  watch_.received(f);
  note(f);
  return f;
}

std::optional<frame> peer::until(socket::clock::time_point deadline) {
  for (;;) {
    if (auto f = take_frame()) return f;
    if (socket_->is_ended()) break;
    if (!socket_->wait(deadline)) return std::nullopt;
  }
  if (!eof_logged_) log("<-", socket_->was_reset() ? "(connection reset)" : "(end of stream)");
  eof_logged_ = true;
  return std::nullopt;
}

std::optional<frame> peer::next(milliseconds wait) { return until(after(wait)); }

std::optional<frame> peer::next_if(std::uint64_t code, milliseconds wait) {
  const auto deadline = after(wait);
  while (auto f = until(deadline)) {
    if (f->code == code && !f->fault) return f;
  }
  return std::nullopt;
}

frame peer::next_of(std::uint64_t code, milliseconds wait) {
  const auto deadline = after(wait);
  const std::size_t before = endings_.size();
  while (auto f = until(deadline)) {
    if (f->code == code && !f->fault) return *std::move(f);
    if (endings_.size() > before) throw no_answer("instead of an answer: " + endings_text());
  }
  const bool gone = socket_->is_ended();
  throw no_answer(gone ? "the peer dropped the connection instead of an answer"
                       : "the peer did not answer in time");
}

void peer::listen(milliseconds wait) {
  const auto deadline = after(wait);
  while (until(deadline)) continue;
}

bool peer::ends(milliseconds wait) {
  const auto deadline = after(wait);
  while (!socket_->is_ended()) {
    while (take_frame()) continue;
    if (!socket_->is_ended() && !socket_->wait(deadline)) return false;
  }
  while (take_frame()) continue;
  return true;
}

bool peer::is_gone() { return socket_->is_ended(); }

peer::session& peer::at(std::uint16_t channel) { return sessions_[channel]; }

peer::session* peer::by_theirs(std::uint16_t channel, std::uint16_t& ours) {
  for (auto& [number, s] : sessions_) {
    if (s.theirs != channel || !s.reply.remote_channel) continue;
    ours = number;
    return &s;
  }
  return nullptr;
}

link* peer::by_handle(std::uint16_t channel, std::uint32_t theirs) {
  for (auto l = links_.rbegin(); l != links_.rend(); ++l) {
    const bool is_it = l->channel == channel && l->theirs == theirs && !l->is_detached;
    if (is_it && !l->reply.name.empty()) return &*l;
  }
  return nullptr;
}

void peer::end_by(scope is, const std::optional<spec::error>& error, const frame& f) {
  ending e{.is = is, .condition = condition_of(error), .channel = f.channel};
  if (const auto* d = f.as<spec::detach>()) {
    e.handle = d->handle;
    e.closed = d->closed;
  }
  endings_.push_back(std::move(e));
}

void peer::note(const frame& f) {
  if (const auto* o = f.as<spec::open>()) theirs_ = *o;
  if (const auto* c = f.as<spec::close>()) {
    they_closed_ = true;
    end_by(scope::close, c->error, f);
  }
  if (const auto* b = f.as<spec::begin>(); b != nullptr && b->remote_channel) {
    session& s = at(*b->remote_channel);
    s.theirs = f.channel;
    s.reply = *b;
    s.in = b->next_outgoing_id;
  }
  std::uint16_t ours = 0;
  session* s = by_theirs(f.channel, ours);
  if (const auto* e = f.as<spec::end>()) {
    end_by(scope::end, e->error, f);
    if (s != nullptr) s->reply.remote_channel.reset();
  }
  if (s == nullptr) return;
  if (const auto* a = f.as<spec::attach>()) {
    for (auto l = links_.rbegin(); l != links_.rend(); ++l) {
      const bool is_it = l->name == a->name && l->channel == ours && l->reply.name.empty() &&
                         l->is_sender == (a->role == spec::role::receiver);
      if (!is_it) continue;
      l->theirs = a->handle;
      l->reply = *a;
      if (!l->is_sender) l->delivery_count = a->initial_delivery_count.value_or(0);
      break;
    }
  }
  if (const auto* d = f.as<spec::detach>()) {
    if (link* l = by_handle(ours, d->handle)) l->is_detached = true;
    end_by(scope::detach, d->error, f);
  }
  if (const auto* x = f.as<spec::flow>(); x != nullptr && x->handle) {
    if (link* l = by_handle(ours, *x->handle)) l->flow = *x;
  }
  if (const auto* d = f.as<spec::disposition>()) dispositions_.push_back(*d);
  if (const auto* x = f.as<spec::transfer>()) {
    ++s->in;
    ++transfers_seen_;
    if (link* l = by_handle(ours, x->handle)) note_transfer(*l, f, *x);
  }
}

void peer::note_transfer(link& l, const frame& f, const spec::transfer& x) {
  inbox& in = inboxes_[&l];
  if (!in.partial) {
    in.partial = delivery{};
    in.partial->id = x.delivery_id.value_or(0);
    in.partial->first = x;
    if (x.delivery_tag) in.partial->tag = x.delivery_tag->text();
    ++l.delivery_count;
  }
  delivery& d = *in.partial;
  ++d.frames;
  d.settled = d.settled || x.settled.value_or(false);
  d.aborted = x.aborted;
  d.message.insert(d.message.end(), f.payload.begin(), f.payload.end());
  if (x.more && !x.aborted) return;
  in.whole.push_back(std::move(d));
  in.partial.reset();
}

}  // namespace whimbrel::conformance
