// SPDX-License-Identifier: Apache-2.0
// Uses what an application would of the installed library: messages with parts of every kind, both
// directions, a request that fails. Exit code 0 and one line if all of it is right.
#include <cstdlib>
#include <iostream>
#include <string>

#include <whimbrel/client.hpp>

namespace amqp = whimbrel::client;

namespace {

void expect(bool what, const char* name) {
  if (what) return;
  std::cerr << "not so: " << name << '\n';
  std::exit(1);
}

amqp::message sample() {
  amqp::message m = amqp::text_message("hello");
  m.header.emplace().durable = true;
  m.props().subject = "greeting";
  m.props().message_id = std::string("m-1");
  m.application_properties = amqp::map{{"colour", "red"}, {"size", std::int32_t{3}}};
  m.application_properties->set("list", amqp::list{std::string("a"), true});
  return m;
}

void check(const amqp::message& m) {
  expect(m.body_text() == "hello", "the body");
  expect(m.properties && m.properties->subject == "greeting", "the subject");
  const amqp::map& properties = m.application_properties.value();
  expect(properties.get<std::int32_t>("size") == 3, "an int");
  expect(properties.find("colour")->text() == "red", "a string");
  expect(properties.get<amqp::list>("list")->size() == 2, "a list");
  expect(properties == sample().application_properties, "the properties");
}

/// Exceptions cross the library's border as what they are.
void check_errors(amqp::connection& on) {
  try {
    static_cast<void>(amqp::parse_broker_url("http://localhost"));
    expect(false, "a wrong URL is refused");
  } catch (const amqp::error& e) {
    expect(e.scope() == amqp::error_scope::usage, "the scope of a wrong URL");
  }
  try {
    static_cast<void>(on.open_receiver("/queues/there-is-none"));
    expect(false, "a node that does not exist is refused");
  } catch (const std::exception& e) {
    const auto* typed = dynamic_cast<const amqp::error*>(&e);
    expect(typed != nullptr && typed->condition() == "amqp:not-found", "amqp:not-found");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: consumer URL\n";
    return 2;
  }
  try {
    amqp::connection on = amqp::connection::open(argv[1]);
    amqp::sender sender = on.open_sender("consumer");
    amqp::tracker posted = sender.post(sample());
    posted.wait().must_be_accepted();
    sender.flush();
    expect(sender.counts().accepted == 1, "the count of outcomes");
    amqp::receiver receiver = on.open_receiver("consumer", {.prefetch = 1});
    const auto got = receiver.receive(std::chrono::seconds(10));
    expect(got.has_value(), "a message comes");
    check(got->message);
    receiver.accept(*got);
    receiver.close();
    sender.close();
    check_errors(on);
    on.close();
  } catch (const amqp::error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  std::cout << "sent and received\n";
  return 0;
}
