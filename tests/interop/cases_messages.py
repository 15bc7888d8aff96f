# SPDX-License-Identifier: Apache-2.0
"""What a message keeps on its way, sizes from nothing to 64 MB, time to live, browsing, drain."""
import hashlib
import time

from proton import Message, symbol

import octets
from case import collector
from peer import ACCEPTED, RELEASED, check, check_equal, settle_down, wait

CASES, case = collector()


def send_all(peer, address, messages):
    sender = peer.sender(address)
    peer.put_all(sender, messages)


def all_types(env, durable_kept_in_store):
    peer = env.peer()
    address = env.address()
    rows = octets.messages()
    check(len(rows) > 100, "the table of types is nearly empty")
    if durable_kept_in_store:
        send_all(peer, address, [row[1] for row in rows])
        receiver = peer.receiver(address, credit=len(rows))
    else:
        receiver = peer.receiver(address, credit=len(rows))
        send_all(peer, address, [row[1] for row in rows])
    for (what, sent), got in zip(rows, peer.receive_all(receiver, len(rows))):
        check_equal(octets.immutable(got.octets).hex(), octets.immutable(sent).hex(), what)
        got.accept()


@case("every type in every section arrives octet by octet, to a waiting consumer")
def _(env):
    all_types(env, False)


@case("every type in every section arrives octet by octet, from a filled queue")
def _(env):
    all_types(env, True)


@case("the octets are the same after a restart", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    rows = [row for row in octets.messages() if row[1].startswith(b"\x00\x53\x70")]
    send_all(peer, address, [row[1] for row in rows])
    env.broker.kill()
    env.broker.start()
    peer = env.peer()
    for (what, sent), got in zip(rows, peer.receive_all(
            peer.receiver(address, credit=len(rows)), len(rows))):
        check_equal(octets.immutable(got.octets).hex(), octets.immutable(sent).hex(), what)


@case("header fields are kept, defaults are not invented")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body="a", durable=True, priority=9),
                             Message(body="b", durable=False), octets.section(0x77, b"\x43")])
    first, second, bare = peer.receive_all(peer.receiver(address, credit=3), 3)
    check_equal((first.message.durable, first.message.priority), (True, 9), "durable, priority")
    check_equal((second.message.durable, second.message.priority), (False, 4), "the defaults")
    check_equal(bare.body, 0, "a message without a header")


@case("an expired message is not delivered")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body="short", ttl=0.1, durable=True),
                             Message(body="short", ttl=0.1), Message(body="long", ttl=60)])
    settle_down(0.4)
    got = peer.drain(peer.receiver(address))
    check_equal([one.body for one in got], ["long"], "what was delivered")


@case("an expired message is gone for a consumer that was waiting without credit")
def _(env):
    peer = env.peer()
    address = env.address()
    receiver = peer.receiver(address)
    send_all(peer, address, [Message(body="short", ttl=0.1), Message(body="kept")])
    settle_down(0.4)
    receiver.flow(2)
    check_equal(peer.receive(receiver).body, "kept", "the first delivery")
    settle_down()
    check_equal(len(peer.inbox[receiver.name]), 0, "further deliveries")


@case("the ttl that is sent is what remains")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body="x", ttl=60)])
    settle_down(0.5)
    got = peer.receive(peer.receiver(address, credit=1))
    check(50 < got.message.ttl <= 59.6, "ttl %r after half a second of 60" % got.message.ttl)
    immutable = octets.immutable(got.octets)
    check(immutable.startswith(b"\x00\x53"), "the bare message is not where it should be")


@case("browsing leaves the messages, skips none, and goes on with new ones")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body=i, durable=True) for i in range(20)])
    browser = peer.receiver(address, credit=50, copy=True)
    check_equal(browser.remote_source.distribution_mode, browser.source.DIST_MODE_COPY,
                "the mode in force")
    got = peer.receive_all(browser, 20)
    check_equal([one.body for one in got], list(range(20)), "what the browser saw")
    for one in got:
        one.accept()
    send_all(peer, address, [Message(body=20)])
    check_equal(peer.receive(browser).body, 20, "a new message")
    other = peer.receiver(address, credit=21)
    check_equal([one.body for one in peer.receive_all(other, 21)], list(range(21)), "still there")


@case("a browser skips what another consumer holds")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body=i) for i in range(4)])
    peer.receive_all(peer.receiver(address, credit=2), 2)
    got = peer.drain(peer.receiver(address, copy=True))
    check_equal([one.body for one in got], [2, 3], "what the browser saw")


@case("drain on an empty queue is answered, with no credit left")
def _(env):
    peer = env.peer()
    receiver = peer.receiver(env.address())
    check_equal(peer.drain(receiver, 10), [], "messages")
    check_equal(receiver.credit, 0, "credit after drain")


@case("drain gives what there is, then returns the rest of the credit; credit works again after")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body=i) for i in range(5)])
    receiver = peer.receiver(address)
    got = peer.drain(receiver, 100)
    check_equal([one.body for one in got], list(range(5)), "what came before the answer")
    check_equal(receiver.credit, 0, "credit after drain")
    send_all(peer, address, [Message(body=5)])
    settle_down()
    check_equal(len(peer.inbox[receiver.name]), 0, "deliveries without credit")
    receiver.flow(1)
    check_equal(peer.receive(receiver).body, 5, "after new credit")


@case("drain of less credit than there are messages uses all of it")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body=i) for i in range(5)])
    receiver = peer.receiver(address)
    check_equal([one.body for one in peer.drain(receiver, 3)], [0, 1, 2], "what came")
    check_equal(receiver.credit, 0, "credit after drain")


@case("a drain is not answered before all was given: 7,000 messages, credit 5,000 at a time")
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    peer.put_all(sender, [Message(body=i, durable=True) for i in range(7000)])
    for _ in range(3):
        receiver = peer.receiver(address)
        first, second = peer.drain(receiver, 5000), peer.drain(receiver, 5000)
        check_equal((len(first), len(second)), (5000, 2000), "what each drain gave")
        check_equal([one.body for one in first + second], list(range(7000)), "the order")
        for one in first + second:
            one.outcome(RELEASED, settle=False)
        wait(lambda: all(one.delivery.settled for one in first + second), "7,000 answers")
        for one in first + second:
            one.delivery.settle()
        peer.detach(receiver)


@case("a consumer that grants 7,000 credit at once gets 7,000 messages")
def _(env):
    for waits in (True, False):
        peer, consumer = env.peer(), env.peer()
        address = env.address()
        receiver = consumer.receiver(address, credit=7000) if waits else None
        sender = peer.sender(address)
        sent = [peer.send(sender, Message(body=i, durable=True)) for i in range(7000)]
        receiver = receiver or consumer.receiver(address, credit=7000)
        got = consumer.receive_all(receiver, 7000)
        check_equal([one.body for one in got], list(range(7000)), "what came")
        for one in sent:
            check_equal(peer.outcome(one), ACCEPTED, "the outcome of a send")


def large(env, size, durable, timeout):
    peer = env.peer()
    address = env.address()
    body = hashlib.sha256(b"%d" % size).digest() * (size // 32)
    message = Message(body=body, durable=durable, annotations={symbol("x-opt-size"): size})
    began = time.monotonic()
    sender = peer.sender(address)
    check_equal(peer.outcome(peer.send(sender, message), timeout), ACCEPTED, "the outcome")
    got = peer.receive(peer.receiver(address, credit=1), timeout)
    check_equal(len(got.body), len(body), "octets")
    check(bytes(got.body) == body, "the octets differ")
    got.accept(settle=False)
    wait(lambda: got.delivery.settled, "settled")
    env.note("%.0f MB/s there and back" % (2 * size / 1e6 / (time.monotonic() - began)))


@case("a durable message of 5 MB")
def _(env):
    large(env, 5 << 20, True, 60)


@case("a transient message of 5 MB")
def _(env):
    large(env, 5 << 20, False, 60)


@case("a durable message of 64 MB")
def _(env):
    large(env, 64 << 20, True, 180)


@case("an empty body and a body of one octet")
def _(env):
    peer = env.peer()
    address = env.address()
    send_all(peer, address, [Message(body=b""), Message(body=b"x"), Message(body=None)])
    got = peer.receive_all(peer.receiver(address, credit=3), 3)
    check_equal([one.body for one in got], [b"", b"x", None], "bodies")


def small_frames(env, peer):
    address = env.address()
    bodies = [b"%d" % n * n for n in (1, 100, 450, 500, 512, 1000, 5000, 50000)]
    send_all(peer, address, [Message(body=b, durable=i % 2 == 0) for i, b in enumerate(bodies)])
    got = peer.receive_all(peer.receiver(address, credit=len(bodies)), len(bodies))
    for one, body in zip(got, bodies):
        check(bytes(one.body) == body, "a body of %d octets differs" % len(body))
    check(not peer.is_closed(), "closed: %s" % peer.why_closed())


@case("a client with max-frame-size 512")
def _(env):
    small_frames(env, env.peer(max_frame_size=512))


@case("a broker with max-frame-size 512", config="max-frame-size = 512\n")
def _(env):
    peer = env.peer()
    check_equal(peer.transport.remote_max_frame_size, 512, "the broker's max-frame-size")
    small_frames(env, peer)


@case("max-frame-size 512 on both sides", config="max-frame-size = 512\n")
def _(env):
    small_frames(env, env.peer(max_frame_size=512))
