// SPDX-License-Identifier: Apache-2.0
// Nanoseconds per frame: the hot path, the declared composites, and Qpid Proton's data codec, on
// the same octets. One thread, no I/O; each figure is the best of several runs.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include <proton/codec.h>

#include "amqp/codec/codec.hpp"
#include "amqp/message/view.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace {

namespace codec = whimbrel::amqp::codec;
namespace message = whimbrel::amqp::message;
namespace spec = whimbrel::amqp::spec;
namespace fast = whimbrel::amqp::spec::fast;
using whimbrel::amqp::octet_buffer;
using octet_span = std::span<const std::byte>;

constexpr int rounds = 400'000;
constexpr int runs = 7;

/// Keeps the optimiser from dropping what computes `value`.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

template <class Body>
double nanoseconds(Body body) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) body();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / rounds);
  }
  return best;
}

void report(std::string_view what, double quick, double declared, double proton) {
  std::printf("%-22.*s %8.1f %10.1f %10.1f %9.1fx\n", static_cast<int>(what.size()), what.data(),
              quick, declared, proton, proton / quick);
}

/// Proton's decoder builds its tree of nodes; its encoder walks one.
class proton_data {
 public:
  proton_data() : data_(pn_data(32)) {}
  proton_data(const proton_data&) = delete;
  proton_data& operator=(const proton_data&) = delete;
  ~proton_data() { pn_data_free(data_); }

  void decode(octet_span octets) {
    pn_data_clear(data_);
    const ssize_t n =
        pn_data_decode(data_, reinterpret_cast<const char*>(octets.data()), octets.size());
    keep(n);
  }
  void encode(std::vector<char>& out) {
    const ssize_t n = pn_data_encode(data_, out.data(), out.size());
    keep(n);
  }

 private:
  pn_data_t* data_ = nullptr;
};

template <class T>
std::vector<std::byte> octets_of(const T& v) {
  const codec::raw raw = codec::to_raw(v);
  return {raw.octets().begin(), raw.octets().end()};
}

template <class T, class Decode>
void bench_decode(std::string_view what, const T& value, Decode decode) {
  const std::vector<std::byte> octets = octets_of(value);
  proton_data proton;
  const double quick = nanoseconds([&] { keep(decode(octet_span(octets))); });
  const double declared = nanoseconds([&] { keep(codec::decode<T>(octets)); });
  report(what, quick, declared, nanoseconds([&] { proton.decode(octets); }));
}

template <class T, class Encode>
void bench_encode(std::string_view what, const T& value, Encode encode) {
  const std::vector<std::byte> octets = octets_of(value);
  proton_data proton;
  proton.decode(octets);
  std::vector<char> out(512);
  octet_buffer buffer;
  const double quick = nanoseconds([&] { keep(encode(reinterpret_cast<std::byte*>(out.data()))); });
  const double declared = nanoseconds([&] {
    buffer.clear();
    codec::encode(buffer, value);
    keep(buffer);
  });
  report(what, quick, declared, nanoseconds([&] { proton.encode(out); }));
}

void bench_message() {
  message::header_view header{.durable = true};
  octet_buffer octets;
  message::write_header(octets, header);
  spec::properties properties;
  properties.message_id = std::uint64_t{12345};
  properties.to = "/queues/orders";
  codec::encode(octets, properties);
  codec::writer w(octets);
  w.descriptor(0x75);
  codec::encode(w, whimbrel::amqp::binary(std::string_view("one hundred octets, more or less")));
  const double scan = nanoseconds([&] { keep(message::scan(octets.octets())); });
  const double to = nanoseconds([&] {
    const auto where = message::scan(octets.octets());
    keep(message::view(octets.octets(), *where).to());
  });
  std::printf("\nmessage of %zu octets: scan %.1f ns, scan and `to` %.1f ns\n", octets.size(), scan,
              to);
}

}  // namespace

int main() {
  const auto tag = std::as_bytes(std::span(std::string_view("12345678")));
  const spec::transfer transfer{.handle = 1,
                                .delivery_id = 123'456,
                                .delivery_tag = whimbrel::amqp::binary(tag),
                                .message_format = 0,
                                .settled = false};
  const spec::disposition disposition{.role = spec::role::receiver,
                                      .first = 123'456,
                                      .last = 123'500,
                                      .settled = true,
                                      .state = codec::raw(octet_span(fast::accepted_octets))};
  const spec::flow flow{.next_incoming_id = 77,
                        .incoming_window = 2048,
                        .next_outgoing_id = 123'456,
                        .outgoing_window = 2048,
                        .handle = 1,
                        .delivery_count = 123'456,
                        .link_credit = 1000};
  std::printf("ns per frame              fast   declared     proton  proton/fast\n");
  bench_decode("transfer decode", transfer, fast::decode_transfer);
  bench_decode("disposition decode", disposition, fast::decode_disposition);
  bench_decode("flow decode", flow, fast::decode_flow);

  const fast::transfer_view transfer_view{.handle = 1,
                                          .delivery_id = 123'456,
                                          .delivery_tag = tag,
                                          .has_tag = true,
                                          .message_format = 0,
                                          .settled = false};
  const fast::disposition_view disposition_view{.role = true,
                                                .first = 123'456,
                                                .last = 123'500,
                                                .settled = true,
                                                .state = fast::accepted_octets};
  const fast::flow_view flow_view{.next_incoming_id = 77,
                                  .incoming_window = 2048,
                                  .next_outgoing_id = 123'456,
                                  .outgoing_window = 2048,
                                  .handle = 1,
                                  .delivery_count = 123'456,
                                  .link_credit = 1000};
  bench_encode("transfer encode", transfer,
               [&](std::byte* out) { return fast::encode_transfer(out, transfer_view); });
  bench_encode("disposition encode", disposition,
               [&](std::byte* out) { return fast::encode_disposition(out, disposition_view); });
  bench_encode("flow encode", flow,
               [&](std::byte* out) { return fast::encode_flow(out, flow_view); });
  bench_message();
  return 0;
}
