# SPDX-License-Identifier: Apache-2.0
"""`whimbrel send` and `whimbrel receive`: with the broker, Proton looking on, and with Proton as
the other side."""
import json
import os
import signal
import subprocess
import tempfile
import threading

from proton import Message, symbol
from proton.handlers import MessagingHandler
from proton.reactor import Container

import certificates
from case import collector
from peer import REJECTED, check, check_equal

CASES, case = collector()


class Tool:
    def __init__(self, env, verb, port=None):
        self.binary = env.options.broker
        self.verb = verb
        self.url = "amqp://127.0.0.1:%d/" % (port or env.port)

    def command(self, address, *words):
        return [self.binary, self.verb, self.url + address] + list(words)

    def run(self, address, *words, code=0, stdin=b"", seconds=60):
        done = subprocess.run(self.command(address, *words), input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=seconds)
        check_equal(done.returncode, code, "exit code of %s %s: %s"
                    % (self.verb, " ".join(words), done.stderr.decode()))
        check(b"\r" not in done.stderr, "a progress bar without a terminal")
        return done.stdout

    def lines(self, address, *words, **how):
        return self.run(address, *words, **how).decode().splitlines()


def tools(env, port=None):
    return Tool(env, "send", port), Tool(env, "receive", port)


@case("send: flags become the fields that Proton reads")
def _(env):
    send, _ = tools(env)
    peer, address = env.peer(), env.address()
    send.run(address, "--body", "hello", "--durable", "--ttl", "60000", "--priority", "7",
             "--subject", "s", "--to", "t", "--message-id", "m", "--correlation-id", "c",
             "--reply-to", "r", "--content-type", "text/plain", "--group-id", "g",
             "--property", "n=5", "--property", "yes=true", "--property", "text=a=b",
             "--annotation", "x-opt-a=1")
    got = peer.receive(peer.receiver(address, credit=1)).accept().message
    check_equal((got.body, got.durable, got.priority), ("hello", True, 7), "body and header")
    check(0 < got.ttl <= 60000, "ttl %s" % got.ttl)
    check_equal((got.subject, got.address, got.id, got.correlation_id, got.reply_to,
                 got.content_type, got.group_id),
                ("s", "t", "m", "c", "r", "text/plain", "g"), "properties")
    check_equal(got.properties, {"n": 5, "yes": True, "text": "a=b"}, "application properties")
    check_equal(got.annotations, {symbol("x-opt-a"): 1}, "annotations")


@case("send: files and sizes become data")
def _(env):
    send, receive = tools(env)
    peer, address = env.peer(), env.address()
    octets = os.urandom(300000)
    with tempfile.TemporaryDirectory() as folder:
        file, copy = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(file, "wb") as out:
            out.write(octets)
        send.run(address, "--file", file)
        send.run(address, "--file", "-", stdin=octets)
        send.run(address, "--size", "1000", "--count", "3")
        link = peer.receiver(address, credit=1)
        check_equal(bytes(peer.receive(link).accept().body), octets, "the file, seen by Proton")
        peer.detach(link)
        receive.run(address, "--count", "1", "--raw", "--output", copy)
        with open(copy, "rb") as back:
            check_equal(back.read(), octets, "the file, there and back")
    check_equal(receive.run(address, "--count", "3", "--raw"), b"x" * 3000, "octets of a size")


@case("receive: messages of Proton as text, as JSON, as octets")
def _(env):
    _, receive = tools(env)
    peer, address = env.peer(), env.address()
    sender = peer.sender(address)
    message = Message(body="hello", id="m", subject="s", priority=6, durable=True,
                      properties={"a": 1, "b": "two", "c": None},
                      annotations={symbol("x-opt-k"): True})
    for _ in range(3):
        peer.put(sender, message)
    check_equal(receive.lines(address, "--count", "1"), ["hello"], "text")
    check_equal(receive.run(address, "--count", "1", "--raw"), b"hello", "octets")
    got = json.loads(receive.run(address, "--count", "1", "--json"))
    check_equal(got["body"], "hello", "body")
    check_equal((got["header"]["priority"], got["header"]["durable"]), (6, True), "header")
    check_equal((got["properties"]["message-id"], got["properties"]["subject"]), ("m", "s"),
                "properties")
    check_equal(got["application-properties"], {"a": 1, "b": "two", "c": None},
                "application properties")
    check_equal(got["message-annotations"]["x-opt-k"], True, "annotations")
    check(peer.is_empty(address), "what was received is accepted")


@case("send, receive: JSON lines come back as they went")
def _(env):
    send, receive = tools(env)
    address = env.address()
    lines = [
        {"body": "text"}, {"body": {"data": "text"}}, {"body": {"data-hex": "00ff"}},
        {"body": {"value": {"a": [1, True, None]}}}, {"body": {"sequence": [1, "b"]}},
        {"properties": {"message-id": 7, "correlation-id": {"uuid": "00" * 16}, "subject": "s",
                        "user-id": {"hex": "0102"}, "creation-time": 1000},
         "application-properties": {"k": 1.5}, "body": "x", "footer": {"f": "g"}},
    ]
    text = "\n".join(json.dumps(one) for one in lines)
    send.run(address, "--lines", "-", stdin=text.encode())
    back = [json.loads(one) for one in receive.lines(address, "--count", str(len(lines)), "--json")]
    for one in back:
        one.pop("header", None)
    check_equal(back, lines, "lines")
    send.run(address, "--lines", "-", stdin=b'"a"\n{"body": "b", "nope": 1}\n"c"\n', code=2)
    send.run(address, "--lines", "-", stdin=b'{"properties": {"subject": 1}}\n', code=2)
    check_equal(receive.lines(address, "--drain"), ["a"], "what stood before the wrong line")


@case("send, receive: 20,000 lines keep their order through two pipes")
def _(env):
    send, receive = tools(env)
    address = env.address()
    lines = ["line %d" % n for n in range(20000)]
    reader = subprocess.Popen(receive.command(address, "--count", "20000"),
                              stdout=subprocess.PIPE)
    try:
        send.run(address, "--text-lines", "-", stdin="\n".join(lines).encode(), seconds=120)
        got = reader.communicate(timeout=120)[0].decode().splitlines()
    finally:
        reader.kill()
        reader.wait()
    check(got == lines, "%d lines came, or in another order" % len(got))
    check_equal(reader.returncode, 0, "exit code")


@case("receive: --count takes no more, --browse takes none, --selector chooses")
def _(env):
    send, receive = tools(env)
    address = env.address()
    for colour in ("red", "blue", "red"):
        send.run(address, "--body", colour, "--property", "colour=" + colour)
    check_equal(receive.lines(address, "--browse", "--drain"), ["red", "blue", "red"], "browse")
    check_equal(receive.lines(address, "--drain", "--selector", "colour = 'blue'"), ["blue"],
                "selector")
    check_equal(receive.lines(address, "--count", "1"), ["red"], "count")
    left = [json.loads(one) for one in receive.lines(address, "--drain", "--json")]
    check_equal([(m["body"], m.get("header", {}).get("delivery-count", 0)) for m in left],
                [("red", 0)], "what is left, untouched")


@case("receive: --outcome releases and rejects")
def _(env):
    send, receive = tools(env)
    peer, address = env.peer(), env.address()
    send.run(address, "--body", "x")
    check_equal(receive.lines(address, "--count", "1", "--outcome", "release"), ["x"], "release")
    check_equal(receive.lines(address, "--count", "1", "--outcome", "reject"), ["x"], "reject")
    check(peer.is_empty(address), "what was rejected is gone")


@case("receive: SIGINT ends it after what came was settled")
def _(env):
    send, receive = tools(env)
    peer, address = env.peer(), env.address()
    send.run(address, "--body", "x", "--count", "5")
    reader = subprocess.Popen(receive.command(address), stdout=subprocess.PIPE)
    got = [reader.stdout.readline() for _ in range(5)]
    reader.send_signal(signal.SIGINT)
    check_equal(reader.wait(timeout=30), 0, "exit code")
    reader.stdout.close()
    check_equal(got, [b"x\n"] * 5, "lines")
    check(peer.is_empty(address), "all are settled")


@case("receive: a durable subscription keeps what comes meanwhile")
def _(env):
    send, receive = tools(env)
    topic = "/topics/" + env.address("t")
    how = ("--subscription", "s", "--container-id", env.address("me"), "--drain")
    check_equal(receive.lines(topic, *how), [], "the first time")
    send.run(topic, "--body", "kept")
    check_equal(receive.lines(topic, *how), ["kept"], "the second time")
    receive.run(topic, "--subscription", "s", code=2)


@case("send, receive: exit codes tell arguments, refusals and missing brokers apart")
def _(env):
    send, receive = tools(env)
    address = env.address()
    body = ("--body", "x")
    for tool, flags in ((send, body), (receive, ())):
        tool.run("/queues/" + address, *flags, code=1)
        tool.run("", code=2)
        tool.run(address, "--nonsense", code=2)
        check(b"Examples:" in tool.run(address, "--help"), "help")
    send.run(address, stdin=b"lost if nobody says how it is meant", code=2)
    send.run(address, *body, "--property", "nonsense", code=2)
    for file in ("/absent", "/"):  # a directory opens, and fails when it is read
        send.run(address, "--file", file, code=2)
        send.run(address, "--text-lines", file, code=2)
    send.run("", "--to", "/queues/" + address, *body, code=1)
    receive.run(address, "--count", "1", "--timeout", "0.2", code=1)
    receive.run(address, "--drain", "--output", "/absent/file", code=2)
    for tool, flags in zip(tools(env, 1), (body, ())):  # where nobody listens
        tool.run(address, *flags, code=3)
    send.run(address, *body, "--insecure", code=2)  # without TLS
    send.url = "amqps://127.0.0.1:%d/" % env.port  # where nobody speaks TLS
    send.run(address, *body, "--insecure", code=3)
    send.run(address, *body, "--ca", "/absent", code=2)


@case("send, receive and ctl over TLS: believed by --ca, or not at all",
      config=lambda binary: certificates.settings("required"))
def _(env):
    send, receive = tools(env)
    address = env.address()
    ca = ("--ca", certificates.path("ca.pem"))
    for tool in (send, receive):
        tool.url = "amqps://localhost:%d/" % env.port
    send.run(address, "--size", str(5 << 20), *ca)
    check_equal(len(receive.run(address, "--count", "1", "--raw", *ca)), 5 << 20, "octets")
    send.run(address, "--body", "x", "--insecure")
    for how in ((), ("--ca", certificates.path("other-ca.pem"))):
        send.run(address, "--body", "x", *how, code=3)
    url = "amqps://127.0.0.1:%d" % env.port
    for words, code in ((("--url", url, *ca, "list", "queues"), 0),
                        (("--url", url, "list", "queues"), 3),
                        (("--url", url, *ca, "peek", address), 0),
                        (("--url", url, "--ca", "/absent", "list", "queues"), 2)):
        done = subprocess.run([env.options.broker, "ctl", *words], capture_output=True, text=True,
                              timeout=60)
        check_equal(done.returncode, code, "exit code of ctl %r: %s" % (words, done.stderr))
        check(code != 0 or address in done.stdout or "x" in done.stdout, "what ctl prints")


class Peer(MessagingHandler):
    """Proton as the one that listens: keeps what it is sent, sends it to who asks, rejects what
    comes to `refuse`."""

    def __init__(self):
        super().__init__(auto_accept=False)
        self.kept = []
        self.port = None
        self.acceptor = None
        self.ready = threading.Event()
        self.ended = False

    def on_start(self, event):
        self.acceptor = event.container.listen("127.0.0.1:0")
        self.port = self.acceptor._selectable._delegate.getsockname()[1]
        self.ready.set()
        event.container.schedule(0.05, self)

    def on_timer_task(self, event):
        if self.ended:
            self.acceptor.close()
            event.container.stop()
        else:
            event.container.schedule(0.05, self)

    def on_link_opening(self, event):
        event.link.source.copy(event.link.remote_source)
        event.link.target.copy(event.link.remote_target)

    def on_message(self, event):
        if event.link.remote_target.address == "refuse":
            event.delivery.update(REJECTED)
            event.delivery.settle()
            return
        self.kept.append(event.message)
        self.accept(event.delivery)

    def on_sendable(self, event):
        while self.kept and event.link.credit:
            event.link.send(self.kept.pop(0))


@case("send, receive: Proton as the other side")
def _(env):
    handler = Peer()
    container = Container(handler)
    thread = threading.Thread(target=container.run, daemon=True)
    thread.start()
    try:
        check(handler.ready.wait(30), "Proton does not listen")
        send, receive = tools(env, handler.port)
        lines = ["line %d" % n for n in range(500)]
        send.run("q", "--text-lines", "-", stdin="\n".join(lines).encode())
        check_equal([m.body for m in handler.kept], lines, "what Proton got")
        check_equal(receive.lines("q", "--count", "500"), lines, "what came back")
        send.run("refuse", "--body", "x", code=1)
        send.run("q", "--size", "200000", "--settle", "settled")
        check_equal(receive.run("q", "--count", "1", "--raw"), b"x" * 200000, "many frames")
    finally:
        handler.ended = True
        thread.join(30)
    check(not thread.is_alive(), "Proton's container does not end")


def example(env, name, address, *words):
    """The command of a program of client/examples, of the build that the other programs are of."""
    folder = os.path.join(env.options.programs, "..", "..", "examples")
    url = "amqp://127.0.0.1:%d/%s" % (env.port, address)
    return [os.path.join(folder, name), url] + list(words)


@case("examples: the work queue's tasks are done once each, by two workers")
def _(env):
    address = env.address()
    told = subprocess.run(example(env, "work_queue", address, "add", "200"), timeout=60,
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    check_equal(told, "200 of 200 tasks are in the queue\n", "what the producer says")
    workers = [subprocess.Popen(example(env, "work_queue", address, "work"), text=True,
                                stdout=subprocess.PIPE) for _ in range(2)]
    done = [line for one in workers for line in one.communicate(timeout=60)[0].splitlines()]
    check_equal(sorted(done), sorted("done: task %d" % n for n in range(1, 201)), "tasks")
    check_equal([one.returncode for one in workers], [0, 0], "exit codes")


@case("examples: a request gets its response")
def _(env):
    address = env.address()
    server = subprocess.Popen(example(env, "request_response", address, "serve", "2"))
    for text in ("hello", "again"):
        answer = subprocess.run(example(env, "request_response", address, "ask", text),
                                timeout=60, stdout=subprocess.PIPE, check=True, text=True).stdout
        check_equal(answer, text.upper() + "\n", "the response")
    check_equal(server.wait(timeout=60), 0, "exit code of the server")
