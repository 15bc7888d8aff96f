// SPDX-License-Identifier: Apache-2.0
// What a message's way through an exchange costs with few bindings and with 100,000, one of which
// matches; and what it costs to make the bindings.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/codec/codec.hpp"
#include "broker/core/router.hpp"

namespace core = whimbrel::broker::core;
namespace amqp = whimbrel::amqp;
using amqp::codec::map;
using amqp::codec::value;
using steady = std::chrono::steady_clock;

namespace {

double nanoseconds_since(steady::time_point begin) {
  return std::chrono::duration<double, std::nano>(steady::now() - begin).count();
}

core::message_ptr message_about(std::uint32_t n) {
  amqp::octet_buffer out;
  const std::uint8_t head[] = {0x00, 0x53, 0x74};
  out.append(std::as_bytes(std::span(head)));
  amqp::codec::encode(out, map{{value("n"), value(n)}, {value("kind"), value("order")}});
  const std::uint8_t body[] = {0x00, 0x53, 0x77, 0x40};
  out.append(std::as_bytes(std::span(body)));
  auto made = core::make_message(out.octets());
  if (made.has_error()) std::abort();
  return *std::move(made);
}

core::edge binding_of(core::exchange_type type, core::exchange_ref from, std::uint32_t i) {
  core::edge e;
  e.from = from;
  e.to_queue = {{core::worker_id{0}, i, 1}, true};
  const std::string n = std::to_string(i);
  if (type == core::exchange_type::headers) {
    e.arguments = {{value("n"), value(i)}, {value("kind"), value("order")}};
  } else {
    e.key = "shop." + n + (type == core::exchange_type::topic ? ".*.paid" : ".order.paid");
  }
  return e;
}

void measure(core::exchange_type type, std::uint32_t count) {
  core::router r;
  const core::exchange_ref at{0, 1};
  r.add_exchange(at, {.name = "e", .type = type});
  const auto before = steady::now();
  for (std::uint32_t i = 0; i < count; ++i) r.bind(binding_of(type, at, i));
  const double to_bind = nanoseconds_since(before) / count;

  constexpr std::uint32_t rounds = 200'000;
  std::vector<core::hit> hits;
  std::vector<std::string> keys;
  std::vector<core::message_ptr> messages;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const std::uint32_t n = i * 7919 % count;
    keys.push_back("shop." + std::to_string(n) + ".order.paid");
    messages.push_back(message_about(n));
  }
  std::size_t found = 0;
  const auto begin = steady::now();
  for (std::uint32_t i = 0; i < rounds; ++i) {
    hits.clear();
    if (!r.route(at, keys[i % 64], *messages[i % 64], hits)) std::abort();
    found += hits.size();
  }
  const double to_route = nanoseconds_since(begin) / rounds;
  if (found != rounds) std::abort();
  const auto name = core::name_of(type);
  std::printf("%-8.*s %7u bindings: %7.0f ns a message, %6.0f ns to bind\n",
              static_cast<int>(name.size()), name.data(), count, to_route, to_bind);
}

}  // namespace

int main(int argc, char** argv) {
  const auto most = static_cast<std::uint32_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10)
                                                        : 100'000);
  for (const auto type : {core::exchange_type::direct, core::exchange_type::topic,
                          core::exchange_type::headers}) {
    for (const std::uint32_t count : {10U, 1'000U, most}) measure(type, count);
  }
}
