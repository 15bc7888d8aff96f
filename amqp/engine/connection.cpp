// SPDX-License-Identifier: Apache-2.0
// The public face of the engine.
#include "amqp/engine/connection.hpp"

#include "amqp/engine/connection_core.hpp"

namespace whimbrel::amqp::engine {

connection::connection(options settings)
    : core_(std::make_unique<connection_core>(*this, std::move(settings))) {}
connection::~connection() = default;

void connection::start(clock::time_point now) { core_->start(now); }
void connection::on_octets(std::span<const std::byte> in, clock::time_point now) {
  core_->on_octets(in, now);
}
void connection::on_written(std::size_t n) { core_->on_written(n); }
void connection::on_timeout(clock::time_point now) { core_->on_timeout(now); }
void connection::on_lost() { core_->on_lost(); }

const event* connection::poll_event() { return core_->poll_event(); }
std::span<const std::byte> connection::poll_octets() { return core_->poll_octets(); }
bool connection::has_output() const { return core_->has_output(); }
std::size_t connection::output_size() const { return core_->out().octets().size(); }
std::optional<clock::time_point> connection::next_timeout() const { return core_->next_timeout(); }
bool connection::is_finished() const { return core_->is_finished(); }

void connection::sasl_outcome(spec::sasl_code code, std::span<const std::byte> additional_data) {
  core_->sasl_outcome(code, additional_data);
}
void connection::sasl_challenge(std::span<const std::byte> challenge) {
  core_->sasl_challenge(challenge);
}
void connection::open(const codec::map& more) { core_->open(more); }
void connection::close(std::optional<spec::error> error) { core_->close(std::move(error)); }
session* connection::begin() { return core_->begin(); }

const options& connection::settings() const { return core_->settings(); }
const spec::open* connection::remote_open() const {
  const auto& open = core_->remote_open();
  return open ? &*open : nullptr;
}
std::uint32_t connection::frame_size_max_out() const { return core_->out().frame_size_max(); }
bool connection::is_open() const { return core_->is_open(); }
std::size_t connection::session_count() const { return core_->session_count(); }
std::size_t connection::link_count() const { return core_->link_count(); }
bool connection::output_has_room() const { return core_->out().has_room(); }

}  // namespace whimbrel::amqp::engine
