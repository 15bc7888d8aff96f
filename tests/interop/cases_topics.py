# SPDX-License-Identifier: Apache-2.0
"""Exchanges, topics and subscriptions, as Proton and, by the same frames, Qpid JMS use them."""
from proton import Endpoint, Message, Terminus

from case import collector
from peer import (ACCEPTED, RELEASED, check, check_equal, settle_down, wait)

CASES, case = collector()

EXCHANGES = """
[[queue]]
name = "paid"

[[queue]]
name = "all"

[[queue]]
name = "stray"

[[queue]]
name = "red"

[[exchange]]
name = "strays"
type = "fanout"
bindings = [{queue = "stray"}]

[[exchange]]
name = "shop"
type = "topic"
alternate = "strays"
bindings = [
  {queue = "paid", key = "order.*.paid"},
  {queue = "all", key = "order.#"},
  {exchange = "colours", key = "order.1.#"},
]

[[exchange]]
name = "colours"
type = "headers"
bindings = [{queue = "red", arguments = {colour = "red"}}, {exchange = "shop"}]

[[exchange]]
name = "strict"
type = "direct"
bindings = [{queue = "paid", key = "k"}]

[[exchange]]
name = "inner"
internal = true
"""


def lasting():
    """What a receiver's source says that wants to be found again."""
    def configure(link):
        link.source.durability = Terminus.DELIVERIES
        link.source.expiry_policy = Terminus.EXPIRE_NEVER
        link.source.distribution_mode = Terminus.DIST_MODE_COPY
    return configure


def symbols(data):
    data.rewind()
    return [str(one) for one in data.get_py_array().elements] if data.next() else []


def bodies(messages):
    return [one.body for one in messages]


def take(peer, link, count):
    got = peer.receive_all(link, count)
    for one in got:
        one.accept(settle=False)
    wait(lambda: all(one.delivery.settled for one in got), "the settled answers")
    for one in got:
        one.delivery.settle()
    return bodies(got)


def leave(peer, link):
    """Detaches without closing: the terminus stays."""
    link.detach()
    settle_down(0.1)


@case("topic: every subscriber gets a copy, each by its own pattern")
def _(env):
    peer, other = env.peer(), env.peer()
    topic = env.address("t")
    exact = peer.receiver("/topics/%s.a.b" % topic, credit=10)
    star = other.receiver("topic://%s.a.*" % topic, credit=10)
    many = other.receiver("%s.#" % topic, credit=10, capabilities=["topic"])
    check_equal(exact.remote_source.address, "/topics/%s.a.b" % topic, "the echoed address")
    for name, body in ((".a.b", "1"), (".a.c", "2"), (".d", "3")):
        peer.put(peer.sender("/topics/%s%s" % (topic, name)), Message(body=body, durable=True))
    check_equal(bodies(peer.receive_all(exact, 1)), ["1"], "by the exact name")
    check_equal(bodies(other.receive_all(star, 2)), ["1", "2"], "by *")
    check_equal(bodies(other.receive_all(many, 3)), ["1", "2", "3"], "by #")
    settle_down()
    check_equal(peer.inbox[exact.name] + other.inbox[star.name], [], "what came besides")


@case("topic: without subscribers messages are accepted, and nobody gets them later")
def _(env):
    peer = env.peer()
    topic = env.address("t")
    peer.put(peer.sender("/topics/" + topic), Message(body="early", durable=True))
    link = peer.receiver("/topics/" + topic, credit=5)
    peer.put(peer.sender("topic://" + topic), Message(body="late", durable=True))
    check_equal(take(peer, link, 1), ["late"], "what came")


@case("topic: 500 durable messages reach 5 subscribers in order, by `to` and by link")
def _(env):
    peer = env.peer()
    topic = env.address("t")
    links = [env.peer() for _ in range(5)]
    links = [(p, p.receiver("/topics/" + topic, credit=1000)) for p in links]
    fixed, relay = peer.sender("/topics/" + topic), peer.sender(None)
    by_link = [peer.send(fixed, Message(body="l%d" % i, durable=True)) for i in range(250)]
    by_to = [peer.send(relay, Message(address="/topics/" + topic, body="r%d" % i,
                                      durable=i % 3 > 0)) for i in range(250)]
    for one in by_link + by_to:
        check_equal(peer.outcome(one), ACCEPTED, "the outcome of a send")
    for receiver, link in links:
        got = bodies(receiver.receive_all(link, 500))
        check_equal([b for b in got if b[0] == "l"], ["l%d" % i for i in range(250)], "by link")
        check_equal([b for b in got if b[0] == "r"], ["r%d" % i for i in range(250)], "by to")


@case("topic: a subscription goes with its link")
def _(env):
    peer = env.peer()
    topic = env.address("t")
    link = peer.receiver("/topics/" + topic, credit=0, name="same")
    peer.put(peer.sender("/topics/" + topic), Message(body="1"))
    peer.detach(link)
    again = peer.new_session().receiver("same")
    again.source.address = "/topics/" + topic
    peer.inbox["same"] = []
    again.open()
    peer.wait_open(again)
    check_equal(peer.drain(again), [], "what the next link finds")


@case("topic: a temporary one, as JMS makes it")
def _(env):
    client, other = env.peer(), env.peer()
    maker = client.sender(dynamic=True, capabilities=["temporary-topic"], wait_credit=False,
                          name="qpid-jms:temp-topic-creator:1")
    name = maker.remote_target.address
    one = client.receiver(name, credit=5, capabilities=["temporary-topic"])
    two = client.receiver(name, credit=5, capabilities=["temporary-topic"])
    other.put(other.sender(name, capabilities=["temporary-topic"]), Message(body="hello"))
    check_equal(bodies(client.receive_all(one, 1) + client.receive_all(two, 1)),
                ["hello", "hello"], "what the subscribers got")


@case("exchange: messages go where bindings say, by key, subject and properties",
      config=EXCHANGES)
def _(env):
    peer = env.peer()
    shop = peer.sender("/exchanges/shop")
    peer.put(shop, Message(body="1", subject="order.7.paid", durable=True))
    peer.put(shop, Message(body="2", subject="order.7.sent", durable=True))
    peer.put(shop, Message(body="3", subject="bill", durable=True))
    peer.put(peer.sender("/exchanges/shop/order.1.paid"),
             Message(body="4", durable=True, properties={"colour": "red"}))
    relay = peer.sender(None)
    peer.put(relay, Message(address="/exchanges/shop/order.1.x", body="5", durable=True,
                            properties={"colour": "blue"}))
    for queue, want in (("paid", ["1", "4"]), ("all", ["1", "2", "4", "5"]), ("stray", ["3"]),
                        ("red", ["4"])):
        check_equal(take(peer, peer.receiver(queue, credit=10), len(want)), want, queue)


@case("exchange: what no binding matches is released, what is not there refused",
      config=EXCHANGES)
def _(env):
    peer = env.peer()
    strict = peer.sender("/exchanges/strict")
    check_equal(peer.outcome(peer.send(strict, Message(body="x", subject="none"))), RELEASED,
                "without a binding")
    check_equal(peer.outcome(peer.send(strict, Message(body="x"))), RELEASED, "without a subject")
    check_equal(peer.outcome(peer.send(strict, Message(body="x", subject="k"))), ACCEPTED, "bound")
    relay = peer.sender(None)
    for address in ("/exchanges/strict/none", "/exchanges/amq.topic/none"):
        check_equal(peer.outcome(peer.send(relay, Message(address=address, body="x"))), RELEASED,
                    address)
    link = peer.sender("/exchanges/inner", wait_open=False)
    peer.wait_refused(link, "amqp:not-allowed")
    # The default exchange knows queues by their names.
    default = peer.sender("/exchanges/amq.default")
    check_equal(peer.outcome(peer.send(default, Message(body="y", subject="paid"))), ACCEPTED,
                "a queue's name")
    check_equal(peer.outcome(peer.send(default, Message(body="y", subject="none"))), RELEASED,
                "nobody's name")
    check_equal(take(peer, peer.receiver("paid", credit=5), 2), ["x", "y"], "what is there")


@case("exchange: a consumer gets a subscription to it", config=EXCHANGES)
def _(env):
    peer = env.peer()
    link = peer.receiver("/exchanges/shop/order.9.%23", credit=5)
    every = peer.receiver("shop", credit=5)
    peer.put(peer.sender("/exchanges/shop/order.9.a"), Message(body="1"))
    peer.put(peer.sender("/exchanges/shop/order.8.a"), Message(body="2"))
    check_equal(take(peer, link, 1), ["1"], "by its key")
    check_equal(take(peer, every, 2), ["1", "2"], "all")


@case("subscription: a durable one collects while its consumer is away, over a kill too",
      alone=True)
def _(env):
    topic = env.address("t")
    peer = env.peer(container_id="reader")
    link = peer.receiver("/topics/" + topic, name="news", configure=lasting(), credit=1)
    check_equal(link.remote_source.durability, Terminus.DELIVERIES, "the durability in force")
    check_equal(link.remote_source.expiry_policy, Terminus.EXPIRE_NEVER, "the expiry in force")
    sender = env.peer()
    sender.put(sender.sender("/topics/" + topic), Message(body="1", durable=True))
    check_equal(take(peer, link, 1), ["1"], "while attached")
    leave(peer, link)
    sender.put(sender.sender("/topics/" + topic), Message(body="2", durable=True))
    peer.drop()
    sender.put(sender.sender("/topics/" + topic), Message(body="3", durable=True))
    env.broker.kill()
    env.broker.start()
    sender = env.peer()
    sender.put(sender.sender("/topics/" + topic), Message(body="4", durable=True))
    peer = env.peer(container_id="reader")
    link = peer.receiver("/topics/" + topic, name="news", configure=lasting(), credit=10)
    check_equal(take(peer, link, 3), ["2", "3", "4"], "after the restart")
    stranger = env.peer(container_id="stranger")
    other = stranger.receiver("/topics/" + topic, name="news", configure=lasting(), credit=10)
    settle_down()
    check_equal(stranger.inbox[other.name], [], "what another container gets")


@case("subscription: closing its link ends it; another address replaces it")
def _(env):
    topic = env.address("t")
    sender = env.peer()
    peer = env.peer(container_id=topic)

    def attach(address):
        return peer.receiver(address, name="news-" + topic, configure=lasting())
    leave(peer, attach("/topics/%s.a" % topic))
    peer.drop()
    sender.put(sender.sender("/topics/%s.a" % topic), Message(body="old", durable=True))
    peer = env.peer(container_id=topic)
    link = attach("/topics/%s.b" % topic)
    check_equal(peer.drain(link), [], "what is left of the replaced one")
    peer.detach(link)
    sender.put(sender.sender("/topics/%s.b" % topic), Message(body="none", durable=True))
    peer.close()
    peer = env.peer(container_id=topic)
    check_equal(peer.drain(attach("/topics/%s.b" % topic)), [], "what is left of the closed one")


@case("subscription: a second link of the name takes it over")
def _(env):
    topic = env.address("t")
    one, two = env.peer(container_id=topic), env.peer(container_id=topic)
    first = one.receiver("/topics/" + topic, name="news", configure=lasting(), credit=10)
    sender = env.peer()
    sender.put(sender.sender("/topics/" + topic), Message(body="1", durable=True))
    one.receive(first)
    second = two.receiver("/topics/" + topic, name="news", configure=lasting(), credit=10)
    one.wait_refused(first, "amqp:link:stolen")
    check_equal(take(two, second, 1), ["1"], "what the first had not settled")


@case("subscription: shared by two links, by name and number; global by two containers")
def _(env):
    topic = env.address("t")
    sender = env.peer()
    for capabilities, names, containers in (
            (["shared", "topic"], ("work", "work|2"), (topic, topic)),
            (["shared", "global", "topic"], ("all|global", "all|global"),
             (topic + "x", topic + "y"))):
        peers = [env.peer(container_id=c) for c in containers]
        links = [p.receiver(topic, name=n, configure=lasting(), credit=50,
                            capabilities=capabilities) for p, n in zip(peers, names)]
        have = symbols(links[0].remote_source.capabilities)
        check_equal(sorted(have), sorted(capabilities), "the capabilities in force")
        target = sender.sender(topic, capabilities=["topic"])
        for i in range(20):
            sender.put(target, Message(body=str(i), durable=True))
        wait(lambda: sum(len(p.inbox[l.name]) for p, l in zip(peers, links)) >= 20, "20 messages")
        got = [bodies(p.inbox[l.name]) for p, l in zip(peers, links)]
        check_equal(sorted(got[0] + got[1], key=int), [str(i) for i in range(20)], "all of them")
        check(got[0] and got[1], "one of the two got everything: %r" % got)
        for peer in peers:
            peer.drop()


@case("subscription: shared and volatile, gone with the last of its links")
def _(env):
    topic = env.address("t")
    peer, sender = env.peer(), env.peer()
    links = [peer.receiver(topic, name="v|volatile%d" % i, capabilities=["shared", "topic"],
                           credit=5) for i in (1, 2)]
    target = sender.sender(topic, capabilities=["topic"])
    for i in range(4):
        sender.put(target, Message(body=str(i)))
    wait(lambda: sum(len(peer.inbox[l.name]) for l in links) >= 4, "4 messages")
    for link in links:
        peer.detach(link)
    again = peer.receiver(topic, name="v|volatile3", capabilities=["shared", "topic"])
    check_equal(peer.drain(again), [], "what the next one finds")


@case("unsubscribe: an attach without source shows the subscription, its close ends it")
def _(env):
    topic = env.address("t")
    peer, sender = env.peer(container_id=topic), env.peer()
    leave(peer, peer.receiver("/topics/" + topic, name="news", configure=lasting()))
    target = sender.sender("/topics/" + topic)
    sender.put(target, Message(body="1", durable=True))
    session = peer.new_session()
    link = session.receiver("news")
    link.source.type = Terminus.UNSPECIFIED
    peer.inbox[link.name] = []
    link.open()
    peer.wait_open(link)
    check_equal(link.remote_source.address, "/topics/" + topic, "the address in the reply")
    check_equal(link.remote_source.expiry_policy, Terminus.EXPIRE_NEVER, "the expiry in the reply")
    link.close()
    wait(lambda: link.state & Endpoint.REMOTE_CLOSED, "the answer to close")
    check_equal(peer.why_refused(link), None, "an error")
    gone = peer.new_session().receiver("news")
    gone.source.type = Terminus.UNSPECIFIED
    gone.open()
    peer.wait_refused(gone, "amqp:not-found")
    again = peer.new_session().receiver("news")
    again.source.address = "/topics/" + topic
    lasting()(again)
    peer.inbox[again.name] = []
    again.open()
    peer.wait_open(again)
    check_equal(peer.drain(again), [], "what is left")


@case("unsubscribe: with a consumer it is an error, and nothing ends")
def _(env):
    topic = env.address("t")
    peer, sender = env.peer(container_id=topic), env.peer()
    link = peer.receiver("/topics/" + topic, name="news", configure=lasting(), credit=5)
    other = env.peer(container_id=topic)
    ending = other.session.receiver("news")
    ending.source.type = Terminus.UNSPECIFIED
    ending.open()
    other.wait_open(ending)
    ending.close()
    wait(lambda: ending.state & Endpoint.REMOTE_CLOSED, "the answer to close")
    check_equal(other.why_refused(ending), "amqp:resource-locked", "the error")
    sender.put(sender.sender("/topics/" + topic), Message(body="1", durable=True))
    check_equal(take(peer, link, 1), ["1"], "what still comes")


SECURE = """
[[user]]
name = "anonymous"
send = ["news.*"]
receive = ["news.*"]
configure = ["subscription.*"]
"""


@case("topic: permissions are those of its name, wildcards and all", config=SECURE)
def _(env):
    peer = env.peer()
    peer.receiver("/topics/news.%23")
    peer.receiver("/topics/news.a", name="d", configure=lasting())
    peer.sender("/topics/news.a")
    for link in (peer.receiver("/topics/%23", wait_open=False),
                 peer.receiver("/topics/other", wait_open=False),
                 peer.receiver("/exchanges/amq.topic/news.a", wait_open=False),
                 peer.sender("/topics/other", wait_open=False),
                 peer.sender("/exchanges/amq.topic", wait_open=False)):
        peer.wait_refused(link, "amqp:unauthorized-access")
