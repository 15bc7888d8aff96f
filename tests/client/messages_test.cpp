// SPDX-License-Identifier: Apache-2.0
// The blocking face against the broker: messages there and back, outcomes, credit.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/client/local_broker.hpp"

using namespace whimbrel::client;
using namespace std::chrono_literals;
using whimbrel::tests::local_broker;
using whimbrel::tests::next_text;

TEST_CASE("client: a message arrives with every section that it was sent with") {
  const local_broker broker;
  auto on = broker.connect();
  message sent = text_message("hello");
  sent.header.emplace().priority = 7;
  sent.message_annotations = map{{value(symbol("x-opt-a")), value(std::int32_t{1})}};
  sent.props().message_id = std::string("id");
  sent.props().subject = "s";
  sent.application_properties = map{{value("k"), value(std::uint64_t{5})}};
  sent.footer = map{{value(symbol("f")), value(true)}};
  auto to = on.open_sender("q");
  CHECK(to.send(sent).is_accepted());
  auto from = on.open_receiver("q");
  const auto got = from.receive();
  REQUIRE(got);
  CHECK_FALSE(got->is_settled);
  CHECK(got->message.header->priority == 7);
  CHECK(got->message.message_annotations->get<std::int32_t>("x-opt-a") == 1);
  CHECK(got->message.properties == sent.properties);
  CHECK(got->message.application_properties == sent.application_properties);
  CHECK(got->message.body == sent.body);
  CHECK(got->message.footer == sent.footer);
  from.accept(*got);
  from.close();
  to.close();
  CHECK(on.open_receiver("q").receive(0ms) == std::nullopt);
}

TEST_CASE("client: posted messages keep their order, and wait for each other") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q", {.pipeline_max = 10});
  constexpr int count = 3000;
  for (int i = 0; i < count; ++i) to.post(text_message(std::to_string(i)));
  to.flush();
  CHECK(to.counts().accepted == count);
  CHECK(to.counts().total() == count);
  auto from = on.open_receiver("q", {.prefetch = 7});
  for (int i = 0; i < count; ++i) REQUIRE(next_text(from) == std::to_string(i));
  from.close();
}

TEST_CASE("client: a tracker has the outcome of its own message") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_anonymous_sender();
  message good = text_message("x");
  message bad = good;
  good.props().to = "q";
  bad.props().to = "/queues/none";
  const tracker first = to.post(bad);
  const tracker second = to.post(good);
  CHECK(second.wait().is_accepted());
  const outcome refused = first.wait();
  CHECK(refused.kind == outcome_kind::rejected);
  CHECK(refused.condition == "amqp:not-found");
  CHECK(first.poll() == refused);
  try {
    refused.must_be_accepted();
    FAIL_CHECK("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.scope() == error_scope::refused);
    CHECK(e.condition() == "amqp:not-found");
  }
  CHECK(to.counts().rejected == 1);
}

TEST_CASE("client: settled messages have no outcome and arrive") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q", {.settle = settle_mode::settled});
  CHECK(to.send(text_message("x")).kind == outcome_kind::unstated);
  auto from = on.open_receiver("q", {.settle = settle_mode::settled});
  const auto got = from.receive();
  REQUIRE(got);
  CHECK(got->is_settled);
  CHECK(got->message.body_text() == "x");
}

TEST_CASE("client: outcomes of received messages do what they say") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  for (const char* text : {"released", "modified", "rejected", "accepted"}) {
    CHECK(to.send(text_message(text)).is_accepted());
  }
  auto from = on.open_receiver("q", {.prefetch = 0});  // or it would get them again at once
  from.grant(4);
  for (const char* text : {"released", "modified", "rejected", "accepted"}) {
    const auto got = from.receive();
    REQUIRE(got);
    REQUIRE(got->message.body_text() == text);
    const std::string is = text;
    if (is == "released") from.release(*got);
    if (is == "modified") from.modify(*got, true, false, {{value(symbol("x-opt-b")), value(true)}});
    if (is == "rejected") from.reject(*got, "app:bad", "because");
    if (is == "accepted") from.accept(*got);
  }
  from.close();
  auto again = on.open_receiver("q");
  const auto released = again.receive();
  const auto modified = again.receive();
  REQUIRE(released);
  REQUIRE(modified);
  CHECK(released->message.body_text() == "released");
  CHECK(modified->message.body_text() == "modified");
  CHECK(modified->message.header->delivery_count == 1);
  CHECK(modified->message.message_annotations->get<bool>("x-opt-b") == true);
  again.drain();
  CHECK(again.receive(0ms) == std::nullopt);
}

TEST_CASE("client: manual credit is not exceeded, and drain ends with what there was") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  for (const char* text : {"a", "b", "c"}) CHECK(to.send(text_message(text)).is_accepted());
  auto from = on.open_receiver("q", {.prefetch = 0});
  from.grant(2);
  from.drain();  // the peer has done what it could with two
  CHECK(next_text(from) == "a");
  CHECK(next_text(from) == "b");
  CHECK(next_text(from, 0ms) == "-");
  from.grant(10);
  CHECK(next_text(from) == "c");
  from.drain();
  CHECK(next_text(from, 0ms) == "-");
  CHECK(to.send(text_message("d")).is_accepted());
  CHECK(next_text(from, 0ms) == "-");
  from.grant(1);
  CHECK(next_text(from) == "d");
}

TEST_CASE("client: a drain of a prefetching receiver ends its credit until a grant") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  auto from = on.open_receiver("q", {.prefetch = 10});
  from.drain();
  CHECK(next_text(from, 0ms) == "-");
  for (int i = 0; i < 30; ++i) CHECK(to.send(text_message("x")).is_accepted());
  from.grant(1);
  for (int i = 0; i < 30; ++i) REQUIRE(next_text(from) == "x");
}

TEST_CASE("client: a receiver with a limit asks for no more than that") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  for (int i = 0; i < 20; ++i) CHECK(to.send(text_message(std::to_string(i))).is_accepted());
  auto from = on.open_receiver("q", {.prefetch = 4, .limit = 10});
  for (int i = 0; i < 10; ++i) REQUIRE(next_text(from) == std::to_string(i));
  CHECK(next_text(from, 50ms) == "-");
  from.close();
  auto rest = on.open_receiver("q").receive();
  REQUIRE(rest);
  CHECK(rest->message.body_text() == "10");
  // What was sent and came back would count as an attempt.
  CHECK(rest->message.header.value_or(whimbrel::amqp::spec::header{}).delivery_count == 0);
}

TEST_CASE("client: browsing leaves the messages, a selector chooses among them") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  for (const char* colour : {"red", "blue", "red"}) {
    message m = text_message(colour);
    m.application_properties = map{{value("colour"), value(colour)}};
    CHECK(to.send(m).is_accepted());
  }
  for (int round = 0; round < 2; ++round) {
    auto from = on.open_receiver("q", {.browse = true, .selector = "colour = 'red'"});
    CHECK(from.filters().size() == 1);
    CHECK(next_text(from) == "red");
    CHECK(next_text(from) == "red");
    from.drain();
    CHECK(next_text(from, 0ms) == "-");
    from.close();
  }
  auto from = on.open_receiver("q", {.auto_accept = true});
  for (const char* colour : {"red", "blue", "red"}) {
    CHECK(from.receive()->message.body_text() == colour);
  }
}

TEST_CASE("client: messages of many frames come whole, one too large is refused here") {
  const local_broker broker;
  auto on = broker.connect({.max_frame_size = 512});
  const std::string large(300'000, 'x');
  auto to = on.open_sender("q");
  const tracker first = to.post(text_message(large));
  const tracker second = to.post(text_message("after"));
  CHECK(first.wait().is_accepted());
  CHECK(second.wait().is_accepted());
  auto from = on.open_receiver("q");
  CHECK(next_text(from) == large);
  CHECK(next_text(from) == "after");
  REQUIRE(to.max_message_size() > 0);
  const std::string beyond(static_cast<std::size_t>(to.max_message_size()), 'x');
  try {
    static_cast<void>(to.send(text_message(beyond)));
    FAIL_CHECK("nothing was thrown");
  } catch (const error& e) {
    CHECK(e.condition() == "amqp:link:message-size-exceeded");
  }
  CHECK(to.send(text_message("still there")).is_accepted());
}

TEST_CASE("client: a durable subscription keeps what comes while it is detached") {
  const local_broker broker;
  auto on = broker.connect({.container_id = "me"});
  const receiver_options durable{.name = "sub", .durable = true};
  on.open_receiver("/topics/t", durable).detach();
  CHECK(on.open_sender("/topics/t").send(text_message("kept")).is_accepted());
  auto from = on.open_receiver("/topics/t", durable);
  CHECK(next_text(from) == "kept");
  from.close();
  on.open_sender("/topics/t").send(text_message("lost"));
  auto anew = on.open_receiver("/topics/t", durable);
  anew.drain();
  CHECK(next_text(anew, 0ms) == "-");
}

TEST_CASE("client: requests get the responses that are theirs") {
  const local_broker broker;
  auto serving = broker.connect();
  auto requests = serving.open_receiver("service", {.auto_accept = true});
  auto responses = serving.open_anonymous_sender();
  std::atomic<int> served = 0;
  std::thread server([&] {
    while (served < 3) {
      const auto got = requests.receive();
      if (!got) return;
      message reply = text_message("re: " + got->message.body_text().value_or(""));
      reply.props().to = got->message.properties->reply_to;
      reply.props().correlation_id = got->message.properties->message_id;
      responses.send(reply).must_be_accepted();
      ++served;
    }
  });
  auto on = broker.connect();
  auto asking = on.open_requester("service");
  for (const char* text : {"a", "b", "c"}) {
    CHECK(asking.request(text_message(text)).body_text() == std::string("re: ") + text);
  }
  server.join();
  CHECK(served == 3);
  CHECK_THROWS_AS(static_cast<void>(asking.request(text_message("nobody"), 50ms)), error);
}

TEST_CASE("client: threads share a connection, a sender and a receiver") {
  const local_broker broker;
  auto on = broker.connect();
  auto to = on.open_sender("q");
  auto from = on.open_receiver("q");
  constexpr int each = 200;
  std::atomic<int> received = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < each; ++n) to.post(text_message("x"));
    });
    threads.emplace_back([&] {
      for (int n = 0; n < each; ++n) received += next_text(from) == "x";
    });
  }
  for (std::thread& one : threads) one.join();
  to.flush();
  CHECK(received == 3 * each);
  CHECK(to.counts().accepted == 3 * each);
}
