// SPDX-License-Identifier: Apache-2.0
// HTTP for whoever watches the broker: GET of a few pages, answered by a function.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>

namespace whimbrel::broker::net {

struct http_reply {
  unsigned status = 200;
  std::string body = {};
  std::string type = "text/plain; charset=utf-8";
};

/// Speaks HTTP/1.1 on sockets that a listener accepted; used from the thread that runs them. At
/// most 32 at a time. Each has ten seconds for a request and its reply, 8 KiB for the head of the
/// request and no octet for a body, as GET and HEAD are all that is taken.
class http_pages {
 public:
  using answer = std::function<void(http_reply)>;  // called once, on any thread
  using handler = std::function<void(const std::string& path, answer done)>;

  explicit http_pages(handler pages);

  /// One connection too many is closed unanswered.
  void serve(boost::asio::ip::tcp::socket socket);

 private:
  struct shared;
  class exchange;

  std::shared_ptr<shared> shared_;  // connections outlive this object
};

}  // namespace whimbrel::broker::net
