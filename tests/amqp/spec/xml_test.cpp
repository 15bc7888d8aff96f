// SPDX-License-Identifier: Apache-2.0
// The declarations against the machine-readable definitions of the standard (tests/amqp/xml):
// names, order, descriptors, types, defaults, mandatory, multiple, choices and constructors.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/spec/catalogue.hpp"
#include "amqp/spec/conditions.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::spec {
namespace {

using tree = boost::property_tree::ptree;

struct field_row {
  std::string name = {};
  std::string type = {};
  std::string fallback = {};  // the default
  bool is_mandatory = false;
  bool is_multiple = false;

  bool operator==(const field_row&) const = default;
};

std::string to_text(const field_row& f) {
  return f.name + " " + f.type + " default=" + f.fallback + (f.is_mandatory ? " mandatory" : "") +
         (f.is_multiple ? " multiple" : "");
}

struct type_row {
  std::string name = {};
  std::string kind = {};    // primitive, composite or restricted
  std::string source = {};  // of a restricted type
  std::string symbolic = {};
  std::uint64_t code = 0;
  std::vector<field_row> fields = {};
  std::map<std::string, std::string> choices = {};
};

std::string attribute(const tree& node, const char* name) {
  return node.get<std::string>(std::string("<xmlattr>.") + name, "");
}

type_row read_type(const tree& node) {
  type_row out{.name = attribute(node, "name"),
               .kind = attribute(node, "class"),
               .source = attribute(node, "source")};
  for (const auto& [tag, child] : node) {
    if (tag == "descriptor") {
      out.symbolic = attribute(child, "name");
      const std::string code = attribute(child, "code");  // 0x00000000:0x00000010
      out.code = std::stoull(code.substr(code.find(':') + 1), nullptr, 16);
    } else if (tag == "field") {
      out.fields.push_back({attribute(child, "name"), attribute(child, "type"),
                            attribute(child, "default"), attribute(child, "mandatory") == "true",
                            attribute(child, "multiple") == "true"});
    } else if (tag == "choice") {
      out.choices.emplace(attribute(child, "name"), attribute(child, "value"));
    }
  }
  return out;
}

/// By value in a loop's range: the tree has to outlive the loop.
tree sections_of(const std::string& name) {
  tree out;
  boost::property_tree::read_xml(
      std::string(WHIMBREL_SOURCE_DIR) + "/tests/amqp/xml/" + name + ".xml", out);
  return out.get_child("amqp");
}

/// All types of the four files that define described and restricted types.
std::vector<type_row> xml_types() {
  std::vector<type_row> out;
  for (const char* file : {"transport", "messaging", "transactions", "security"}) {
    for (const auto& [section_tag, section] : sections_of(file))
      for (const auto& [tag, node] : section)
        if (tag == "type") out.push_back(read_type(node));
  }
  return out;
}

/// What a field of the XML is called after its restrictions are taken off; choices that have an
/// enum of ours keep their name.
std::string base_type(const std::vector<type_row>& types, const std::string& name) {
  static const std::set<std::string> enums{"role", "sender-settle-mode", "receiver-settle-mode",
                                           "terminus-durability", "sasl-code"};
  if (enums.contains(name)) return name;
  for (const type_row& t : types)
    if (t.name == name && t.kind == "restricted") return base_type(types, t.source);
  return name;
}

template <class T>
constexpr std::string_view name_of = "?";
template <>
constexpr std::string_view name_of<bool> = "boolean";
template <>
constexpr std::string_view name_of<std::uint8_t> = "ubyte";
template <>
constexpr std::string_view name_of<std::uint16_t> = "ushort";
template <>
constexpr std::string_view name_of<std::uint32_t> = "uint";
template <>
constexpr std::string_view name_of<std::uint64_t> = "ulong";
template <>
constexpr std::string_view name_of<std::string> = "string";
template <>
constexpr std::string_view name_of<symbol> = "symbol";
template <>
constexpr std::string_view name_of<binary> = "binary";
template <>
constexpr std::string_view name_of<timestamp> = "timestamp";
template <>
constexpr std::string_view name_of<codec::map> = "map";
template <>
constexpr std::string_view name_of<codec::raw> = "*";
template <>
constexpr std::string_view name_of<role> = "role";
template <>
constexpr std::string_view name_of<sender_settle_mode> = "sender-settle-mode";
template <>
constexpr std::string_view name_of<receiver_settle_mode> = "receiver-settle-mode";
template <>
constexpr std::string_view name_of<terminus_durability> = "terminus-durability";
template <>
constexpr std::string_view name_of<sasl_code> = "sasl-code";
template <>
constexpr std::string_view name_of<error> = "error";
template <>
constexpr std::string_view name_of<source> = "source";
template <>
constexpr std::string_view name_of<message_id> = "message-id";

template <class M>
struct unwrapped {
  using type = M;
};
template <class M>
struct unwrapped<std::optional<M>> : unwrapped<M> {};
template <class M>
struct unwrapped<codec::multiple<M>> : unwrapped<M> {};

template <class T>
type_row declared_type() {
  const std::string_view symbolic = T::type.name;
  type_row out{.name = std::string(symbolic.substr(5, symbolic.rfind(':') - 5)),
               .kind = "composite",
               .source = "list",
               .symbolic = std::string(symbolic),
               .code = T::type.code};
  codec::each_field<T>([&]([[maybe_unused]] const auto& f, std::size_t) {
    const T value{};
    using member = std::remove_cvref_t<decltype(value.*f.member)>;
    using bare = typename unwrapped<member>::type;
    field_row row{.name = std::string(f.name),
                  .type = std::string(name_of<bare>),
                  .is_mandatory = f.need == codec::presence::mandatory,
                  .is_multiple = codec::is_multiple<member>};
    if constexpr (!codec::is_optional<member> && !codec::is_multiple<member> &&
                  !std::is_same_v<member, codec::raw>) {
      if (!row.is_mandatory) codec::print(row.fallback, value.*f.member);
      if (row.fallback.starts_with(':')) row.fallback.erase(0, 1);
    }
    out.fields.push_back(row);
    return true;
  });
  return out;
}

template <class... T>
std::vector<type_row> declared_types() {
  return {declared_type<T>()...};
}

std::vector<type_row> all_declared() {
  return declared_types<open, begin, attach, flow, transfer, disposition, detach, end, close, error,
                        header, properties, received, accepted, rejected, released, modified,
                        source, target, delete_on_close, delete_on_no_links, delete_on_no_messages,
                        delete_on_no_links_or_messages, coordinator, declare, discharge, declared,
                        transactional_state, sasl_mechanisms, sasl_init, sasl_challenge,
                        sasl_response, sasl_outcome>();
}

/// Where a declaration deviates from the XML on purpose.
void apply_deviations(const std::string& composite, field_row& f) {
  // The defaults of the OASIS text, which the XML of 2011 lacks.
  static const std::map<std::string, std::string> header_defaults{{"durable", "false"},
                                                                  {"priority", "4"},
                                                                  {"first-acquirer", "false"},
                                                                  {"delivery-count", "0"}};
  if (composite == "header" && header_defaults.contains(f.name)) {
    CHECK(f.fallback.empty());
    f.fallback = header_defaults.at(f.name);
  }
  if (composite == "attach" && f.name == "source") f.type = "source";
  if (composite == "attach" && f.name == "unsettled") f.type = "*";  // stays encoded
}

/// `*` that only one type can fill.
std::string type_of_requirement(const std::string& composite, const std::string& field) {
  if (field == "txn-id") return "binary";
  if (composite == "properties" && (field == "message-id" || field == "correlation-id")) {
    return "message-id";
  }
  if (field == "address" || field == "to" || field == "reply-to") return "string";
  return "*";
}

TEST_CASE("spec: every composite of the XML is declared with its fields, and no other") {
  const std::vector<type_row> types = xml_types();
  std::map<std::string, type_row> declared_by_name;
  for (type_row& t : all_declared()) declared_by_name.emplace(t.name, std::move(t));
  std::size_t composites = 0;
  std::size_t fields = 0;
  for (const type_row& t : types) {
    if (t.kind != "composite") continue;
    CAPTURE(t.name);
    ++composites;
    REQUIRE(declared_by_name.contains(t.name));
    const type_row& ours = declared_by_name.at(t.name);
    CHECK(ours.symbolic == t.symbolic);
    CHECK(ours.code == t.code);
    REQUIRE(ours.fields.size() == t.fields.size());
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      field_row want = t.fields[i];
      want.type =
          want.type == "*" ? type_of_requirement(t.name, want.name) : base_type(types, want.type);
      apply_deviations(t.name, want);
      CHECK(to_text(ours.fields[i]) == to_text(want));
      ++fields;
    }
  }
  CHECK(composites == declared_by_name.size());
  CHECK(composites == 33);
  CHECK(fields == 125);
}

TEST_CASE("spec: the catalogue repeats the declarations") {
  const std::vector<type_row> ours = all_declared();
  CHECK(catalogue().size() == ours.size());
  for (const type_row& t : ours) {
    CAPTURE(t.name);
    const catalogue_entry* entry = find_composite(t.code);
    REQUIRE(entry != nullptr);
    CHECK(entry->name == t.name);
    CHECK(entry->symbolic == t.symbolic);
    REQUIRE(entry->fields.size() == t.fields.size());
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      CHECK(entry->fields[i].name == t.fields[i].name);
      CHECK(entry->fields[i].is_mandatory == t.fields[i].is_mandatory);
    }
  }
  CHECK(find_composite(0x19) == nullptr);
  CHECK(std::ranges::is_sorted(catalogue(), {}, &catalogue_entry::code));
}

TEST_CASE("spec: the descriptors are those of the XML") {
  std::map<std::uint64_t, std::string> want;
  for (const type_row& t : xml_types())
    if (!t.symbolic.empty()) want.emplace(t.code, t.symbolic);
  std::map<std::uint64_t, std::string> have;
  for (const codec::descriptor& d : codec::standard_descriptors()) {
    have.emplace(d.code, d.name);
    CHECK(codec::code_of(d.name) == d.code);
  }
  CHECK(have == want);
  CHECK(have.size() == 40);
  CHECK(!codec::code_of("amqp:nothing:list").has_value());
}

template <class E>
std::map<std::string, std::string> choices() {
  std::map<std::string, std::string> out;
  for (const auto& c : choices_of(E{})) {
    std::string number;
    codec::print(number, static_cast<std::underlying_type_t<E>>(c.value));
    out.emplace(c.name, number);
  }
  return out;
}

TEST_CASE("spec: the choices of restricted types are those of the XML") {
  using names = std::map<std::string, std::string>;
  const auto same = [](std::initializer_list<std::string_view> list) {
    names out;
    for (const std::string_view v : list) out.emplace(v, v);
    return out;
  };
  namespace c = conditions;
  const std::map<std::string, names> ours{
      {"role", choices<role>()},
      {"sender-settle-mode", choices<sender_settle_mode>()},
      {"receiver-settle-mode", choices<receiver_settle_mode>()},
      {"terminus-durability", choices<terminus_durability>()},
      {"sasl-code", choices<sasl_code>()},
      {"terminus-expiry-policy", same({expiry_policy::link_detach, expiry_policy::session_end,
                                       expiry_policy::connection_close, expiry_policy::never})},
      {"std-dist-mode", same({distribution_mode::move, distribution_mode::copy})},
      {"amqp-error",
       {{"internal-error", std::string(c::internal_error)},
        {"not-found", std::string(c::not_found)},
        {"unauthorized-access", std::string(c::unauthorized_access)},
        {"decode-error", std::string(c::decode_error)},
        {"resource-limit-exceeded", std::string(c::resource_limit_exceeded)},
        {"not-allowed", std::string(c::not_allowed)},
        {"invalid-field", std::string(c::invalid_field)},
        {"not-implemented", std::string(c::not_implemented)},
        {"resource-locked", std::string(c::resource_locked)},
        {"precondition-failed", std::string(c::precondition_failed)},
        {"resource-deleted", std::string(c::resource_deleted)},
        {"illegal-state", std::string(c::illegal_state)},
        {"frame-size-too-small", std::string(c::frame_size_too_small)}}},
      {"connection-error",
       {{"connection-forced", std::string(c::connection_forced)},
        {"framing-error", std::string(c::framing_error)},
        {"redirect", std::string(c::connection_redirect)}}},
      {"session-error",
       {{"window-violation", std::string(c::window_violation)},
        {"errant-link", std::string(c::errant_link)},
        {"handle-in-use", std::string(c::handle_in_use)},
        {"unattached-handle", std::string(c::unattached_handle)}}},
      {"link-error",
       {{"detach-forced", std::string(c::detach_forced)},
        {"transfer-limit-exceeded", std::string(c::transfer_limit_exceeded)},
        {"message-size-exceeded", std::string(c::message_size_exceeded)},
        {"redirect", std::string(c::link_redirect)},
        {"stolen", std::string(c::stolen)}}},
      {"txn-capability",
       {{"local-transactions", std::string(txn_capability::local_transactions)},
        {"distributed-transactions", std::string(txn_capability::distributed_transactions)},
        {"promotable-transactions", std::string(txn_capability::promotable_transactions)},
        {"multi-txns-per-ssn", std::string(txn_capability::multi_txns_per_ssn)},
        {"multi-ssns-per-txn", std::string(txn_capability::multi_ssns_per_txn)}}},
      {"transaction-error",
       {{"unknown-id", std::string(c::unknown_id)},
        {"transaction-rollback", std::string(c::transaction_rollback)},
        {"transaction-timeout", std::string(c::transaction_timeout)}}},
  };
  std::size_t compared = 0;
  for (const type_row& t : xml_types()) {
    if (t.choices.empty()) continue;
    CAPTURE(t.name);
    REQUIRE(ours.contains(t.name));
    CHECK(ours.at(t.name) == t.choices);
    ++compared;
  }
  CHECK(compared == ours.size());
}

TEST_CASE("spec: the constants are those of the XML") {
  std::map<std::string, std::string> constants;
  for (const auto& [section_tag, section] : sections_of("transport"))
    for (const auto& [tag, node] : section)
      if (tag == "definition") constants.emplace(attribute(node, "name"), attribute(node, "value"));
  CHECK(constants.at("MIN-MAX-FRAME-SIZE") == std::to_string(limits::frame_size_least));
}

TEST_CASE("codec: the constructors are those of the XML, and no other octet is one") {
  std::map<unsigned, std::pair<std::string, unsigned>> want;
  for (const auto& [section_tag, section] : sections_of("types"))
    for (const auto& [tag, node] : section)
      for (const auto& [inner, encoding] : node)
        if (inner == "encoding") {
          want[static_cast<unsigned>(std::stoul(attribute(encoding, "code"), nullptr, 16))] = {
              attribute(encoding, "category"),
              static_cast<unsigned>(std::stoul(attribute(encoding, "width")))};
        }
  CHECK(want.size() == 39);
  want[0] = {"described", 0};
  for (unsigned octet = 0; octet < 256; ++octet) {
    CAPTURE(octet);
    const codec::layout_of_code have = codec::layout(static_cast<codec::code>(octet));
    constexpr std::array names{"none", "described", "fixed", "variable", "compound", "array"};
    CHECK(names[static_cast<std::size_t>(have.kind)] ==
          (want.contains(octet) ? want[octet].first : "none"));
    if (want.contains(octet)) CHECK(have.width == want[octet].second);
  }
}

}  // namespace
}  // namespace whimbrel::amqp::spec
