# SPDX-License-Identifier: Apache-2.0
"""Links: addresses, temporary nodes, request and reply, refusals, many of them, shutdown."""
import signal
import time

from proton import Endpoint, Message, Terminus

from broker_process import StartFailed
from case import collector
from peer import ACCEPTED, REJECTED, Failed, check, check_equal, settle_down, wait

CASES, case = collector()


@case("request and reply over a dynamic node and the anonymous terminus")
def _(env):
    client, server = env.peer(), env.peer()
    address = env.address("requests")
    requests = server.receiver(address, credit=10)
    replies = server.sender(None)
    back = client.receiver(dynamic=True, credit=10)
    reply_to = back.remote_source.address
    check(reply_to, "the reply to attach names no address")
    ask = client.sender(address)
    for i in range(20):
        client.put(ask, Message(body="request %d" % i, reply_to=reply_to, correlation_id=i))
        got = server.receive(requests)
        server.put(replies, Message(address=got.message.reply_to, body=got.body.upper(),
                                    correlation_id=got.message.correlation_id))
        got.accept()
        requests.flow(1)
        answer = client.receive(back)
        check_equal((answer.body, answer.message.correlation_id), ("REQUEST %d" % i, i), "answer")
        answer.accept()
        back.flow(1)


@case("two dynamic nodes have two names")
def _(env):
    peer = env.peer()
    names = {peer.receiver(dynamic=True).remote_source.address for _ in range(20)}
    check_equal(len(names), 20, "different names")


@case("a temporary queue disappears with its link")
def _(env):
    client, other = env.peer(), env.peer()
    back = client.receiver(dynamic=True)
    name = back.remote_source.address
    other.put(other.sender(name), Message(body="x"))
    client.detach(back)
    anonymous = other.sender(None)
    wait(lambda: other.outcome(other.send(anonymous, Message(address=name, body="x"))) == REJECTED,
         "the queue to be gone")
    check_equal(other.condition, "amqp:not-found", "why")


@case("a temporary queue disappears with its connection")
def _(env):
    client, other = env.peer(), env.peer()
    name = client.receiver(dynamic=True).remote_source.address
    client.drop()
    anonymous = other.sender(None)
    wait(lambda: other.outcome(other.send(anonymous, Message(address=name, body="x"))) == REJECTED,
         "the queue to be gone")
    check_equal(other.condition, "amqp:not-found", "why")


@case("only its creator consumes from a temporary queue")
def _(env):
    client, other = env.peer(), env.peer()
    name = client.receiver(dynamic=True).remote_source.address
    link = other.receiver(name, wait_open=False)
    wait(lambda: other.is_refused(link), "the refusal")
    why = other.why_refused(link)
    check(why in ("amqp:unauthorized-access", "amqp:resource-locked", "amqp:not-allowed"),
          "refused with %s" % why)


@case("a dynamic target makes a temporary queue, as JMS does")
def _(env):
    client, other = env.peer(), env.peer()
    maker = client.sender(dynamic=True, capabilities=["temporary-queue"],
                          name="qpid-jms:temp-queue-creator:1", wait_credit=False)
    name = maker.remote_target.address
    check(name, "the reply to attach names no address")
    receiver = client.receiver(name, credit=5, capabilities=["temporary-queue"])
    other.put(other.sender(name), Message(body="hello"))
    got = client.receive(receiver)
    check_equal(got.body, "hello", "the body")
    got.accept()
    client.detach(maker)
    anonymous = other.sender(None)
    wait(lambda: other.outcome(other.send(anonymous, Message(address=name, body="x"))) == REJECTED,
         "the queue to be gone")


REFUSED = [
    ("/queues/none-such", "amqp:not-found"),
    ("/exchanges/none-such", "amqp:not-found"),
    ("/streams/s", "amqp:not-implemented"),
    ("/topics/" + 300 * "t", "amqp:invalid-field"),
]


@case("a refused consumer: attach with a null source, then detach with the error")
def _(env):
    peer = env.peer()
    for address, condition in REFUSED:
        link = peer.receiver(address, wait_open=False)
        peer.wait_refused(link, condition)
        check_equal(link.remote_source.type, Terminus.UNSPECIFIED, "source for " + address)
    check(not peer.is_closed(), "the connection suffered: %s" % peer.why_closed())
    peer.receiver(env.address())


@case("a refused producer: attach with a null target, then detach with the error")
def _(env):
    peer = env.peer()
    for address, condition in REFUSED:
        link = peer.sender(address, wait_open=False)
        peer.wait_refused(link, condition)
        check_equal(link.remote_target.type, Terminus.UNSPECIFIED, "target for " + address)
    link = peer.sender(None, coordinator=True, wait_open=False)
    peer.wait_refused(link, "amqp:not-implemented")
    peer.sender(env.address())


@case("every form of address names the same queue")
def _(env):
    peer = env.peer()
    name = env.address("one two/three%")
    encoded = name.replace("%", "%25").replace("/", "%2F").replace(" ", "%20")
    plain = env.address("plain")
    peer.sender(name)
    peer.sender(plain)
    rows = [(name, name), (name, "/queues/" + encoded), (plain, plain),
            (plain, "/queues/" + plain), (plain, "queue://" + plain), (plain, "queue:" + plain),
            (plain, "amqp://localhost/" + plain), (plain, "amqp://localhost:5672/" + plain)]
    for target, form in rows:
        peer.put(peer.sender(form), Message(body=form))
        got = peer.drain(peer.receiver(target))
        check_equal([one.body for one in got], [form], "through " + form)
        got[0].accept()
        peer.put(peer.sender(target), Message(body=form))
        got = peer.drain(peer.receiver(form))
        check_equal([one.body for one in got], [form], "from " + form)
        got[0].accept()


@case("the attach reply echoes what is in force")
def _(env):
    peer = env.peer()
    address = env.address()
    sender = peer.sender(address)
    check_equal(sender.remote_target.address, address, "target address")
    check_equal(sender.remote_source.address, sender.name, "source address of a producer")
    receiver = peer.receiver(address)
    check_equal(receiver.remote_source.address, address, "source address")

    def odd(link):
        link.source.filter.put_dict({"no-such-filter": "x"})
    filtered = peer.receiver(address, configure=odd)
    echoed = filtered.remote_source.filter
    echoed.rewind()
    check(not echoed.next() or not echoed.get_object(), "an unknown filter was echoed")


@case("a link's name may be used again at once, and stolen")
def _(env):
    peer = env.peer()
    address = env.address()
    peer.put(peer.sender(address), Message(body="x"))
    first = peer.receiver(address, name="the-name")
    peer.detach(first)
    second = peer.receiver(address, name="the-name", credit=1)
    check_equal(peer.receive(second).body, "x", "on the second link of that name")


@case("a link attached on a second connection of its container is stolen from the first")
def _(env):
    address = env.address()
    one, two = env.peer(container_id="thief"), env.peer(container_id="thief")
    producer = one.sender(address, name="loot")
    for i in range(5):
        one.put(producer, Message(body=i))
    first = one.receiver(address, name="the-name", credit=3)
    check_equal([m.body for m in one.receive_all(first, 3)], [0, 1, 2], "what the first link had")
    second = two.receiver(address, name="the-name", credit=5)
    one.wait_refused(first, "amqp:link:stolen")
    first.close()
    got = two.receive_all(second, 5)
    check_equal([m.body for m in got], [0, 1, 2, 3, 4], "all of it, in order, on the second")
    for m in got:
        m.accept()
    # A link of the same name in the other direction is another one.
    check(not one.is_refused(producer), "the producer has been stolen, too")
    again = two.sender(address, name="loot")
    one.wait_refused(producer, "amqp:link:stolen")
    two.put(again, Message(body="x"))
    second.flow(1)
    check_equal(two.receive(second).accept().body, "x", "through the stolen producer")


@case("a link attached on a second session of its connection is stolen from the first")
def _(env):
    peer = env.peer()
    address = env.address()
    first = peer.receiver(address, name="the-name")
    second = peer.receiver(address, name="the-name", session=peer.new_session(), credit=1)
    peer.wait_refused(first, "amqp:link:stolen")
    check(not peer.is_refused(second), "the second link was refused")


@case("links of one name in two containers do not know each other")
def _(env):
    peers = [env.peer(), env.peer()]
    address = env.address()
    links = [peer.receiver(address, name="the-name", credit=1) for peer in peers]
    producer = peers[0].sender(address)
    for body in ("a", "b"):
        peers[0].put(producer, Message(body=body))
    bodies = [peer.receive(link).accept().body for peer, link in zip(peers, links)]
    check_equal(sorted(bodies), ["a", "b"], "each has one")


@case("what a consumer holds stays with it when it detaches without closing")
def _(env):
    peer, other = env.peer(), env.peer()
    address = env.address()
    producer = peer.sender(address)
    for i in range(4):
        peer.put(producer, Message(body=i))
    session = peer.new_session()
    link = peer.receiver(address, name="kept", session=session, credit=3)
    check_equal(link.remote_source.expiry_policy, Terminus.EXPIRE_WITH_SESSION, "policy in force")
    held = peer.receive_all(link, 3)
    peer.detach_open(link)
    there = other.receiver(address)
    check_equal([m.body for m in other.drain(there)], [3], "what others find")
    held[0].accept()
    again = peer.receiver(address, name="kept-2", session=session)
    check_equal([m.body for m in peer.drain(again)], [], "what the session finds")
    session.close()
    wait(lambda: session.state & Endpoint.REMOTE_CLOSED, "end")
    back = other.drain(there)
    check_equal([m.body for m in back], [1, 2], "what the session's end gives back")
    check_equal([m.message.delivery_count for m in back], [1, 1], "delivery-counts")


@case("what a consumer holds goes back when it detaches, if its expiry-policy is link-detach")
def _(env):
    peer, other = env.peer(), env.peer()
    address = env.address()
    peer.put(peer.sender(address), Message(body="x"))

    def brief(link):
        link.source.expiry_policy = Terminus.EXPIRE_WITH_LINK
    link = peer.receiver(address, credit=1, configure=brief)
    check_equal(link.remote_source.expiry_policy, Terminus.EXPIRE_WITH_LINK, "policy in force")
    peer.receive(link)
    peer.detach_open(link)
    there = other.receiver(address, credit=1)
    check_equal(other.receive(there).body, "x", "what others find")


@case("what a detached consumer holds goes back when its link is attached elsewhere")
def _(env):
    one, two = env.peer(container_id="mover"), env.peer(container_id="mover")
    address = env.address()
    one.put(one.sender(address), Message(body="x"))
    link = one.receiver(address, name="moving", credit=1)
    one.receive(link)
    one.detach_open(link)
    moved = two.receiver(address, name="moving", credit=1)
    check_equal(two.receive(moved).accept().body, "x", "on the other connection")


@case("what a detached consumer holds goes back when its connection is cut")
def _(env):
    one, two = env.peer(), env.peer()
    address = env.address()
    one.put(one.sender(address), Message(body="x"))
    link = one.receiver(address, credit=1)
    one.receive(link)
    one.detach_open(link)
    there = two.receiver(address, credit=1)
    one.drop()
    check_equal(two.receive(there).accept().message.delivery_count, 1, "delivery-count")


@case("outcomes of a hundred durable messages are told behind their producer's detach")
def _(env):
    peer = env.peer()
    address = env.address()
    producer = peer.sender(address)
    sent = [peer.send(producer, Message(body=i, durable=True)) for i in range(100)]
    peer.detach_open(producer)
    for one in sent:
        check_equal(peer.outcome(one), ACCEPTED, "the outcome of a send")
    check_equal(len(peer.drain(peer.receiver(address), 200)), 100, "messages there")


def small(octets):
    def configure(link):
        link.max_message_size = octets
    return configure


@case("a message above a consumer's max-message-size stays for others, the next ones come")
def _(env):
    peer = env.peer()
    address = env.address()
    bodies = ["a", "b" * 5000, "c", "d" * 5000, "e"]
    producer = peer.sender(address)
    for body in bodies:
        peer.put(producer, Message(body=body))
    tight = peer.receiver(address, credit=2, configure=small(1000))
    got = peer.receive_all(tight, 2)
    check_equal([m.body for m in got], ["a", "c"], "what fits")
    got += peer.drain(tight, 10)
    check_equal([m.body for m in got], ["a", "c", "e"], "with the drained")
    check_equal(peer.drain(tight, 10), [], "what else there is for it")
    for m in got:
        m.accept()
    browser = peer.receiver(address, copy=True, configure=small(1000))
    check_equal(peer.drain(browser, 10), [], "what a browser with that limit sees")
    wide = peer.receiver(address)
    rest = peer.drain(wide, 10)
    check_equal([m.body for m in rest], [bodies[1], bodies[3]], "for one without a limit")
    check_equal([m.message.delivery_count for m in rest], [0, 0], "delivery-counts")


@case("a thousand messages above a consumer's max-message-size are passed over")
def _(env):
    peer = env.peer()
    address = env.address()
    producer = peer.sender(address)
    large = Message(body="x" * 200).encode()
    for _ in range(1000):
        peer.send(producer, large, settled=True)
    peer.put(producer, Message(body="y"))
    tight = peer.receiver(address, credit=1, configure=small(100))
    check_equal(peer.receive(tight, 60).accept().body, "y", "the one that fits")


@case("200 sessions and 1,000 links on one connection")
def _(env):
    peer = env.peer(channel_max=255)
    sessions = [peer.new_session() for _ in range(199)] + [peer.session]
    addresses = [env.address("many") for _ in range(500)]
    links = []
    for i, address in enumerate(addresses):
        links.append((peer.sender(address, session=sessions[i % 200], wait_open=False),
                      peer.receiver(address, session=sessions[(i * 7 + 3) % 200],
                                    wait_open=False)))
    for sender, receiver in links:
        peer.wait_open(sender)
        peer.wait_open(receiver)
        receiver.flow(2)
    check_equal(peer.transport.remote_channel_max >= 199, True, "channel-max suffices")
    sent = []
    for address, (sender, _) in zip(addresses, links):
        sent += [peer.send(sender, Message(body=address + "/1", durable=True)),
                 peer.send(sender, Message(body=address + "/2"))]
    for address, (_, receiver) in zip(addresses, links):
        got = peer.receive_all(receiver, 2)
        check_equal([one.body for one in got], [address + "/1", address + "/2"], "bodies")
        for one in got:
            one.accept()
    for one in sent:
        check_equal(peer.outcome(one), ACCEPTED, "the outcome of a send")
    for sender, receiver in links:
        sender.close()
        receiver.close()
    wait(lambda: all(peer.is_refused(s) and peer.is_refused(r) for s, r in links), "1,000 detaches")
    peer.close()


@case("the connection survives a hundred times attach, use, detach")
def _(env):
    peer = env.peer()
    address = env.address()
    for i in range(100):
        sender = peer.sender(address)
        receiver = peer.receiver(address, credit=1)
        peer.put(sender, Message(body=i))
        got = peer.receive(receiver)
        check_equal(got.body, i, "body")
        got.accept(settle=False)
        wait(lambda: got.delivery.settled, "settled")
        got.delivery.settle()
        sender.close()
        receiver.close()
        wait(lambda: peer.is_refused(sender) and peer.is_refused(receiver), "detach")


@case("idle connections are kept alive, both ways", config='idle-time-out = "400ms"\n')
def _(env):
    peer = env.peer(idle=600)
    check(peer.transport.remote_idle_timeout <= 400, "the broker's idle-time-out is not sent")
    settle_ticking(peer, 2.0)
    check(not peer.is_closed(), "closed: %s" % peer.why_closed())


def settle_ticking(peer, seconds):
    """Proton sends its heartbeats, and notices missing ones, only when told the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        peer.transport.tick(time.monotonic())
        settle_down(0.05)


@case("a silent client is closed with resource-limit-exceeded or at least closed",
      config='idle-time-out = "200ms"\n')
def _(env):
    peer = env.peer()
    wait(peer.is_closed, "the close", 5)


@case("SIGTERM: every client sees amqp:connection:forced, the broker exits 0", alone=True)
def _(env):
    peers = [env.peer() for _ in range(5)]
    address = env.address()
    peers[0].put(peers[0].sender(address), Message(body="kept", durable=True))
    held = peers[1].receive(peers[1].receiver(address, credit=5))
    check_equal(held.body, "kept", "the body")
    env.broker.process.send_signal(signal.SIGTERM)
    for peer in peers:
        wait(peer.is_closed, "the close")
        check_equal(peer.why_closed(), "amqp:connection:forced", "why it was closed")
        peer.drop()
    check_equal(env.broker.process.wait(30), 0, "exit code")
    env.broker.start()
    got = env.peer()
    again = got.receive(got.receiver(address, credit=1))
    check_equal(again.body, "kept", "what the stopped broker had")


@case("a second broker on the same data directory is refused, the first goes on")
def _(env):
    second = env.another_broker(data=env.broker.data)
    try:
        second.start(timeout=30)
        raise Failed("two brokers run on one data directory")
    except StartFailed:
        pass
    check_equal(second.process.returncode, 3, "its exit code")
    peer = env.peer()
    peer.put(peer.sender(env.address()), Message(body="x", durable=True))
