# SPDX-License-Identifier: Apache-2.0
"""SCRAM [RFC 5802, RFC 7677] spoken by hand over a socket: what is said octet by octet, and what a
broker must not fall for."""
import base64
import hashlib
import hmac
import socket
import struct
import time

from case import collector
from cases_security import users
from peer import TIMEOUT, check, check_equal

CASES, case = collector()
MECHANISMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
INIT, CHALLENGE, RESPONSE, OUTCOME, OFFER = 0x41, 0x42, 0x43, 0x44, 0x40


def binary(octets):
    return b"\xb0" + struct.pack(">I", len(octets)) + octets


def frame(code, *fields):
    items = b"".join(fields)
    body = b"\x00\x53" + bytes([code, 0xd0]) + struct.pack(">II", len(items) + 4, len(fields))
    return struct.pack(">IBBH", 8 + len(body + items), 2, 1, 0) + body + items


def fields_of(body):
    """The code of a performative, and those of its fields that are plain scalars or binary."""
    code, kind, rest = body[2], body[3], body[4:]
    if kind == 0x45:
        return code, []
    count, rest = (rest[1], rest[2:]) if kind == 0xc0 else (rest[7], rest[8:])
    out = []
    for _ in range(count):
        sort, rest = rest[0], rest[1:]
        if sort in (0xa0, 0xa3):
            size, rest = rest[0], rest[1:]
        elif sort in (0xb0, 0xb3):
            size, rest = struct.unpack(">I", rest[:4])[0], rest[4:]
        elif sort == 0xf0:
            size, rest = struct.unpack(">I", rest[:4])[0], rest[4:]
        elif sort == 0xe0:
            size, rest = rest[0], rest[1:]
        else:
            size = {0x40: 0, 0x50: 1}[sort]
        out.append(rest[:size])
        rest = rest[size:]
    return code, out


class Login:
    """One SASL layer, as far as the mechanisms."""

    def __init__(self, env):
        self.socket = socket.create_connection(("127.0.0.1", env.broker.port), TIMEOUT)
        self.socket.sendall(b"AMQP\x03\x01\x00\x00")
        check_equal(self.take(8), b"AMQP\x03\x01\x00\x00", "the protocol header")
        code, offer = self.read()
        check_equal(code, OFFER, "the first frame")
        self.offer = offer[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take(self, count):
        out = b""
        while len(out) < count:
            got = self.socket.recv(count - len(out))
            if not got:
                raise EOFError("the broker has closed the socket")
            out += got
        return out

    def read(self):
        size = struct.unpack(">I", self.take(4))[0]
        check(8 < size <= 512, "a SASL frame of %d octets" % size)
        return fields_of(self.take(size - 4)[4:])

    def init(self, mechanism, response):
        name = b"\xa3" + bytes([len(mechanism)]) + mechanism.encode()
        self.socket.sendall(frame(INIT, name, b"\x40" if response is None else binary(response)))

    def respond(self, response):
        self.socket.sendall(frame(RESPONSE, binary(response)))

    def challenge(self):
        code, fields = self.read()
        check_equal(code, CHALLENGE, "the frame")
        return fields[0].decode()

    def outcome(self):
        """Its code and additional data; the socket must be closed behind a failure."""
        code, fields = self.read()
        check_equal(code, OUTCOME, "the frame")
        verdict = fields[0][0] if fields[0] else 0
        if verdict != 0:
            check_equal(self.socket.recv(1), b"", "what comes behind a failure")
        return verdict, fields[1] if len(fields) > 1 else b""


def prove(mechanism, password, first_bare, challenge, binding="biws", nonce=None, extra=""):
    """The final message, and the signature that must answer it."""
    kind = MECHANISMS[mechanism]
    asked = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), base64.b64decode(asked["s"]),
                                 int(asked["i"]))

    def mac(key, text):
        return hmac.new(key, text, kind).digest()
    client_key = mac(salted, b"Client Key")
    bare = "c=%s,r=%s%s" % (binding, nonce or asked["r"], extra)
    covered = ",".join((first_bare, challenge, bare)).encode()
    mask = mac(hashlib.new(kind, client_key).digest(), covered)
    proof = bytes(a ^ b for a, b in zip(client_key, mask))
    final = bare + ",p=" + base64.b64encode(proof).decode()
    return final.encode(), b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), covered))


FIRST = "n=alice,r=by-hand"


@case("by hand: each mechanism, with and without an initial response, and the server's signature",
      config=users)
def _(env):
    for mechanism in MECHANISMS:
        for asked in (False, True):
            with Login(env) as login:
                names = [b"SCRAM-SHA-512", b"SCRAM-SHA-256", b"SCRAM-SHA-1", b"PLAIN"]
                places = [login.offer.find(name) for name in names]
                check(-1 not in places and places == sorted(places), "offered: %r" % login.offer)
                login.init(mechanism, None if asked else b"n,," + FIRST.encode())
                if asked:
                    check_equal(login.challenge(), "", "what asks for the first message")
                    login.respond(b"n,," + FIRST.encode())
                challenge = login.challenge()
                check(challenge.startswith("r=by-hand"), challenge)
                final, signature = prove(mechanism, "wonder land", FIRST, challenge)
                login.respond(final)
                check_equal(login.outcome(), (0, signature), "the outcome")


@case("by hand: first messages that must be refused", config=users)
def _(env):
    rows = [b"", b"n", b"n,,", b"n,,n=alice", b"n,,r=x", b"p=tls-unique,,n=alice,r=x",
            b"n,a=bob,n=alice,r=x", b"n,,m=1,n=alice,r=x", b"n,,n=alice,r=x,m=1",
            b"n,,n=a=lice,r=x", b"n,,r=x,n=alice", b"n,,n=alice,r=x\0", b"\xff\xfe,,n=a,r=x",
            b"n,,n=alice,r=" + b"x" * 300, b"n,,n=" + b"x" * 4000 + b",r=x"]
    refused(env, [(row, None) for row in rows])


@case("by hand: final messages that must be refused", config=users)
def _(env):
    def with_name(challenge):
        return prove("SCRAM-SHA-256", "wonder land", "n=bob,r=by-hand", challenge)[0]

    def changed(**how):
        return lambda challenge: prove("SCRAM-SHA-256", "wonder land", FIRST, challenge, **how)[0]

    def good(challenge):
        return prove("SCRAM-SHA-256", "wonder land", FIRST, challenge)[0]
    finals = [lambda c: prove("SCRAM-SHA-256", "wonder lane", FIRST, c)[0],
              lambda c: prove("SCRAM-SHA-1", "wonder land", FIRST, c)[0],
              with_name,                               # another user in between
              changed(nonce="by-hand"), changed(nonce="by-handby-hand"),
              changed(binding="eSws"),                 # y,, where n,, was said
              changed(binding="cD10bHMtdW5pcXVlLCw="),  # p=tls-unique,,
              changed(extra=",m=1"), changed(extra=",n=bob"),
              lambda c: b"", lambda c: b"n,," + FIRST.encode(), lambda c: good(c)[:-1],
              lambda c: good(c)[:20], lambda c: good(c).replace(b",p=", b",p=A"),
              lambda c: good(c) + b",x=1", lambda c: b"\0" * 100, lambda c: b"x" * 4000]
    refused(env, [(b"n,," + FIRST.encode(), final) for final in finals])


def refused(env, rows):
    """All at once, since each is answered after a second."""
    logins = []
    began = time.monotonic()
    for first, final in rows:
        login = Login(env)
        logins.append(login)
        login.init("SCRAM-SHA-256", first)
        if final is not None:
            login.respond(final(login.challenge()))
    for login, row in zip(logins, rows):
        verdict, data = login.outcome()
        check_equal((verdict, data), (1, b""), "the outcome of %r" % (row,))
        login.socket.close()
    check(time.monotonic() - began >= 1.0, "they were answered at once")


@case("by hand: a login that was overheard is of no use a second time", config=users)
def _(env):
    with Login(env) as login:
        login.init("SCRAM-SHA-256", b"n,," + FIRST.encode())
        final, _ = prove("SCRAM-SHA-256", "wonder land", FIRST, login.challenge())
        login.respond(final)
        check_equal(login.outcome()[0], 0, "the outcome")
    with Login(env) as login:
        login.init("SCRAM-SHA-256", b"n,," + FIRST.encode())
        login.challenge()
        login.respond(final)
        check_equal(login.outcome(), (1, b""), "the outcome of the same again")


@case("by hand: an unknown name is led on as a known one, always the same way", config=users)
def _(env):
    def challenge(name):
        with Login(env) as login:
            login.init("SCRAM-SHA-512", b"n,,n=%s,r=x" % name)
            return dict(part.split("=", 1) for part in login.challenge().split(","))
    known, unknown, again = challenge(b"alice"), challenge(b"nobody"), challenge(b"nobody")
    check_equal(unknown["i"], known["i"], "iterations")
    check_equal(len(unknown["s"]), len(known["s"]), "the salt's size")
    check_equal(unknown["s"], again["s"], "the salt, asked twice")
    check(unknown["s"] != challenge(b"somebody")["s"], "two names with one salt")
    check(unknown["r"] != again["r"], "a nonce came twice")


@case("by hand: half a login, and then nothing, ends by the handshake's time",
      config=lambda binary: 'handshake-timeout = "3s"\n' + users(binary))
def _(env):
    with Login(env) as login:
        login.init("SCRAM-SHA-256", b"n,," + FIRST.encode())
        login.challenge()
        began = time.monotonic()
        check_equal(login.socket.recv(1), b"", "what comes")
        check(time.monotonic() - began < 15.0, "it took too long")
