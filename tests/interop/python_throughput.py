# SPDX-License-Identifier: Apache-2.0
"""100,000 messages in order through Proton Python's Container, and its blocking API."""
import sys
import time

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container
from proton.utils import BlockingConnection

TOTAL = 100_000


class InOrder(MessagingHandler):
    """Sender and receiver on connections of their own."""

    def __init__(self, url, address, durable):
        super().__init__(prefetch=1000)
        self.url, self.address, self.durable = url, address, durable
        self.sent = self.accepted = self.received = 0
        self.failure = None

    def on_start(self, event):
        self.connections = [event.container.connect(self.url, reconnect=False) for _ in "ab"]
        event.container.create_receiver(self.connections[0], self.address)
        event.container.create_sender(self.connections[1], self.address)
        self.deadline = event.container.schedule(300, self)

    def on_sendable(self, event):
        while event.sender.credit and self.sent < TOTAL:
            event.sender.send(Message(id=self.sent, body="x" * 50, durable=self.durable))
            self.sent += 1

    def on_accepted(self, event):
        self.accepted += 1
        self.look()

    def on_message(self, event):
        if event.message.id != self.received:
            self.end("message %d came in place of %d" % (event.message.id, self.received))
        self.received += 1
        self.look()

    def look(self):
        if self.accepted == TOTAL and self.received == TOTAL:
            self.end(None)

    def on_timer_task(self, event):
        self.end("%d accepted, %d received in 300 s" % (self.accepted, self.received))

    def on_transport_error(self, event):
        self.end("transport: %s" % event.transport.condition)

    def end(self, failure):
        self.failure = self.failure or failure
        self.deadline.cancel()
        for one in self.connections:
            one.close()


def in_order(url, durable):
    handler = InOrder(url, "python-%s" % ("durable" if durable else "transient"), durable)
    Container(handler).run()
    if handler.failure or handler.received != TOTAL:
        raise AssertionError(handler.failure or "only %d came" % handler.received)


def blocking(url):
    connection = BlockingConnection(url, timeout=20)
    sender = connection.create_sender("python-blocking")
    receiver = connection.create_receiver("python-blocking")
    for i in range(500):
        sender.send(Message(body=i, durable=True))
        got = receiver.receive()
        receiver.accept()
        if got.body != i:
            raise AssertionError("message %r came in place of %d" % (got.body, i))
    connection.close()


def main():
    url = "127.0.0.1:%s" % sys.argv[1]
    failures = 0
    for name, run in (("100,000 durable messages in order", lambda: in_order(url, True)),
                      ("100,000 transient messages in order", lambda: in_order(url, False)),
                      ("500 messages one by one, blocking", lambda: blocking(url))):
        began = time.monotonic()
        verdict, text = "ok", ""
        try:
            run()
        except Exception as failure:
            verdict, text = "FAIL", " | %s: %s" % (type(failure).__name__, failure)
            failures += 1
        print("case %s %.2f %s%s" % (verdict, time.monotonic() - began, name, text), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
