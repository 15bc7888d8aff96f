# SPDX-License-Identifier: Apache-2.0
"""From start to the first answered `open`: on an empty directory and with stored messages."""
import socket
import time

import scenarios

HEADER = b"AMQP\x00\x01\x00\x00"
OPEN = b"\x00\x53\x10\xc0\x08\x01\xa1\x05bench"  # described list with container-id alone [2.7.1]
OPEN_FRAME = (8 + len(OPEN)).to_bytes(4, "big") + b"\x02\x00\x00\x00" + OPEN


def _receive(connection, size):
    out = b""
    while len(out) < size:
        more = connection.recv(size - len(out))
        if not more:
            raise ConnectionError("closed after %r" % out)
        out += more
    return out


def wait_for_open(port):
    """A bare AMQP connection until the broker's own open has come."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(HEADER + OPEN_FRAME)
        if _receive(connection, len(HEADER)) != HEADER:
            raise ConnectionError("no AMQP header in answer")
        size = int.from_bytes(_receive(connection, 4), "big")
        body = _receive(connection, size - 4)
        if body[4:7] != b"\x00\x53\x10":
            raise ConnectionError("no open in answer: %r" % body[:16])


def _start_and_open(subject, start):
    began = time.monotonic()
    start()
    wait_for_open(subject.port)
    return (time.monotonic() - began) * 1000, subject.rss_kib() / 1024


def measure(subject, load, runs, stored=100000):
    """Rows of (what, [milliseconds], [MB of RSS])."""
    empty, full = [], []
    for _ in range(runs):
        try:
            empty.append(_start_and_open(subject, subject.start))
        finally:
            subject.stop()
    scenario = scenarios.Scenario("fill", True, 100, ("send",), ("fill",))
    try:
        subject.start()
        scenarios.run_load(load, subject, scenario, "send", stored, 60)
        for _ in range(runs):
            if subject.broker.stop() != 0:
                raise RuntimeError("the broker did not end well: " + subject.broker.log_tail())
            full.append(_start_and_open(subject, subject.broker.start))
    finally:
        subject.stop()
    return [("empty directory", empty), ("%s stored messages" % format(stored, ","), full)]
