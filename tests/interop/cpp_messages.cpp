// SPDX-License-Identifier: Apache-2.0
// What a message keeps: every type in every section, sizes up to 64 MB, small frames; and request
// and reply over dynamic nodes, 200 sessions with 1,000 links.
#include <cstdint>
#include <string>
#include <vector>

#include <proton/codec/encoder.hpp>
#include <proton/types.hpp>

#include "scenario.hpp"

namespace {

using interop::scenario;
using proton::codec::start;

/// One value of every type that Proton can write, arrays of each element type included.
std::vector<proton::value> every_value() {
  const proton::uuid id = proton::uuid::random();
  std::vector<proton::value> out = {
      proton::null(), true, false, std::uint8_t{255}, std::int8_t{-128}, std::uint16_t{65535},
      std::int16_t{-32768}, std::uint32_t{0}, std::uint32_t{200}, std::uint32_t{4294967295U},
      std::int32_t{-1}, std::int32_t{-2147483647}, std::uint64_t{0}, std::uint64_t{200},
      std::uint64_t{18446744073709551615U}, std::int64_t{-1}, std::int64_t{-9223372036854775807},
      wchar_t{0x1f600}, 3.5F, -0.0, proton::timestamp(1700000000000), proton::symbol("sym"),
      proton::binary("\x00\xff\x80"), std::string("h\xc3\xa9"), std::string(300, 'x'), id};
  out.push_back(proton::decimal32());
  out.push_back(proton::decimal64());
  out.push_back(proton::decimal128());
  out.push_back(std::vector<proton::value>{1, "two", proton::symbol("three")});
  out.push_back(std::map<std::string, proton::value>{{"a", 1}, {"b", std::string("two")}});
  const std::size_t scalars = out.size() - 2;
  for (std::size_t i = 0; i < scalars; ++i) {
    if (out[i].empty()) continue;
    proton::value array;
    proton::codec::encoder encode(array);
    encode << start::array(out[i].type()) << out[i] << out[i] << proton::codec::finish();
    out.push_back(array);
  }
  return out;
}

proton::message full_message() {
  proton::message m;
  std::vector<proton::value> values = every_value();
  m.body(values);
  m.id(proton::uuid::random());
  m.user("user");
  m.to("to");
  m.subject("subject");
  m.reply_to("reply");
  m.correlation_id(proton::binary("\x01\x02"));
  m.content_type("text/plain");
  m.content_encoding("gzip");
  m.expiry_time(proton::timestamp(4102444800000));
  m.creation_time(proton::timestamp(1700000000000));
  m.group_id("group");
  m.group_sequence(7);
  m.reply_to_group_id("replies");
  m.durable(true);
  m.priority(9);
  for (std::size_t i = 0; i < values.size(); ++i) {
    m.message_annotations().put("x-opt-" + std::to_string(i), values[i]);
    if (values[i].type() < proton::ARRAY && !values[i].empty()) {
      m.properties().put("p" + std::to_string(i), proton::get<proton::scalar>(values[i]));
    }
  }
  return m;
}

/// Sends one message, compares the encoding of what comes back. Proton decodes and encodes again,
/// which is exact for what it has encoded itself; octets of other making are Python's to test.
class round_trip : public scenario {
 public:
  round_trip(const std::string& url, std::vector<proton::message> messages, std::string address,
             std::uint32_t frame, int seconds)
      : scenario(url, seconds),
        messages_(std::move(messages)),
        address_(std::move(address)),
        frame_(frame) {}

 protected:
  void start(proton::container& c) override {
    proton::connection_options options;
    if (frame_ != 0) options.max_frame_size(frame_);
    proton::connection connection = c.connect(url(), options);
    connection.open_receiver(address_);
    connection.open_sender(address_);
  }
  void on_sendable(proton::sender& s) override {
    while (s.credit() > 0 && sent_ < messages_.size()) s.send(messages_[sent_++]);
  }
  void on_tracker_accept(proton::tracker&) override {
    ++accepted_;
    finish();
  }
  void on_message(proton::delivery&, proton::message& m) override {
    proton::message& original = messages_[received_];
    m.first_acquirer(original.first_acquirer());
    expect(m.encode() == original.encode(),
           "message " + std::to_string(received_) + " came back changed");
    ++received_;
    finish();
  }

 private:
  void finish() {
    if (accepted_ == messages_.size() && received_ == messages_.size()) done();
  }
  std::vector<proton::message> messages_;
  std::string address_;
  std::uint32_t frame_;
  std::size_t sent_ = 0;
  std::size_t accepted_ = 0;
  std::size_t received_ = 0;
};

std::vector<proton::message> of_sizes(const std::vector<std::size_t>& sizes) {
  std::vector<proton::message> out;
  for (const std::size_t size : sizes) {
    std::string body(size, '\0');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 + size);
    proton::message m{proton::binary(body)};
    m.durable(out.size() % 2 == 0);
    out.push_back(std::move(m));
  }
  return out;
}

interop::test_case trip(const char* name, const char* address,
                        std::vector<proton::message> (*make)(), std::uint32_t frame, int seconds) {
  return {name, [=](const std::string& url) {
            round_trip(url, make(), address, frame, seconds).run();
            return std::string();
          }};
}

class request_reply : public scenario {
 public:
  explicit request_reply(const std::string& url) : scenario(url, 30) {}

 protected:
  void start(proton::container& c) override {
    server_ = c.connect(url());
    server_.open_receiver("cpp-requests");
    replies_ = server_.open_sender(
        "", proton::sender_options().target(proton::target_options().anonymous(true)));
    client_ = c.connect(url());
    requests_ = client_.open_sender("cpp-requests");
    client_.open_receiver(
        "", proton::receiver_options().source(proton::source_options().dynamic(true)));
  }
  void on_receiver_open(proton::receiver& r) override {
    if (r.connection() != client_) return;
    reply_to_ = r.source().address();
    expect(!reply_to_.empty(), "a dynamic node without an address");
    ask();
  }
  void on_message(proton::delivery& d, proton::message& m) override {
    if (d.connection() == server_) {
      proton::message answer(m.body());
      answer.to(m.reply_to());
      answer.correlation_id(m.id());
      replies_.send(answer);
      return;
    }
    expect(proton::get<std::uint64_t>(m.correlation_id()) == asked_, "another one's answer");
    if (asked_ == 50) {
      done();
    } else {
      ask();
    }
  }

 private:
  void ask() {
    proton::message m(std::string("request"));
    m.id(++asked_);
    m.reply_to(reply_to_);
    requests_.send(m);
  }
  proton::connection server_ = {};
  proton::connection client_ = {};
  proton::sender replies_ = {};
  proton::sender requests_ = {};
  std::string reply_to_ = {};
  std::uint64_t asked_ = 0;
};

class many_links : public scenario {
 public:
  explicit many_links(const std::string& url) : scenario(url, 120) {}

 protected:
  void start(proton::container& c) override { c.connect(url()); }
  void on_connection_open(proton::connection& c) override {
    std::vector<proton::session> sessions;
    for (int i = 0; i < 200; ++i) sessions.push_back(c.open_session());
    for (std::size_t i = 0; i < 500; ++i) {
      const std::string address = "cpp-many-" + std::to_string(i);
      sessions[(i * 7) % 200].open_receiver(address);
      sessions[i % 200].open_sender(address);
    }
  }
  void on_sendable(proton::sender& s) override {
    if (!sent_.insert({s.target().address(), true}).second) return;
    s.send(proton::message(s.target().address()));
  }
  void on_message(proton::delivery& d, proton::message& m) override {
    expect(proton::get<std::string>(m.body()) == d.receiver().source().address(),
           "a message of another queue");
    if (++received_ == 500) done();
  }
  std::string state() const override { return std::to_string(received_) + " of 500 received"; }

 private:
  std::map<std::string, bool> sent_ = {};
  int received_ = 0;
};

/// A refused link is opened with a null terminus, then closed with the error. [2.6.3]
class refused : public scenario {
 public:
  explicit refused(const std::string& url) : scenario(url, 30) {}

 protected:
  void start(proton::container& c) override {
    proton::connection connection = c.connect(url());
    connection.open_receiver("/queues/cpp-none");
    connection.open_sender("/queues/cpp-none");
  }
  void on_receiver_error(proton::receiver& r) override { note(r.error(), r.source().address()); }
  void on_sender_error(proton::sender& s) override { note(s.error(), s.target().address()); }

 private:
  void note(const proton::error_condition& error, const std::string& address) {
    expect(error.name() == "amqp:not-found", "refused with " + error.what());
    expect(address.empty(), "the reply to attach names " + address);
    if (++refusals_ == 2) done();
  }
  int refusals_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return interop::run_cases(
      argv[1],
      {
          trip("every type in every section", "cpp-types",
               [] { return std::vector{full_message(), full_message()}; }, 0, 30),
          trip("5 MB messages", "cpp-5mb",
               [] { return of_sizes({5U << 20, (5U << 20) + 1}); }, 0, 60),
          trip("a 64 MB message", "cpp-64mb", [] { return of_sizes({64U << 20}); }, 0, 180),
          trip("max-frame-size 512", "cpp-512",
               [] {
                 auto out = of_sizes({0, 1, 400, 480, 512, 1000, 5000, 50'000});
                 out.push_back(full_message());
                 return out;
               },
               512, 60),
          interop::one<request_reply>("request and reply over a dynamic node"),
          interop::one<refused>("refused links"),
          interop::one<many_links>("200 sessions and 1,000 links on one connection"),
      });
}
