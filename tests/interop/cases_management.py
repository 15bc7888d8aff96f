# SPDX-License-Identifier: Apache-2.0
"""Management over AMQP: /management as the RabbitMQ clients ask it, and $management."""
import uuid

from proton import Link, Message, PropertyDict, symbol, ulong

from case import collector
from peer import ACCEPTED, check, check_equal, settle_down, wait

CASES, case = collector()

PAIRED = PropertyDict({symbol("paired"): True})


class Pair:
    """A link pair to /management as the RabbitMQ clients open it."""

    def __init__(self, peer, name="management-link-pair", credit=100):
        self.peer = peer
        self.receiver = peer.session.receiver(name)
        self.sender = peer.session.sender(name)
        for link in (self.receiver, self.sender):
            link.source.address = link.target.address = "/management"
            link.snd_settle_mode = Link.SND_SETTLED
            link.properties = PAIRED
        peer.inbox[name] = []
        self.receiver.open()
        self.sender.open()
        peer.wait_open(self.receiver)
        peer.wait_open(self.sender)
        check((self.sender.remote_properties or {}).get("paired") is True, "paired comes back")
        self.receiver.flow(credit)

    def send(self, method, path, body=None, message_id=None):
        message = Message(subject=method, address=path, reply_to="$me", body=body, inferred=True,
                          id=message_id or uuid.uuid4())
        self.peer.send(self.sender, message, settled=True)
        return message.id

    def answer(self):
        return self.peer.receive(self.receiver).message

    def request(self, method, path, body=None, message_id=None):
        asked = self.send(method, path, body, message_id)
        answer = self.answer()
        check_equal(answer.correlation_id, asked, "correlation-id")
        check_equal(type(answer.correlation_id), type(asked), "type of correlation-id")
        check_equal(answer.properties.get("http:response"), "1.1", "http:response")
        return int(answer.subject), answer.body


@case("management: a queue's life by the requests of the RabbitMQ clients")
def _(env):
    peer = env.peer()
    pair, name = Pair(peer), env.address("managed")
    path = "/queues/" + name
    code, text = pair.request("GET", path)
    check_equal(code, 404, "code for an absent queue")
    check("no queue '" in text and "in vhost '" in text, "the text that Java looks for: " + text)
    body = {"durable": True, "exclusive": False, "auto_delete": False,
            "arguments": {"x-queue-type": "quorum"}}
    code, info = pair.request("PUT", path, body)
    check_equal(code, 201, "code of the first declaration")
    check_equal((info["name"], info["vhost"], info["durable"], info["type"]),
                (name, "/", True, "quorum"), "what was declared")
    check_equal(list(info["replicas"].elements), [info["leader"]], "replicas")
    check_equal(pair.request("PUT", path, body)[0], 200, "code of the second declaration")
    code, text = pair.request("PUT", path, {"durable": True})
    check_equal(code, 409, "code of another declaration")
    check("inequivalent arg 'x-queue-type' for queue '%s'" % name in text, "text: " + text)
    sender = peer.sender(path)
    for i in range(3):
        peer.put(sender, Message(body="m%d" % i, durable=True))
    receiver = peer.receiver(path)
    code, info = pair.request("GET", path)
    check_equal((code, info["message_count"], info["consumer_count"]), (200, 3, 1), "counts")
    check_equal(type(info["message_count"]), ulong, "type of message_count")
    code, info = pair.request("DELETE", path + "/messages")
    check_equal((code, info["message_count"]), (200, 3), "what was purged")
    peer.put(sender, Message(body="last"))
    code, info = pair.request("DELETE", path)
    check_equal((code, info["message_count"]), (200, 1), "what was deleted")
    wait(lambda: peer.is_refused(receiver), "the consumer to be detached")
    check_equal(peer.why_refused(receiver), "amqp:resource-deleted", "why")
    check_equal(pair.request("DELETE", path)[0], 404, "code of the second deletion")


@case("management: message-ids of each type come back, names are percent-encoded")
def _(env):
    pair = Pair(env.peer())
    for message_id in (uuid.uuid4(), "text", ulong(7), b"octets"):
        check_equal(pair.request("GET", "/queues/absent", None, message_id)[0], 404, "code")
    name = env.address("a b/c?d=e%é")
    code, info = pair.request("PUT", "/queues/" + quoted(name), {})
    check_equal((code, info["name"]), (201, name), "the queue")
    check_equal(pair.request("GET", "/queues/" + quoted(name))[1]["name"], name, "the same queue")
    sender = pair.peer.sender("/queues/" + quoted(name))
    check_equal(pair.peer.outcome(pair.peer.send(sender, Message(body="x"))), ACCEPTED, "outcome")
    check_equal(pair.request("DELETE", "/queues/" + quoted(name))[1]["message_count"], 1, "count")


def quoted(name):
    return "".join(c if c.isalnum() and c.isascii() else "".join("%%%02X" % o for o in c.encode())
                   for c in name)


@case("management: requests that cannot be met are answered, and the links stay")
def _(env):
    pair = Pair(env.peer())
    path = "/queues/" + env.address("never")
    for method, at, body, code in (
            ("PUT", path, {"nonsense": True}, 400),
            ("PUT", path, {"arguments": {"x-max-age": "5D"}}, 400),
            ("PUT", path, {"arguments": {"x-queue-type": "stream"}}, 400),
            ("PUT", path, "text", 400),
            ("PUT", "/queues/amq.q", {}, 403),
            ("GET", "/queues/%zz", None, 400),
            ("POST", path, None, 405),
            ("GET", "/elsewhere", None, 404),
            ("PUT", "/auth/tokens", b"token", 501),
            ("GET", path, None, 404)):
        got, text = pair.request(method, at, body)
        check_equal(got, code, "code of %s %s" % (method, at))
        check(isinstance(text, str) and text, "an explanation of %s %s" % (method, at))


@case("management: a link to /management that is no pair is refused")
def _(env):
    peer = env.peer()
    link = peer.sender("/management", wait_open=False)
    peer.wait_refused(link, "amqp:invalid-field")
    link = peer.receiver("/management", wait_open=False)
    peer.wait_refused(link, "amqp:invalid-field")


@case("management: responses wait for credit, and requests for responses")
def _(env):
    pair = Pair(env.peer(), credit=0)
    peer = pair.peer
    wait(lambda: pair.sender.credit > 0, "credit for requests")
    asked = []
    while pair.sender.credit > 0:
        asked.append(pair.send("GET", "/queues/absent"))
    settle_down()
    check_equal(pair.sender.credit, 0, "credit while nobody takes responses")
    check_equal(len(peer.inbox[pair.receiver.name]), 0, "responses without credit")
    pair.receiver.flow(len(asked) + 10)
    got = [pair.answer().correlation_id for _ in asked]
    check_equal(got, asked, "the order of responses")
    wait(lambda: pair.sender.credit > 0, "credit for further requests")
    env.note("%d requests at a time" % len(asked))


@case("management: an exclusive queue is its connection's and goes with it")
def _(env):
    first, second = Pair(env.peer()), Pair(env.peer())
    path = "/queues/" + env.address("exclusive")
    check_equal(first.request("PUT", path, {"exclusive": True})[0], 201, "code")
    check_equal(second.request("PUT", path, {"exclusive": True})[0], 400, "code of another")
    link = second.peer.receiver(path, wait_open=False)
    second.peer.wait_refused(link, "amqp:resource-locked")
    first.peer.close()
    wait(lambda: second.request("GET", path)[0] == 404, "the queue to go")


class Node:
    """Request and response over $management."""

    def __init__(self, peer, reply_to=None):
        self.peer = peer
        self.sender = peer.sender("$management")
        self.receiver = peer.receiver("$management", credit=50) if reply_to is None else None
        self.reply_to = reply_to or self.receiver.target.address

    def send(self, operation, properties, body=None):
        all_of_them = {"operation": operation}
        all_of_them.update(properties)
        message = Message(reply_to=self.reply_to, properties=all_of_them, body=body, id="r",
                          inferred=True)
        check_equal(self.peer.outcome(self.peer.send(self.sender, message)), ACCEPTED, "outcome")

    def request(self, operation, properties, body=None):
        self.send(operation, properties, body)
        answer = self.peer.receive(self.receiver).message
        check_equal(answer.correlation_id, "r", "correlation-id")
        check_equal(answer.properties["statusCode"], answer.properties["status-code"], "spellings")
        check(answer.properties["statusDescription"], "a description")
        return answer.properties["statusCode"], answer.body


@case("management: entities are created, read, queried and deleted over $management", alone=True)
def _(env):
    node = Node(env.peer())
    queue = {"type": "org.whimbrel.queue"}
    names = sorted(env.address("entity") for _ in range(5))
    for name in names:
        code, body = node.request("CREATE", dict(queue, name=name), {"durable": False})
        check_equal((code, body["name"], body["durable"]), (201, name, False), "CREATE")
    code, body = node.request("READ", dict(queue, identity=names[0]))
    check_equal((code, body["name"]), (200, names[0]), "READ")
    about = {"type": "org.amqp.management", "name": "self", "entityType": "org.whimbrel.queue"}
    code, body = node.request("QUERY", dict(about, count=3, offset=1), {"attributeNames": ["name"]})
    check_equal((code, body["results"]), (200, [[n] for n in names[1:4]]), "QUERY")
    code, body = node.request("GET-TYPES", about)
    check("org.whimbrel.queue" in body, "GET-TYPES")
    for name in names:
        check_equal(node.request("DELETE", dict(queue, name=name)), (204, {}), "DELETE")
    check_equal(node.request("READ", dict(queue, name=names[0]))[0], 404, "READ of what is gone")
    check_equal(node.request("CREATE", {"type": "org.other", "name": "x"})[0], 404, "another type")
    check_equal(node.request("NONSENSE", dict(queue, name="x"))[0], 501, "another operation")


@case("management: a response may go to a queue, such as a dynamic node")
def _(env):
    peer = env.peer()
    back = peer.receiver(dynamic=True, credit=5)
    node = Node(peer, back.remote_source.address)
    node.send("GET-MGMT-NODES", {"type": "org.amqp.management"})
    answer = peer.receive(back).message
    check_equal((answer.properties["statusCode"], answer.body), (200, ["$management"]), "response")


@case("management: requests without reply-to, or not to be read, are rejected")
def _(env):
    peer = env.peer()
    sender = peer.sender("$management")
    check_equal(str(peer.outcome(peer.send(sender, Message(body="x")))), "REJECTED", "outcome")
    check_equal(peer.condition, "amqp:invalid-field", "why")
    check_equal(str(peer.outcome(peer.send(sender, b"\x00\x53\x73\x45junk"))), "REJECTED",
                "outcome")
    check_equal(peer.condition, "amqp:decode-error", "why")


@case("management: exchanges and bindings by the requests of the RabbitMQ clients")
def _(env):
    peer = env.peer()
    pair = Pair(peer)
    exchange, queue = env.address("e/x"), env.address("bound")
    body = {"type": "topic", "durable": True, "auto_delete": False, "internal": False,
            "arguments": {}}
    check_equal(pair.request("PUT", "/exchanges/" + quoted(exchange), body), (204, None), "PUT")
    check_equal(pair.request("PUT", "/exchanges/" + quoted(exchange), body)[0], 204, "again")
    body["type"] = "fanout"
    check_equal(pair.request("PUT", "/exchanges/" + quoted(exchange), body)[0], 409, "another type")
    pair.request("PUT", "/queues/" + queue, {})
    binding = {"source": exchange, "destination_queue": queue, "binding_key": "a.*",
               "arguments": {}}
    check_equal(pair.request("POST", "/bindings", binding), (204, None), "POST")
    sender = peer.sender("/exchanges/%s/a.b" % quoted(exchange))
    check_equal(peer.outcome(peer.send(sender, Message(body="routed"))), ACCEPTED, "outcome")
    receiver = peer.receiver("/queues/" + queue, credit=5)
    check_equal(peer.receive(receiver).body, "routed", "what came")
    query = "/bindings?src=%s&dstq=%s&key=a.%%2A" % (quoted(exchange), queue)
    code, found = pair.request("GET", query)
    check_equal((code, len(found)), (200, 1), "GET")
    check_equal((found[0]["source"], found[0]["destination_queue"], found[0]["binding_key"]),
                (exchange, queue, "a.*"), "the binding")
    check_equal(pair.request("DELETE", found[0]["location"]), (204, None), "DELETE")
    check_equal(pair.request("GET", query), (200, []), "GET after it")
    check_equal(pair.request("DELETE", "/exchanges/" + quoted(exchange)), (204, None), "DELETE")
    check_equal(pair.request("DELETE", "/exchanges/amq.topic")[0], 403, "a built-in one")
