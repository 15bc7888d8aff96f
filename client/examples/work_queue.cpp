// SPDX-License-Identifier: Apache-2.0
// A work queue: producers add tasks, any number of workers take them, each task goes to one.
//
//     work_queue amqp://localhost/tasks add 100    adds 100 tasks, returns when all are stored
//     work_queue amqp://localhost/tasks work       works until nothing has come for a second
#include <cstdlib>
#include <iostream>
#include <string>

#include <whimbrel/client.hpp>

namespace amqp = whimbrel::client;

namespace {

void add(amqp::connection& on, const std::string& queue, int count) {
  amqp::sender tasks = on.open_sender(queue);
  for (int i = 1; i <= count; ++i) {
    amqp::message task = amqp::text_message("task " + std::to_string(i));
    task.header.emplace().durable = true;
    tasks.post(task);  // waits only when a thousand are on their way
  }
  tasks.flush();
  std::cout << tasks.counts().accepted << " of " << count << " tasks are in the queue\n";
}

/// Accepted after the work is done: if this program dies before, another worker gets the task.
void work(amqp::connection& on, const std::string& queue) {
  amqp::receiver tasks = on.open_receiver(queue, {.prefetch = 10});
  while (const auto task = tasks.receive(std::chrono::seconds(1))) {
    const auto text = task->message.body_text();
    if (!text) {
      tasks.reject(*task, "example:not-text", "a task is a text");
      continue;
    }
    std::cout << "done: " << *text << '\n';
    tasks.accept(*task);
  }
  tasks.close();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[2] : "";
  if (what != "add" && what != "work") {
    std::cerr << "usage: work_queue URL add [COUNT] | work\n";
    return 2;
  }
  try {
    const amqp::broker_url url = amqp::parse_broker_url(argv[1]);
    amqp::connection on = amqp::connection::open(url);
    if (what == "add") add(on, url.address, argc > 3 ? std::atoi(argv[3]) : 1);
    else work(on, url.address);
    on.close();
  } catch (const amqp::error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}
