# SPDX-License-Identifier: Apache-2.0
"""What is there after the broker was killed and started again."""
from proton import Message

from case import collector
from peer import (ACCEPTED, MODIFIED, RELEASED, check, check_equal, settle_down, wait)

CASES, case = collector()


def restart(env):
    env.broker.kill()
    env.broker.start()
    return env.peer()


@case("durable messages are there after a kill, in order; transient ones are gone", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    peer.put_all(sender, [Message(body=i, durable=i % 3 != 0) for i in range(3000)])
    peer = restart(env)
    expected = [i for i in range(3000) if i % 3 != 0]
    got = peer.receive_all(peer.receiver(address, credit=4000), len(expected))
    check_equal([one.body for one in got], expected, "what is there")


@case("settled messages stay away after a kill, the others come with their counts", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    for i in range(12):
        peer.put(sender, Message(body=i, durable=True))
    receiver = peer.receiver(address, credit=8)
    got = peer.receive_all(receiver, 8)
    for one in got[0:2]:
        one.accept(settle=False)
    for one in got[2:4]:
        one.outcome(MODIFIED, settle=False, failed=True)
    for one in got[4:6]:
        one.outcome(RELEASED, settle=False)
    wait(lambda: all(one.delivery.settled for one in got[:6]), "six settled answers")
    peer = restart(env)  # 6 and 7 are unsettled: a crash is no delivery attempt
    left = peer.receive_all(peer.receiver(address, credit=20), 10)
    counts = [(one.body, one.message.delivery_count) for one in left]
    check_equal(counts, [(2, 1), (3, 1)] + [(i, 0) for i in range(4, 12)], "what is there")


@case("queues made by auto-create are there after a kill, temporary ones are not", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    peer.sender(address)
    temporary = peer.receiver(dynamic=True).remote_source.address
    peer = restart(env)
    peer.receiver("/queues/" + address)
    peer.wait_refused(peer.receiver("/queues/" + temporary, wait_open=False), "amqp:not-found")


@case("time to live runs on while the broker is down", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    peer.put(sender, Message(body="short", durable=True, ttl=0.2))
    peer.put(sender, Message(body="long", durable=True, ttl=60))
    env.broker.kill()
    settle_down(0.4)
    env.broker.start()
    peer = env.peer()
    got = peer.drain(peer.receiver(address))
    check_equal([one.body for one in got], ["long"], "what is there")
    check(got[0].message.ttl < 60, "ttl %r" % got[0].message.ttl)


@case("a large durable message is whole after a kill", alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    body = bytes(range(256)) * (20 << 10)
    sender = peer.sender(address)
    check_equal(peer.outcome(peer.send(sender, Message(body=body, durable=True)), 60), ACCEPTED,
                "the outcome")
    peer = restart(env)
    got = peer.receive(peer.receiver(address, credit=1), 60)
    check(bytes(got.body) == body, "the octets differ")


@case("new messages come after recovered ones, over three kills", alone=True)
def _(env):
    address = env.address()
    peer = env.peer()
    for turn in range(3):
        sender = peer.sender(address)
        for i in range(50):
            peer.put(sender, Message(body=turn * 50 + i, durable=True))
        peer = restart(env)
    got = peer.receive_all(peer.receiver(address, credit=200), 150)
    check_equal([one.body for one in got], list(range(150)), "the order")


@case("the broker aborts on the first send to a queue whose newest messages went before a kill",
      alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    peer.put_all(sender, [Message(body=i, durable=True) for i in range(100)])
    got = peer.receive_all(peer.receiver(address, credit=100), 100)
    for one in got[1:]:
        one.accept(settle=False)
    wait(lambda: all(one.delivery.settled for one in got[1:]), "the settled answers")
    peer = restart(env)
    sender = peer.sender(address)
    for i in range(100, 103):
        peer.put(sender, Message(body=i, durable=True))
    got = peer.receive_all(peer.receiver(address, credit=9), 4)
    check_equal([one.body for one in got], [0, 100, 101, 102], "what is there")


@case("a crash after modified annotations keeps them or the original, never a mixture",
      alone=True)
def _(env):
    peer = env.peer()
    address = env.address()
    peer.put(peer.sender(address), Message(body="x", durable=True))
    receiver = peer.receiver(address, credit=1)
    got = peer.receive(receiver)
    got.outcome(MODIFIED, settle=False, failed=True, annotations={"x-opt-a": 1})
    wait(lambda: got.delivery.settled, "the settled answer")
    peer = restart(env)
    again = peer.receive(peer.receiver(address, credit=1))
    check_equal((again.body, again.message.delivery_count), ("x", 1), "body and count")
    check(dict(again.message.annotations or {}) in ({}, {"x-opt-a": 1}),
          "annotations %r" % again.message.annotations)


@case("a hundred queues and their messages are there after a kill", alone=True)
def _(env):
    peer = env.peer()
    addresses = [env.address("h") for _ in range(100)]
    sent = []
    for address in addresses:
        sender = peer.sender(address)
        sent += [peer.send(sender, Message(body="%s/%d" % (address, i), durable=True))
                 for i in range(10)]
    for one in sent:
        check_equal(peer.outcome(one), ACCEPTED, "the outcome of a send")
    peer = restart(env)
    for address in addresses:
        got = peer.receive_all(peer.receiver(address, credit=10), 10)
        check_equal([one.body for one in got], ["%s/%d" % (address, i) for i in range(10)],
                    "what is there")
