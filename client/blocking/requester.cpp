// SPDX-License-Identifier: Apache-2.0
#include "whimbrel/client/requester.hpp"

#include <utility>

#include "client/blocking/runtime.hpp"

namespace whimbrel::client {

struct requester::impl {
  sender requests;
  receiver responses;
  duration time_out = {};
  std::uint64_t last_id = 0;
};

requester connection::open_requester(const std::string& address) {
  receiver_options how;
  how.dynamic = true;
  how.auto_accept = true;
  receiver responses = open_receiver("", how);
  return requester(std::make_shared<requester::impl>(
      requester::impl{open_sender(address), std::move(responses), impl_->options.time_out}));
}

message requester::request(message m) { return request(std::move(m), impl_->time_out); }

message requester::request(message m, duration time_out) {
  const auto deadline = deadline_after(time_out);
  const auto left = [deadline] {
    const auto rest = std::chrono::duration_cast<duration>(deadline - wait_clock::now());
    return std::max(rest, duration::zero());
  };
  const amqp::spec::message_id id = ++impl_->last_id;
  m.props().message_id = id;
  m.props().reply_to = impl_->responses.address();
  impl_->requests.send(m, left()).must_be_accepted();
  // What answers an earlier request came too late for it and is dropped.
  while (auto d = impl_->responses.receive(left())) {
    if (d->message.properties && d->message.properties->correlation_id == id) {
      return std::move(d->message);
    }
  }
  throw_time_out("response");
}

const std::string& requester::reply_to() const { return impl_->responses.address(); }

}  // namespace whimbrel::client
