// SPDX-License-Identifier: Apache-2.0
// Our end of one connection to the peer under test: verbs to say things, right or wrong, and waits
// for what should come. Everything has a deadline, and everything is written down.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/run/test.hpp"
#include "conformance/wire/frame.hpp"
#include "conformance/wire/socket.hpp"
#include "conformance/wire/watch.hpp"

namespace whimbrel::conformance {

/// One link as we see it.
struct link {
  std::uint16_t channel = 0;
  std::uint32_t handle = 0;  // ours
  std::uint32_t theirs = 0;
  bool is_sender = false;    // we send
  std::string name = {};
  spec::attach reply = {};
  std::optional<spec::flow> flow = {};  // the last that named it
  std::uint32_t delivery_count = 0;     // of deliveries begun
  bool is_detached = false;

  [[nodiscard]] std::uint32_t credit() const;  // what we may still send
};

/// A delivery that has come whole.
struct delivery {
  std::uint32_t id = 0;
  std::string tag = {};
  bytes message = {};
  bool settled = false;
  bool aborted = false;
  std::uint32_t frames = 0;
  spec::transfer first = {};
};

/// Something that ended without our asking.
struct ending {
  scope is = scope::close;
  std::string condition = {};
  std::uint32_t handle = 0;  // theirs, of a detach
  std::uint16_t channel = 0;
  bool closed = false;
};

class peer {
 public:
  /// Connects. Throws `not_set_up` if that fails.
  explicit peer(test& t);
  ~peer();
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  // To say things.
  void write(std::span<const std::byte> octets);  // frames are recognised and recorded as such
  void header(std::uint8_t id = 0, std::uint8_t major = 1, std::uint8_t minor = 0,
              std::uint8_t revision = 0);
  template <class Performative>
  void send(std::uint16_t channel, const Performative& p,
            std::span<const std::byte> payload = {}) {
    write(frame_with(channel, p, payload));
  }
  template <class Performative>
  void send_sasl(const Performative& p) {
    write(frame_of(0, enc(p), {.type = 1}));
  }
  void shutdown_write() { socket_->shutdown_write(); }
  void drop();  // without a word

  // To hear things. Times are from now; zero is the usual time-out.
  std::optional<bytes> read_header(milliseconds wait = {});
  /// The next frame of any kind; nothing at the deadline or the end.
  std::optional<frame> next(milliseconds wait = {});
  /// The next frame of this kind, passing over others. Throws `no_answer` if something ends
  /// instead, or nothing comes.
  template <class P>
  P expect(milliseconds wait = {}) {
    return *next_of(P::type.code, wait).template as<P>();
  }
  template <class P>
  std::optional<P> maybe(milliseconds wait = {}) {
    const auto found = next_if(P::type.code, wait);
    return found ? std::optional<P>(*found->template as<P>()) : std::nullopt;
  }
  /// Reads whatever comes until the time is over or the connection is.
  void listen(milliseconds wait);
  void listen() { listen(test_.peer().quiet); }
  /// Waits for the end of the peer's stream. False if it stays open.
  bool ends(milliseconds wait = {});
  [[nodiscard]] bool is_gone();

  /// Reads on until the peer has handled what we sent, and says what it did about it.
  reaction react(std::uint16_t channel = 0);
  /// The same where no session is there to ask: by beginning one.
  reaction react_by_begin(std::uint16_t channel = 0);
  /// By waiting alone.
  reaction react_by_silence(milliseconds wait = {});
  /// Waits for the answer to an echo, until the deadline at most. False if something ended.
  bool sync(std::uint16_t channel = 0);

  // To prepare. Throw `not_set_up` or `not_offered`.
  void login();  // up to and with the protocol header of AMQP
  spec::open open(spec::open o = {});
  spec::begin begin(std::uint16_t channel = 0, spec::begin b = usual_begin());
  void start() {
    open();
    begin();
  }
  link& attach(spec::attach a, std::uint16_t channel = 0);
  link& sender(const std::string& address, spec::attach a = {}, std::uint16_t channel = 0);
  link& receiver(const std::string& address, spec::attach a = {}, std::uint16_t channel = 0);
  /// As `sender`, and waits for credit.
  link& producer(const std::string& address, spec::attach a = {}, std::uint16_t channel = 0);
  static spec::begin usual_begin();

  // Messages.
  /// One delivery of one frame; returns its id. `x` may preset anything but the handle.
  std::uint32_t transfer(link& l, const bytes& message, spec::transfer x = {});
  void credit(link& l, std::uint32_t credit, spec::flow f = {});
  void flow(std::uint16_t channel, spec::flow f = {});
  std::optional<delivery> receive(link& l, milliseconds wait = {});
  std::vector<delivery> receive_all(link& l, std::size_t most, milliseconds quiet = {});
  /// The disposition of the receiver that covers one of our deliveries.
  std::optional<spec::disposition> outcome(std::uint32_t id, milliseconds wait = {});
  void settle(std::uint32_t id, const codec::raw& state, bool settled = true);
  /// Detaches and waits for the answer.
  std::optional<spec::detach> detach(link& l, bool closed = true);
  /// Sends one message and waits for it to be accepted. Throws `not_set_up`.
  void publish(link& l, const bytes& message, spec::transfer x = {});

  [[nodiscard]] const spec::open& theirs() const { return theirs_; }
  [[nodiscard]] const std::vector<ending>& endings() const { return endings_; }
  [[nodiscard]] std::string endings_text() const;
  void forget_endings() { endings_.clear(); }
  [[nodiscard]] std::uint32_t next_outgoing(std::uint16_t channel) { return at(channel).out; }
  [[nodiscard]] std::uint32_t next_incoming(std::uint16_t channel) { return at(channel).in; }
  [[nodiscard]] test& owner() { return test_; }
  [[nodiscard]] std::size_t transfers_seen() const { return transfers_seen_; }
  std::uint32_t next_delivery_id = 0;

 private:
  struct session {
    std::uint16_t theirs = 0;
    std::uint32_t out = 0;
    std::uint32_t in = 0;
    std::uint32_t window = 0;
    spec::begin reply = {};
    std::uint32_t next_handle = 0;
  };
  struct inbox {
    std::optional<delivery> partial = {};
    std::deque<delivery> whole = {};
  };

  frame next_of(std::uint64_t code, milliseconds wait);
  std::optional<frame> next_if(std::uint64_t code, milliseconds wait);
  std::optional<frame> take_frame();
  std::optional<frame> until(socket::clock::time_point deadline);
  void note_sent(const frame& f);
  void note(const frame& f);
  void note_transfer(link& l, const frame& f, const spec::transfer& x);
  void end_by(scope is, const std::optional<spec::error>& error, const frame& f);
  void log(std::string_view direction, std::string text);
  session& at(std::uint16_t channel);
  session* by_theirs(std::uint16_t channel, std::uint16_t& ours);
  link* by_handle(std::uint16_t channel, std::uint32_t theirs);
  reaction collect(socket::clock::time_point deadline, bool& answered, std::uint64_t answer);
  socket::clock::time_point after(milliseconds wait) const;
  void sasl_login();
  void finish();

  test& test_;
  std::unique_ptr<socket> socket_;
  watch watch_;
  std::string prefix_;
  spec::open theirs_ = {};
  bool opened_ = false;
  bool we_closed_ = false;
  bool they_closed_ = false;
  bool eof_logged_ = false;
  std::map<std::uint16_t, session> sessions_ = {};  // by our channel
  std::deque<link> links_ = {};
  std::map<const link*, inbox> inboxes_ = {};
  std::deque<spec::disposition> dispositions_ = {};
  std::vector<ending> endings_ = {};
  std::size_t transfers_seen_ = 0;
};

}  // namespace whimbrel::conformance
