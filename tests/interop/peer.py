# SPDX-License-Identifier: Apache-2.0
"""Proton Python's engine behind a synchronous face: a test says what it does and waits for what
must come of it, with the exact octets of a message and every settlement step in its own hands.
All peers of a test are pumped together, so one may wait for what another one causes."""
import itertools
import select
import socket
import time

from proton import (Array, Collector, Connection, Data, Delivery, Endpoint, Event, Link, Message,
                    Terminus, Transport, UNDESCRIBED, symbol)

ACCEPTED, REJECTED = Delivery.ACCEPTED, Delivery.REJECTED
RELEASED, MODIFIED = Delivery.RELEASED, Delivery.MODIFIED
TIMEOUT = 20.0

_peers = []
_names = itertools.count(1)


class Failed(AssertionError):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def check_equal(got, expected, what):
    if got != expected:
        raise Failed("%s: got %r, expected %r" % (what, got, expected))


def wait(condition, what, timeout=TIMEOUT):
    """Pumps every peer until `condition()` holds, and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        left = end - time.monotonic()
        if left <= 0:
            raise Failed("waited %g s for %s" % (timeout, what))
        _pump(min(left, 1.0))


def settle_down(seconds=0.2):
    """Pumps for a while, where a test must show that nothing comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _pump(end - time.monotonic())


def close_all():
    for peer in list(_peers):
        peer.drop()


def freeze(peer):
    """It neither reads nor writes any more, and stays connected."""
    _peers.remove(peer)


def _pump(timeout):
    live = [p for p in _peers if p.socket is not None]
    readers = [p for p in live if p.wants_input()]
    writers = [p for p in live if p.wants_output()]
    if not readers and not writers:
        time.sleep(min(timeout, 0.01))
        return
    ready = select.poll()
    by_fd = {p.fileno(): p for p in readers + writers}
    for fd, peer in by_fd.items():
        ready.register(fd, (select.POLLIN if peer in readers else 0)
                       | (select.POLLOUT if peer in writers else 0))
    for fd, what in ready.poll(max(timeout, 0) * 1000):
        peer = by_fd[fd]
        if what & (select.POLLIN | select.POLLHUP | select.POLLERR):
            peer.read()
        if what & select.POLLOUT and peer.socket is not None:
            peer.write()
    for peer in live:
        peer.process()


def put_symbols(data, names):
    """A field of type `multiple`: one value, or an array of them."""
    if names and len(names) > 1:
        data.put_py_array(Array(UNDESCRIBED, Data.SYMBOL, *[symbol(one) for one in names]))
    elif names:
        data.put_object(symbol(names[0]))


class Received:
    """A delivery that has arrived in full."""

    def __init__(self, delivery, octets):
        self.delivery = delivery
        self.octets = octets
        self.was_settled = delivery.settled
        self._message = None

    @property
    def message(self):
        if self._message is None:
            self._message = Message()
            self._message.decode(self.octets)
        return self._message

    @property
    def body(self):
        return self.message.body

    def outcome(self, state, settle=True, failed=False, undeliverable=False, annotations=None):
        local = self.delivery.local
        local.failed = failed
        local.undeliverable = undeliverable
        if annotations:
            local.annotations = annotations
        self.delivery.update(state)
        if settle:
            self.delivery.settle()
        return self

    def accept(self, settle=True):
        return self.outcome(ACCEPTED, settle)


class Peer:
    """One connection with one session to begin with."""

    def __init__(self, port, user=None, password=None, sasl="ANONYMOUS", container_id=None,
                 max_frame_size=None, channel_max=None, open=True, desired=None, idle=None,
                 properties=None, secure=None):
        """`secure` puts Proton's TLS on a transport; without it there is none."""
        self.inbox = {}
        self.detached = set()  # names of links that the other side detached without closing
        self.partial = {}
        self.condition = None
        self.transport = Transport(Transport.CLIENT)
        if max_frame_size:
            self.transport.max_frame_size = max_frame_size
        if channel_max:
            self.transport.channel_max = channel_max
        if idle:
            self.transport.idle_timeout = idle
        self.connection = Connection()
        self.connection.container = container_id or "peer-%d" % next(_names)
        self.connection.hostname = "127.0.0.1"
        if desired:
            self.connection.desired_capabilities = desired
        if properties:
            self.connection.properties = properties
        if user:
            self.connection.user, self.connection.password = user, password
        self.collector = Collector()
        self.connection.collect(self.collector)
        if sasl:
            mechanisms = self.transport.sasl()
            mechanisms.allow_insecure_mechs = True
            mechanisms.allowed_mechs(sasl)
        if secure:
            secure(self.transport)
        self.transport.bind(self.connection)
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        _peers.append(self)
        self.connection.open()
        self.session = self.connection.session()
        self.session.open()
        if open:
            wait(self.is_open, "open")
            check(not self.is_closed(), "the connection was closed: %s" % self.why_closed())

    # --- input and output ---
    def fileno(self):
        return self.socket.fileno()

    def wants_input(self):
        return self.transport.capacity() > 0

    def wants_output(self):
        return self.transport.pending() > 0

    def read(self):
        room = self.transport.capacity()
        if room <= 0:
            return
        try:
            octets = self.socket.recv(min(room, 1 << 20))
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self.transport.push(octets)
        else:
            self.transport.close_tail()
        self.process()

    def write(self):
        try:
            sent = self.socket.send(self.transport.peek(min(self.transport.pending(), 1 << 20)))
        except BlockingIOError:
            return
        except OSError:
            self.transport.close_head()
            return
        self.transport.pop(sent)

    def process(self):
        event = self.collector.peek()
        while event:
            self._on_event(event)
            self.collector.pop()
            event = self.collector.peek()
        if self.socket is not None and self.transport.closed:
            self.socket.close()
            self.socket = None

    def _on_event(self, event):
        if event.type == Event.LINK_REMOTE_DETACH:
            self.detached.add(event.link.name)
        if event.type != Event.DELIVERY:
            return
        delivery = event.delivery
        link = delivery.link
        if not link.is_receiver or not delivery.readable:
            return
        parts = self.partial.setdefault(link.name, [])
        if delivery.pending:
            parts.append(link.recv(delivery.pending))
        if delivery.partial:
            return
        del self.partial[link.name]
        self.inbox.setdefault(link.name, []).append(Received(delivery, b"".join(parts)))
        link.advance()

    # --- the connection's state ---
    def is_open(self):
        return bool(self.connection.state & (Endpoint.REMOTE_ACTIVE | Endpoint.REMOTE_CLOSED)
                    or self.socket is None)

    def is_closed(self):
        return bool(self.connection.state & Endpoint.REMOTE_CLOSED) or self.socket is None

    def why_closed(self):
        condition = self.connection.remote_condition or self.transport.condition
        return condition.name if condition else None

    def close(self):
        self.connection.close()
        wait(self.is_closed, "close")
        self.drop()

    def drop(self):
        """Cuts the connection without a word."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if self in _peers:
            _peers.remove(self)

    def new_session(self):
        session = self.connection.session()
        session.open()
        return session

    # --- links ---
    def sender(self, address=None, session=None, name=None, dynamic=False, settled=None,
               second=False, capabilities=None, coordinator=False, wait_open=True,
               wait_credit=True, properties=None):
        link = (session or self.session).sender(name or "s-%d" % next(_names))
        target = link.target
        target.type = Terminus.COORDINATOR if coordinator else Terminus.TARGET
        if coordinator:
            target.capabilities.put_object(symbol("amqp:local-transactions"))
        target.address = address
        if dynamic:
            target.dynamic = True
        if properties:
            target.properties.put_dict(properties)
        put_symbols(target.capabilities, capabilities)
        link.source.address = link.name
        if settled is not None:
            link.snd_settle_mode = Link.SND_SETTLED if settled else Link.SND_UNSETTLED
        if second:
            link.rcv_settle_mode = Link.RCV_SECOND
        link.open()
        if wait_open:
            self.wait_open(link)
            if wait_credit:
                wait(lambda: link.credit > 0, "credit for %s" % address)
        return link

    def receiver(self, address=None, credit=0, session=None, name=None, dynamic=False,
                 settled=None, second=False, copy=False, capabilities=None, wait_open=True,
                 configure=None):
        link = (session or self.session).receiver(name or "r-%d" % next(_names))
        link.source.address = address
        if dynamic:
            link.source.dynamic = True
        if copy:
            link.source.distribution_mode = Terminus.DIST_MODE_COPY
        put_symbols(link.source.capabilities, capabilities)
        link.target.address = link.name
        if settled is not None:
            link.snd_settle_mode = Link.SND_SETTLED if settled else Link.SND_UNSETTLED
        if second:
            link.rcv_settle_mode = Link.RCV_SECOND
        if configure:
            configure(link)
        self.inbox[link.name] = []
        link.open()
        if wait_open:
            self.wait_open(link)
        if credit:
            link.flow(credit)
        return link

    def wait_open(self, link):
        wait(lambda: link.state & Endpoint.REMOTE_ACTIVE or self.is_refused(link)
             or self.is_closed(), "attach of %s" % link.name)
        check(not self.is_refused(link), "the link was refused: %s" % self.why_refused(link))
        check(not self.is_closed(), "the connection was closed: %s" % self.why_closed())

    @staticmethod
    def is_refused(link):
        return bool(link.state & Endpoint.REMOTE_CLOSED)

    @staticmethod
    def why_refused(link):
        return link.remote_condition.name if link.remote_condition else None

    def wait_refused(self, link, condition):
        wait(lambda: self.is_refused(link) or self.is_closed(), "the refusal of the link")
        check_equal(self.why_refused(link), condition, "why the link was refused")

    def detach(self, link):
        link.close()
        wait(lambda: self.is_refused(link), "the answer to detach")

    def detach_open(self, link):
        """Detaches without closing."""
        self.detached.discard(link.name)
        link.detach()
        wait(lambda: link.name in self.detached or self.is_refused(link), "the answer to detach")
        check(link.name in self.detached, "the link was closed instead: %s"
              % self.why_refused(link))

    # --- messages ---
    def send(self, link, message, settled=False, tag=None):
        """A Message, or the octets of one. Does not wait for the outcome."""
        octets = message if isinstance(message, bytes) else message.encode()
        wait(lambda: link.credit > 0 or self.is_closed() or self.is_refused(link), "credit")
        delivery = link.delivery(tag or "t-%d" % next(_names))
        at = 0
        while at < len(octets):
            at += link.stream(octets[at:at + (1 << 20)])
            if at < len(octets):
                wait(lambda: self.session.outgoing_bytes < (4 << 20), "room for more octets", 60)
        if settled:
            delivery.settle()
        link.advance()
        return delivery

    def outcome(self, delivery, timeout=TIMEOUT):
        """Waits until the receiver has settled, then settles too; the outcome. The error that
        came with it, if any, is then in `condition`."""
        wait(lambda: delivery.settled or self.is_closed(), "an outcome", timeout)
        check(delivery.settled, "the connection was lost before the outcome")
        state = delivery.remote_state
        error = delivery.remote.condition
        self.condition = error.name if error else None
        delivery.settle()
        return state

    def put(self, link, message):
        self.put_all(link, [message])

    def put_all(self, link, messages):
        """All are under way before the first outcome is waited for."""
        for sent in [self.send(link, one) for one in messages]:
            check_equal(self.outcome(sent), ACCEPTED, "the outcome of a send")

    def receive(self, link, timeout=TIMEOUT):
        box = self.inbox[link.name]
        wait(lambda: box or self.is_closed() or self.is_refused(link), "a message", timeout)
        check(box, "the link or connection was closed: %s %s"
              % (self.why_refused(link), self.why_closed()))
        return box.pop(0)

    def receive_all(self, link, count, timeout=TIMEOUT):
        box = self.inbox[link.name]
        wait(lambda: len(box) >= count or self.is_closed(), "%d messages" % count, timeout)
        out, box[:] = box[:count], box[count:]
        check_equal(len(out), count, "messages that came")
        return out

    def drain(self, link, credit=100):
        """What there is now: drain ends when the sender has used or returned all credit."""
        link.drain(credit)
        wait(lambda: not link.draining() or self.is_closed(), "the answer to drain")
        link.drain_mode = False
        box = self.inbox[link.name]
        out, box[:] = list(box), []
        return out

    def is_empty(self, address):
        """Whether a consumer finds nothing there now."""
        link = self.receiver(address)
        found = self.drain(link)
        for one in found:
            one.outcome(RELEASED)
        self.detach(link)
        return not found
