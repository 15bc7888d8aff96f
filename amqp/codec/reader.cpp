// SPDX-License-Identifier: Apache-2.0
// The reads that take more than one step.
#include "amqp/codec/reader.hpp"

#include "amqp/codec/skip.hpp"

namespace whimbrel::amqp::codec {

namespace {

decoded<std::uint32_t> read_width(reader& r, std::size_t width) {
  if (width == 1) {
    AMQP_TRY(narrow, r.integer<std::uint8_t>());
    return std::uint32_t{narrow};
  }
  return r.integer<std::uint32_t>();
}

/// Size and data of one of two constructors.
decoded<std::span<const std::byte>> read_variable(reader& r, code narrow, code wide) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c != narrow && c != wide) return misplaced;
  AMQP_TRY(size, read_width(r, c == narrow ? 1 : 4));
  return r.take(size);
}

}  // namespace

decoded<compound_header> read_compound_header(reader& r, std::size_t width) {
  AMQP_TRY(size, read_width(r, width));
  // The count is inside the size.
  if (size < width || size > r.remaining()) return r.fault(decode_fault::bad_length);
  AMQP_TRY(count, read_width(r, width));
  if (count > size - width) return r.fault(decode_fault::bad_length);
  return compound_header{size - width, count};
}

decoded<compound_header> read_list_header(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c == code::list0) return compound_header{};
  if (!is_list(c)) return misplaced;
  return read_compound_header(r, layout(c).width);
}

decoded<compound_header> read_map_header(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (!is_map(c)) return misplaced;
  AMQP_TRY(header, read_compound_header(r, layout(c).width));
  if (header.count % 2 != 0) return r.fault(decode_fault::bad_length);
  return header;
}

decoded<std::string_view> read_string(reader& r) {
  AMQP_TRY(data, read_variable(r, code::str8, code::str32));
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (!is_utf8(text)) return r.fault(decode_fault::bad_utf8);
  return text;
}

decoded<std::string_view> read_symbol(reader& r) {
  AMQP_TRY(data, read_variable(r, code::sym8, code::sym32));
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (!is_ascii(text)) return r.fault(decode_fault::bad_utf8);
  return text;
}

decoded<std::span<const std::byte>> read_binary(reader& r) {
  return read_variable(r, code::vbin8, code::vbin32);
}

}  // namespace whimbrel::amqp::codec
