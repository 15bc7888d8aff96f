// SPDX-License-Identifier: Apache-2.0
// Sections: their order and number, single fields out of them, and the view against the owning
// message.
#include <doctest/doctest.h>

#include <algorithm>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "amqp/message/view.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/random_amqp.hpp"

namespace whimbrel::amqp::message {
namespace {

using test::hex;
using test::to_hex;

std::vector<std::byte> octets_of(const message& m) {
  octet_buffer out;
  encode(out, m);
  return {out.octets().begin(), out.octets().end()};
}

message full_message() {
  message m;
  m.header = spec::header{.durable = true, .priority = 7, .ttl = 1000, .delivery_count = 2};
  m.delivery_annotations = codec::map{{symbol("d"), std::uint32_t{1}}};
  m.message_annotations = codec::map{{symbol("x-m"), std::uint32_t{2}}};
  spec::properties& p = m.props();
  p.message_id = std::string("id");
  p.user_id = binary("user");
  p.to = "to";
  p.subject = "subject";
  p.reply_to = "reply-to";
  p.correlation_id = std::uint64_t{9};
  p.content_type = symbol("text/plain");
  p.content_encoding = symbol("gzip");
  p.absolute_expiry_time = timestamp{1};
  p.creation_time = timestamp{2};
  p.group_id = "group";
  p.group_sequence = 3;
  p.reply_to_group_id = "reply-group";
  m.application_properties = codec::map{{"a", "A"}, {"n", std::int32_t{5}}};
  m.body = codec::value("body");
  m.footer = codec::map{{symbol("f"), true}};
  return m;
}

TEST_CASE("message: every section survives a round trip") {
  const message sent = full_message();
  const auto got = decode(octets_of(sent));
  REQUIRE(got.has_value());
  CHECK(*got == sent);
  CHECK(octets_of(*got) == octets_of(sent));
}

TEST_CASE("message: exact octets of the smallest ones") {
  CHECK(to_hex(octets_of(text_message("x"))) == "00 53 77 a1 01 78");
  CHECK(to_hex(octets_of(data_message(hex("01 02")))) == "00 53 75 a0 02 01 02");
  message sequence;
  sequence.body = std::vector<codec::list>{{}, {true}};
  CHECK(to_hex(octets_of(sequence)) == "00 53 76 45 00 53 76 c0 02 01 41");
  CHECK(octets_of({}).empty());
}

TEST_CASE("message: the body as text") {
  CHECK(text_message("x").body_text() == "x");
  message m = data_message(hex("61"));
  std::get<std::vector<binary>>(m.body).emplace_back(std::string_view("b"));
  CHECK(m.body_text() == "ab");
  m.body = codec::value(true);
  CHECK(!m.body_text().has_value());
  CHECK(!message{}.body_text().has_value());
}

TEST_CASE("message: as text it is one line") {
  CHECK(to_text(full_message()) ==
        "header(durable=true,priority=7,ttl=1000,delivery-count=2) delivery-annotations{:d=1} "
        "message-annotations{:x-m=2} properties(message-id=\"id\",user-id=x\"75736572\",to=\"to\","
        "subject=\"subject\",reply-to=\"reply-to\",correlation-id=9,content-type=:text/plain,"
        "content-encoding=:gzip,absolute-expiry-time=1970-01-01T00:00:00.001Z,"
        "creation-time=1970-01-01T00:00:00.002Z,group-id=\"group\",group-sequence=3,"
        "reply-to-group-id=\"reply-group\") application-properties{\"a\"=\"A\", \"n\"=5} "
        "value \"body\" footer{:f=true}");
  CHECK(to_text(data_message(hex("01"))) == "data x\"01\"");
  message sequence;
  sequence.body = std::vector<codec::list>{{true}};
  CHECK(to_text(sequence) == "sequence [true]");
  CHECK(to_text(message{}) == "no body");
}

TEST_CASE("view: finds every section and every property") {
  const auto octets = octets_of(full_message());
  const auto where = scan(octets);
  REQUIRE(where.has_value());
  CHECK(where->has_body());
  CHECK(where->body == body_kind::value);
  CHECK(where->body_sections == 1);
  CHECK(where->total == octets.size());
  const view v(octets, *where);
  CHECK(v.header()->durable);
  CHECK(v.header()->priority == 7);
  CHECK(v.header()->ttl == 1000u);
  CHECK(!v.header()->first_acquirer);
  CHECK(v.header()->delivery_count == 2);
  CHECK(to_hex(*v.message_id()) == "a1 02 69 64");
  CHECK(to_hex(*v.correlation_id()) == "53 09");
  CHECK(to_hex(**v.user_id()) == "75 73 65 72");
  CHECK(**v.to() == "to");
  CHECK(**v.subject() == "subject");
  CHECK(**v.reply_to() == "reply-to");
  CHECK(**v.content_type() == "text/plain");
  CHECK(**v.content_encoding() == "gzip");
  CHECK((*v.absolute_expiry_time())->ms == 1);
  CHECK((*v.creation_time())->ms == 2);
  CHECK(**v.group_id() == "group");
  CHECK(**v.group_sequence() == 3);
  CHECK(**v.reply_to_group_id() == "reply-group");
  CHECK(to_hex(*v.delivery_annotation("d")) == "52 01");
  CHECK(to_hex(*v.message_annotation("x-m")) == "52 02");
  CHECK(to_hex(*v.application_property("n")) == "54 05");
  CHECK(v.application_property("nothing")->empty());
  CHECK(v.application_properties()->size() == 2);
  CHECK(v.delivery_annotations()->size() == 1);
  CHECK(v.message_annotations()->size() == 1);
  CHECK(to_hex(v.body_sections()) == to_hex(hex("00 53 77 a1 04 \"body\"")));
  CHECK(to_hex(v.footer_section()) == to_hex(hex("00 53 78 c1 05 02 a3 01 66 41")));
  CHECK(v.bare_message().data() == v.properties_section().data());
  CHECK(v.bare_message().size() == v.properties_section().size() +
                                       v.application_properties_section().size() +
                                       v.body_sections().size());
  CHECK(v.octets().size() == octets.size());
}

TEST_CASE("view: what is not there is empty") {
  const auto octets = hex("00 53 75 a0 00");
  const view v(octets, *scan(octets));
  CHECK(*v.header() == header_view{});
  CHECK(v.message_id()->empty());
  CHECK(!v.to()->has_value());
  CHECK(!v.content_type()->has_value());
  CHECK(!v.user_id()->has_value());
  CHECK(!v.creation_time()->has_value());
  CHECK(!v.group_sequence()->has_value());
  CHECK(v.application_property("a")->empty());
  CHECK(v.application_properties()->empty());
  // A list of properties that ends early, and one with nulls.
  const auto early = hex("00 53 73 c0 04 03 40 40 40 00 53 75 a0 00");
  const view w(early, *scan(early));
  CHECK(!w.to()->has_value());
  CHECK(!w.reply_to()->has_value());
}

TEST_CASE("view: a field of a wrong type is an error when it is asked for, and only then") {
  const auto octets = hex("00 53 73 c0 06 04 43 43 43 a1 00 00 53 75 a0 00");
  const auto bad = hex("00 53 73 c0 0e 0c 43 43 43 43 43 43 43 43 43 43 43 a1 00 00 53 75 a0 00");
  CHECK(scan(octets).has_value());
  REQUIRE(scan(bad).has_value());
  const view v(bad, *scan(bad));
  CHECK(v.message_id().has_error());
  CHECK(v.correlation_id().has_error());
  CHECK(v.user_id().has_error());
  CHECK(v.to().has_error());
  CHECK(v.subject().has_error());
  CHECK(v.content_type().has_error());
  CHECK(v.creation_time().has_error());
  CHECK(v.group_sequence().has_error());
  CHECK(decode(bad).has_error());
  const view w(octets, *scan(octets));
  CHECK(**w.subject() == "");
}

TEST_CASE("view: map keys may be strings, symbols or others, and bad ones are errors") {
  const auto octets = hex("00 53 74 c1 0c 06 53 01 41 a3 01 61 42 a1 01 62 43 00 53 75 a0 00");
  const view v(octets, *scan(octets));
  CHECK(to_hex(*v.application_property("a")) == "42");
  CHECK(to_hex(*v.application_property("b")) == "43");
  const auto bad = hex("00 53 74 c1 05 02 a1 01 ff 41 00 53 75 a0 00");
  REQUIRE(scan(bad).has_value());
  CHECK(view(bad, *scan(bad)).application_property("b").error().fault == decode_fault::bad_utf8);
  CHECK(view(bad, *scan(bad)).application_properties().has_error());
}

TEST_CASE("scan: accepts each order of sections that the standard has, and no other") {
  constexpr std::string_view header = "00 53 70 45 ";
  constexpr std::string_view delivery = "00 53 71 c1 01 00 ";
  constexpr std::string_view annotations = "00 53 72 c1 01 00 ";
  constexpr std::string_view properties = "00 53 73 45 ";
  constexpr std::string_view application = "00 53 74 c1 01 00 ";
  constexpr std::string_view data = "00 53 75 a0 00 ";
  constexpr std::string_view sequence = "00 53 76 45 ";
  constexpr std::string_view value = "00 53 77 40 ";
  constexpr std::string_view footer = "00 53 78 c1 01 00 ";
  const std::string_view sections[] = {header, delivery, annotations, properties, application,
                                       data,   sequence, value,       footer};
  constexpr std::size_t rank[] = {0, 1, 2, 3, 4, 5, 5, 5, 6};
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < 9; ++i) {
    for (std::size_t j = 0; j < 9; ++j) {
      for (std::size_t k = 0; k < 9; ++k) {
        const auto octets =
            hex(std::string(sections[i]) + std::string(sections[j]) + std::string(sections[k]));
        CAPTURE(to_hex(octets));
        const auto may_follow = [&](std::size_t a, std::size_t b) {
          return rank[a] < rank[b] || (a == b && (a == 5 || a == 6));
        };
        const bool is_legal = may_follow(i, j) && may_follow(j, k);
        const auto got = scan(octets);
        CHECK(got.has_value() == is_legal);
        if (got.has_error()) CHECK(got.error().fault == decode_fault::bad_order);
        if (is_legal) {
          ++accepted;
          CHECK(decode(octets).has_value());
          CHECK(got->has_body() == (rank[i] == 5 || rank[j] == 5 || rank[k] == 5));
        }
      }
    }
  }
  CHECK(accepted > 60);
}

TEST_CASE("scan: a message without a body passes and says so") {
  CHECK(!scan({})->has_body());
  const auto octets = hex("00 53 70 45");
  const auto got = scan(octets);
  REQUIRE(got.has_value());
  CHECK(!got->has_body());
  CHECK(got->body_end == 4);
  CHECK(std::holds_alternative<std::monostate>(decode(octets)->body));
}

TEST_CASE("scan: sections that are not what they say are refused") {
  struct {
    std::string_view what, octets;
    decode_fault want;
    std::uint32_t offset;
  } const rows[] = {
      {"no descriptor", "40", decode_fault::bad_format_code, 0},
      {"descriptor of no section", "00 53 24 45", decode_fault::bad_descriptor, 0},
      {"descriptor above the sections", "00 53 79 45", decode_fault::bad_descriptor, 0},
      {"descriptor of an outcome behind a header", "00 53 70 45 00 53 24 45",
       decode_fault::bad_descriptor, 4},
      {"unknown symbol", "00 a3 01 78 45", decode_fault::bad_descriptor, 1},
      {"only a descriptor", "00 53 70", decode_fault::truncated, 3},
      {"header that is a map", "00 53 70 c1 01 00", decode_fault::bad_format_code, 3},
      {"annotations that are a list", "00 53 72 45", decode_fault::bad_format_code, 3},
      {"annotations that are null", "00 53 72 40", decode_fault::bad_format_code, 3},
      {"properties that are a string", "00 53 73 a1 00", decode_fault::bad_format_code, 3},
      {"application properties that are a list", "00 53 74 45", decode_fault::bad_format_code, 3},
      {"data that is a string", "00 53 75 a1 00", decode_fault::bad_format_code, 3},
      {"sequence that is an array", "00 53 76 e0 02 00 40", decode_fault::bad_format_code, 3},
      {"footer that is a list", "00 53 78 45", decode_fault::bad_format_code, 3},
      {"data past the end", "00 53 75 a0 02 00", decode_fault::truncated, 5},
      {"broken list in a value", "00 53 77 c0 02 02 40", decode_fault::bad_length, 6},
      {"an octet behind the last section", "00 53 75 a0 00 00", decode_fault::truncated, 6},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto octets = hex(row.octets);
    const auto got = scan(octets);
    REQUIRE(got.has_error());
    CHECK(to_text(got.error()) == to_text(decode_error{row.want, row.offset, {}}));
    CHECK(decode(octets).has_error());
  }
}

TEST_CASE("scan: descriptors may be long numbers or symbols") {
  const auto octets =
      hex("00 80 0000000000000070 45 00 a3 1c \"amqp:message-annotations:map\" c1 01 00 "
          "00 a3 10 \"amqp:data:binary\" a0 01 78");
  const auto got = scan(octets);
  REQUIRE(got.has_value());
  CHECK(got->header_end == 11);
  CHECK(got->body == body_kind::data);
  CHECK(decode(octets)->body_text() == "x");
  CHECK(view(octets, *got).message_annotations()->empty());
}

TEST_CASE("scan: ten thousand sections are the most, and are counted without holding them") {
  std::vector<std::byte> octets;
  const auto one = hex("00 53 75 a0 00");
  for (std::size_t i = 0; i < limits::message_sections_max; ++i) {
    octets.insert(octets.end(), one.begin(), one.end());
  }
  REQUIRE(scan(octets).has_value());
  CHECK(scan(octets)->body_sections == 10'000);
  CHECK(decode(octets).has_value());
  octets.insert(octets.end(), one.begin(), one.end());
  CHECK(scan(octets).error().fault == decode_fault::limit_exceeded);
}

TEST_CASE("header: what is at its default is not sent, and reads back") {
  const auto written = [](const header_view& h) {
    octet_buffer out;
    write_header(out, h);
    CHECK(out.size() <= header_octets_max + 3);
    const auto got = read_header(out.octets());
    REQUIRE(got.has_value());
    CHECK(*got == h);
    return to_hex(out.octets());
  };
  CHECK(written({}) == "");
  CHECK(written({.durable = true}) == "00 53 70 c0 02 01 41");
  CHECK(written({.delivery_count = 1}) == "00 53 70 c0 07 05 40 40 40 40 52 01");
  CHECK(written({.durable = true, .priority = 0, .ttl = 0, .first_acquirer = true}) ==
        "00 53 70 c0 06 04 41 50 00 43 41");
  written({true, 255, 0xffffffff, true, 0xffffffff});
}

TEST_CASE("header: reads as the declaration does, whole and damaged") {
  constexpr std::uint64_t seed = 99;
  CAPTURE(seed);
  test::random_source random(seed);
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 3000; ++round) {
    spec::header h;
    test::randomise(random, h);
    if (random.one_in(3)) h.ttl.reset();
    const codec::raw whole = codec::to_raw(h);
    std::vector<std::byte> octets(whole.octets().begin(), whole.octets().end());
    if (random.one_in(2)) {
      octets[3 + random.below(octets.size() - 3)] ^= static_cast<std::byte>(1u << random.below(8));
    }
    CAPTURE(to_hex(octets));
    const auto where = scan(octets);
    if (where.has_error()) continue;
    const auto quick = read_header(octets);
    const auto slow = codec::decode<spec::header>(octets);
    REQUIRE(quick.has_value() == slow.has_value());
    if (quick.has_error()) {
      ++refused;
      CHECK(quick.error().fault == slow.error().fault);
      continue;
    }
    ++accepted;
    CHECK(*quick == header_view{slow->durable, slow->priority, slow->ttl, slow->first_acquirer,
                                slow->delivery_count});
  }
  CHECK(accepted > 1000);
  CHECK(refused > 50);
}

TEST_CASE("annotations: changes replace and add, and the rest stays") {
  const auto section = hex("00 53 72 c1 0a 04 a3 01 61 43 a3 01 62 a1 00");
  const codec::map changes{{symbol("b"), true}, {symbol("c"), std::uint32_t{1}}};
  const auto merged = [](std::span<const std::byte> before, const codec::map& over) {
    octet_buffer out;
    REQUIRE(write_merged_annotations(out, before, over).has_value());
    return to_hex(out.octets());
  };
  CHECK(merged(section, changes) ==
        to_hex(hex("00 53 72 c1 0e 06 a3 01 61 43 a3 01 62 41 a3 01 63 52 01")));
  CHECK(merged(section, {}) == to_hex(section));
  CHECK(merged({}, {}) == "");
  CHECK(merged({}, codec::map{{symbol("b"), true}}) ==
        to_hex(hex("00 53 72 c1 05 02 a3 01 62 41")));
  octet_buffer out;
  CHECK(write_merged_annotations(out, hex("00 53 72 c1 05 02 a3 01 ff 41"), changes).has_error());
  CHECK(out.empty());
}

message random_message(test::random_source& random) {
  message m;
  if (random.one_in(2)) test::randomise(random, m.header.emplace());
  if (random.one_in(2)) test::randomise(random, m.delivery_annotations);
  if (random.one_in(2)) test::randomise(random, m.message_annotations);
  if (random.one_in(2)) {
    codec::each_field<spec::properties>([&](const auto& f, std::size_t) {
      if (random.one_in(2)) test::randomise(random, m.props().*f.member);
      return true;
    });
  }
  if (random.one_in(2)) test::randomise(random, m.application_properties);
  switch (random.below(4)) {
    case 0:
      break;
    case 1:
      m.body = test::random_value(random, 3);
      break;
    case 2: {
      std::vector<binary> data(1 + random.below(3));
      for (binary& section : data) test::randomise(random, section);
      m.body = std::move(data);
      break;
    }
    default:
      m.body = std::vector<codec::list>{{}, {test::random_value(random, 2)}};
      break;
  }
  if (random.one_in(4)) test::randomise(random, m.footer);
  return m;
}

/// The view says the same as the owning message.
void check_view(std::span<const std::byte> octets, const message& m) {
  const auto where = scan(octets);
  REQUIRE(where.has_value());
  const view v(octets, *where);
  const spec::header h = m.header.value_or(spec::header{});
  CHECK(*v.header() ==
        header_view{h.durable, h.priority, h.ttl, h.first_acquirer, h.delivery_count});
  const spec::properties p = m.properties.value_or(spec::properties{});
  const auto same_text = [](const auto& got, const auto& want) {
    return got.has_value() && got->has_value() == want.has_value() && (!want || **got == *want);
  };
  CHECK(same_text(v.to(), p.to));
  CHECK(same_text(v.subject(), p.subject));
  CHECK(same_text(v.reply_to(), p.reply_to));
  CHECK(same_text(v.group_id(), p.group_id));
  CHECK(same_text(v.reply_to_group_id(), p.reply_to_group_id));
  CHECK(*v.absolute_expiry_time() == p.absolute_expiry_time);
  CHECK(*v.creation_time() == p.creation_time);
  CHECK(*v.group_sequence() == p.group_sequence);
  CHECK(v.message_id()->empty() == !p.message_id.has_value());
  if (p.message_id) CHECK(*codec::decode<spec::message_id>(*v.message_id()) == *p.message_id);
  CHECK(*v.application_properties() == m.application_properties.value_or(codec::map{}));
  CHECK(*v.message_annotations() == m.message_annotations.value_or(codec::map{}));
  const codec::map properties = m.application_properties.value_or(codec::map{});
  for (const codec::entry e : properties) {
    const auto name = e.first.text();
    if (!name) continue;
    // Of two keys with one name, a string and a symbol, both look-ups take the first.
    CHECK(*codec::decode<codec::value>(*v.application_property(*name)) == *properties.find(*name));
  }
  CHECK(where->has_body() == !std::holds_alternative<std::monostate>(m.body));
}

TEST_CASE("message: random ones survive the wire, and view and message agree, also when damaged") {
  constexpr std::uint64_t seed = 4711;
  CAPTURE(seed);
  test::random_source random(seed);
  std::size_t damaged_but_good = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 400; ++round) {
    const message sent = random_message(random);
    const std::vector<std::byte> octets = octets_of(sent);
    CAPTURE(to_hex(octets));
    const auto got = decode(octets);
    REQUIRE(got.has_value());
    REQUIRE(*got == sent);
    check_view(octets, sent);
    CHECK(!to_text(sent).empty());
    for (int i = 0; i < 20 && !octets.empty(); ++i) {
      std::vector<std::byte> damaged = octets;
      damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1u << random.below(8));
      if (random.one_in(4)) damaged.resize(random.below(damaged.size()));
      CAPTURE(to_hex(damaged));
      const auto where = scan(damaged);
      const auto owned = decode(damaged);
      if (owned.has_error()) {
        ++refused;
        continue;
      }
      REQUIRE(where.has_value());
      ++damaged_but_good;
      check_view(damaged, *owned);
    }
  }
  CHECK(damaged_but_good > 500);
  CHECK(refused > 500);
}

}  // namespace
}  // namespace whimbrel::amqp::message
