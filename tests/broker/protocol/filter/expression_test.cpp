// SPDX-License-Identifier: Apache-2.0
// What selectors and SQL expressions say of one message that has something in every section.
#include "tests/broker/protocol/filter/messages.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using filter::dialect;

namespace {

struct row {
  char expected;
  std::string text;
};

template <std::size_t N>
void expect(const row (&rows)[N], dialect d) {
  for (const row& r : rows) {
    CAPTURE(r.text);
    CHECK(verdict(r.text, d) == r.expected);
  }
}

const row in_both[] = {
    {'y', "color = 'red'"},
    {'n', "color = 'blue'"},
    {'y', "color <> 'blue'"},
    {'y', "color != 'blue'"},
    {'n', "color = 'Red'"},
    {'?', "missing = 'red'"},
    {'?', "missing <> 'red'"},
    {'?', "NOT missing = 'red'"},
    {'?', "nothing = 1"},
    {'y', "weight = 2500"},
    {'y', "weight > 2499 and weight < 2501"},
    {'y', "weight >= 2500 AND weight <= 2500"},
    {'y', "weight = 2500.0"},
    {'y', "weight * 2 = 5000"},
    {'y', "weight + 1 = 2501"},
    {'y', "weight - 2500 = zero"},
    {'y', "-weight = -2500"},
    {'y', "- -weight = 2500"},
    {'y', "weight / 1000 = 2"},
    {'y', "weight % 1000 = 500"},
    {'y', "weight / 1000.0 = 2.5"},
    {'y', "2 + 3 * 4 = 14"},
    {'y', "(2 + 3) * 4 = 20"},
    {'y', "10 - 3 - 2 = 5"},
    {'?', "weight / zero = 1"},
    {'?', "NOT (weight / zero = 1)"},
    {'?', "weight / zero <> 1"},
    {'n', "weight / zero IS NULL"},
    {'?', "big * big > 1"},
    {'y', "big = 18446744073709551615"},
    {'y', "big > odd"},
    {'y', "odd > 9007199254740992"},
    {'y', "odd <> 9.007199254740992E15"},
    {'y', "tenth = 0.1"},
    {'y', "price > 19.4999"},
    {'y', "price BETWEEN 19 AND 20"},
    {'n', "price NOT BETWEEN 19 AND 20"},
    {'n', "weight between 1 and 2"},
    {'?', "missing BETWEEN 1 AND 2"},
    {'n', "weight BETWEEN 3000 AND missing"},
    {'y', "color IN ('blue', 'red')"},
    {'n', "color NOT IN ('blue', 'red')"},
    {'y', "color NOT IN ('blue')"},
    {'?', "missing IN ('blue')"},
    {'?', "missing NOT IN ('blue')"},
    {'y', "weight IN (1, 2500.0)"},
    {'y', "missing IS NULL"},
    {'y', "nothing IS NULL"},
    {'n', "color IS NULL"},
    {'y', "color is not null"},
    {'n', "missing IS NOT NULL"},
    {'y', "color LIKE 'r%'"},
    {'y', "color LIKE '_ed'"},
    {'n', "color LIKE '_e'"},
    {'y', "color NOT LIKE 'b%'"},
    {'y', "city LIKE 'M_nchen'"},
    {'y', "city LIKE 'M\xc3\xbc%n'"},
    {'y', "rate LIKE '100!%' ESCAPE '!'"},
    {'n', "color LIKE 'r!%' ESCAPE '!'"},
    {'?', "missing LIKE 'a%'"},
    {'?', "missing NOT LIKE 'a%'"},
    {'y', "color LIKE '%'"},
    {'n', "color LIKE ''"},
    {'y', "flag"},
    {'n', "off"},
    {'n', "NOT flag"},
    {'y', "not not flag"},
    {'y', "flag = TRUE"},
    {'y', "flag <> false"},
    {'y', "TRUE"},
    {'n', "FALSE"},
    {'y', "(color = 'red') = TRUE"},
    {'?', "color AND flag"},
    {'n', "missing AND off"},
    {'?', "missing AND flag"},
    {'y', "missing OR flag"},
    {'?', "missing OR off"},
    {'y', "color = 'blue' OR weight = 2500 AND flag"},
    {'n', "(color = 'blue' OR weight = 2500) AND off"},
    {'y', "kind = 'sym'"},
    {'y', "'a''b' <> 'ab'"},
    {'y', "when > 1709210096788"},
    {'y', "color > 'rec' AND color < 'ree'"},
    {'y', "\tcolor\n=\r\n'red' "},
};

const row in_selectors[] = {
    {'y', "JMSPriority = 7"},
    {'y', "JMSDeliveryMode = 'PERSISTENT'"},
    {'n', "JMSDeliveryMode = 'NON_PERSISTENT'"},
    {'y', "JMSTimestamp = 1700000000000"},
    {'y', "JMSMessageID = 'ID:AMQP_ULONG:77'"},
    {'y', "JMSCorrelationID = 'ID:abc'"},
    {'y', "JMSType = 'new'"},
    {'y', "JMSReplyTo = 'answers' AND JMSDestination = 'orders'"},
    {'y', "JMSXGroupID = 'g1' AND JMSXGroupSeq = 12"},
    {'y', "JMSXDeliveryCount = 1"},
    {'y', "JMSXUserID = 'guest'"},
    {'y', "JMSExpiration IS NULL"},
    {'y', "amqp.priority = 7 AND amqp.durable"},
    {'y', "amqp.reply_to = 'answers'"},
    {'y', "amqp.content_type LIKE 'application/%'"},
    {'y', "amqp.delivery_count = 0 AND amqp.first_acquirer = FALSE"},
    {'y', "amqp.message_id = 77"},
    {'y', "amqp.creation_time > 1600000000000"},
    {'y', "amqp.annotation.x-opt-offset > '0041'"},
    {'y', "m.x-opt-offset = '0042'"},
    {'y', "a.b = 5"},
    {'y', "\"odd name\" = 6"},
    {'y', "\"color\" = 'red'"},
    {'y', "weight = 2500L and price = 19.5d and price > 1f"},
    {'y', "weight = 0x9C4"},
    {'y', "price > .5 AND price > 1."},
    {'y', "INF IS NULL AND EXISTS IS NULL"},
    {'n', "color = 5"},        // unlike types: false
    {'n', "color <> 5"},
    {'y', "NOT color = 5"},
    {'n', "weight LIKE '2%'"},
    {'n', "flag = 1"},
    {'n', "weight IN ('2500')"},
};

const row in_sql[] = {
    {'y', "application_properties.color = 'red' AND application-properties.color = \"red\""},
    {'y', "a.color = 'red'"},
    {'y', "[color] = 'red' AND a.[odd name] = 6"},
    {'y', "[a.b] = 5"},
    {'y', "p.to = 'orders' AND properties.subject = 'new'"},
    {'y', "p.reply-to = 'answers' AND p.reply_to = 'answers' AND p.replyTo = 'answers'"},
    {'y', "p.contentType LIKE 'application/json%' OR p.contentType LIKE '%+json%'"},
    {'y', "p.[content-type] = 'application/json'"},
    {'y', "p.group-sequence-1 = 11"},
    {'y', "h.priority = 7 AND header.durable = TRUE AND h.delivery-count = 0"},
    {'y', "p.user-id = 0x6775657374"},
    {'y', "blob = 0x01ff"},
    {'n', "blob = 0x01"},
    {'y', "m.[x-opt-offset] = '0042' AND message_annotations.[x-opt-offset] > '0041'"},
    {'y', "m.nested.in = 'side'"},
    {'y', "m.nested.items[0] = 10 AND m.nested.items[0 + 1] = 'eleven'"},
    {'y', "m.nested.items[2] IS NULL AND m.nested.other IS NULL"},
    {'y', "m.numbers[0] = 7 AND m.numbers[2] = 9 AND m.numbers[3] IS NULL"},
    {'?', "m.nested = 'side'"},
    {'y', "d.hop = 3 AND f.sum = 99 AND footer.sum < 100"},
    {'y', "EXISTS(color) AND EXISTS(nothing) AND NOT EXISTS(missing)"},
    {'y', "EXISTS(p.to) AND NOT EXISTS(p.reply-to-group-id) AND EXISTS(h.ttl)"},
    {'y', "EXISTS(m.nested.in)"},
    {'n', "EXISTS(p.absolute-expiry-time)"},
    {'y', "LOWER('ABC') = 'abc' AND UPPER(color) = 'RED'"},
    {'y', "UPPER(city) = 'M\xc3\x9cNCHEN' AND lower(city, 'de') = 'm\xc3\xbcnchen'"},
    {'y', "LEFT(color, 2) = 're' AND RIGHT(color, 2) = 'ed' AND LEFT(color, 9) = 'red'"},
    {'y', "LEFT(city, 2) = 'M\xc3\xbc'"},
    {'y', "SUBSTRING(city, 2, 2) = '\xc3\xbcn' AND SUBSTRING(color, 9, 1) = ''"},
    {'?', "LEFT(color, zero - 1) = 're'"},
    {'y', "color + '-' + kind = 'red-sym'"},
    {'?', "color + 1 = 'red1'"},
    {'y', "when = DATE('2024-02-29T12:34:56.789Z')"},
    {'y', "when > '2024-02-29' AND when < '2024-02-29T13:34:57+01:00'"},
    {'y', "when - DATE('2024-02-29') = 45296789"},
    {'y', "DATE(p.subject) IS NULL"},
    {'y', "acme:frobnicate(color, 1) IS NULL"},
    {'y', "1.5E1 = 15 AND 2.5E-1 = 0.25 AND 1E3 = 1000"},
    {'y', "price < INF"},
    {'?', "price = NAN OR NAN <> NAN"},
    {'?', "color = NULL"},
    {'?', "color = 5"},  // unlike types: unknown
    {'?', "NOT color = 5"},
    {'?', "flag = 1"},
    {'?', "weight LIKE '2%'"},
    {'y', "color LIKE LEFT(color, 1) + '%'"},
};

}  // namespace

TEST_CASE("filter: expressions that both dialects have") {
  expect(in_both, dialect::selector);
  expect(in_both, dialect::sql);
}

TEST_CASE("filter: selectors know the headers of JMS and of other brokers") {
  expect(in_selectors, dialect::selector);
}

TEST_CASE("filter: sql reaches every section and has functions") { expect(in_sql, dialect::sql); }

TEST_CASE("filter: absent fields of the header stand for their defaults") {
  amqp::message::message bare;
  bare.body = value(std::string("x"));
  CHECK(verdict("JMSPriority = 4 AND JMSDeliveryMode = 'NON_PERSISTENT'", dialect::selector,
                bare) == 'y');
  CHECK(verdict("h.durable = FALSE AND NOT EXISTS(h.priority)", dialect::sql, bare) == 'y');
  CHECK(verdict("h.ttl IS NULL AND p.to IS NULL", dialect::sql, bare) == 'y');
}

TEST_CASE("filter: a pattern of many wildcards costs no more than the product of the lengths") {
  amqp::message::message m;
  m.application_properties = amqp::codec::map{
      {value(std::string("long")), value(std::string(20000, 'a'))}};
  m.body = value(std::string("x"));
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "%a";
  CHECK(verdict("long LIKE '" + pattern + "%b'", dialect::selector, m) == 'n');
  CHECK(verdict("long LIKE '" + pattern + "'", dialect::selector, m) == 'y');
}
