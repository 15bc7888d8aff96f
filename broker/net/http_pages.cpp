// SPDX-License-Identifier: Apache-2.0
// HTTP by Beast: one request after the other on each connection.
#include "broker/net/http_pages.hpp"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace whimbrel::broker::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr auto patience = std::chrono::seconds(10);
constexpr std::size_t head_octets = 8 * 1024;
constexpr std::size_t connections_max = 32;
}  // namespace

struct http_pages::shared {
  handler pages;
  std::size_t connections = 0;
};

/// One connection. Kept alive by what is pending on its socket.
class http_pages::exchange : public std::enable_shared_from_this<exchange> {
 public:
  exchange(tcp::socket socket, std::shared_ptr<shared> with)
      : stream_(std::move(socket)), with_(std::move(with)) {
    ++with_->connections;
  }
  ~exchange() { --with_->connections; }
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(head_octets);
    parser_->body_limit(0);
    stream_.expires_after(patience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code ec, std::size_t) {
                       self->on_request(ec);
                     });
  }

 private:
  void on_request(error_code ec) {
    if (ec == http::error::end_of_stream) return finish();
    if (ec == http::error::header_limit) return reply({431, "the request is too long\n"}, false);
    if (ec && ec.category() == make_error_code(http::error::bad_method).category()) {
      return reply({400, "this is not HTTP/1.1: " + ec.message() + "\n"}, false);
    }
    if (ec && ec != http::error::body_limit) return;
    const auto& request = parser_->get();
    const bool keep = request.keep_alive() && !ec;
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return reply({405, "only GET and HEAD are taken here\n"}, keep);
    }
    if (ec) return reply({413, "no body is expected\n"}, false);
    const std::string target(request.target());
    with_->pages(target.substr(0, target.find('?')),
                 [self = shared_from_this(), keep](http_reply r) {
                   asio::dispatch(self->stream_.get_executor(),
                                  [self, keep, r = std::move(r)] { self->reply(r, keep); });
                 });
  }

  void reply(const http_reply& what, bool keep) {
    const bool is_head = parser_->get().method() == http::verb::head;
    response_ = {};
    response_.result(what.status);
    response_.set(http::field::content_type, what.type);
    response_.set(http::field::cache_control, "no-store");
    if (what.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep);
    if (!is_head) response_.body() = what.body;
    response_.content_length(what.body.size());
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep](error_code ec, std::size_t) {
                        if (ec) return;
                        if (keep) self->read();
                        else self->finish();
                      });
  }

  void finish() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  beast::tcp_stream stream_;
  std::shared_ptr<shared> with_;
  beast::flat_buffer buffer_{head_octets};
  std::optional<http::request_parser<http::empty_body>> parser_ = {};
  http::response<http::string_body> response_ = {};
};

http_pages::http_pages(handler pages)
    : shared_(std::make_shared<shared>(shared{std::move(pages)})) {}

void http_pages::serve(tcp::socket socket) {
  if (shared_->connections >= connections_max) return;  // the socket closes itself
  std::make_shared<exchange>(std::move(socket), shared_)->read();
}

}  // namespace whimbrel::broker::net
