// SPDX-License-Identifier: Apache-2.0
// Requests and responses. The client's responses come to a temporary node that the broker makes
// for it; the server answers to wherever the request says.
//
//     request_response amqp://localhost/shout serve 3      answers three requests
//     request_response amqp://localhost/shout ask hello    prints HELLO
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <string>

#include <whimbrel/client.hpp>

namespace amqp = whimbrel::client;

namespace {

std::string shouted(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

void serve(amqp::connection& on, const std::string& address, int count) {
  amqp::receiver requests = on.open_receiver(address);
  amqp::sender responses = on.open_anonymous_sender();  // each message says where it goes
  while (count > 0) {
    const auto request = requests.receive(std::chrono::seconds(5));
    if (!request) continue;
    const auto& asked = request->message.properties;
    if (!asked || !asked->reply_to) {
      requests.reject(*request, "example:no-reply-to");
      continue;
    }
    amqp::message response = amqp::text_message(shouted(request->message.body_text().value_or("")));
    response.props().to = asked->reply_to;
    response.props().correlation_id = asked->message_id;
    // One who has not waited for the answer is no reason to stop.
    static_cast<void>(responses.send(response));
    requests.accept(*request);
    --count;
  }
  requests.close();
}

void ask(amqp::connection& on, const std::string& address, const std::string& text) {
  amqp::requester service = on.open_requester(address);
  const amqp::message answer = service.request(amqp::text_message(text), std::chrono::seconds(10));
  std::cout << answer.body_text().value_or("(no text)") << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 3 ? argv[2] : "";
  if (what != "serve" && what != "ask") {
    std::cerr << "usage: request_response URL serve COUNT | ask TEXT\n";
    return 2;
  }
  try {
    const amqp::broker_url url = amqp::parse_broker_url(argv[1]);
    amqp::connection on = amqp::connection::open(url);
    if (what == "serve") serve(on, url.address, std::atoi(argv[3]));
    else ask(on, url.address, argv[3]);
    on.close();
  } catch (const amqp::error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}
