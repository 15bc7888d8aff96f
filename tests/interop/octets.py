# SPDX-License-Identifier: Apache-2.0
"""Messages written octet by octet, with every constructor of the type system [1.6], and just
enough reading to find where a section ends: Proton's own codec would choose the encodings."""

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72


def _hex(text):
    return bytes.fromhex(text)


# what, octets with their constructor
PRIMITIVES = [
    ("null", _hex("40")),
    ("boolean true, one octet", _hex("41")),
    ("boolean false, one octet", _hex("42")),
    ("boolean true", _hex("56 01")),
    ("boolean false", _hex("56 00")),
    ("ubyte", _hex("50 ff")),
    ("ushort", _hex("60 fffe")),
    ("uint", _hex("70 fffffffd")),
    ("smalluint", _hex("52 80")),
    ("uint0", _hex("43")),
    ("uint 1 in full", _hex("70 00000001")),
    ("ulong", _hex("80 fffffffffffffffc")),
    ("smallulong", _hex("53 81")),
    ("ulong0", _hex("44")),
    ("ulong 1 in full", _hex("80 0000000000000001")),
    ("byte", _hex("51 80")),
    ("short", _hex("61 8001")),
    ("int", _hex("71 80000002")),
    ("smallint", _hex("54 ff")),
    ("long", _hex("81 8000000000000003")),
    ("smalllong", _hex("55 fe")),
    ("float", _hex("72 40490fdb")),
    ("float, a signalling NaN", _hex("72 7fa00001")),
    ("double", _hex("82 400921fb54442d18")),
    ("double, minus zero", _hex("82 8000000000000000")),
    ("decimal32", _hex("74 22500001")),
    ("decimal64", _hex("84 2238000000000001")),
    ("decimal128", _hex("94 22080000000000000000000000000001")),
    ("char", _hex("73 0001f600")),
    ("timestamp", _hex("83 0000018bcfe56800")),
    ("timestamp before 1970", _hex("83 ffffffffffffffff")),
    ("uuid", _hex("98 00112233445566778899aabbccddeeff")),
    ("vbin8", _hex("a0 03 00ff80")),
    ("vbin8, empty", _hex("a0 00")),
    ("vbin32", _hex("b0 00000003 00ff80")),
    ("str8", _hex("a1 06 68c3a9e282ac")),
    ("str32", _hex("b1 00000006 68c3a9e282ac")),
    ("sym8", _hex("a3 05 616d71703a")),
    ("sym32", _hex("b3 00000005 616d71703a")),
    ("list0", _hex("45")),
    ("list8", _hex("c0 04 03 40 43 41")),
    ("list32", _hex("d0 00000007 00000003 40 43 41")),
    ("map8", _hex("c1 07 04 a101 61 43 41 42")),
    ("map32", _hex("d1 0000000a 00000002 a102 6162 54 07")),
    ("described by a ulong", _hex("00 80 0000468c00000004 a103 782b31")),
    ("described by a symbol", _hex("00 a304 613a623a a1 00")),
]

# The element constructor of an array and two elements; sizes are put in front below.
ELEMENTS = [
    ("null", _hex("40"), b""),
    ("boolean", _hex("56"), _hex("01 00")),
    ("ubyte", _hex("50"), _hex("01 ff")),
    ("ushort", _hex("60"), _hex("0001 ffff")),
    ("uint", _hex("70"), _hex("00000001 ffffffff")),
    ("smalluint", _hex("52"), _hex("01 ff")),
    ("ulong", _hex("80"), _hex("0000000000000001 ffffffffffffffff")),
    ("smallulong", _hex("53"), _hex("01 ff")),
    ("byte", _hex("51"), _hex("01 ff")),
    ("short", _hex("61"), _hex("0001 ffff")),
    ("int", _hex("71"), _hex("00000001 ffffffff")),
    ("smallint", _hex("54"), _hex("01 ff")),
    ("long", _hex("81"), _hex("0000000000000001 ffffffffffffffff")),
    ("smalllong", _hex("55"), _hex("01 ff")),
    ("float", _hex("72"), _hex("3f800000 ff800000")),
    ("double", _hex("82"), _hex("3ff0000000000000 fff0000000000000")),
    ("decimal32", _hex("74"), _hex("22500001 22500002")),
    ("decimal64", _hex("84"), _hex("2238000000000001 2238000000000002")),
    ("decimal128", _hex("94"), _hex("2208 0000000000000000000000000001"
                                    "2208 0000000000000000000000000002")),
    ("char", _hex("73"), _hex("00000061 0001f600")),
    ("timestamp", _hex("83"), _hex("0000018bcfe56800 0000000000000000")),
    ("uuid", _hex("98"), _hex("00112233445566778899aabbccddeeff" * 2)),
    ("vbin8", _hex("a0"), _hex("01 ff 00")),
    ("vbin32", _hex("b0"), _hex("00000001 ff 00000000")),
    ("str8", _hex("a1"), _hex("01 61 00")),
    ("str32", _hex("b1"), _hex("00000001 61 00000000")),
    ("sym8", _hex("a3"), _hex("01 61 00")),
    ("sym32", _hex("b3"), _hex("00000001 61 00000000")),
    ("list8", _hex("c0"), _hex("02 01 43 01 00")),
    ("list32", _hex("d0"), _hex("00000005 00000001 43 00000004 00000000")),
    ("map8", _hex("c1"), _hex("01 00 01 00")),
    ("map32", _hex("d1"), _hex("00000004 00000000 00000004 00000000")),
    ("array8 of smallint", _hex("e0"), _hex("03 01 54 07 02 00 54")),
    ("described", _hex("00 53 2a 54"), _hex("01 ff")),
]


def _array8(constructor, elements):
    body = b"\x02" + constructor + elements
    return b"\xe0" + bytes([len(body)]) + body


def _array32(constructor, elements):
    body = b"\0\0\0\x02" + constructor + elements
    return b"\xf0" + len(body).to_bytes(4, "big") + body


VALUES = (PRIMITIVES
          + [("array8 of " + what, _array8(c, e)) for what, c, e in ELEMENTS]
          + [("array32 of " + what, _array32(c, e)) for what, c, e in ELEMENTS])

# Map keys and values of application-properties are simple types only [3.2.5].
SIMPLE = [(what, octets) for what, octets in PRIMITIVES
          if octets[0] not in (0x45, 0xc0, 0xd0, 0xc1, 0xd1, 0x00)]


def string(text):
    raw = text.encode()
    return b"\xa1" + bytes([len(raw)]) + raw


def symbol(text):
    raw = text.encode()
    return b"\xa3" + bytes([len(raw)]) + raw


def list32(items):
    body = len(items).to_bytes(4, "big") + b"".join(items)
    return b"\xd0" + len(body).to_bytes(4, "big") + body


def map32(pairs):
    body = (2 * len(pairs)).to_bytes(4, "big") + b"".join(k + v for k, v in pairs)
    return b"\xd1" + len(body).to_bytes(4, "big") + body


def section(code, value):
    return b"\x00\x53" + bytes([code]) + value


def annotations(values):
    return map32([(symbol("x-opt-%d" % i), octets) for i, (_, octets) in enumerate(values)])


def properties():
    """Every field, message-id as a uuid, with wide encodings where a narrow one would do."""
    return list32([
        _hex("98 00112233445566778899aabbccddeeff"), _hex("b0 00000002 7573"),  # message-id, user
        string("to"), string("subject"), _hex("b1 00000002 7274"),              # reply-to in str32
        _hex("80 0000000000000007"), symbol("text/plain"), _hex("b3 00000004 677a6970"),
        _hex("83 0000018bcfe56800"), _hex("83 0000018bcfe56801"), string("group"),
        _hex("70 00000009"), string("reply-group")])


def messages():
    """(what, octets): header and delivery annotations first, where there are any."""
    front = section(HEADER, list32([_hex("41"), _hex("50 07")]))  # durable, priority 7
    middle = (section(MESSAGE_ANNOTATIONS, annotations(VALUES)) + section(0x73, properties())
              + section(0x74, map32([(string("p%d" % i), v) for i, (_, v) in enumerate(SIMPLE)])))
    footer = section(0x78, annotations(VALUES[:20]))
    out = [("amqp-value " + what, front + section(0x77, octets)) for what, octets in VALUES]
    out.append(("all sections, a value body",
                front + middle + section(0x77, list32([v for _, v in VALUES])) + footer))
    out.append(("all sections, three data bodies",
                front + middle + section(0x75, _hex("a0 02 0102")) + section(0x75, _hex("a0 00"))
                + section(0x75, _hex("b0 00000001 ff")) + footer))
    out.append(("all sections, two sequence bodies",
                front + middle + section(0x76, list32([v for _, v in VALUES]))
                + section(0x76, _hex("45")) + footer))
    out.append(("descriptors in full", _hex("00 80 0000000000000075 a0 01 61")))
    out.append(("descriptor as a symbol",
                b"\x00" + symbol("amqp:data:binary") + _hex("a0 01 61")))
    return out


def value_size(octets, at):
    """How many octets the value at `at` takes, its constructor included."""
    code = octets[at]
    if code == 0:
        descriptor = value_size(octets, at + 1)
        return 1 + descriptor + value_size(octets, at + 1 + descriptor)
    fixed = {4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16}
    kind = code >> 4
    if kind in fixed:
        return 1 + fixed[kind]
    width = 1 if kind in (0xa, 0xc, 0xe) else 4
    return 1 + width + int.from_bytes(octets[at + 1:at + 1 + width], "big")


def section_code(octets, at):
    """The numeric descriptor at `at`; a symbol counts as a body."""
    if octets[at + 1] == 0x53:
        return octets[at + 2]
    if octets[at + 1] == 0x80:
        return int.from_bytes(octets[at + 2:at + 10], "big")
    return 0x75


def immutable(octets):
    """The message without the sections that a broker may write: header, delivery-annotations."""
    at = 0
    while at < len(octets) and section_code(octets, at) in (HEADER, DELIVERY_ANNOTATIONS):
        at += value_size(octets, at)
    return octets[at:]
