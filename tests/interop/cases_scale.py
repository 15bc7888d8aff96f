# SPDX-License-Identifier: Apache-2.0
"""Figures: memory of idle connections, time from start to the first `open`. The memory is an
assertion; times are one only with --assert-times, since a busy machine says nothing about them."""
import itertools
import os
import select
import socket
import subprocess
import time

from proton import Connection, Transport

from case import collector
from peer import Failed, Peer, check, check_equal, wait

CASES, case = collector()

IDLE_CONNECTIONS = 2000
IDLE_KIB_MAX = 32.0
EMPTY_SECONDS_MAX = 0.2
STORED_SECONDS_MAX = 0.5
STORED = 100_000

_attach = b"\x00\x53\x12"  # what a frame body with an attach begins with


def greeting(number, address):
    """What a client without SASL writes up to its attach, from Proton's own engine. Such a client
    need not wait for answers [2.4.1]."""
    transport = Transport(Transport.CLIENT)
    connection = Connection()
    connection.container = "idle-%d" % number
    connection.hostname = "127.0.0.1"
    transport.bind(connection)
    connection.open()
    session = connection.session()
    session.open()
    link = session.receiver("link-%d" % number)
    link.source.address = address
    link.target.address = "idle"
    link.open()
    out = b""
    while transport.pending() > 0:
        part = transport.peek(transport.pending())
        out += part
        transport.pop(len(part))
    return out


def has_attach(octets):
    """Whether these octets from the broker hold an attach in a whole frame."""
    at = 8  # the protocol header
    while len(octets) >= at + 8:
        size = int.from_bytes(octets[at:at + 4], "big")
        if len(octets) < at + size:
            return False
        body = at + 4 * octets[at + 4]
        if octets[body:body + 3] == _attach:
            return True
        at += size
    return False


def connect_idle(port, address, numbers):
    """Opens them all, then reads until each has its attach."""
    sockets = {}
    for number in numbers:
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(greeting(number, address))
        sockets[one.fileno()] = [one, b""]
    poll = select.poll()
    for fd in sockets:
        poll.register(fd, select.POLLIN)
    waiting = set(sockets)
    end = time.monotonic() + 60
    while waiting:
        check(time.monotonic() < end, "%d connections had no attach in 60 s" % len(waiting))
        for fd, _ in poll.poll(1000):
            entry = sockets[fd]
            got = entry[0].recv(65536)
            check(got, "the broker closed an idle connection")
            entry[1] += got
            if fd in waiting and has_attach(entry[1]):
                waiting.discard(fd)
                poll.unregister(fd)
    return [entry[0] for entry in sockets.values()]


@case("2,000 idle connections, each with a session and a link: at most 32 KiB each", alone=True)
def _(env):
    address = env.address()
    open_ones = connect_idle(env.port, address, range(50))  # what is allocated once
    before = env.broker.rss_kib()
    open_ones += connect_idle(env.port, address, range(50, 50 + IDLE_CONNECTIONS))
    each = (env.broker.rss_kib() - before) / IDLE_CONNECTIONS
    env.note("%.1f KiB each, RSS %.1f MB before, %.1f MB with them"
             % (each, before / 1024, env.broker.rss_kib() / 1024))
    peer = env.peer()
    peer.sender(address)
    for one in open_ones:
        one.close()
    if env.options.instrumented:
        env.note("not asserted: instrumented build")
        return
    check(each <= IDLE_KIB_MAX, "%.1f KiB for each connection" % each)


def seconds_to_open(broker):
    """From the start of the process to its answer to `open`, on a port known beforehand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        broker.port = probe.getsockname()[1]
    began = time.monotonic()
    broker.start()
    peer = Peer(broker.port, sasl=None)
    took = time.monotonic() - began
    check(not peer.is_closed(), "the first connection was closed")
    return took


def judge(env, what, seconds, most):
    env.note("%s %.0f ms (target %.0f)" % (what, seconds * 1000, most * 1000))
    if env.options.assert_times:
        check(seconds <= most, "%s took %.3f s" % (what, seconds))


@case("start to the first open, on an empty directory")
def _(env):
    best = min(seconds_to_open(env.another_broker()) for _ in range(3))
    judge(env, "best of 3:", best, EMPTY_SECONDS_MAX)


@case("start to the first open, with 100,000 stored messages")
def _(env):
    broker = env.another_broker().start()
    filler = os.path.join(env.options.programs, "cpp_throughput")
    if not os.path.exists(filler):
        raise Failed("needs %s" % filler)
    done = subprocess.run([filler, str(broker.port), "fill", "stored", str(STORED)],
                          capture_output=True, text=True, timeout=300)
    check_equal(done.returncode, 0, "the filling program: " + done.stdout[-300:])
    broker.kill()
    took = seconds_to_open(broker)
    peer = Peer(broker.port)
    link = peer.receiver("/queues/stored", credit=10)
    check_equal(len(peer.receive_all(link, 10)), 10, "messages from the recovered queue")
    judge(env, "after kill -9:", took, STORED_SECONDS_MAX)
    broker.stop()
    judge(env, "after SIGTERM:", seconds_to_open(broker), STORED_SECONDS_MAX)


@case("connections come and go: the broker's memory and descriptors do not grow", alone=True)
def _(env):
    address = env.address()

    def turn():
        for one in connect_idle(env.port, address, range(200)):
            one.close()
        wait(lambda: descriptors(env) <= few, "the descriptors to be closed")
    few = descriptors(env) + 2
    for _ in itertools.repeat(None, 3):
        turn()
    before = env.broker.rss_kib()
    for _ in itertools.repeat(None, 7):
        turn()
    grown = env.broker.rss_kib() - before
    env.note("RSS grew by %d KiB over 1,400 connections" % grown)
    check(grown < 4096 or env.options.instrumented, "RSS grew by %d KiB" % grown)


def descriptors(env):
    return len(os.listdir("/proc/%d/fd" % env.broker.pid))
