# SPDX-License-Identifier: Apache-2.0
"""Proton Python's own reconnect over a broker that is killed: prints `kill` when it wants that,
and run.py kills the broker and starts it again on the same port."""
import sys
import time

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Backoff, Container

TOTAL = 20_000
KILLS = 3


class Reconnecting(MessagingHandler):
    def __init__(self, url):
        super().__init__(prefetch=500)
        self.url = url
        self.in_flight = {}  # delivery tag -> number
        self.unsure = []
        self.accepted, self.received, self.strange = set(), set(), []
        self.next = self.asked = self.connections = 0
        self.failure = None

    def on_start(self, event):
        again = Backoff(initial=0.02, max_delay=0.1)
        self.connection = event.container.connect(self.url, reconnect=again)
        self.receiver = event.container.create_receiver(self.connection, "python-reconnect")
        self.sender = event.container.create_sender(self.connection, "python-reconnect")
        self.deadline = event.container.schedule(120, self)

    def on_connection_opened(self, event):
        self.connections += 1

    def on_disconnected(self, event):
        self.unsure += self.in_flight.values()
        self.in_flight.clear()

    def on_sendable(self, event):
        while event.sender.credit and len(self.in_flight) < 500:
            if self.unsure:
                number = self.unsure.pop()
            elif self.next < TOTAL:
                number = self.next
                self.next += 1
            else:
                return
            delivery = event.sender.send(Message(body=number, durable=True))
            self.in_flight[delivery.tag] = number

    def on_accepted(self, event):
        number = self.in_flight.pop(event.delivery.tag, None)
        if number is None:
            return
        self.accepted.add(number)
        if self.asked < KILLS and len(self.accepted) >= (self.asked + 1) * TOTAL / (KILLS + 1):
            self.asked += 1
            print("kill", flush=True)
        self.on_sendable(event)
        self.look()

    def on_message(self, event):
        body = event.message.body
        if isinstance(body, int) and 0 <= body < TOTAL:
            self.received.add(body)
        else:
            self.strange.append(body)
        self.look()

    def look(self):
        if len(self.accepted) == TOTAL and len(self.received) == TOTAL:
            failure = None
            if self.connections <= KILLS:
                failure = "only %d connections" % self.connections
            if self.strange:
                failure = "%d that were not sent: %r" % (len(self.strange), self.strange[:3])
            self.end(failure)

    def on_timer_task(self, event):
        self.end("%d accepted, %d received, %d connections in 120 s"
                 % (len(self.accepted), len(self.received), self.connections))

    def end(self, failure):
        self.failure = failure
        self.deadline.cancel()
        self.connection.close()


def main():
    handler = Reconnecting("127.0.0.1:%s" % sys.argv[1])
    began = time.monotonic()
    Container(handler).run()
    text = " | " + handler.failure if handler.failure else ""
    print("case %s %.2f three kills: Proton reconnects, nothing accepted is lost%s"
          % ("FAIL" if text else "ok", time.monotonic() - began, text))
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main())
