# SPDX-License-Identifier: Apache-2.0
"""Queues with policies, as clients see them: time to live, limits, dead letters and what is told
of them, priorities, ranks of consumers. The file declares the queues; a policy covers one more."""
from proton import Message, symbol

from case import collector
from peer import (ACCEPTED, MODIFIED, REJECTED, RELEASED, check, check_equal, settle_down, wait)

CASES, case = collector()

CONFIG = """
[[queue]]
name = "dead"
[[queue]]
name = "ttl"
message-ttl = 300
dead-letter-queue = "dead"
[[queue]]
name = "reject"
max-length = 3
overflow = "reject"
[[queue]]
name = "ring"
[[queue]]
name = "full"
max-length = 2
overflow = "dead-letter"
dead-letter-queue = "dead"
[[queue]]
name = "slow"
max-length = 50
overflow = "flow-control"
[[queue]]
name = "work"
delivery-limit = 2
dead-letter-queue = "dead"
[[queue]]
name = "levels"
x-max-priority = 10
[[queue]]
name = "single"
single-active-consumer = true
[[queue]]
name = "one"
exclusive-consumer = true
[[queue]]
name = "once"
dedup-window = 600000
[[queue]]
name = "prices"
last-value-key = "_AMQ_LVQ_NAME"
[[queue]]
name = "groups"
message-groups = true
group-first = true
[[queue]]
name = "shared"
message-groups = true
group-rebalance = true
[[policy]]
name = "ring"
pattern = "ri*"
max-length = 3
"""


def put_all(peer, address, count, **how):
    sender = peer.sender(address)
    sent = [peer.send(sender, Message(body=i, durable=True, **how)) for i in range(count)]
    return sender, [peer.outcome(one) for one in sent]


def bodies(received):
    return [one.body for one in received]


def read_all(peer, address, count):
    link = peer.receiver(address, credit=count)
    got = peer.receive_all(link, count)
    for one in got:
        one.accept()
    peer.detach(link)
    return got


@case("queue TTL: expired messages become dead letters, with both families of annotations", CONFIG)
def _(env):
    peer = env.peer()
    sender = peer.sender("ttl")
    peer.put(sender, Message(body="x", durable=True, id="m-1"))
    link = peer.receiver("dead", credit=1)
    got = peer.receive(link)
    check_equal(got.body, "x", "the body")
    notes = got.message.annotations
    check_equal(notes["x-first-death-queue"], "ttl", "x-first-death-queue")
    check_equal(notes["x-last-death-reason"], "expired", "x-last-death-reason")
    check_equal(notes["x-opt-ORIG-QUEUE"], "ttl", "x-opt-ORIG-QUEUE")
    check_equal(notes["x-opt-ORIG-MESSAGE-ID"], "m-1", "x-opt-ORIG-MESSAGE-ID")
    check("x-opt-ACTUAL-EXPIRY" in notes, "no x-opt-ACTUAL-EXPIRY")
    check("x-opt-deaths" in notes, "no x-opt-deaths")
    check_equal(got.message.ttl, 0, "the time to live of a dead letter")
    got.accept()


@case("max-length with reject: the producer is told the queue and the reason", CONFIG)
def _(env):
    peer = env.peer()
    sender, outcomes = put_all(peer, "reject", 3)
    check_equal(outcomes, [ACCEPTED] * 3, "outcomes below the limit")
    late = peer.send(sender, Message(body="late", durable=True))
    wait(lambda: late.settled, "an outcome")
    check_equal(late.remote_state, REJECTED, "the outcome beyond the limit")
    error = late.remote.condition
    check_equal(error.name, "amqp:resource-limit-exceeded", "the condition")
    check("reject" in error.description, "the description does not name the queue")
    check_equal(error.info["queue"], "reject", "info: queue")
    check_equal(error.info["reason"], "maxlen", "info: reason")
    check_equal(bodies(read_all(peer, "reject", 1)), [0], "what was there")
    peer.put(sender, Message(body="room", durable=True))


@case("max-length by a policy, drop-head: the queue is a ring", CONFIG)
def _(env):
    peer = env.peer()
    _, outcomes = put_all(peer, "ring", 10)
    check_equal(outcomes, [ACCEPTED] * 10, "outcomes")
    check_equal(bodies(read_all(peer, "ring", 3)), [7, 8, 9], "what is left")
    check(peer.is_empty("ring"), "the ring holds more")


@case("max-length with dead-letter: the newcomers go there, with reason maxlen", CONFIG)
def _(env):
    peer = env.peer()
    _, outcomes = put_all(peer, "full", 4)
    check_equal(outcomes, [ACCEPTED] * 4, "outcomes")
    dead = read_all(peer, "dead", 2)
    check_equal(bodies(dead), [2, 3], "dead letters")
    check_equal(dead[0].message.annotations["x-last-death-reason"], "maxlen", "the reason")
    check_equal(bodies(read_all(peer, "full", 2)), [0, 1], "what is left")


@case("max-length with flow-control: credit stops, and comes back when there is room", CONFIG)
def _(env):
    peer = env.peer()
    sender = peer.sender("slow")
    other = peer.sender(env.address())
    while sender.credit > 0:
        peer.send(sender, Message(body=1, durable=True), settled=True)
        if sender.credit == 0:
            settle_down()
    settle_down()
    check_equal(sender.credit, 0, "credit at a full queue")
    check(other.credit > 0, "another queue's producer has no credit either")
    link = peer.receiver("slow", credit=5000)
    wait(lambda: all(one.accept() for one in drained(peer, link)) and sender.credit > 0,
         "credit after the queue was emptied")


def drained(peer, link):
    box = peer.inbox[link.name]
    out, box[:] = list(box), []
    return out


@case("rejected, undeliverable-here and too often failed: dead letters with their reasons", CONFIG)
def _(env):
    peer = env.peer()
    put_all(peer, "work", 3)
    link = peer.receiver("work", credit=3)
    got = peer.receive_all(link, 3)
    got[0].outcome(REJECTED, settle=False)
    wait(lambda: got[0].delivery.settled, "our outcome settled")
    got[0].delivery.settle()
    got[1].outcome(MODIFIED, failed=True, undeliverable=True,
                   annotations={symbol("x-opt-why"): "no"})
    got[2].outcome(MODIFIED, failed=True)
    for _ in range(2):
        link.flow(1)
        peer.receive(link).outcome(MODIFIED, failed=True)
    dead = read_all(peer, "dead", 3)
    reasons = [one.message.annotations["x-last-death-reason"] for one in dead]
    check_equal(reasons, ["rejected", "undeliverable-here", "delivery-limit"], "reasons")
    check_equal(bodies(dead), [0, 1, 2], "bodies")
    check_equal(dead[1].message.annotations["x-opt-why"], "no", "the consumer's annotation")
    check(peer.is_empty("work"), "the queue still has something")


@case("dead letters, levels and policies survive a kill", CONFIG)
def _(env):
    broker = env.another_broker(config=CONFIG).start()
    from peer import Peer
    peer = Peer(broker.port)
    put_all(peer, "work", 2)
    link = peer.receiver("work", credit=2)
    for one in peer.receive_all(link, 2):
        one.outcome(REJECTED, settle=False)
        wait(lambda: one.delivery.settled, "our outcome settled")
    for priority in (1, 9, 4):
        sender = peer.sender("levels")
        peer.put(sender, Message(body=priority, durable=True, priority=priority))
    put_all(peer, "ring", 3)
    broker.kill()
    peer.drop()
    broker.start()
    peer = Peer(broker.port)
    check_equal(bodies(read_all(peer, "dead", 2)), [0, 1], "dead letters")
    check(peer.is_empty("work"), "a rejected message came back")
    check_equal(bodies(read_all(peer, "levels", 3)), [9, 4, 1], "levels")
    put_all(peer, "ring", 2)
    check_equal(bodies(read_all(peer, "ring", 3)), [2, 0, 1], "the ring")


@case("priorities: the highest first, whatever came first", CONFIG)
def _(env):
    peer = env.peer()
    sender = peer.sender("levels")
    for priority in (4, 0, 9, 5, 9, 200):
        peer.put(sender, Message(body=priority, durable=True, priority=priority))
    check_equal(bodies(read_all(peer, "levels", 6)), [9, 9, 200, 5, 4, 0], "the order")


@case("duplicates: a repeated message-id is accepted and not enqueued, over a kill too", CONFIG)
def _(env):
    from peer import Peer
    broker = env.another_broker(config=CONFIG).start()
    peer = Peer(broker.port)
    sender = peer.sender("once")

    def put(name, body):
        sent = peer.send(sender, Message(body=body, durable=True, id=name))
        check_equal(peer.outcome(sent), ACCEPTED, "the outcome of %s" % body)
    put("m-1", 0)
    put("m-2", 1)
    put("m-1", 2)
    check_equal(bodies(read_all(peer, "once", 2)), [0, 1], "what was enqueued")
    settle_down()
    broker.kill()
    peer.drop()
    broker.start()
    peer = Peer(broker.port)
    sender = peer.sender("once")
    put("m-2", 3)
    put("m-3", 4)
    check_equal(bodies(read_all(peer, "once", 1)), [4], "after the kill")
    check(peer.is_empty("once"), "a copy was enqueued")


def put_value(peer, address, key, body, **how):
    sender = peer.sender(address)
    peer.put(sender, Message(body=body, durable=True, properties={"_AMQ_LVQ_NAME": key}, **how))


@case("last value: one message a key, over a kill too; what is held does not come back", CONFIG)
def _(env):
    from peer import Peer
    broker = env.another_broker(config=CONFIG).start()
    peer = Peer(broker.port)
    put_value(peer, "prices", "acme", 0)
    link = peer.receiver("prices", credit=1)
    held = peer.receive(link)
    for body, key in enumerate(["acme", "bolt", "acme", "core", "bolt"], 1):
        put_value(peer, "prices", key, body)
    held.outcome(RELEASED)
    peer.detach(link)
    browser = peer.receiver("prices", credit=10, copy=True)
    check_equal(bodies(peer.receive_all(browser, 3)), [3, 4, 5], "what a browser sees")
    broker.kill()
    peer.drop()
    broker.start()
    peer = Peer(broker.port)
    put_value(peer, "prices", "core", 6)
    check_equal(bodies(read_all(peer, "prices", 3)), [3, 5, 6], "after the kill")
    check(peer.is_empty("prices"), "an outdated message is still there")


@case("single active consumer: the next takes over when the first has gone", CONFIG)
def _(env):
    peer = env.peer()
    first = peer.receiver("single", credit=10)
    other = env.peer()
    second = other.receiver("single", credit=10)
    put_all(peer, "single", 4)
    got = peer.receive_all(first, 4)
    settle_down()
    check_equal(len(other.inbox[second.name]), 0, "deliveries to the one that waits")
    got[0].accept()
    settle_down()
    peer.drop()
    check_equal(bodies(other.receive_all(second, 3)), [1, 2, 3], "what the next gets")


@case("exclusive consumer: the second is refused, a browser is not", CONFIG)
def _(env):
    peer = env.peer()
    first = peer.receiver("one")
    second = peer.receiver("one", wait_open=False)
    peer.wait_refused(second, "amqp:resource-locked")
    browser = peer.receiver("one", copy=True)
    settle_down()
    check(not peer.is_refused(browser), "the browser was refused")
    peer.detach(first)
    third = peer.receiver("one")
    settle_down()
    check(not peer.is_refused(third), "the next was refused too")


@case("consumer priority: the higher is served while it has credit", "workers = 1\n")
def _(env):
    peer = env.peer()
    address = env.address()

    def of(priority):
        def configure(link):
            link.properties = {symbol("rabbitmq:priority"): priority}
        return configure
    low = peer.receiver(address, credit=5, configure=of(-1))
    high = peer.receiver(address, credit=5, configure=of(10))
    settle_down()
    put_all(peer, address, 8)
    check_equal(bodies(peer.receive_all(high, 5)), [0, 1, 2, 3, 4], "for the higher")
    check_equal(bodies(peer.receive_all(low, 3)), [5, 6, 7], "for the lower")


@case("delivery delay: a message waits, over a kill too, and a retry rests when it is told to")
def _(env):
    from peer import Peer
    broker = env.another_broker(config="").start()
    peer = Peer(broker.port)
    check("DELAYED_DELIVERY" in (peer.connection.remote_offered_capabilities or []),
          "DELAYED_DELIVERY is not offered")
    sender = peer.sender("later")
    for body, delay in (("long", 3600 * 1000), ("short", 400), ("none", 0)):
        notes = {symbol("x-opt-delivery-delay"): delay} if delay else None
        peer.put(sender, Message(body=body, durable=True, annotations=notes))
    link = peer.receiver("later", credit=10)
    check_equal(peer.receive(link).body, "none", "what comes at once")
    broker.kill()
    peer.drop()
    broker.start()
    peer = Peer(broker.port)
    link = peer.receiver("later", credit=10)
    check_equal(sorted(bodies(peer.receive_all(link, 2))), ["none", "short"], "after the kill")
    settle_down()
    check_equal(len(peer.inbox[link.name]), 0, "what came before its time")
    sender = peer.sender("retry")
    peer.put(sender, Message(body="again", durable=True))
    link = peer.receiver("retry", credit=10)
    peer.receive(link).outcome(MODIFIED, failed=True,
                               annotations={symbol("x-opt-delivery-delay"): 1000})
    settle_down()
    check_equal(len(peer.inbox[link.name]), 0, "retries before their time")
    check_equal(peer.receive(link).body, "again", "the retry")


def put_group(peer, address, *bodies, **how):
    """Bodies are texts: the first letter is the group; in small letters there is none."""
    sender = peer.sender(address)
    for body in bodies:
        group = {"group_id": body[0]} if body[0].isupper() else {}
        peer.put(sender, Message(body=body, durable=True, **group, **how))


def taken(link, peer):
    """The bodies with a group that have come and were not asked for yet."""
    return [body for body in bodies(peer.inbox[link.name]) if body[0].isupper()]


def tell(received, state=ACCEPTED):
    """Tells outcomes, and waits until the broker has heard them."""
    for one in received:
        one.outcome(state, settle=False)
    wait(lambda: all(one.delivery.settled for one in received), "the broker's settling")
    for one in received:
        one.delivery.settle()


@case("message groups: one consumer each, in order; when it goes the next has all of it", CONFIG)
def _(env):
    from peer import Peer
    broker = env.another_broker(config=CONFIG).start()
    peer, other = Peer(broker.port), Peer(broker.port)
    first = peer.receiver("groups", credit=3)
    settle_down()
    producer = Peer(broker.port)
    put_group(producer, "groups", "A1", "A2", "A3", "A4")
    got = peer.receive_all(first, 3)
    second = other.receiver("groups", credit=20)
    put_group(producer, "groups", "B1", "x1", "A5", "B2")
    check_equal(bodies(other.receive_all(second, 3)), ["B1", "x1", "B2"], "for the second")
    tell(got[:1])
    tell(got[2:], RELEASED)
    settle_down()
    check_equal(taken(second, other), [], "for the second while the first is there")
    peer.drop()
    check_equal(bodies(other.receive_all(second, 4)), ["A2", "A3", "A4", "A5"],
                "what the second gets when the first has gone")
    other.drop()
    producer.drop()
    broker.kill()
    broker.start()
    peer = Peer(broker.port)
    check_equal(bodies(read_all(peer, "groups", 7)), ["A2", "A3", "A4", "B1", "x1", "A5", "B2"],
                "after the kill")
    check(peer.is_empty("groups"), "something is left")


@case("message groups: with group-rebalance a consumer that comes gets its share", CONFIG)
def _(env):
    peer, other = env.peer(), env.peer()
    first = peer.receiver("shared", credit=1000)
    settle_down()
    put_group(peer, "shared", "A1", "B1", "C1")
    held = peer.receive_all(first, 3)
    tell(held[:2])
    second = other.receiver("shared", credit=20)
    sender = peer.sender("shared")
    for _ in range(900):  # until one without a group comes to it: the queue has its credit
        if other.inbox[second.name]:
            break
        peer.put(sender, Message(body="x"))
    check(other.inbox[second.name], "the second gets nothing")
    put_group(peer, "shared", "C2", "A2", "B2", "A3", "B3")
    wait(lambda: len(taken(first, peer) + taken(second, other)) >= 4, "four messages")
    settle_down()
    all_of = taken(first, peer), taken(second, other)
    check_equal(sorted(all_of[0] + all_of[1]), ["A2", "A3", "B2", "B3"], "while C is held")
    check(all_of[0] and all_of[1], "one consumer has all: %r" % (all_of,))
    for part in all_of:
        check_equal(len({body[0] for body in part}), 1, "groups of one consumer")
    held[2].accept()
    wait(lambda: "C2" in taken(first, peer) + taken(second, other), "C2")
    for box in (peer.inbox[first.name], other.inbox[second.name]):
        for one in box:
            one.accept()
    settle_down()


@case("message groups: the first of each is marked, and the last one by its sender's word", CONFIG)
def _(env):
    peer, other = env.peer(), env.peer()
    first = peer.receiver("groups", credit=2)
    settle_down()
    put_group(peer, "groups", "A1")
    put_group(peer, "groups", "A2", group_sequence=0xffffffff)
    got = peer.receive_all(first, 2)
    second = other.receiver("groups", credit=10)
    put_group(peer, "groups", "A3", "A4")
    settle_down()
    check_equal(taken(second, other), [], "for the second while the first holds some")
    for one in got:
        one.accept()
    got += other.receive_all(second, 2)
    marks = [bool((one.message.annotations or {}).get("x-opt-group-first")) for one in got]
    check_equal(list(zip(bodies(got), marks)),
                [("A1", True), ("A2", False), ("A3", True), ("A4", False)], "marks")
    for one in got[2:]:
        one.accept()
