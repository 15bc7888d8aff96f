// SPDX-License-Identifier: Apache-2.0
// 100,000 messages in order through one queue, sender and receiver on connections of their own.
// `cpp_throughput PORT fill ADDRESS COUNT` only sends, durable messages of 1 KiB: for tests that
// need a filled queue.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <proton/types.hpp>

#include "scenario.hpp"

namespace {

using interop::scenario;

class in_order : public scenario {
 public:
  in_order(const std::string& url, bool durable, int count, bool receive, const char* address,
           std::size_t size)
      : scenario(url, 180),
        durable_(durable),
        count_(count),
        receive_(receive),
        address_(address),
        body_(size, 'x') {}

 protected:
  void start(proton::container& c) override {
    if (receive_) {
      proton::receiver_options options;
      options.credit_window(1000);
      c.open_receiver(url() + "/" + address_, options);
    }
    c.open_sender(url() + "/" + address_);
  }

  void on_sendable(proton::sender& s) override {
    while (s.credit() > 0 && sent_ < count_) {
      proton::message m(body_);
      m.id(static_cast<std::uint64_t>(sent_));
      m.durable(durable_);
      s.send(m);
      ++sent_;
    }
  }

  void on_tracker_accept(proton::tracker&) override {
    ++accepted_;
    finish();
  }

  void on_message(proton::delivery&, proton::message& m) override {
    const auto id = proton::get<std::uint64_t>(m.id());
    if (id != static_cast<std::uint64_t>(received_)) {
      fail("message " + std::to_string(id) + " came in place of " + std::to_string(received_));
    }
    ++received_;
    finish();
  }

  std::string state() const override {
    return std::to_string(sent_) + " sent, " + std::to_string(accepted_) + " accepted, " +
           std::to_string(received_) + " received";
  }

 private:
  void finish() {
    if (accepted_ == count_ && (!receive_ || received_ == count_)) done();
  }

  bool durable_;
  int count_;
  bool receive_;
  std::string address_;
  std::string body_;
  int sent_ = 0;
  int accepted_ = 0;
  int received_ = 0;
};

/// The queue is filled first and drained after, so that order through the whole depth is seen.
std::string fill_then_drain(const std::string& url) {
  in_order(url, true, 50'000, false, "cpp-fill-drain", 100).run();
  class drain : public scenario {
   public:
    explicit drain(const std::string& to) : scenario(to, 120) {}

   protected:
    void start(proton::container& c) override {
      c.open_receiver(url() + "/cpp-fill-drain", proton::receiver_options().credit_window(1000));
    }
    void on_message(proton::delivery&, proton::message& m) override {
      if (proton::get<std::uint64_t>(m.id()) != next_) fail("out of order");
      if (++next_ == 50'000) done();
    }

   private:
    std::uint64_t next_ = 0;
  };
  drain(url).run();
  return "50,000";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[2], "fill") == 0) {
    const int count = std::atoi(argv[4]);
    const char* address = argv[3];
    return interop::run_cases(
        argv[1], {interop::one<in_order>("fill", true, count, false, address, std::size_t{1024})});
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT [fill ADDRESS COUNT]\n", argv[0]);
    return 2;
  }
  const std::size_t size = 100;
  return interop::run_cases(
      argv[1],
      {
          interop::one<in_order>("100,000 durable messages in order", true, 100'000, true,
                                 "cpp-durable", size),
          interop::one<in_order>("100,000 transient messages in order", false, 100'000, true,
                                 "cpp-transient", size),
          {"a filled queue is drained in order", fill_then_drain},
      });
}
