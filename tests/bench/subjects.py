# SPDX-License-Identifier: Apache-2.0
"""What is measured: no broker, our broker, another broker. Each is a place to send to; ours is
started afresh for each scenario and tells its own totals."""
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from broker_process import Broker, StartFailed  # noqa: E402,F401  (the path above)

TOTALS = re.compile(rb"totals (.*)")


class Brokerless:
    """The receiver listens and the sender connects to it: the ceiling of the two clients."""
    name = "no broker"
    key = "direct"
    pid = None
    host = "127.0.0.1"
    address = "bench"

    def start(self):
        pass

    def stop(self):
        pass

    @property
    def port(self):
        """A free one; proton_load listens on it a moment later."""
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            return probe.getsockname()[1]

    def totals(self):
        return None


class Whimbrel:
    name = "whimbrel"
    key = "broker"
    host = "127.0.0.1"
    address = "bench"

    def __init__(self, binary, workers, place):
        self.binary = binary
        self.workers = workers
        self.place = place
        self.scratch = None
        self.broker = None

    def start(self):
        self.scratch = tempfile.mkdtemp(prefix="data.", dir=self.place)
        self.broker = _Broker(self.binary, self.workers, data=os.path.join(self.scratch, "data"))
        self.broker.start()

    def restart(self):
        """Stopped and started on the same data; the exit code must be 0."""
        if self.broker.stop() != 0:
            raise RuntimeError("the broker did not end well: " + self.broker.log_tail())
        self.broker.start()

    def stop(self):
        if self.broker:
            code = self.broker.stop() if self.broker.is_running() else self.broker.process.poll()
            tail = self.broker.log_tail()
            self.broker.remove()
            self.broker = None
            if code != 0:
                print("the broker ended with code %s:\n%s" % (code, tail), file=sys.stderr)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch = None

    @property
    def port(self):
        return self.broker.port

    @property
    def pid(self):
        return self.broker.pid

    def rss_kib(self):
        return self.broker.rss_kib()

    def totals(self, timeout=5.0):
        """The broker's own counters since its start, or None if it does not tell them in time."""
        seen = len(self.broker.log)
        self.broker.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.broker.is_running():
            for line in self.broker.log[seen:]:
                found = TOTALS.search(line)
                if found:
                    pairs = re.findall(r"(\w+)=(\d+)", found.group(1).decode("ascii", "replace"))
                    return {name: int(value) for name, value in pairs}
            time.sleep(0.01)
        return None


class _Broker(Broker):
    """The broker with its default number of workers when none is asked for."""

    def command(self):
        out = super().command()
        if self.workers is None:
            at = out.index("--workers")
            del out[at:at + 2]
        return out


class Peer:
    """Somebody else's broker, started and stopped by somebody else."""
    key = "peer"

    def __init__(self, name, host, port, address, pid):
        self.name = name
        self.host = host
        self.port = port
        self.address = address
        self.pid = pid

    def start(self):
        pass

    def stop(self):
        pass

    def totals(self):
        return None
