# SPDX-License-Identifier: Apache-2.0
"""Who may come in and what they may do: SASL [5.3], permissions."""
import time

from proton import Message, symbol, uint

from broker_process import password_lines
from case import collector
from peer import ACCEPTED, REJECTED, check, check_equal, wait

CASES, case = collector()


def users(binary):
    """alice may do everything, bob uses `shared-*` without making anything, carol nothing."""
    return "\n".join([
        '[[queue]]', 'name = "shared-a"', '[[queue]]', 'name = "private"',
        '[[user]]', 'name = "alice"', password_lines(binary, "wonder land"),
        'configure = ["*"]', 'send = ["*"]', 'receive = ["*"]', 'manage = ["*"]',
        '[[user]]', 'name = "bob"', password_lines(binary, "builder"),
        'send = ["shared-*"]', 'receive = ["shared-*"]',
        '[[user]]', 'name = "carol"', password_lines(binary, "carol")]) + "\n"


@case("without users: ANONYMOUS, and bare AMQP without SASL")
def _(env):
    for how in ({"sasl": "ANONYMOUS"}, {"sasl": None}):
        peer = env.peer(**how)
        peer.put(peer.sender(env.address()), Message(body="x"))
        peer.close()


def login(env, user, password):
    began = time.monotonic()
    peer = env.peer(user=user, password=password, sasl="PLAIN", open=False)
    wait(lambda: peer.is_open() or peer.is_closed(), "an answer to the login")
    return peer, time.monotonic() - began


@case("PLAIN: a good password comes in, a bad one is refused after a second", config=users)
def _(env):
    peer, took = login(env, "alice", "wonder land")
    check(not peer.is_closed(), "alice was refused: %s" % peer.why_closed())
    peer.put(peer.sender("shared-a"), Message(body="x"))
    for user, password in (("alice", "wonder lane"), ("alice", ""), ("nobody", "wonder land")):
        peer, took = login(env, user, password)
        check(peer.is_closed(), "%s came in with %r" % (user, password))
        check_equal(peer.why_closed(), "amqp:unauthorized-access", "what Proton makes of it")
        check(took >= 1.0, "refused after %.3f s" % took)
    peer, took = login(env, "bob", "builder")
    check(not peer.is_closed(), "bob was refused: %s" % peer.why_closed())
    env.note("a good login takes %.0f ms" % (took * 1000))


@case("with users: ANONYMOUS and bare AMQP are not let in", config=users)
def _(env):
    for how in ({"sasl": "ANONYMOUS"}, {"sasl": None}):
        peer = env.peer(open=False, **how)
        wait(peer.is_closed, "the refusal")


@case("permissions: attach without send or receive is refused with unauthorized-access",
      config=users)
def _(env):
    bob, _ = login(env, "bob", "builder")
    sender = bob.sender("shared-a")
    receiver = bob.receiver("shared-a", credit=1)
    bob.put(sender, Message(body="x"))
    bob.receive(receiver).accept()
    for address in ("private", "/queues/private"):
        bob.wait_refused(bob.sender(address, wait_open=False), "amqp:unauthorized-access")
        bob.wait_refused(bob.receiver(address, wait_open=False), "amqp:unauthorized-access")
    carol, _ = login(env, "carol", "carol")
    carol.wait_refused(carol.sender("shared-a", wait_open=False), "amqp:unauthorized-access")
    carol.wait_refused(carol.receiver("shared-a", wait_open=False), "amqp:unauthorized-access")


@case("permissions: auto-create and dynamic nodes need configure", config=users)
def _(env):
    bob, _ = login(env, "bob", "builder")
    bob.wait_refused(bob.sender("shared-new", wait_open=False), "amqp:unauthorized-access")
    bob.wait_refused(bob.receiver(dynamic=True, wait_open=False), "amqp:unauthorized-access")
    alice, _ = login(env, "alice", "wonder land")
    alice.receiver(dynamic=True)
    alice.sender("shared-new")
    bob.sender("shared-new")


@case("permissions: the `to` of each message is checked", config=users)
def _(env):
    bob, _ = login(env, "bob", "builder")
    anonymous = bob.sender(None)
    check_equal(bob.outcome(bob.send(anonymous, Message(address="shared-a", body="x"))), ACCEPTED,
                "a queue that bob may send to")
    for address in ("private", "/queues/private", "shared-not-there"):
        check_equal(bob.outcome(bob.send(anonymous, Message(address=address, body="x"))), REJECTED,
                    "a message to " + address)
        check_equal(bob.condition, "amqp:unauthorized-access", "why")


def sole(env, container, policy=None, **how):
    """A connection that wants to be the only one of its container."""
    properties = {symbol("sole-connection-enforcement-policy"): uint(policy)} if policy else None
    return env.peer(container_id=container, desired=symbol("sole-connection-for-container"),
                    properties=properties, **how)


@case("a second connection of a container that wants one is refused, until the first has gone")
def _(env):
    container = env.address("container")
    first = sole(env, container)
    offered = first.connection.remote_offered_capabilities
    check("sole-connection-for-container" in list(offered), "the capability is not offered")
    for second in (sole(env, container, open=False), env.peer(container_id=container, open=False)):
        wait(second.is_closed, "the refusal")
        told = second.connection.remote_properties
        check_equal(told.get("amqp:connection-establishment-failed"), True, "the open's property")
        check_equal(second.why_closed(), "amqp:invalid-field", "why")
        info = second.connection.remote_condition.info
        check_equal(info, {"invalid-field": "container-id"}, "the field")
    first.put(first.sender(env.address()), Message(body="x"))
    first.close()
    for how in range(20):  # at once, also when the first went without a word
        peer = sole(env, container)
        if how % 2:
            peer.close()
        else:
            peer.drop()
            env.peer(container_id=env.address("other")).close()
            wait(lambda: not is_refused_at_first(env, container), "room for the next one")


def is_refused_at_first(env, container):
    peer = sole(env, container, open=False)
    wait(lambda: peer.is_open() or peer.is_closed(), "an answer")
    told = peer.connection.remote_properties or {}
    refused = bool(told.get("amqp:connection-establishment-failed"))
    if refused:
        peer.drop()
    else:
        peer.close()
    return refused


@case("a connection that closes others of its container takes their place")
def _(env):
    container, address = env.address("container"), env.address()
    first = env.peer(container_id=container)
    held = first.receiver(address, credit=1, name="link")
    first.put(first.sender(address), Message(body="x"))
    first.receive(held)
    second = sole(env, container, policy=1)
    wait(first.is_closed, "the close of the first")
    check_equal(first.why_closed(), "amqp:resource-locked", "why")
    check_equal(second.receive(second.receiver(address, credit=1, name="link")).body, "x",
                "what the first has held")


@case("many logins at once neither block each other nor other traffic", config=users)
def _(env):
    began = time.monotonic()
    bad = [env.peer(user="alice", password="no %d" % i, sasl="PLAIN", open=False)
           for i in range(20)]
    alice, took = login(env, "alice", "wonder land")
    check(not alice.is_closed(), "alice was refused")
    sender = alice.sender("shared-a")
    for _ in range(20):
        alice.put(sender, Message(body="x"))
    check(took < 5.0, "a good login took %.1f s beside 20 bad ones" % took)
    wait(lambda: all(p.is_closed() for p in bad), "20 refusals")
    env.note("20 bad logins refused within %.1f s" % (time.monotonic() - began))
