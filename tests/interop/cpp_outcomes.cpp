// SPDX-License-Identifier: Apache-2.0
// Outcomes in both directions, settled transfers, drain and browsing, through Proton C++.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <proton/delivery_mode.hpp>
#include <proton/types.hpp>

#include "scenario.hpp"

namespace {

using interop::scenario;

/// Sends messages 0..count-1, then lets `consume` run on what a receiver gets.
class produce_consume : public scenario {
 public:
  produce_consume(const std::string& url, std::string address, int count, int window)
      : scenario(url, 30), address_(std::move(address)), count_(count), window_(window) {}

 protected:
  void start(proton::container& c) override { connection_ = c.connect(url()); }

  void on_connection_open(proton::connection& c) override { c.open_sender(address_); }

  void on_sendable(proton::sender& s) override {
    while (s.credit() > 0 && sent_ < count_) {
      proton::message m(std::string("body"));
      m.id(static_cast<std::uint64_t>(sent_++));
      m.durable(sent_ % 2 == 0);
      s.send(m);
    }
  }

  void on_tracker_accept(proton::tracker&) override {
    if (++accepted_ == count_) consume(connection_);
  }

  virtual void consume(proton::connection& c) {
    c.open_receiver(address_, options());
  }

  proton::receiver_options options() const {
    return proton::receiver_options().credit_window(window_).auto_accept(false);
  }

  std::string address_;
  int count_;
  int window_;
  int sent_ = 0;
  int accepted_ = 0;
  proton::connection connection_ = {};
};

/// The outcome for the first time a message comes; the second time it is accepted and judged.
class second_time : public produce_consume {
 public:
  using first_outcome = void (*)(proton::delivery&);

  second_time(const std::string& url, std::string address, first_outcome first, bool comes_again)
      : produce_consume(url, std::move(address), 10, 10),
        first_(first),
        comes_again_(comes_again) {}

 protected:
  void on_message(proton::delivery& d, proton::message& m) override {
    const auto id = proton::get<std::uint64_t>(m.id());
    if (times_.size() <= id) times_.resize(id + 1);
    if (++times_[id] == 1) {
      expect(m.first_acquirer(), "not the first acquirer the first time");
      expect(m.delivery_count() == 0, "a count before the first delivery");
      first_(d);
      if (!comes_again_ && ++gone_ == count_) check_empty(d.receiver());
      return;
    }
    expect(comes_again_, "message " + std::to_string(id) + " came again");
    expect(!m.first_acquirer(), "first acquirer the second time");
    expect(m.delivery_count() == 0, "the count rose without delivery-failed");
    d.accept();
    if (++again_ == count_) check_empty(d.receiver());
  }

  void check_empty(proton::receiver r) {
    r.close();
    connection_.open_receiver(address_, proton::receiver_options().credit_window(0));
  }

  void on_receiver_open(proton::receiver& r) override {
    if (r.credit() == 0 && (gone_ == count_ || again_ == count_)) {
      r.add_credit(5);
      r.drain();
    }
  }

  void on_receiver_drain_finish(proton::receiver& r) override {
    expect(r.credit() == 0, "credit left after drain");
    done();
  }

 private:
  first_outcome first_;
  bool comes_again_;
  int gone_ = 0;
  int again_ = 0;
  std::vector<int> times_ = {};
};

class anonymous_terminus : public scenario {
 public:
  explicit anonymous_terminus(const std::string& url) : scenario(url, 30) {}

 protected:
  void start(proton::container& c) override {
    proton::connection connection = c.connect(url());
    connection.open_sender(
        "", proton::sender_options().target(proton::target_options().anonymous(true)));
  }
  void on_sendable(proton::sender& s) override {
    if (sent_) return;
    sent_ = true;
    for (const char* to : {"cpp-known", "/queues/cpp-no-such", "cpp-known"}) {
      proton::message m(std::string("x"));
      m.to(to);
      s.send(m);
    }
  }
  void on_tracker_accept(proton::tracker&) override { note('a'); }
  void on_tracker_reject(proton::tracker&) override { note('r'); }

 private:
  void note(char what) {
    outcomes_ += what;
    if (outcomes_.size() < 3) return;
    // Outcomes are each message's own; they need not come in the order of the messages.
    expect(outcomes_.find('r') != std::string::npos, "nothing was rejected: " + outcomes_);
    expect(outcomes_.find('r') == outcomes_.rfind('r'), "two were rejected: " + outcomes_);
    done();
  }
  bool sent_ = false;
  std::string outcomes_ = {};
};

class settled_both_ways : public scenario {
 public:
  explicit settled_both_ways(const std::string& url) : scenario(url, 30) {}

 protected:
  void start(proton::container& c) override {
    const auto mode = proton::delivery_mode::AT_MOST_ONCE;
    proton::connection connection = c.connect(url());
    connection.open_receiver("cpp-settled", proton::receiver_options().delivery_mode(mode));
    connection.open_sender("cpp-settled", proton::sender_options().delivery_mode(mode));
  }
  void on_sendable(proton::sender& s) override {
    while (s.credit() > 0 && sent_ < 100) {
      proton::message m(std::string("x"));
      m.id(static_cast<std::uint64_t>(sent_++));
      s.send(m);
    }
  }
  void on_message(proton::delivery& d, proton::message& m) override {
    expect(d.settled(), "a delivery came unsettled");
    expect(proton::get<std::uint64_t>(m.id()) == received_, "out of order");
    if (++received_ == 100) done();
  }

 private:
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

class browser : public produce_consume {
 public:
  explicit browser(const std::string& url) : produce_consume(url, "cpp-browsed", 20, 100) {}

 protected:
  void consume(proton::connection& c) override {
    c.open_receiver(address_, options().source(copy_));
  }
  void on_message(proton::delivery& d, proton::message& m) override {
    expect(proton::get<std::uint64_t>(m.id()) == seen_ % 20, "out of order");
    d.accept();
    ++seen_;
    if (seen_ == 20) {  // all browsed; now they are taken
      d.receiver().close();
      connection_.open_receiver(address_, options());
    }
    if (seen_ == 40) done();
  }

 private:
  proton::source_options copy_ =
      proton::source_options().distribution_mode(proton::source::COPY);
  std::uint64_t seen_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto row = [](const char* name, const char* address, second_time::first_outcome first,
                      bool again) {
    return interop::test_case{name, [=](const std::string& url) {
                                second_time(url, address, first, again).run();
                                return std::string();
                              }};
  };
  return interop::run_cases(
      argv[1],
      {
          row("accept: gone", "cpp-accept", [](proton::delivery& d) { d.accept(); }, false),
          row("reject: gone", "cpp-reject", [](proton::delivery& d) { d.reject(); }, false),
          row("release: comes again", "cpp-release", [](proton::delivery& d) { d.release(); },
              true),
          row("modify: comes again", "cpp-modify", [](proton::delivery& d) { d.modify(); }, true),
          interop::one<anonymous_terminus>("anonymous terminus: one outcome a message"),
          interop::one<settled_both_ways>("settled both ways"),
          interop::one<browser>("browse, then take"),
      });
}
