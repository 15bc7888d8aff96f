// SPDX-License-Identifier: Apache-2.0
// The blocking face where things go wrong: refusals, silence, a broker that dies.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "tests/client/local_broker.hpp"

using namespace whimbrel::client;
using namespace std::chrono_literals;
using whimbrel::tests::local_broker;

namespace {

/// Accepts connections and says nothing, for the kernel does that by itself.
class silent_listener {
 public:
  silent_listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    socklen_t size = sizeof at;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
  }
  ~silent_listener() { ::close(fd_); }
  silent_listener(const silent_listener&) = delete;
  silent_listener& operator=(const silent_listener&) = delete;

  [[nodiscard]] std::string url() const { return "amqp://127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_ = -1;
  int port_ = 0;
};

template <class F>
failure failure_of(F&& run) {
  try {
    run();
  } catch (const error& e) {
    return e.why();
  }
  return {.scope = error_scope::usage, .condition = {}, .description = "nothing was thrown"};
}

}  // namespace

TEST_CASE("client: a port where nobody listens is a network failure") {
  const failure why = failure_of([] { connection::open("amqp://127.0.0.1:1"); });
  CHECK(why.scope == error_scope::network);
  CHECK(why.description.find("127.0.0.1:1") != std::string::npos);
}

TEST_CASE("client: a port that is none is the caller's mistake") {
  for (const char* port : {"", "amqp", "5672x", "65536", "-1"}) {
    CAPTURE(port);
    const failure why = failure_of([&] { connection::open(broker_url{.port = port}); });
    CHECK(why.scope == error_scope::usage);
    CHECK(why.description.find("port") != std::string::npos);
  }
}

TEST_CASE("client: a peer that says nothing is given up in time") {
  const silent_listener nobody;
  const failure why =
      failure_of([&] { connection::open(nobody.url(), {.time_out = 100ms}); });
  CHECK((why.scope == error_scope::time_out || why.scope == error_scope::connection));
}

TEST_CASE("client: a wrong password is refused") {
  const local_broker broker;
  const failure why = failure_of(
      [&] { static_cast<void>(broker.connect({.user = "nobody", .password = "wrong"})); });
  CHECK(why.scope == error_scope::connection);
  CHECK(why.text() != "");
}

TEST_CASE("client: a link that the peer refuses says why, and the connection goes on") {
  const local_broker broker;
  auto on = broker.connect();
  const failure sending = failure_of([&] { on.open_sender("/queues/none"); });
  const failure receiving = failure_of([&] { on.open_receiver("/queues/none"); });
  for (const failure& why : {sending, receiving}) {
    CHECK(why.scope == error_scope::link);
    CHECK(why.condition == "amqp:not-found");
    CHECK(!why.description.empty());
  }
  CHECK(on.is_open());
  CHECK(on.open_sender("q").send(text_message("x")).is_accepted());
}

TEST_CASE("client: what waits ends when the broker dies") {
  local_broker broker;
  auto on = broker.connect();
  auto from = on.open_receiver("empty");
  auto to = on.open_sender("q");
  CHECK(to.send(text_message("x")).is_accepted());
  broker.kill();
  CHECK(failure_of([&] { from.receive(); }).scope == error_scope::network);
  CHECK(failure_of([&] { to.send(text_message("x")); }).scope == error_scope::network);
  CHECK(failure_of([&] { to.flush(); }).scope == error_scope::network);
  CHECK(failure_of([&] { on.open_sender("q"); }).scope == error_scope::network);
  CHECK_FALSE(on.is_open());
}

TEST_CASE("client: nothing is sent on what was closed") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  auto closed = on.open_sender("q");
  closed.close();
  CHECK(failure_of([&] { closed.send(text_message("x")); }).scope == error_scope::usage);
  CHECK(failure_of([&] { closed.flush(); }).description != "nothing was thrown");
  CHECK(to.send(text_message("x")).is_accepted());
  on.close();
  on.close();
  CHECK(failure_of([&] { to.send(text_message("x")); }).scope == error_scope::usage);
  CHECK(failure_of([&] { on.open_receiver("q"); }).scope == error_scope::usage);
}

TEST_CASE("client: links outlive the connection object they came from") {
  const local_broker broker;
  std::optional<sender> to;
  {
    auto on = broker.connect();
    to = on.open_sender("q");
  }
  CHECK(to->send(text_message("x")).is_accepted());
  to.reset();
  auto on = broker.connect();
  CHECK(on.open_receiver("q").receive()->message.body_text() == "x");
}

TEST_CASE("client: frames can be watched, bare AMQP does without SASL") {
  const local_broker broker;
  std::string seen;
  const connection_options how{
      .sasl = false,
      .trace = [&](bool ours, std::uint16_t, std::string_view text) {
        seen += (ours ? "-> " : "<- ") + std::string(text) + "\n";
      }};
  broker.connect(how).open_sender("q").close();
  CHECK(seen.find("-> open(") != std::string::npos);
  CHECK(seen.find("<- attach(") != std::string::npos);
  CHECK(seen.find("sasl") == std::string::npos);
}
