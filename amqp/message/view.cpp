// SPDX-License-Identifier: Apache-2.0
// Finding sections, and single fields in them. [3.2]
#include "amqp/message/view.hpp"

#include <limits>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/codec/skip.hpp"
#include "amqp/spec/messaging.hpp"

namespace whimbrel::amqp::message {

namespace {

using codec::code;
using codec::reader;
using octet_span = std::span<const std::byte>;

constexpr std::uint64_t header_code = 0x70;
constexpr std::uint64_t delivery_annotations_code = 0x71;
constexpr std::uint64_t message_annotations_code = 0x72;
constexpr std::uint64_t properties_code = 0x73;
constexpr std::uint64_t application_properties_code = 0x74;
constexpr std::uint64_t data_code = 0x75;
constexpr std::uint64_t sequence_code = 0x76;
constexpr std::uint64_t value_code = 0x77;
constexpr std::uint64_t footer_code = 0x78;

/// Places in the list of properties. [3.2.4]
enum class property_index : std::uint8_t {
  message_id,
  user_id,
  to,
  subject,
  reply_to,
  correlation_id,
  content_type,
  content_encoding,
  absolute_expiry_time,
  creation_time,
  group_id,
  group_sequence,
  reply_to_group_id,
};
static_assert(static_cast<std::size_t>(property_index::reply_to_group_id) + 1 ==
              codec::field_count<spec::properties>);

decoded<std::uint64_t> section_descriptor(reader& r) {
  const octet_span rest = r.rest();
  if (rest.size() >= 3 && rest[0] == std::byte{0x00} && rest[1] == std::byte{0x53}) [[likely]] {
    static_cast<void>(r.take(3));
    return std::to_integer<std::uint64_t>(rest[2]);
  }
  return codec::read_descriptor(r);
}

/// Whether a section may hold a value with this constructor.
bool is_admitted(std::uint64_t section, code c) {
  switch (section) {
    case header_code:
    case properties_code:
    case sequence_code:
      return codec::is_list(c);
    case data_code:
      return codec::is_binary(c);
    case value_code:
      return true;
    default:
      return codec::is_map(c);
  }
}

body_kind body_of(std::uint64_t section) {
  switch (section) {
    case data_code:
      return body_kind::data;
    case sequence_code:
      return body_kind::sequence;
    case value_code:
      return body_kind::value;
    default:
      return body_kind::none;
  }
}

/// The order of the sections, and which may come again. [3.2]
class section_order {
 public:
  /// False if the section may not stand here.
  bool admit(std::uint64_t section) {
    const bool is_body = body_of(section) != body_kind::none;
    const bool may_repeat = section == last_ && (section == data_code || section == sequence_code);
    // All body sections share one rank: a body is of one kind.
    const std::uint64_t rank = is_body ? data_code : section;
    if (!may_repeat && rank <= rank_) return false;
    last_ = section;
    rank_ = rank;
    return true;
  }

 private:
  std::uint64_t last_ = 0;
  std::uint64_t rank_ = 0;
};

/// Moves the end of `section` and of all behind it to `end`.
void mark_end(layout& where, std::uint64_t section, std::uint32_t end) {
  if (section <= header_code) where.header_end = end;
  if (section <= delivery_annotations_code) where.delivery_annotations_end = end;
  if (section <= message_annotations_code) where.message_annotations_end = end;
  if (section <= properties_code) where.properties_end = end;
  if (section <= application_properties_code) where.application_properties_end = end;
  if (section <= value_code) where.body_end = end;
  where.total = end;
}

/// The header's fields from its list, which `flat_size` has passed: the items fill it. False if
/// they are not all of the usual encodings.
bool read_usual_header(octet_span list, header_view& out) {
  if (static_cast<code>(list[0]) == code::list0) return true;
  if (static_cast<code>(list[0]) != code::list8) return false;
  const auto count = std::to_integer<std::size_t>(list[2]);
  if (count > codec::field_count<spec::header>) return false;
  const std::byte* at = list.data() + 3;
  const auto read_flag = [&](bool& flag) {
    const code c = static_cast<code>(*at++);
    flag = c == code::true_;
    return flag || c == code::false_;
  };
  const auto read_number = [&](std::uint32_t& number) {
    const code c = static_cast<code>(*at++);
    if (c == code::smalluint) {
      number = std::to_integer<std::uint32_t>(*at++);
    } else if (c == code::uint) {
      number = codec::load_big_endian<std::uint32_t>(at);
      at += 4;
    } else if (c != code::uint0) {
      return false;
    }
    return true;
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (static_cast<code>(*at) == code::null) {
      ++at;
      continue;
    }
    bool is_good = true;
    switch (i) {
      case 0: is_good = read_flag(out.durable); break;
      case 1:
        is_good = static_cast<code>(*at++) == code::ubyte;
        if (is_good) out.priority = std::to_integer<std::uint8_t>(*at++);
        break;
      case 2: is_good = read_number(out.ttl.emplace()); break;
      case 3: is_good = read_flag(out.first_acquirer); break;
      default: is_good = read_number(out.delivery_count); break;
    }
    if (!is_good) return false;
  }
  return true;
}

/// Length of the value of a section, if it may stand there and is as most are; else 0.
std::size_t usual_size(std::uint64_t section, octet_span value) {
  const code c = static_cast<code>(value[0]);
  if (section == data_code && c == code::vbin8 && value.size() >= 2) {
    const std::size_t size = 2 + std::to_integer<std::size_t>(value[1]);
    return size <= value.size() ? size : 0;
  }
  if (section == data_code && c == code::vbin32 && value.size() >= 5) {
    const std::size_t size = 5 + std::size_t{codec::load_big_endian<std::uint32_t>(&value[1])};
    return size <= value.size() ? size : 0;
  }
  return is_admitted(section, c) ? codec::flat_size(value) : 0;
}

/// A walk over sections with small descriptors.
class usual_sections {
 public:
  explicit usual_sections(octet_span octets)
      : begin_(octets.data()), at_(begin_), end_(begin_ + octets.size()) {
    look();
  }

  /// The code of the section here; 0 at the end, and where there is none.
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] bool is_next(std::uint64_t section) const { return next_ == section; }
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(at_ - begin_); }

  /// Passes over the section here and returns its value; empty if that is not a usual one.
  [[nodiscard]] octet_span take() {
    const octet_span value(at_ + 3, end_);
    const std::size_t size = usual_size(next_, value);
    if (size == 0) return {};
    at_ += 3 + size;
    look();
    return value.first(size);
  }

 private:
  void look() {
    next_ = 0;
    if (end_ - at_ >= 4 && at_[0] == std::byte{0x00} && at_[1] == std::byte{0x53}) {
      next_ = std::to_integer<std::uint64_t>(at_[2]);
    }
  }

  const std::byte* begin_ = nullptr;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::uint64_t next_ = 0;
};

/// The items of a list section, behind its descriptor and head.
struct list_items {
  reader items;
  std::uint32_t count = 0;
};

decoded<list_items> open_list(octet_span section) {
  reader r(section);
  AMQP_TRY(descriptor, section_descriptor(r));
  static_cast<void>(descriptor);
  AMQP_TRY(head, codec::read_list_header(r));
  AMQP_TRY(items, r.sub(head.size));
  return list_items{items, head.count};
}

/// The value of `key` in a map section; empty if it is not there.
decoded<octet_span> find_entry(octet_span section, std::string_view key) {
  if (section.empty()) return octet_span{};
  reader r(section);
  AMQP_TRY(descriptor, section_descriptor(r));
  static_cast<void>(descriptor);
  AMQP_TRY(head, codec::read_map_header(r));
  for (std::uint32_t i = 0; i < head.count; i += 2) {
    bool is_wanted = false;
    if (codec::is_string(r.peek())) {
      AMQP_TRY(name, codec::read_string(r));
      is_wanted = name == key;
    } else if (codec::is_symbol(r.peek())) {
      AMQP_TRY(name, codec::read_symbol(r));
      is_wanted = name == key;
    } else {
      AMQP_TRY(skipped, codec::skip_value(r));
      static_cast<void>(skipped);
    }
    AMQP_TRY(mapped, codec::take_value(r));
    if (is_wanted) return mapped;
  }
  return octet_span{};
}

decoded<codec::map> decode_map_section(octet_span section) {
  if (section.empty()) return codec::map{};
  reader r(section);
  AMQP_TRY(descriptor, section_descriptor(r));
  static_cast<void>(descriptor);
  return codec::decode_as<codec::map>(r);
}

/// A property of type T, if there is one.
template <class T>
decoded<std::optional<T>> optional_of(const decoded<octet_span>& octets) {
  if (octets.has_error()) return octets.error();
  if (octets->empty()) return std::optional<T>{};
  AMQP_TRY(value, codec::decode<T>(*octets));
  return std::optional<T>(value);
}

}  // namespace

decoded<layout> scan(std::span<const std::byte> octets) {
  layout where;
  reader r(octets);
  if (octets.size() > std::numeric_limits<std::uint32_t>::max()) {
    return r.fault(decode_fault::limit_exceeded);
  }
  section_order order;
  std::size_t sections = 0;
  while (r.remaining() > 0) {
    const std::uint32_t begin = r.offset();
    AMQP_TRY(section, section_descriptor(r));
    if (section < header_code || section > footer_code) {
      return decode_error{decode_fault::bad_descriptor, begin, {}};
    }
    if (!order.admit(section)) return decode_error{decode_fault::bad_order, begin, {}};
    if (++sections > limits::message_sections_max) {
      return decode_error{decode_fault::limit_exceeded, begin, {}};
    }
    if (r.remaining() == 0) return r.fault(decode_fault::truncated);
    if (!is_admitted(section, r.peek())) return r.fault(decode_fault::bad_format_code);
    AMQP_TRY(size, codec::skip_value(r));
    static_cast<void>(size);
    if (const body_kind kind = body_of(section); kind != body_kind::none) {
      where.body = kind;
      ++where.body_sections;
    }
    mark_end(where, section, r.offset());
  }
  return where;
}

bool scan_usual(std::span<const std::byte> octets, layout& where, header_view& header) {
  if (octets.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  usual_sections s(octets);
  if (s.is_next(header_code)) {
    const octet_span value = s.take();
    if (value.empty() || !read_usual_header(value, header)) return false;
  }
  where.header_end = s.offset();
  if (s.is_next(delivery_annotations_code) && s.take().empty()) return false;
  where.delivery_annotations_end = s.offset();
  if (s.is_next(message_annotations_code) && s.take().empty()) return false;
  where.message_annotations_end = s.offset();
  if (s.is_next(properties_code) && s.take().empty()) return false;
  where.properties_end = s.offset();
  if (s.is_next(application_properties_code) && s.take().empty()) return false;
  where.application_properties_end = s.offset();
  if (const body_kind kind = body_of(s.next()); kind != body_kind::none) {
    if (s.take().empty()) return false;
    where.body = kind;
    where.body_sections = 1;
  }
  where.body_end = s.offset();
  if (s.is_next(footer_code) && s.take().empty()) return false;
  where.total = s.offset();
  return where.total == octets.size();
}

decoded<header_view> read_header(std::span<const std::byte> section) {
  header_view out;
  if (section.empty()) return out;
  AMQP_TRY(list, open_list(section));
  reader& items = list.items;
  if (list.count > codec::field_count<spec::header>) return items.fault(decode_fault::bad_length);
  auto is_present = [&, i = std::uint32_t{0}]() mutable {
    return i++ < list.count && !items.skip_null();
  };
  if (is_present()) {
    AMQP_TRY(durable, codec::decode_as<bool>(items));
    out.durable = durable;
  }
  if (is_present()) {
    AMQP_TRY(priority, codec::decode_as<std::uint8_t>(items));
    out.priority = priority;
  }
  if (is_present()) {
    AMQP_TRY(ttl, codec::decode_as<std::uint32_t>(items));
    out.ttl = ttl;
  }
  if (is_present()) {
    AMQP_TRY(first_acquirer, codec::decode_as<bool>(items));
    out.first_acquirer = first_acquirer;
  }
  if (is_present()) {
    AMQP_TRY(delivery_count, codec::decode_as<std::uint32_t>(items));
    out.delivery_count = delivery_count;
  }
  if (items.remaining() != 0) return items.fault(decode_fault::bad_length);
  return out;
}

void write_header(octet_buffer& out, const header_view& header) {
  if (header == header_view{}) return;
  // Through the declaration, which knows what may be left out; it allocates nothing.
  codec::encode(out, spec::header{.durable = header.durable,
                                  .priority = header.priority,
                                  .ttl = header.ttl,
                                  .first_acquirer = header.first_acquirer,
                                  .delivery_count = header.delivery_count});
}

decoded<void> write_merged_annotations(octet_buffer& out, std::span<const std::byte> section,
                                       const codec::map& changes) {
  if (changes.empty()) {
    out.append(section);
    return {};
  }
  AMQP_TRY(merged, decode_map_section(section));
  for (const codec::entry change : changes) merged.set(change.first, change.second);
  codec::writer w(out);
  w.descriptor(message_annotations_code);
  codec::encode(w, merged);
  return {};
}

view::octet_span view::header_section() const { return slice(0, where_.header_end); }
view::octet_span view::delivery_annotations_section() const {
  return slice(where_.header_end, where_.delivery_annotations_end);
}
view::octet_span view::message_annotations_section() const {
  return slice(where_.delivery_annotations_end, where_.message_annotations_end);
}
view::octet_span view::properties_section() const {
  return slice(where_.message_annotations_end, where_.properties_end);
}
view::octet_span view::application_properties_section() const {
  return slice(where_.properties_end, where_.application_properties_end);
}
view::octet_span view::body_sections() const {
  return slice(where_.application_properties_end, where_.body_end);
}
view::octet_span view::footer_section() const { return slice(where_.body_end, where_.total); }
view::octet_span view::bare_message() const {
  return slice(where_.message_annotations_end, where_.body_end);
}

decoded<view::octet_span> view::property(std::size_t index) const {
  const octet_span section = properties_section();
  if (section.empty()) return octet_span{};
  AMQP_TRY(list, open_list(section));
  if (index >= list.count) return octet_span{};
  for (std::size_t i = 0; i < index; ++i) {
    AMQP_TRY(skipped, codec::skip_value(list.items));
    static_cast<void>(skipped);
  }
  if (list.items.skip_null()) return octet_span{};
  return codec::take_value(list.items);
}

view::text view::text_property(std::size_t index) const {
  AMQP_TRY(octets, property(index));
  if (octets.empty()) return std::optional<std::string_view>{};
  reader r(octets);
  AMQP_TRY(found, codec::read_string(r));
  return std::optional(found);
}

view::text view::symbol_property(std::size_t index) const {
  AMQP_TRY(octets, property(index));
  if (octets.empty()) return std::optional<std::string_view>{};
  reader r(octets);
  AMQP_TRY(found, codec::read_symbol(r));
  return std::optional(found);
}

decoded<std::optional<timestamp>> view::time_property(std::size_t index) const {
  return optional_of<timestamp>(property(index));
}

namespace {
constexpr std::size_t at(property_index index) { return static_cast<std::size_t>(index); }

/// An encoded message-id of one of its four types.
decoded<octet_span> checked_id(const decoded<octet_span>& octets) {
  if (octets.has_error() || octets->empty()) return octets;
  reader r(*octets);
  AMQP_TRY(id, codec::decode_as<spec::message_id>(r));
  static_cast<void>(id);
  return octets;
}
}  // namespace

decoded<view::octet_span> view::message_id() const {
  return checked_id(property(at(property_index::message_id)));
}
decoded<view::octet_span> view::correlation_id() const {
  return checked_id(property(at(property_index::correlation_id)));
}
decoded<std::optional<view::octet_span>> view::user_id() const {
  AMQP_TRY(octets, property(at(property_index::user_id)));
  if (octets.empty()) return std::optional<octet_span>{};
  reader r(octets);
  AMQP_TRY(found, codec::read_binary(r));
  return std::optional(found);
}
view::text view::to() const { return text_property(at(property_index::to)); }
view::text view::subject() const { return text_property(at(property_index::subject)); }
view::text view::reply_to() const { return text_property(at(property_index::reply_to)); }
view::text view::content_type() const { return symbol_property(at(property_index::content_type)); }
view::text view::content_encoding() const {
  return symbol_property(at(property_index::content_encoding));
}
decoded<std::optional<timestamp>> view::absolute_expiry_time() const {
  return time_property(at(property_index::absolute_expiry_time));
}
decoded<std::optional<timestamp>> view::creation_time() const {
  return time_property(at(property_index::creation_time));
}
view::text view::group_id() const { return text_property(at(property_index::group_id)); }
decoded<std::optional<std::uint32_t>> view::group_sequence() const {
  return optional_of<std::uint32_t>(property(at(property_index::group_sequence)));
}
view::text view::reply_to_group_id() const {
  return text_property(at(property_index::reply_to_group_id));
}

decoded<view::octet_span> view::delivery_annotation(std::string_view key) const {
  return find_entry(delivery_annotations_section(), key);
}
decoded<view::octet_span> view::message_annotation(std::string_view key) const {
  return find_entry(message_annotations_section(), key);
}
decoded<view::octet_span> view::application_property(std::string_view key) const {
  return find_entry(application_properties_section(), key);
}

decoded<codec::map> view::delivery_annotations() const {
  return decode_map_section(delivery_annotations_section());
}
decoded<codec::map> view::message_annotations() const {
  return decode_map_section(message_annotations_section());
}
decoded<codec::map> view::application_properties() const {
  return decode_map_section(application_properties_section());
}

}  // namespace whimbrel::amqp::message
