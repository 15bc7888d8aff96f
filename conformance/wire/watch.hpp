// SPDX-License-Identifier: Apache-2.0
// Holds every frame that a peer sends against the rules on what it may send by itself. One for each
// connection; it sees what we send as well, to know what the peer may refer to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "conformance/run/test.hpp"
#include "conformance/wire/frame.hpp"

namespace whimbrel::conformance {

class watch {
 public:
  explicit watch(test& t) : test_(t) {}

  void sent(const frame& f);
  /// What we sent makes no sense; from now on only rules apply that do not depend on it.
  void sent_nonsense() { we_erred_ = true; }
  void received(const frame& f);

 private:
  struct link_state {
    bool is_theirs_sender = false;
    std::string name = {};
    spec::sender_settle_mode settle_mode = spec::sender_settle_mode::mixed;
    std::map<std::string, std::uint32_t> unsettled = {};  // tag -> delivery-id
    std::optional<std::uint32_t> partial = {};            // delivery-id in progress
    bool partial_settled = false;
  };
  struct session_state {
    std::uint16_t ours = 0;  // the channel on which we send
    std::map<std::uint32_t, link_state> links = {};  // by the peer's handle
    std::set<std::string> asked_senders = {};        // names that we attached, by our role
    std::set<std::string> asked_receivers = {};
    std::uint32_t handle_max = 0xffffffff;           // ours, for the peer's handles
    std::optional<std::uint32_t> last_delivery = {};
    std::map<std::uint32_t, std::uint64_t> outcomes = {};  // told for what we sent
  };

  void rule(std::string_view clause, bool held, std::string_view what);
  void check_encoding(const frame& f);
  void check_place(const frame& f);
  void on(const frame& f, const spec::open& o);
  void on(const frame& f, const spec::begin& b);
  void on(const frame& f, const spec::attach& a);
  void on(const frame& f, const spec::flow& x);
  void on(const frame& f, const spec::transfer& x);
  void on(const frame& f, const spec::disposition& d);
  void on(const frame& f, const spec::detach& d);
  void on(const frame& f, const spec::end& e);
  void on(const frame& f, const spec::close& c);
  template <class Sasl>
  void on(const frame& f, const Sasl& s);
  void on(const frame& f, const std::monostate&);
  void check_error(std::string_view advice, const std::optional<spec::error>& error);
  void check_terminus(const spec::source& s);
  void first_transfer(link_state& link, session_state& s, const spec::transfer& x);
  void settle(std::uint32_t first, std::uint32_t last, session_state& s);
  session_state* session_of(std::uint16_t channel);

  test& test_;
  bool we_erred_ = false;
  bool we_opened_ = false;
  bool opened_ = false;
  bool closed_ = false;
  std::uint32_t our_max_frame_size_ = 512;
  std::uint16_t our_channel_max_ = 0;
  std::set<std::uint16_t> asked_channels_ = {};               // our begins not yet answered
  std::map<std::uint16_t, session_state> sessions_ = {};      // by the peer's channel
  std::map<std::uint16_t, session_state> waiting_ = {};       // by our channel, not yet answered
};

}  // namespace whimbrel::conformance
