# SPDX-License-Identifier: Apache-2.0
"""Alternates the subjects over the scenarios and prints the tables. Called by run.sh, which says
in its --help what the options mean."""
import argparse
import json
import os
import platform
import signal
import sys
import time
from statistics import median

import machine
import report
import scenarios
import startup
import subjects


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--place", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--startup", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--count", type=int)
    parser.add_argument("--peer-count", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--peer")
    parser.add_argument("--address")
    parser.add_argument("--peer-pid", type=int)
    parser.add_argument("--peer-name", default="peer")
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (3 if options.quick else 5)
    options.count = options.count or (200000 if options.quick else 500000)
    options.peer_count = options.peer_count or max(1, options.count // 5)
    options.timeout = 30 if options.quick else 60
    options.paced_seconds = 3 if options.quick else 10
    if options.peer and (not options.address or ":" not in options.peer):
        parser.error("--peer wants HOST:PORT and --address")
    return options


def heading(options, broker):
    kind, device = machine.file_system(options.place)
    p50, p99 = machine.fdatasync_us(options.place)
    print("%s, %d cores, Linux %s; load average before: %s" % (
        machine.processor(), os.cpu_count(), platform.release(), machine.load_average()))
    print("data below %s: %s on %s; fdatasync of 4 KiB p50 %.2f ms, p99 %.2f ms" % (
        options.place, kind, device, p50 / 1000, p99 / 1000))
    if kind in ("tmpfs", "ramfs"):
        print("WARNING: that is memory, no disk: what durable messages cost is not measured")
    print("%s, %s workers; unsettled, credit %d; %s messages of 100 octets, %d runs" % (
        broker.binary, broker.workers or "default", scenarios.CREDIT,
        format(options.count, ","), options.runs))
    print("other load: processors busy with what is neither broker nor clients, the worst run\n",
          flush=True)
    return {"fs": kind, "fdatasync_p50_us": p50, "fdatasync_p99_us": p99}


def say_progress(text):
    if sys.stderr.isatty():
        print("\r" + text.ljust(60), end="\r", file=sys.stderr, flush=True)


class Measuring:
    def __init__(self, options, broker, others):
        self.options = options
        self.broker = broker
        self.subjects = others[:1] + [broker] + others[1:]
        self.results = []
        self.failures = 0

    def count(self, scenario, subject):
        if scenario.rate:
            return scenario.rate * self.options.paced_seconds
        count = self.options.peer_count if subject.key == "peer" else self.options.count
        return count if scenario.size <= 100 else max(1, count // 2)

    def run(self, scenario):
        """Every round runs all subjects, in turns forwards and backwards."""
        rounds = min(self.options.runs, 2) if scenario.rate else self.options.runs
        say_progress(scenario.name + " ...")
        try:
            self.broker.start()
            for number in range(rounds):
                order = self.subjects if number % 2 == 0 else self.subjects[::-1]
                for subject in order:
                    self.run_steps(scenario, subject, number)
        except (scenarios.LoadFailed, subjects.StartFailed) as error:
            self.failures += 1
            print("FAILED: %s: %s" % (scenario.name, error), flush=True)
        finally:
            self.broker.stop()
            say_progress("")

    def run_steps(self, scenario, subject, number):
        steps = zip(scenario.steps, scenario.labels)
        if subject.key == "direct":
            if scenario.rate and scenario.steps == ("send",):
                return  # nothing new: there is always a receiver
            steps = [("direct", scenario.labels[0])]
        for mode, label in steps:
            count = self.count(scenario, subject)
            before = subject.totals()
            try:
                run = scenarios.run_load(self.options.load, subject, scenario, mode, count,
                                         self.options.timeout)
            except scenarios.LoadFailed as error:
                raise scenarios.LoadFailed("%s, %s: %s" % (subject.name, mode, error)) from None
            after = subject.totals()
            run.update(scenario=scenario.name, label=label, subject=subject.key, mode=mode,
                       round=number, moved=count, totals=after, cancelled=None)
            if before and after and scenario.durable and mode != "recv":
                run["cancelled"] = after["cancelled"] - before["cancelled"]
            self.results.append(run)
        if subject.key == "peer" and scenario.steps == ("send",):  # leave its queue empty
            scenarios.run_load(self.options.load, subject, scenario, "recv", count,
                               self.options.timeout)


def print_startup(options, broker):
    rows, out = [], []
    for what, figures in startup.measure(broker, options.load, options.runs):
        times = [time_ms for time_ms, _ in figures]
        memory = [mb for _, mb in figures]
        out.append({"what": what, "open_ms": times, "rss_mb": memory})
        rows.append([what, broker.name, "%.0f (%.0f-%.0f)" % (median(times), min(times),
                                                              max(times)),
                     "%.1f" % median(memory)])
    report.table(["start to first open", "subject", "ms (min-max)", "RSS MB"], rows)
    return out


def main():
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that brokers are stopped
    broker = subjects.Whimbrel(os.path.abspath(options.broker), options.workers, options.place)
    others = [subjects.Brokerless()]
    if options.peer:
        host, port = options.peer.rsplit(":", 1)
        others.append(subjects.Peer(options.peer_name, host, port, options.address,
                                    options.peer_pid))
    began = time.monotonic()
    about = heading(options, broker)
    measuring = Measuring(options, broker, others)

    flat_out = [s for s in scenarios.throughput(options.quick) if options.only in s.name]
    for scenario in flat_out:
        measuring.run(scenario)
    labels = [label for scenario in flat_out for label in scenario.labels]
    if labels:
        report.throughput_table(measuring.results, labels, measuring.subjects)

    paced = [s for s in scenarios.paced() if options.only in s.name]
    for scenario in paced:
        measuring.run(scenario)
    labels = [label for scenario in paced for label in scenario.labels]
    if labels:
        print("at %s messages/s:" % format(scenarios.PACED, ","))
        report.latency_table(measuring.results, labels, measuring.subjects)
    report.targets_table(measuring.results, about["fdatasync_p99_us"])
    started = print_startup(options, broker) if options.startup else []

    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"about": about, "runs": measuring.results, "startup": started}, out,
                      indent=1)
    print("%d runs in %.0f s; load average after: %s" % (
        len(measuring.results), time.monotonic() - began, machine.load_average()))
    return 1 if measuring.failures else 0


if __name__ == "__main__":
    sys.exit(main())
