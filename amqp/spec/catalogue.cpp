// SPDX-License-Identifier: Apache-2.0
// The catalogue is made from the declarations; nothing is written twice.
#include "amqp/spec/catalogue.hpp"

#include <array>

#include "amqp/spec/messaging.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::spec {

namespace {

template <class T>
constexpr auto fields_of = [] {
  std::array<catalogue_field, codec::field_count<T>> out{};
  codec::each_field<T>([&]([[maybe_unused]] const auto& f, [[maybe_unused]] std::size_t index) {
    out[index] = {f.name, f.need == codec::presence::mandatory};
    return true;
  });
  return out;
}();

template <class T>
decoded<void> print_fields_of(std::string& out, codec::reader& r) {
  AMQP_TRY(value, codec::decode_fields<T>(r));
  codec::print(out, value);
  return {};
}

/// `open` of `amqp:open:list`.
constexpr std::string_view short_name(std::string_view symbolic) {
  const std::size_t begin = symbolic.find(':') + 1;
  return symbolic.substr(begin, symbolic.rfind(':') - begin);
}

template <class T>
constexpr catalogue_entry entry_of() {
  return {T::type.code, T::type.name, short_name(T::type.name), fields_of<T>, print_fields_of<T>};
}

template <class... T>
constexpr auto entries_of() {
  return std::array{entry_of<T>()...};
}

constexpr auto entries =
    entries_of<open, begin, attach, flow, transfer, disposition, detach, end, close, error,
               received, accepted, rejected, released, modified, source, target, delete_on_close,
               delete_on_no_links, delete_on_no_messages, delete_on_no_links_or_messages,
               coordinator, declare, discharge, declared, transactional_state, sasl_mechanisms,
               sasl_init, sasl_challenge, sasl_response, sasl_outcome, header, properties>();

void print_fault(std::string& out, std::string_view name, const decode_error& error,
                 std::size_t size) {
  out += name;
  out += "(cannot be decoded: ";
  out += to_text(error);
  out += " of ";
  out += std::to_string(size);
  out += ')';
}

}  // namespace

std::span<const catalogue_entry> catalogue() { return entries; }

const catalogue_entry* find_composite(std::uint64_t code) {
  for (const catalogue_entry& e : entries)
    if (e.code == code) return &e;
  return nullptr;
}

std::string frame_text(std::span<const std::byte> body) {
  if (body.empty()) return "(empty)";
  std::string out;
  codec::reader r(body);
  const auto code = codec::read_descriptor(r);
  if (code.has_error()) {
    print_fault(out, "frame", code.error(), body.size());
    return out;
  }
  const catalogue_entry* composite = find_composite(*code);
  if (composite == nullptr) {
    out += "descriptor ";
    codec::print(out, *code);
  } else {
    const auto printed = composite->print_fields(out, r);
    if (printed.has_error()) print_fault(out, composite->name, printed.error(), body.size());
    if (printed.has_error()) return out;
  }
  if (r.remaining() > 0) {
    out += " + ";
    codec::print(out, std::uint64_t{r.remaining()});
    out += " octets";
  }
  return out;
}

}  // namespace whimbrel::amqp::spec
