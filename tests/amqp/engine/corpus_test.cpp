// SPDX-License-Identifier: Apache-2.0
// The seeds of the connection and frame fuzzers are conversations of two engines. With
// WHIMBREL_WRITE_CORPUS=1 in the environment they are written anew; without, they must still lead
// where they led.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/wire_pair.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

const std::filesystem::path corpus =
    std::filesystem::path(WHIMBREL_SOURCE_DIR) / "tests/fuzz/corpus";

struct scenario {
  const char* name;
  bool sasl;
  bool closes;
  void (*play)(wire_pair&, engine::session&);
};

const scenario scenarios[] = {
    {"send", false, true,
     [](wire_pair& p, engine::session& s) {
       engine::sender* out = s.attach_sender({.name = "out"});
       p.run();
       for (int i = 0; i < 5; ++i)
         send_text(*out, std::to_string(i), std::string(static_cast<std::size_t>(i) * 400, 'x'),
                   i == 2);
       p.run();
       out->detach(true);
       p.run();
     }},
    {"receive", false, false,
     [](wire_pair& p, engine::session& s) {
       engine::receiver* in = s.attach_receiver({.name = "in"});
       p.run();
       in->grant(5);
       p.run();
       in->drain(3);
       p.run();
     }},
    {"plain", true, true,
     [](wire_pair& p, engine::session& s) {
       s.attach_sender({.name = "out", .snd_settle_mode = spec::sender_settle_mode::settled});
       p.run();
       s.end();
       p.run();
     }},
    {"second", false, true,
     [](wire_pair& p, engine::session& s) {
       engine::receiver* in =
           s.attach_receiver({.name = "in",
                              .rcv_settle_mode = spec::receiver_settle_mode::second,
                              .source = spec::source{.address = "q"},
                              .target = amqp::codec::to_raw(spec::target{.address = "me"})});
       p.run();
       in->grant(2);
       p.run();
       in->settle_range(0, 1, spec::fast::accepted_octets);
       p.run();
       in->detach(false);
       p.run();
     }},
};

/// What the client of the scenario says to a server with small frames.
std::vector<std::byte> octets_of(const scenario& s) {
  std::vector<std::byte> said;
  engine::options of_client = client_options();
  if (!s.sasl) of_client.credentials.reset();
  engine::options of_server = server_options();
  of_server.max_frame_size = 512;
  wire_pair p(of_client, of_server);
  p.client.tap = &said;
  p.server.on_event = [&](const engine::event& e) {
    agree(p.server.wire, e);
    if (e.kind == event_kind::link_attached && e.on_receiver != nullptr) e.on_receiver->grant(20);
    if (e.kind == event_kind::sender_ready)
      while (e.on_sender->can_send()) send_text(*e.on_sender, "t", "from the server");
    if (e.kind == event_kind::sender_ready) e.on_sender->finish_drain();
  };
  p.open();
  engine::session* session = p.client.wire.begin();
  p.run();
  s.play(p, *session);
  if (s.closes) p.client.wire.close();
  p.run();
  return said;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return bytes(text);
}

void write_file(const std::filesystem::path& path, std::string_view lead,
                const std::vector<std::byte>& octets) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << lead << text_of(octets);
}

}  // namespace

TEST_CASE("corpus: the fuzzers' seeds are the conversations of today's engine") {
  for (const scenario& s : scenarios) {
    CAPTURE(std::string(s.name));
    const auto said = octets_of(s);
    CHECK(said.size() > 100);
    const auto connection = corpus / "connection" / s.name;
    const auto frames = corpus / "frame" / s.name;
    if (std::getenv("WHIMBREL_WRITE_CORPUS") != nullptr) {
      write_file(connection, std::string_view(s.sasl ? "\1\0\1" : "\2\0\1", 3), said);
      write_file(frames, std::string_view("\0\1", 2), said);
    }
    const auto stored = read_file(connection);
    REQUIRE(stored.size() > 3);
    CHECK(std::vector<std::byte>(stored.begin() + 3, stored.end()) == said);
    CHECK(read_file(frames).size() == said.size() + 2);
  }
}
