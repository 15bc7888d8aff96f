# SPDX-License-Identifier: Apache-2.0
"""TLS: Proton over it, plain AMQP beside it, both ways to begin it [5.2.1], and strangers who do
not get through the handshake."""
import os
import socket
import ssl
import struct
import time

from proton import ConnectionException, Message, SSL, SSLDomain
from proton.utils import BlockingConnection

from broker_process import StartFailed
from case import collector
from cases_security import users
from certificates import path, settings
from peer import check, check_equal, settle_down, wait

CASES, case = collector()

PLAIN, TLS, SASL = b"AMQP\0\1\0\0", b"AMQP\2\1\0\0", b"AMQP\3\1\0\0"
LARGE = os.urandom(1 << 20) * 5


def with_tls(use, more=""):
    return lambda binary: settings(use) + more


def domain(ca="ca.pem", client=None):
    out = SSLDomain(SSLDomain.MODE_CLIENT)
    check_equal(out.set_trusted_ca_db(path(ca)), 0, "reading the roots")
    out.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    if client:
        out.set_credentials(path(client + ".pem"), path(client + ".key"), None)
    return out


def secure(ca="ca.pem", client=None):
    def put_on(transport):
        SSL(transport, domain(ca, client)).peer_hostname = "localhost"
    return put_on


def context(ca="ca.pem"):
    return ssl.create_default_context(cafile=path(ca))


def dial(env):
    return socket.create_connection(("127.0.0.1", env.port), 20)


def is_refused(peer):
    """Also where the transport has failed before AMQP was reached."""
    return peer.is_closed() or peer.transport.condition


def read_exactly(sock, size):
    out = b""
    while len(out) < size:
        octets = sock.recv(size - len(out))
        check(octets, "the end came after %r" % out)
        out += octets
    return out


def read_to_end(sock):
    out = b""
    while True:
        octets = sock.recv(65536)
        if not octets:
            return out
        out += octets


@case("TLS required: Proton by amqps:// and by its engine, PLAIN inside",
      config=lambda binary: settings("required") + users(binary))
def _(env):
    check("TLS required" in env.broker.log_tail(100), "the log does not say TLS")
    url = "amqps://localhost:%d" % env.port
    blocking = BlockingConnection(url, timeout=20, ssl_domain=domain(), user="alice",
                                  password="wonder land", allowed_mechs="PLAIN")
    blocking.create_sender("shared-a").send(Message(body="by URL", durable=True))
    blocking.close()
    bob = env.peer(user="bob", password="builder", sasl="PLAIN", secure=secure())
    got = bob.receive(bob.receiver("shared-a", credit=1))
    check_equal(got.body, "by URL", "the body")
    got.accept()
    liar = env.peer(user="bob", password="wrong", sasl="PLAIN", secure=secure(), open=False)
    wait(liar.is_closed, "the refusal")
    check_equal(liar.why_closed(), "amqp:unauthorized-access", "why")


@case("TLS: a client that believes another root refuses the broker, which goes on",
      config=with_tls("required"))
def _(env):
    stranger = env.peer(secure=secure("other-ca.pem"), open=False)
    wait(lambda: is_refused(stranger), "the end of the connection")
    check("ertificate" in stranger.transport.condition.description,
          "another reason: %s" % stranger.transport.condition.description)
    try:
        BlockingConnection("amqps://localhost:%d" % env.port, timeout=20,
                           ssl_domain=domain("other-ca.pem"), reconnect=False)
        check(False, "Proton's blocking connection came in")
    except ConnectionException:
        pass
    env.peer(secure=secure()).close()
    wait(lambda: "TLS failed" in env.broker.log_tail(100), "the log's word of it")


@case("TLS allowed: plain AMQP and TLS on one port exchange messages",
      config=with_tls("allowed"))
def _(env):
    address = env.address()
    plain, over = env.peer(), env.peer(secure=secure())
    bare = env.peer(sasl=None)
    for one in (plain, over, bare):
        one.put(one.sender(address), Message(body="x", durable=True))
    for one in (over, plain, bare):
        one.receive(one.receiver(address, credit=1)).accept()
    settle_down(0.1)
    check(plain.is_empty(address), "something is left")


@case("TLS by protocol header: the header is answered, then TLS begins, then SASL and AMQP",
      config=with_tls("allowed"))
def _(env):
    for pieces in ([TLS], [TLS[i:i + 1] for i in range(8)]):
        with dial(env) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                raw.sendall(piece)
                time.sleep(0.01)
            check_equal(read_exactly(raw, 8), TLS, "the answer to the TLS header")
            with context().wrap_socket(raw, server_hostname="localhost") as over:
                over.sendall(SASL)
                check_equal(read_exactly(over, 8), SASL, "the answer to the SASL header")
                over.settimeout(5)
                check(b"ANONYMOUS" in over.recv(4096), "no offer of mechanisms")
    with dial(env) as raw, context().wrap_socket(raw, server_hostname="localhost") as over:
        over.sendall(PLAIN)
        check_equal(read_exactly(over, 8), PLAIN, "bare AMQP inside TLS")


def answer_to(raw, octets):
    """All of it; who says too much may be cut off while it speaks."""
    try:
        raw.sendall(octets)
    except OSError:
        pass
    said = b""
    try:
        while len(said) < 8:
            piece = raw.recv(8)
            if not piece:
                return said
            said += piece
        return said + raw.recv(1)
    except ConnectionResetError:
        return said


@case("TLS required: anything else is answered with the TLS header and the end",
      config=with_tls("required"))
def _(env):
    for octets in (PLAIN, SASL, b"GET / HTTP/1.1\r\n\r\n", b"AMQP\2\1\1\0", SASL + b"\0" * 50000,
                   b"AMQQ"):
        with dial(env) as raw:
            check_equal(answer_to(raw, octets), TLS, "the answer to %r" % octets[:20])
    for sasl in ("ANONYMOUS", None):
        plain = env.peer(sasl=sasl, open=False)
        wait(lambda: is_refused(plain), "the refusal of plain AMQP")
    env.peer(secure=secure()).close()


@case("without TLS the TLS header is answered with what there is, and the end")
def _(env):
    with dial(env) as raw:
        raw.sendall(TLS)
        check_equal(read_to_end(raw), SASL, "the answer to the TLS header")


@case("TLS: the end is told by close_notify", config=with_tls("required"))
def _(env):
    with dial(env) as raw:
        over = context().wrap_socket(raw, server_hostname="localhost",
                                     suppress_ragged_eofs=False)
        over.sendall(b"AMQP\0\1\2\3")
        check_equal(read_to_end(over), SASL, "the answer to a wrong version")


@case("TLS 1.2 and 1.3 are spoken, 1.1 is not", config=with_tls("required"))
def _(env):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        how = context()
        how.minimum_version = how.maximum_version = version
        with dial(env) as raw, how.wrap_socket(raw, server_hostname="localhost") as over:
            check_equal(over.version(), version.name.replace("_", "."), "the version")
            check(over.compression() is None, "there is compression")
            over.sendall(SASL)
            check_equal(read_exactly(over, 8), SASL, "the answer to the SASL header")
            check(over.session is None or not over.session.has_ticket, "there is a ticket")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with dial(env) as raw, old.wrap_socket(raw):
            check(False, "TLS 1.1 was accepted")
    except ssl.SSLError as refused:
        check("version" in str(refused), "another reason: %s" % refused)


@case("TLS: 5 MB messages go both ways, to a consumer that is slow as well",
      config=with_tls("required"))
def _(env):
    address = env.address()
    peer = env.peer(secure=secure())
    peer.put_all(peer.sender(address), [Message(body=LARGE) for _ in range(4)])
    slow = env.peer(secure=secure())
    link = slow.receiver(address, credit=4)
    settle_down(0.05)
    time.sleep(0.5)  # nobody reads: the broker's output has to wait
    for got in slow.receive_all(link, 4, 60):
        check(bytes(got.body) == LARGE, "the body is another one")
        got.accept()
    settle_down(0.1)
    check(peer.is_empty(address), "something is left")


@case("TLS: many small messages in both directions at once keep their order",
      config=with_tls("required"))
def _(env):
    address = env.address()
    peer, other = env.peer(secure=secure()), env.peer(secure=secure())
    sender, link = peer.sender(address), other.receiver(address, credit=5000)
    sent = [peer.send(sender, Message(body=i)) for i in range(5000)]
    got = other.receive_all(link, 5000, 60)
    check_equal([one.body for one in got], list(range(5000)), "the order")
    for one in got:
        one.accept()
    for one in sent:
        peer.outcome(one)


@case("TLS: half a handshake is dropped at the deadline, whoever stops where",
      config=with_tls("required", 'handshake-timeout = "2s"\n'))
def _(env):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        half.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    check_equal(hello[0], 0x16, "the first octet of a ClientHello")
    silent = {"nothing": b"", "a piece of a header": b"AMQ", "a piece of a hello": hello[:40],
              "one octet": hello[:1], "a hello": hello, "the header alone": TLS,
              "the header and a piece of a hello": TLS + hello[:40]}
    for what, octets in silent.items():
        began = time.monotonic()
        with dial(env) as raw:
            raw.settimeout(20)
            raw.sendall(octets)
            read_until_dropped(raw)
        took = time.monotonic() - began
        check(1.8 < took < 15, "%s: dropped after %.2f s" % (what, took))
    began = time.monotonic()
    with dial(env) as raw:
        raw.settimeout(0.02)
        check(dribble(raw, hello), "who dribbles was not dropped")
    check(time.monotonic() - began < 15, "who dribbles had too long")
    how = context()
    with dial(env) as raw, how.wrap_socket(raw, server_hostname="localhost") as over:
        began = time.monotonic()
        over.settimeout(20)
        check_equal(over.recv(1), b"", "behind the handshake: the end")
        check(time.monotonic() - began < 15, "silence behind the handshake had too long")
    env.peer(secure=secure()).close()


def read_until_dropped(raw):
    try:
        read_to_end(raw)
    except ConnectionResetError:
        pass


def dribble(raw, octets):
    """An octet every 20 ms. Whether the connection ended before all were sent."""
    for i in range(len(octets)):
        try:
            raw.sendall(octets[i:i + 1])
            if raw.recv(4096) == b"":
                return True
        except socket.timeout:
            continue
        except OSError:
            return True
    return False


@case("TLS: consumers that vanish while much is under way do no harm",
      config=with_tls("required"))
def _(env):
    address = env.address()
    peer = env.peer(secure=secure())
    peer.put_all(peer.sender(address), [Message(body=LARGE) for _ in range(2)])
    for _ in range(10):
        lost = env.peer(secure=secure())
        lost.receiver(address, credit=2)
        settle_down(0.02)
        lost.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        lost.drop()
    link = peer.receiver(address, credit=2)
    for got in peer.receive_all(link, 2, 60):
        got.accept()


@case("TLS: what was accepted is there after a kill", config=with_tls("required"))
def _(env):
    address = env.address()
    peer = env.peer(secure=secure())
    peer.put_all(peer.sender(address), [Message(body=i, durable=True) for i in range(20)])
    env.broker.kill()
    env.broker.start()
    peer = env.peer(secure=secure())
    got = peer.receive_all(peer.receiver(address, credit=20), 20)
    check_equal([one.body for one in got], list(range(20)), "what survived")


@case("TLS: clients without a certificate are refused where one is required",
      config=lambda binary: settings("required") + 'tls-verify-client = "required"\n'
                            'tls-client-ca = "%s"\n' % path("ca.pem"))
def _(env):
    stranger = env.peer(secure=secure(), open=False)
    wait(lambda: is_refused(stranger), "the refusal")
    wait(lambda: "did not return a certificate" in env.broker.log_tail(100), "the log's word")
    friend = env.peer(secure=secure(client="client"))
    friend.put(friend.sender(env.address()), Message(body="x"))


@case("TLS: a key that belongs to another certificate, and files that are none, do not start")
def _(env):
    rows = [('tls = "required"\n', "needs `tls-certificate`"),
            ('tls = "required"\ntls-certificate = "/nowhere.pem"\ntls-key = "%s"\n'
             % path("server.key"), "/nowhere.pem: cannot be read"),
            ('tls = "required"\ntls-certificate = "%s"\ntls-key = "%s"\n'
             % (path("server.pem"), path("client.key")), "does not belong to the certificate")]
    for config, why in rows:
        other = env.another_broker(config=config)
        try:
            other.start()
            check(False, "it started with %r" % config)
        except StartFailed as failure:
            check(why in str(failure), "%r is not in %s" % (why, failure))
        check_equal(other.process.returncode, 2, "the exit code")
