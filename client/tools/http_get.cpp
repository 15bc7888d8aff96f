// SPDX-License-Identifier: Apache-2.0
#include "client/tools/http_get.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "client/tools/management_client.hpp"

namespace whimbrel::client {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

std::optional<http_place> parse_http_url(const std::string& url) {
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) return std::nullopt;
  http_place out;
  std::string authority = url.substr(scheme.size());
  if (const auto slash = authority.find('/'); slash != std::string::npos) {
    out.path = authority.substr(slash);
    authority.resize(slash);
  }
  const auto bracket = authority.find(']');
  const auto colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    out.port = authority.substr(colon + 1);
    authority.resize(colon);
  }
  const bool in_brackets = authority.size() > 2 && authority.front() == '[' && bracket != 0;
  out.host = in_brackets ? authority.substr(1, bracket - 1) : authority;
  if (out.host.empty() || out.port.empty()) return std::nullopt;
  return out;
}

namespace {

/// One step of the exchange; what follows is called where the step has succeeded.
class getter {
 public:
  getter(const http_place& from, std::chrono::milliseconds time_out)
      : from_(from), resolver_(io_), stream_(io_) {
    stream_.expires_after(time_out);
    resolve();
    io_.run_for(time_out);
  }

  http_answer answer() {
    if (!done_ && why_not_.empty()) why_not_ = "no answer in time";
    if (!why_not_.empty()) throw connection_error(from_.host + ":" + from_.port + ": " + why_not_);
    return {response_.result_int(), response_.body()};
  }

 private:
  template <class Next>
  auto then(Next next) {
    return [this, next](error_code ec, auto&&... what) {
      if (!ec) return next(what...);
      why_not_ = ec == beast::error::timeout ? "no answer in time" : ec.message();
    };
  }

  void resolve() {
    resolver_.async_resolve(from_.host, from_.port,
                            then([this](const auto& found) { connect(found); }));
  }
  void connect(const asio::ip::tcp::resolver::results_type& to) {
    stream_.async_connect(to, then([this](auto&&...) { ask(); }));
  }
  void ask() {
    request_ = {http::verb::get, from_.path, 11};
    request_.set(http::field::host, from_.host);
    request_.keep_alive(false);
    http::async_write(stream_, request_, then([this](std::size_t) { read(); }));
  }
  void read() {
    http::async_read(stream_, buffer_, response_, then([this](std::size_t) { done_ = true; }));
  }

  const http_place& from_;
  asio::io_context io_{1};
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  http::request<http::empty_body> request_ = {};
  beast::flat_buffer buffer_ = {};
  http::response<http::string_body> response_ = {};
  bool done_ = false;
  std::string why_not_ = {};
};

}  // namespace

http_answer http_get(const http_place& from, std::chrono::milliseconds time_out) {
  return getter(from, time_out).answer();
}

}  // namespace whimbrel::client
