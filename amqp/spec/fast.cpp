// SPDX-License-Identifier: Apache-2.0
// Hand-written decoders and encoders of the three frames of the hot path.
//
// A decoder that meets something it does not admit says only "no"; what was wrong, and where, is
// then found out by the declared decoder, which is allowed to be slow.
#include "amqp/spec/fast.hpp"

#include <cstring>

#include "amqp/codec/skip.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::spec::fast {

namespace {

using codec::code;
using codec::load_big_endian;
using octet_span = std::span<const std::byte>;

constexpr std::uint64_t transfer_code = transfer::type.code;
constexpr std::uint64_t disposition_code = disposition::type.code;
constexpr std::uint64_t flow_code = flow::type.code;

/// The fields of one performative, read in order. Every `read` returns false for a field that is
/// not of its type, and leaves the target alone for one that is absent or null.
class fields {
 public:
  /// False if there is no well-formed list of at most `count_max` fields at `list`.
  bool open(octet_span list, std::uint32_t count_max) {
    codec::reader r(list);
    if (list.size() >= 3 && static_cast<code>(list[0]) == code::list8) [[likely]] {
      const auto size = std::to_integer<std::size_t>(list[1]);
      left_ = std::to_integer<std::uint32_t>(list[2]);
      if (size < 1 || size > list.size() - 2 || left_ > size - 1) return false;
      at_ = list.data() + 3;
      end_ = list.data() + 2 + size;
    } else {
      const auto head = codec::read_list_header(r);
      if (head.has_error() || head->size > r.remaining()) return false;
      left_ = head->count;
      at_ = r.position();
      end_ = at_ + head->size;
    }
    return left_ <= count_max;
  }

  /// All fields read, and nothing behind them.
  bool is_done() const { return left_ == 0 && at_ == end_; }
  const std::byte* position() const { return at_; }

  bool read(std::uint32_t& out, bool* is_there = nullptr) {
    if (is_absent()) return true;
    if (is_there != nullptr) *is_there = true;
    switch (take_constructor()) {
      case code::uint0:
        out = 0;
        return true;
      case code::smalluint:
        if (room() < 1) return false;
        out = std::to_integer<std::uint32_t>(*at_);
        at_ += 1;
        return true;
      case code::uint:
        if (room() < 4) return false;
        out = load_big_endian<std::uint32_t>(at_);
        at_ += 4;
        return true;
      default:
        return false;
    }
  }
  bool read(std::optional<std::uint32_t>& out) {
    std::uint32_t number = 0;
    bool is_there = false;
    if (!read(number, &is_there)) return false;
    if (is_there) out = number;
    return true;
  }
  bool read_mandatory(std::uint32_t& out) {
    bool is_there = false;
    return read(out, &is_there) && is_there;
  }

  bool read(bool& out, bool* is_there = nullptr) {
    if (is_absent()) return true;
    if (is_there != nullptr) *is_there = true;
    switch (take_constructor()) {
      case code::true_:
        out = true;
        return true;
      case code::false_:
        out = false;
        return true;
      case code::boolean:
        if (room() < 1 || *at_ > std::byte{1}) return false;
        out = *at_ == std::byte{1};
        at_ += 1;
        return true;
      default:
        return false;
    }
  }
  bool read(std::optional<bool>& out) {
    bool flag = false;
    bool is_there = false;
    if (!read(flag, &is_there)) return false;
    if (is_there) out = flag;
    return true;
  }
  bool read_mandatory(bool& out) {
    bool is_there = false;
    return read(out, &is_there) && is_there;
  }

  bool read_settle_mode(std::optional<std::uint8_t>& out) {
    if (is_absent()) return true;
    if (take_constructor() != code::ubyte || room() < 1 || *at_ > std::byte{1}) return false;
    out = std::to_integer<std::uint8_t>(*at_);
    at_ += 1;
    return true;
  }

  bool read_binary(octet_span& out, bool& is_there) {
    if (is_absent()) return true;
    is_there = true;
    std::size_t size = 0;
    switch (take_constructor()) {
      case code::vbin8:
        if (room() < 1) return false;
        size = std::to_integer<std::size_t>(*at_);
        at_ += 1;
        break;
      case code::vbin32:
        if (room() < 4) return false;
        size = load_big_endian<std::uint32_t>(at_);
        at_ += 4;
        break;
      default:
        return false;
    }
    if (size > room()) return false;
    out = {at_, size};
    at_ += size;
    return true;
  }

  /// Any value, left encoded.
  bool read_encoded(octet_span& out) {
    if (is_absent()) return true;
    // `accepted` and the other outcomes without fields.
    if (room() >= 4 && at_[0] == std::byte{0x00} && at_[1] == std::byte{0x53} &&
        at_[3] == std::byte{0x45}) [[likely]] {
      out = {at_, 4};
      at_ += 4;
      return true;
    }
    codec::reader r({at_, room()});
    const auto value = codec::take_value(r);
    if (value.has_error()) return false;
    out = *value;
    at_ = r.position();
    return true;
  }

  /// A map that will decode in every part, left encoded.
  bool read_map(octet_span& out) {
    if (is_absent()) return true;
    codec::reader r({at_, room()});
    if (!codec::is_map(r.peek())) return false;
    const auto size = codec::check_value(r);
    if (size.has_error()) return false;
    out = {at_, *size};
    at_ = r.position();
    return true;
  }

 private:
  std::size_t room() const { return static_cast<std::size_t>(end_ - at_); }

  /// True, and passed, if the next field is left out or null.
  bool is_absent() {
    if (left_ == 0) return true;
    --left_;
    if (at_ == end_ || *at_ != std::byte{0x40}) return false;
    ++at_;
    return true;
  }

  /// At the end: 0x00, which no field here admits.
  code take_constructor() { return at_ == end_ ? code::described : static_cast<code>(*at_++); }

  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::uint32_t left_ = 0;
};

/// Why the declared decoder refuses `body`.
template <class T>
decode_error fault_of(octet_span body) {
  codec::reader r(body);
  const auto slow = codec::decode_as<T>(r);
  if (slow.has_error()) return slow.error();
  return r.fault(decode_fault::bad_length);  // octets behind the performative
}

/// Writes fields in order. Nulls are held back until a field follows them.
class field_writer {
 public:
  field_writer(std::byte* out, std::uint64_t descriptor) : out_(out), at_(out + head) {
    out[0] = std::byte{0x00};
    out[1] = std::byte{0x53};
    out[2] = static_cast<std::byte>(descriptor);
  }

  void skip() { ++nulls_; }

  void write(std::uint32_t v) {
    fill();
    if (v == 0) {
      put(code::uint0);
    } else if (v <= 255) {
      put(code::smalluint);
      *at_++ = static_cast<std::byte>(v);
    } else {
      put(code::uint);
      codec::store_big_endian(at_, v);
      at_ += 4;
    }
  }
  void write(bool v) {
    fill();
    put(v ? code::true_ : code::false_);
  }
  template <class T>
  void write(const std::optional<T>& v) {
    if (v) return write(*v);
    skip();
  }
  /// A field with the default false.
  void write_flag(bool v) {
    if (v) return write(true);
    skip();
  }
  void write_settle_mode(const std::optional<std::uint8_t>& v) {
    if (!v) return skip();
    fill();
    put(code::ubyte);
    *at_++ = static_cast<std::byte>(*v);
  }
  void write_binary(octet_span v) {
    fill();
    if (v.size() <= 255) {
      put(code::vbin8);
      *at_++ = static_cast<std::byte>(v.size());
    } else {
      put(code::vbin32);
      codec::store_big_endian(at_, static_cast<std::uint32_t>(v.size()));
      at_ += 4;
    }
    put_octets(v);
  }
  void write_encoded(octet_span v) {
    if (v.empty()) return skip();
    fill();
    put_octets(v);
  }

  /// Writes the head of the list; returns the length of it all.
  std::size_t finish() {
    const auto size = static_cast<std::size_t>(at_ - out_) - head;
    if (size + 1 <= 255) [[likely]] {
      out_[3] = static_cast<std::byte>(code::list8);
      out_[4] = static_cast<std::byte>(size + 1);
      out_[5] = static_cast<std::byte>(count_);
      return head + size;
    }
    std::memmove(out_ + head_wide, out_ + head, size);
    out_[3] = static_cast<std::byte>(code::list32);
    codec::store_big_endian(out_ + 4, static_cast<std::uint32_t>(size + 4));
    codec::store_big_endian(out_ + 8, count_);
    return head_wide + size;
  }

 private:
  static constexpr std::size_t head = 6;        // 00 53 code, c0 size count
  static constexpr std::size_t head_wide = 12;  // with d0, and four octets each

  /// The nulls held back, and the count of the field that follows.
  void fill() {
    count_ += nulls_ + 1;
    for (; nulls_ > 0; --nulls_) put(code::null);
  }
  void put(code c) { *at_++ = static_cast<std::byte>(c); }
  void put_octets(octet_span v) {
    if (v.empty()) return;
    std::memcpy(at_, v.data(), v.size());
    at_ += v.size();
  }

  std::byte* out_ = nullptr;
  std::byte* at_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t nulls_ = 0;
};

/// A number in one of its three encodings; null if there is none.
const std::byte* take_number(const std::byte* at, std::uint32_t& out) {
  switch (static_cast<code>(*at)) {
    case code::uint0:
      out = 0;
      return at + 1;
    case code::smalluint:
      out = std::to_integer<std::uint32_t>(at[1]);
      return at + 2;
    case code::uint:
      out = load_big_endian<std::uint32_t>(at + 1);
      return at + 5;
    default:
      return nullptr;
  }
}

std::byte* put_number(std::byte* at, std::uint32_t v) {
  if (v > 255) {
    *at = static_cast<std::byte>(code::uint);
    codec::store_big_endian(at + 1, v);
    return at + 5;
  }
  if (v == 0) {
    *at = static_cast<std::byte>(code::uint0);
    return at + 1;
  }
  at[0] = static_cast<std::byte>(code::smalluint);
  at[1] = static_cast<std::byte>(v);
  return at + 2;
}

constexpr std::size_t tag_octets_max = 32;

/// `00 53 14 c0 size count`
constexpr std::uint32_t usual_head = 0x005314c0;
static_assert(transfer_code == 0x14 && static_cast<std::uint32_t>(code::list8) == 0xc0);

/// A transfer with all of a delivery's fields up to its format, and nothing unusual behind them.
/// False for any other, and for what is malformed; `v` is then to be thrown away.
bool decode_usual_transfer(octet_span body, transfer_view& v) {
  // Room for the longest, so that what is read lies in the body whatever the octets say; whether
  // it lies in the list is seen at the end.
  if (body.size() < usual_transfer_octets_max + 6) return false;
  const std::byte* at = body.data();
  if (load_big_endian<std::uint32_t>(at) != usual_head) return false;
  const auto size = std::to_integer<std::size_t>(at[4]);
  const auto count = std::to_integer<std::size_t>(at[5]);
  if (count < 4 || count > codec::field_count<transfer>) return false;
  const std::byte* const end = at + 5 + size;
  at = take_number(at + 6, v.handle);
  if (at == nullptr) return false;
  at = take_number(at, v.delivery_id.emplace());
  if (at == nullptr || static_cast<code>(*at) != code::vbin8) return false;
  const auto tag_size = std::to_integer<std::size_t>(at[1]);
  if (tag_size > tag_octets_max) return false;
  v.delivery_tag = {at + 2, tag_size};
  v.has_tag = true;
  at = take_number(at + 2 + tag_size, v.message_format.emplace());
  if (at == nullptr) return false;
  for (std::size_t i = 4; i < count; ++i, ++at) {
    const auto c = static_cast<code>(*at);
    if (c == code::null) continue;
    const bool is_flag = i != 6 && i != 7;  // rcv-settle-mode, state
    if (!is_flag || (c != code::true_ && c != code::false_)) return false;
    const bool flag = c == code::true_;
    switch (i) {
      case 4: v.settled = flag; break;
      case 5: v.more = flag; break;
      case 8: v.resume = flag; break;
      case 9: v.aborted = flag; break;
      default: v.batchable = flag; break;
    }
  }
  if (at != end) return false;
  v.payload = {at, body.data() + body.size()};
  return true;
}

}  // namespace

std::uint64_t performative_code(std::span<const std::byte> body, std::size_t& body_offset) {
  if (body.size() >= 3 && body[0] == std::byte{0x00} && body[1] == std::byte{0x53}) [[likely]] {
    body_offset = 3;
    return std::to_integer<std::uint64_t>(body[2]);
  }
  codec::reader r(body);
  const auto code = codec::read_descriptor(r);
  if (code.has_error()) return 0;
  body_offset = r.offset();
  return *code;
}

decoded<transfer_view> decode_transfer(std::span<const std::byte> body) {
  decoded<transfer_view> out(boost::system::in_place_value);  // filled in its place, not copied
  transfer_view& v = *out;
  if (decode_usual_transfer(body, v)) [[likely]] return out;
  v = {};
  std::size_t list = 0;
  fields f;
  const bool is_good =
      performative_code(body, list) == transfer_code &&
      f.open(body.subspan(list), codec::field_count<transfer>) && f.read_mandatory(v.handle) &&
      f.read(v.delivery_id) && f.read_binary(v.delivery_tag, v.has_tag) &&
      f.read(v.message_format) && f.read(v.settled) &&
      (f.is_done() ||  // as most are
       (f.read(v.more) && f.read_settle_mode(v.rcv_settle_mode) && f.read_encoded(v.state) &&
        f.read(v.resume) && f.read(v.aborted) && f.read(v.batchable) && f.is_done()));
  if (is_good) {
    v.payload = {f.position(), body.data() + body.size()};
  } else {
    out = fault_of<transfer>(body);
  }
  return out;
}

decoded<disposition_view> decode_disposition(std::span<const std::byte> body) {
  std::size_t list = 0;
  decoded<disposition_view> out(boost::system::in_place_value);  // filled in its place, not copied
  disposition_view& v = *out;
  fields f;
  bool is_good = performative_code(body, list) == disposition_code &&
                 f.open(body.subspan(list), codec::field_count<disposition>) &&
                 f.read_mandatory(v.role) && f.read_mandatory(v.first);
  v.last = v.first;
  is_good = is_good && f.read(v.last) && f.read(v.settled) && f.read_encoded(v.state) &&
            f.read(v.batchable) && f.is_done() && f.position() == body.data() + body.size();
  if (!is_good) out = fault_of<disposition>(body);
  return out;
}

decoded<flow_view> decode_flow(std::span<const std::byte> body) {
  std::size_t list = 0;
  decoded<flow_view> out(boost::system::in_place_value);  // filled in its place, not copied
  flow_view& v = *out;
  fields f;
  const bool is_good =
      performative_code(body, list) == flow_code &&
      f.open(body.subspan(list), codec::field_count<flow>) && f.read(v.next_incoming_id) &&
      f.read_mandatory(v.incoming_window) && f.read_mandatory(v.next_outgoing_id) &&
      f.read_mandatory(v.outgoing_window) && f.read(v.handle) && f.read(v.delivery_count) &&
      f.read(v.link_credit) && f.read(v.available) && f.read(v.drain) && f.read(v.echo) &&
      f.read_map(v.properties) && f.is_done() && f.position() == body.data() + body.size();
  if (!is_good) out = fault_of<flow>(body);
  return out;
}

std::size_t encode_transfer(std::byte* out, const transfer_view& v) {
  field_writer w(out, transfer_code);
  w.write(v.handle);
  w.write(v.delivery_id);
  if (v.has_tag) {
    w.write_binary(v.delivery_tag);
  } else {
    w.skip();
  }
  w.write(v.message_format);
  w.write(v.settled);
  w.write_flag(v.more);
  w.write_settle_mode(v.rcv_settle_mode);
  w.write_encoded(v.state);
  w.write_flag(v.resume);
  w.write_flag(v.aborted);
  w.write_flag(v.batchable);
  return w.finish();
}

std::size_t encode_transfer(std::byte* out, const usual_transfer& v) {
  codec::store_big_endian(out, usual_head);
  std::byte* at = put_number(out + 6, v.handle);
  at = put_number(at, v.delivery_id);
  at[0] = static_cast<std::byte>(code::vbin8);
  at[1] = static_cast<std::byte>(v.delivery_tag.size());
  at += 2;
  if (v.delivery_tag.size() == 4) {
    std::memcpy(at, v.delivery_tag.data(), 4);
  } else if (!v.delivery_tag.empty()) {
    std::memcpy(at, v.delivery_tag.data(), v.delivery_tag.size());
  }
  at = put_number(at + v.delivery_tag.size(), v.message_format);
  if (v.settled) *at++ = static_cast<std::byte>(code::true_);
  out[4] = static_cast<std::byte>(at - out - 5);
  out[5] = static_cast<std::byte>(v.settled ? 5 : 4);
  return static_cast<std::size_t>(at - out);
}

std::size_t encode_disposition(std::byte* out, const disposition_view& v) {
  field_writer w(out, disposition_code);
  w.write(v.role);
  w.write(v.first);
  if (v.last != v.first) {
    w.write(v.last);
  } else {
    w.skip();
  }
  w.write_flag(v.settled);
  w.write_encoded(v.state);
  w.write_flag(v.batchable);
  return w.finish();
}

std::size_t encode_flow(std::byte* out, const flow_view& v) {
  field_writer w(out, flow_code);
  w.write(v.next_incoming_id);
  w.write(v.incoming_window);
  w.write(v.next_outgoing_id);
  w.write(v.outgoing_window);
  w.write(v.handle);
  w.write(v.delivery_count);
  w.write(v.link_credit);
  w.write(v.available);
  w.write_flag(v.drain);
  w.write_flag(v.echo);
  w.write_encoded(v.properties);
  return w.finish();
}

state_kind classify_state(std::span<const std::byte> state) {
  if (state.empty() || static_cast<code>(state[0]) == code::null) return state_kind::none;
  std::size_t list = 0;
  switch (performative_code(state, list)) {
    case received::type.code:
      return state_kind::received;
    case accepted::type.code:
      return state_kind::accepted;
    case rejected::type.code:
      return state_kind::rejected;
    case released::type.code:
      return state_kind::released;
    case modified::type.code:
      return state_kind::modified;
    case declared::type.code:
      return state_kind::declared;
    case transactional_state::type.code:
      return state_kind::transactional;
    default:
      return state_kind::unknown;
  }
}

}  // namespace whimbrel::amqp::spec::fast
