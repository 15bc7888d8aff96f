# SPDX-License-Identifier: Apache-2.0
"""Each outcome, in both directions, with what follows from it [3.4]; settlement modes [2.6.12]."""
from proton import Message, symbol

from case import collector
from peer import (ACCEPTED, MODIFIED, REJECTED, RELEASED, check, check_equal, settle_down, wait)

CASES, case = collector()


def numbers(peer, address, count, durable=True):
    sender = peer.sender(address)
    peer.put_all(sender, [Message(body=i, durable=durable) for i in range(count)])
    return sender


def one_message(env, **how):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 1)
    receiver = peer.receiver(address, credit=1, **how)
    return peer, address, receiver, peer.receive(receiver)


@case("a first delivery has count 0 and first-acquirer set")
def _(env):
    _, _, _, got = one_message(env)
    check_equal(got.message.delivery_count, 0, "delivery-count")
    check_equal(got.message.first_acquirer, True, "first-acquirer")


@case("consumer accepts: the message is gone")
def _(env):
    peer, address, _, got = one_message(env)
    got.accept(settle=False)
    wait(lambda: got.delivery.settled, "our outcome settled")
    got.delivery.settle()
    check(peer.is_empty(address), "an accepted message was still there")


@case("consumer rejects: the message is gone")
def _(env):
    peer, address, _, got = one_message(env)
    got.outcome(REJECTED, settle=False)
    wait(lambda: got.delivery.settled, "our outcome settled")
    got.delivery.settle()
    check(peer.is_empty(address), "a rejected message was still there")


@case("consumer releases: redelivered with the same count, not as first acquirer")
def _(env):
    peer, _, receiver, got = one_message(env)
    got.outcome(RELEASED)
    receiver.flow(1)
    again = peer.receive(receiver)
    check_equal(again.message.delivery_count, 0, "delivery-count")
    check_equal(again.message.first_acquirer, False, "first-acquirer")
    again.accept()


@case("consumer modifies with delivery-failed: redelivered, the count is one more")
def _(env):
    peer, _, receiver, got = one_message(env)
    for expected in (1, 2, 3):
        got.outcome(MODIFIED, failed=True)
        receiver.flow(1)
        got = peer.receive(receiver)
        check_equal(got.message.delivery_count, expected, "delivery-count")
    got.accept()


@case("consumer modifies without delivery-failed: the count stays")
def _(env):
    peer, _, receiver, got = one_message(env)
    got.outcome(MODIFIED)
    receiver.flow(1)
    again = peer.receive(receiver)
    check_equal(again.message.delivery_count, 0, "delivery-count")
    again.accept()


@case("consumer modifies with undeliverable-here: another link gets it, not this one")
def _(env):
    peer, address, receiver, got = one_message(env)
    got.outcome(MODIFIED, undeliverable=True)
    receiver.flow(1)
    settle_down()
    check_equal(len(peer.inbox[receiver.name]), 0, "deliveries to the link that refused it")
    other = peer.receiver(address, credit=1)
    peer.receive(other).accept()


@case("consumer modifies with message-annotations: they are merged")
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    peer.put(sender, Message(body="x", annotations={symbol("x-opt-a"): 1, symbol("x-opt-b"): 2}))
    receiver = peer.receiver(address, credit=1)
    changes = {symbol("x-opt-b"): "changed", symbol("x-opt-c"): 3}
    peer.receive(receiver).outcome(MODIFIED, annotations=changes)
    receiver.flow(1)
    again = peer.receive(receiver)
    check_equal(dict(again.message.annotations),
                {"x-opt-a": 1, "x-opt-b": "changed", "x-opt-c": 3}, "message-annotations")
    check_equal(again.body, "x", "the body")
    again.accept()


@case("a released message returns to its place")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 10)
    receiver = peer.receiver(address, credit=5)
    first = peer.receive_all(receiver, 5)
    check_equal([one.body for one in first], [0, 1, 2, 3, 4], "the first five")
    first[0].accept()
    for one in reversed(first[1:]):
        one.outcome(RELEASED, settle=False)
    # Proton writes a flow before dispositions, so new credit has to wait.
    wait(lambda: all(one.delivery.settled for one in first[1:]), "four settled answers")
    receiver.flow(9)
    rest = peer.receive_all(receiver, 9)
    check_equal([one.body for one in rest], list(range(1, 10)), "the order after the release")
    for one in rest:
        one.accept()


@case("a connection is cut: what it held is redelivered, the count is one more")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 3)
    victim = env.peer()
    receiver = victim.receiver(address, credit=2)
    check_equal([one.body for one in victim.receive_all(receiver, 2)], [0, 1], "held")
    victim.drop()
    other = peer.receiver(address, credit=3)
    got = peer.receive_all(other, 3)
    check_equal([(one.body, one.message.delivery_count) for one in got], [(0, 1), (1, 1), (2, 0)],
                "what came, with its count")


@case("a link is detached: what it held is redelivered, the count is one more")
def _(env):
    peer, address, receiver, _ = one_message(env)
    peer.detach(receiver)
    again = peer.receive(peer.receiver(address, credit=1))
    check_equal(again.message.delivery_count, 1, "delivery-count")
    again.accept()


@case("a session is ended: what it held is redelivered, the count is one more")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 1)
    session = peer.new_session()
    receiver = peer.receiver(address, credit=1, session=session)
    peer.receive(receiver)
    session.close()
    again = peer.receive(peer.receiver(address, credit=1))
    check_equal(again.message.delivery_count, 1, "delivery-count")
    again.accept()


@case("competing consumers take turns while all have credit")
def _(env):
    peer, other = env.peer(), env.peer()
    address = env.address()
    links = [peer.receiver(address, credit=100), other.receiver(address, credit=100),
             other.receiver(address, credit=100)]
    settle_down(0.1)
    numbers(peer, address, 90)
    boxes = [peer.inbox[links[0].name], other.inbox[links[1].name], other.inbox[links[2].name]]
    wait(lambda: sum(map(len, boxes)) == 90, "90 messages")
    check_equal([len(box) for box in boxes], [30, 30, 30], "each one's share")
    bodies = sorted(one.body for box in boxes for one in box)
    check_equal(bodies, list(range(90)), "all messages, each once")


@case("a consumer without credit gets nothing")
def _(env):
    peer = env.peer()
    address = env.address()
    idle = peer.receiver(address)
    busy = peer.receiver(address, credit=7)
    numbers(peer, address, 10)
    peer.receive_all(busy, 7)
    settle_down()
    check_equal(len(peer.inbox[idle.name]), 0, "deliveries without credit")
    check_equal(len(peer.inbox[busy.name]), 0, "deliveries beyond the credit")


@case("the order of each producer is kept")
def _(env):
    peers = [env.peer() for _ in range(3)]
    address = env.address()
    senders = [p.sender(address) for p in peers]
    for i in range(200):
        for p, link in zip(peers, senders):
            p.send(link, Message(body=[link.name, i], durable=i % 2 == 0))
    receiver = peers[0].receiver(address, credit=600)
    seen = {}
    for one in peers[0].receive_all(receiver, 600):
        name, i = one.body
        check_equal(i, seen.get(name, -1) + 1, "the next of " + name)
        seen[name] = i


@case("a settled send gets no outcome and arrives")
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address, settled=True)
    check_equal(sender.remote_snd_settle_mode, sender.SND_SETTLED, "the mode in force")
    for i in range(10):
        peer.send(sender, Message(body=i), settled=True)
    got = peer.receive_all(peer.receiver(address, credit=10), 10)
    check_equal([one.body for one in got], list(range(10)), "bodies")


@case("a consumer of settled deliveries owes nothing, and they are gone")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 10)
    receiver = peer.receiver(address, credit=10, settled=True)
    check_equal(receiver.remote_snd_settle_mode, receiver.SND_SETTLED, "the mode in force")
    got = peer.receive_all(receiver, 10)
    check(all(one.was_settled for one in got), "a delivery came unsettled")
    peer.detach(receiver)
    check(peer.is_empty(address), "settled deliveries were still there")


@case("receiver-settle-mode second towards the broker: outcome first, settled after us")
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address, second=True)
    check_equal(sender.remote_rcv_settle_mode, sender.RCV_SECOND, "the mode in force")
    sent = [peer.send(sender, Message(body=i, durable=True)) for i in range(5)]
    for one in sent:
        wait(lambda: one.remote_state == ACCEPTED, "accepted")
        check(not one.settled, "the broker settled before the sender did")
        one.settle()
    got = peer.receive_all(peer.receiver(address, credit=5), 5)
    check_equal([one.body for one in got], list(range(5)), "bodies")


@case("receiver-settle-mode second towards the consumer: our outcome is answered by settled")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 20)
    receiver = peer.receiver(address, credit=20, second=True)
    check_equal(receiver.remote_rcv_settle_mode, receiver.RCV_SECOND, "the mode in force")
    got = peer.receive_all(receiver, 20)
    for one in got:
        one.accept(settle=False)
    wait(lambda: all(one.delivery.settled for one in got), "20 settled answers")
    for one in got:
        one.delivery.settle()
    check(peer.is_empty(address), "accepted messages were still there")


@case("unsettled outcomes of every kind are answered by settled in first mode too")
def _(env):
    peer = env.peer()
    address = env.address()
    numbers(peer, address, 8)
    receiver = peer.receiver(address, credit=8)
    got = peer.receive_all(receiver, 8)
    states = [ACCEPTED, REJECTED, RELEASED, MODIFIED] * 2
    for one, state in zip(got, states):
        one.outcome(state, settle=False)
    wait(lambda: all(one.delivery.settled for one in got), "8 settled answers")
    for one in got:
        one.delivery.settle()
    left = peer.drain(receiver)
    check_equal([one.body for one in left], [2, 3, 6, 7], "what was released or modified")


@case("the broker accepts what it has taken")
def _(env):
    peer = env.peer()
    address = env.address()
    for durable in (True, False):
        sender = peer.sender(address)
        check_equal(peer.outcome(peer.send(sender, Message(body="x", durable=durable))), ACCEPTED,
                    "outcome, durable=%s" % durable)


@case("anonymous terminus: the outcome is each message's own")
def _(env):
    peer = env.peer()
    address = env.address()
    check("ANONYMOUS-RELAY" in (peer.connection.remote_offered_capabilities or []),
          "ANONYMOUS-RELAY is not offered")
    sender = peer.sender(None)
    good = peer.send(sender, Message(address=address, body="to a queue", durable=True))
    unknown = peer.send(sender, Message(address="/queues/" + env.address("none"), body="x"))
    nowhere = peer.send(sender, Message(body="no `to`"))
    again = peer.send(sender, Message(address="/queues/" + address, body="again", durable=True))
    check_equal(peer.outcome(good), ACCEPTED, "a name that auto-create makes")
    check_equal(peer.outcome(unknown), REJECTED, "an unknown canonical path")
    check_equal(peer.condition, "amqp:not-found", "why")
    check_equal(peer.outcome(nowhere), REJECTED, "no `to`")
    check_equal(peer.outcome(again), ACCEPTED, "the same link after a refusal")
    got = peer.receive_all(peer.receiver(address, credit=2), 2)
    check_equal([one.body for one in got], ["to a queue", "again"], "bodies")


@case("anonymous terminus without auto-create: unknown names are rejected",
      config='[[queue]]\nname = "known"\n[[auto-create]]\npattern = "*"\ncreate = false\n')
def _(env):
    peer = env.peer()
    sender = peer.sender(None)
    unknown = peer.send(sender, Message(address="unknown", body="x"))
    known = peer.send(sender, Message(address="known", body="x"))
    check_equal(peer.outcome(unknown), REJECTED, "an unknown name")
    check_equal(peer.condition, "amqp:not-found", "why")
    check_equal(peer.outcome(known), ACCEPTED, "a declared queue")
    refused = peer.receiver("unknown", wait_open=False)
    peer.wait_refused(refused, "amqp:not-found")


@case("a message beyond max-message-size ends the link", config='max-message-size = "64KiB"\n')
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    check_equal(sender.remote_max_message_size, 65536, "max-message-size of the attach")
    peer.put(sender, Message(body=b"x" * 60000))
    peer.send(sender, Message(body=b"x" * 70000))
    wait(lambda: peer.is_refused(sender) or peer.is_closed(), "the detach")
    check_equal(peer.why_refused(sender), "amqp:link:message-size-exceeded", "why")
    check_equal(len(peer.drain(peer.receiver(address))), 1, "messages that are there")
