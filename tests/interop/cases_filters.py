# SPDX-License-Identifier: Apache-2.0
"""Filters: selectors, SQL, property filters and no-local, on queues and on browsers."""
from proton import Described, Message, symbol, ulong

from case import collector
from peer import RELEASED, check, check_equal, wait

CASES, case = collector()

SELECTOR = symbol("apache.org:selector-filter:string")


def filtered(**filters):
    """Puts a filter-set into a source before it is sent; `_` in keys stands for `-`."""
    entries = {symbol(key.replace("_", "-")): value for key, value in filters.items()}
    return lambda link: link.source.filter.put_dict(entries)


def in_force(link):
    """What the broker says that it applies, by key."""
    data = link.remote_source.filter
    data.rewind()
    if not data.next():
        return {}
    return {str(key): value for key, value in (data.get_object() or {}).items()}


def fill(env, peer):
    """Six messages, red and blue by turns, sized 0 to 5."""
    address = env.address()
    sender = peer.sender(address)
    for i in range(6):
        peer.put(sender, Message(body=i, subject="s%d" % (i % 3), durable=i % 2 == 0,
                                 properties={"color": ["red", "blue"][i % 2], "size": i}))
    return address


def bodies(peer, link):
    return [one.body for one in peer.drain(link)]


FORMS = [
    ("a selector as Proton sends it", dict(selector=Described(SELECTOR, "color = 'red'"))),
    ("a selector as Qpid JMS sends it",
     dict(jms_selector=Described(ulong(0x468C00000004), "color = 'red'"))),
    ("SQL", dict(sql_filter=Described(symbol("amqp:sql-filter"), "a.color = 'red' AND p.subject "
                                      "LIKE 's_'"))),
    ("a property filter", dict(f=Described(ulong(0x174), {symbol("color"): "&p:re"}))),
    ("two filters", dict(a=Described(SELECTOR, "size < 5"),
                         b=Described(ulong(0x174), {symbol("color"): "red"}))),
]


@case("filters choose what a browser and a consumer get, in every form, and are echoed")
def _(env):
    peer = env.peer()
    for what, filters in FORMS:
        address = fill(env, peer)
        for copy in (True, False):
            link = peer.receiver(address, copy=copy, configure=filtered(**filters))
            check_equal(sorted(in_force(link)), sorted(k.replace("_", "-") for k in filters),
                        "the echo of " + what)
            got = peer.drain(link)
            check_equal([one.body for one in got], [0, 2, 4], what + ", copy=%s" % copy)
            if not copy:
                for one in got:
                    one.accept()
            peer.detach(link)
        rest = peer.receiver(address)
        wait(lambda: bodies(peer, rest) == [1, 3, 5], "the others")


@case("a selective consumer gets what comes later, others get the rest")
def _(env):
    peer, other = env.peer(), env.peer()
    address = env.address()
    red = peer.receiver(address, credit=10,
                        configure=filtered(selector=Described(SELECTOR, "color = 'red'")))
    big = other.receiver(address, credit=10,
                         configure=filtered(selector=Described(SELECTOR, "size > 3 AND "
                                                               "color <> 'red'")))
    sender = peer.sender(address)
    for i in range(6):
        peer.put(sender, Message(body=i, properties={"color": ["red", "blue"][i % 2], "size": i}))
    check_equal([peer.receive(red).body for _ in range(3)], [0, 2, 4], "red")
    check_equal(other.receive(big).body, 5, "big and blue")
    rest = peer.receiver(address)
    check_equal(bodies(peer, rest), [1, 3], "the rest")


@case("what a selective consumer releases is there for others")
def _(env):
    peer = env.peer()
    address = fill(env, peer)
    link = peer.receiver(address, credit=3,
                         configure=filtered(selector=Described(SELECTOR, "color = 'red'")))
    got = [peer.receive(link) for _ in range(3)]
    for one in got:
        one.outcome(RELEASED)
    peer.detach(link)
    rest = peer.receiver(address)
    check_equal(bodies(peer, rest), [0, 1, 2, 3, 4, 5], "all, in order")


@case("a filter that is wrong refuses the link and says where")
def _(env):
    peer = env.peer()
    address = env.address()
    for text, where in (("color = ", "character 9"), ("(a = 1", "character 7"),
                        ("5", "character 1")):
        link = peer.receiver(address, wait_open=False,
                             configure=filtered(selector=Described(SELECTOR, text)))
        wait(lambda: peer.is_refused(link), "the refusal of " + text)
        check_equal(peer.why_refused(link), "amqp:invalid-field", "why")
        check(where in link.remote_condition.description,
              "the position is not in: " + link.remote_condition.description)
    link = peer.receiver(address, wait_open=False, configure=filtered(
        f=Described(ulong(0x173), {symbol("colour"): "x"})))
    wait(lambda: peer.is_refused(link), "the refusal of an unknown field")
    check_equal(peer.why_refused(link), "amqp:invalid-field", "why")


@case("a filter of an unknown kind is not echoed")
def _(env):
    peer = env.peer()
    address = fill(env, peer)
    link = peer.receiver(address, copy=True, configure=filtered(
        known=Described(SELECTOR, "color = 'red'"), other=Described(symbol("x:y"), "z")))
    check_equal(list(in_force(link)), ["known"], "the echo")
    check_equal(bodies(peer, link), [0, 2, 4], "what the known one lets pass")
    plain = peer.receiver(address, copy=True)
    check_equal(in_force(plain), {}, "the echo of none")


@case("no-local keeps a connection's own messages from it, in both forms")
def _(env):
    peer, other = env.peer(), env.peer()
    for body in ([], "NoLocalFilter{}"):
        address = env.address()
        link = peer.receiver(address, configure=filtered(
            no_local=Described(ulong(0x468C00000003), body)))
        check_equal(list(in_force(link)), ["no-local"], "the echo")
        peer.put(peer.sender(address), Message(body="own"))
        other.put(other.sender(address), Message(body="other"))
        check_equal(bodies(peer, link), ["other"], "with no-local")
        check_equal(bodies(other, other.receiver(address)), ["own"], "without")


@case("a hundred consumers with a filter each get their own")
def _(env):
    peer, sending = env.peer(), env.peer()
    address = env.address()
    links = [peer.receiver(address, credit=3, configure=filtered(
        selector=Described(SELECTOR, "customer = %d" % i))) for i in range(100)]
    sender = sending.sender(address)
    sent = [sending.send(sender, Message(body=i, properties={"customer": i % 100}))
            for i in range(300)]
    for one in sent:
        sending.outcome(one)
    for i, link in enumerate(links):
        check_equal([peer.receive(link).body for _ in range(3)], [i, i + 100, i + 200],
                    "customer %d" % i)
