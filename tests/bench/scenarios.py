# SPDX-License-Identifier: Apache-2.0
"""What is done to each subject: the scenarios, and one run of the load generator."""
import json
import subprocess
import time
from dataclasses import dataclass

import machine

CREDIT = 1000
PACED = 2000  # messages a second in the latency scenarios


@dataclass(frozen=True)
class Scenario:
    name: str
    durable: bool
    size: int
    steps: tuple          # modes of proton_load, one after the other: both, or send then recv
    labels: tuple         # a row of the table for each step
    rate: int = 0


def _throughput(size):
    text = "100 octets" if size == 100 else "%d KiB" % (size // 1024)
    out = []
    for durable in (False, True):
        kind = ("durable" if durable else "transient") + ", " + text
        out.append(Scenario(kind + ", keeping up", durable, size, ("both",),
                            (kind + ", keeping up",)))
        out.append(Scenario(kind + ", backlog", durable, size, ("send", "recv"),
                            (kind + ", no consumer", kind + ", draining")))
    return out


def throughput(quick):
    return _throughput(100) if quick else _throughput(100) + _throughput(1024)


def paced():
    rate = ", %s/s" % format(PACED, ",")
    return [
        Scenario("transient" + rate + ", keeping up", False, 100, ("both",),
                 ("transient, keeping up",), PACED),
        Scenario("durable" + rate + ", keeping up", True, 100, ("both",),
                 ("durable, keeping up",), PACED),
        Scenario("durable" + rate + ", no consumer", True, 100, ("send",),
                 ("durable, no consumer",), PACED),
    ]


class LoadFailed(Exception):
    pass


def run_load(program, subject, scenario, mode, count, timeout):
    """One run of proton_load: its JSON, and beside it the load on the machine that was not ours."""
    command = [program, "--mode", mode, "--host", subject.host, "--port", str(subject.port),
               "--address", subject.address, "--count", str(count), "--size", str(scenario.size),
               "--credit", str(CREDIT), "--durable", "1" if scenario.durable else "0",
               "--timeout", str(timeout)]
    if scenario.rate and mode != "recv":
        command += ["--rate", str(scenario.rate)]
    if subject.pid:
        command += ["--pid", str(subject.pid)]
    busy, began = machine.busy_seconds(), time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 15,
                              check=False)
    except subprocess.TimeoutExpired:
        raise LoadFailed("proton_load did not end in %d s" % (timeout + 15)) from None
    elapsed = time.monotonic() - began
    busy = machine.busy_seconds() - busy
    try:
        out = json.loads(done.stdout)
    except ValueError:
        raise LoadFailed("proton_load said %r %r" % (done.stdout, done.stderr)) from None
    moved = out["acked"] if mode == "send" else out["received"]
    if done.returncode != 0 or out["error"] or out["refused"] or moved != count:
        raise LoadFailed("%d sent, %d accepted, %d refused, %d received of %d: %s" % (
            out["sent"], out["acked"], out["refused"], out["received"], count,
            out["error"] or "exit code %d" % done.returncode))
    ours = out["client_cpu_s"] + out["broker_cpu_s"]
    out["other_load"] = max(0.0, (busy - ours) / elapsed)
    return out
