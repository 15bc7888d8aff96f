# SPDX-License-Identifier: Apache-2.0
"""Starts, kills and stops a broker for tests: loopback, a port of the system's choice, a data
directory of its own. Every broker still alive when the interpreter ends is killed."""
import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

LISTENING = re.compile(rb"listening on 127\.0\.0\.1:(\d+)")
_alive = set()


def _kill_all():
    for broker in list(_alive):
        broker.kill()


atexit.register(_kill_all)


class StartFailed(Exception):
    pass


class Broker:
    """One broker process at a time on one data directory; `start` again after `kill` or `stop`
    keeps the port, so that clients can reconnect."""

    def __init__(self, binary, workers, config="", data=None, arguments=(), environment=None):
        self.binary = binary
        self.workers = workers
        self.arguments = list(arguments)
        self.environment = dict(os.environ, **(environment or {}))
        self.scratch = tempfile.mkdtemp(prefix="whimbrel-test.")
        self.data = data or os.path.join(self.scratch, "data")
        self.config = None
        if config:
            self.config = os.path.join(self.scratch, "broker.toml")
            with open(self.config, "w", encoding="utf-8") as out:
                out.write(config)
        self.port = 0
        self.process = None
        self.log = []
        self.ready_seconds = 0.0

    def command(self):
        out = [self.binary, "broker", "--listen", "127.0.0.1:%d" % self.port, "--data", self.data,
               "--workers", str(self.workers)]
        if self.config:
            out += ["--config", self.config]
        return out + self.arguments

    def start(self, timeout=60):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=self.environment)
        _alive.add(self)
        listening = threading.Event()
        reader = threading.Thread(target=self._read_log, args=(self.process, listening),
                                  daemon=True)
        reader.start()
        if not listening.wait(timeout) or not self.port:
            self.kill()
            raise StartFailed("the broker did not start: " + self.log_tail())
        self.ready_seconds = time.monotonic() - began
        return self

    def _read_log(self, process, listening):
        for line in process.stderr:
            self.log.append(line)
            found = LISTENING.search(line)
            if found:
                self.port = int(found.group(1))
                listening.set()
        listening.set()  # it ended: do not let start() wait

    def log_tail(self, lines=15):
        return b"".join(self.log[-lines:]).decode("utf-8", "replace")

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a power switch would, from the process's point of view."""
        self._end(signal.SIGKILL, 30)

    def stop(self, timeout=60):
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM, timeout)

    def _end(self, how, timeout):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        _alive.discard(self)
        return self.process.returncode

    def remove(self):
        self.kill()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def rss_kib(self):
        with open("/proc/%d/status" % self.pid, encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0


def password_lines(binary, password):
    """What `whimbrel hash-password` prints: the `passwords` of a [[user]]."""
    done = subprocess.run([binary, "hash-password"], input=password + "\n", text=True,
                          capture_output=True, check=True, timeout=30)
    return done.stdout
