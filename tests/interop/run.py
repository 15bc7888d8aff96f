# SPDX-License-Identifier: Apache-2.0
"""Runs every interop case against freshly started brokers; see run.sh for the arguments."""
import argparse
import importlib
import os
import re
import resource
import shutil
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

from broker_process import Broker, StartFailed  # noqa: E402
from case import Environment  # noqa: E402
import cases_security  # noqa: E402
import certificates  # noqa: E402
import peer as peers  # noqa: E402

MODULES = ["cases_outcomes", "cases_messages", "cases_links", "cases_topics", "cases_security",
           "cases_scram", "cases_restart", "cases_scale", "cases_filters", "cases_management",
           "cases_ctl", "cases_policies", "cases_tools", "cases_http", "cases_tls"]
# What the broker of a suite is told, where that is anything.
RABBITMQ = 'rabbitmq-identity = "4.3.0"\n'
CONFIGS = {"login": cases_security.users, "jms-login": cases_security.users,
           "jms-messages": '[[queue]]\nname = "jms-levels"\nx-max-priority = 10\n',
           "tls_cases.js": lambda binary: certificates.settings("allowed"),
           "rabbitmq": RABBITMQ, "rabbitmq-restart": RABBITMQ}
LINE = re.compile(r"^case (ok|FAIL) ([\d.]+) ([^|]*)(?:\| (.*))?$")


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self, workers, client, name, error, seconds, notes=""):
        verdict = "ok" if error is None else "FAIL"
        self.passed += error is None
        self.failed += error is not None
        print("%-4s workers=%d %-6s %6.2f s  %s%s" % (verdict, workers, client, seconds, name,
                                                      " (%s)" % notes if notes else ""))
        if error is not None:
            print("       " + error.strip().replace("\n", "\n       "))
        sys.stdout.flush()

    def skip(self, what):
        self.skipped += 1
        print("skipped: " + what)

    def end(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        return 1 if self.failed or not self.passed else 0


class Runner:
    def __init__(self, options):
        self.options = options
        self.report = Report()
        self.folders = {}

    def wanted(self, client, name):
        text = client + " " + name
        return not self.options.only or re.search(self.options.only, text)

    # --- cases in Python ---
    def run_module(self, name, workers):
        cases = [c for c in importlib.import_module(name).CASES if self.wanted("python", c.name)]
        shared = None
        for case in cases:
            if case.alone:
                self.run_case(case, self.start(workers, case.config), workers, True)
                continue
            if shared is None or not shared.is_running():
                shared = self.start(workers, "")
            self.run_case(case, shared, workers, False)
        if shared is not None:
            self.finish(shared, workers, "python " + name)

    def start(self, workers, config):
        text = config(self.options.broker) if callable(config) else config
        return Broker(self.options.broker, workers, config=text).start()

    def run_case(self, case, broker, workers, alone):
        environment = Environment(broker, self.options)
        began = time.monotonic()
        error = None
        try:
            case.run(environment)
        except (peers.Failed, StartFailed) as failure:
            error = str(failure)
        except Exception:  # a mistake of the case's own must not end the run
            error = traceback.format_exc()
        peers.close_all()
        environment.end()
        if not broker.is_running():
            error = (error or "the broker has ended") + "\n" + broker.log_tail()
        self.report.line(workers, "python", case.name, error, time.monotonic() - began,
                         "; ".join(environment.notes))
        if alone:
            self.finish(broker, workers, case.name)

    def finish(self, broker, workers, what):
        """A broker that does not end well is a failure of its own."""
        code = broker.stop()
        if code != 0:
            self.report.line(workers, "-", "the broker exits 0 after: " + what,
                             "exit code %s\n%s" % (code, broker.log_tail()), 0)
        broker.remove()

    # --- cases in other languages: they print `case ok|FAIL SECONDS NAME | REASON` ---
    def run_program(self, client, command, workers, config="", kill_when=None):
        what = os.path.basename(command[-1])
        if self.options.only and not re.search(self.options.only, client + " " + what):
            return
        broker = self.start(workers, config)
        began = time.monotonic()
        process = subprocess.Popen(command + [str(broker.port)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        other = []

        def on_kill():
            broker.kill()
            broker.start()
        try:
            seen = self.report_lines(process, client, workers, other, kill_when, on_kill)
            code = process.wait(timeout=60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0 or seen == 0:
            self.report.line(workers, client, what + " ends well", "exit code %d after %d cases\n%s"
                             % (code, seen, "".join(other[-15:]) + broker.log_tail(5)),
                             time.monotonic() - began)
        self.finish(broker, workers, client + " " + what)

    def report_lines(self, process, client, workers, other, kill_when=None, on_kill=None):
        """How many cases there were; lines that are none go to `other`."""
        seen = 0
        for line in process.stdout:
            if kill_when and line.startswith(kill_when):
                on_kill()
                continue
            if line.startswith("skipped: "):
                self.report.skip(line[len("skipped: "):].strip())
                continue
            found = LINE.match(line)
            if not found:
                other.append(line)
                continue
            seen += 1
            failed, text = found.group(1) == "FAIL", found.group(4) or ""
            self.report.line(workers, client, found.group(3).strip(),
                             text or "no reason given" if failed else None, float(found.group(2)),
                             "" if failed else text)
        return seen

    def run_cpp(self, workers):
        names = sorted(n[:-4] for n in os.listdir(HERE)
                       if n.startswith("cpp_") and n.endswith(".cpp"))
        for name in names:
            path = os.path.join(self.options.programs, name)
            if not os.path.exists(path):
                self.report.skip("%s: not built (libqpid-proton-cpp12-dev)" % name)
                continue
            self.run_program("c++", self.limited([path]), workers,
                             kill_when="kill" if "reconnect" in name else None)

    def run_rhea(self, workers):
        folder = os.path.join(HERE, "rhea")
        if shutil.which("node") is None:
            self.report.skip("rhea: no node")
            return
        if not os.path.isdir(os.path.join(folder, "node_modules", "rhea")):
            self.report.skip("rhea: not installed (npm ci in tests/interop/rhea)")
            return
        for name in sorted(n for n in os.listdir(folder) if n.endswith("_cases.js")):
            config = CONFIGS.get(name, "")
            self.run_program("rhea", self.limited(["node", os.path.join(folder, name)]), workers,
                             config(self.options.broker) if callable(config) else config,
                             kill_when="kill" if "reconnect" in name else None)

    def built(self, client):
        """The folder into which CLIENT/build.sh has built its program; none after a skip or a
        failure, which is reported once."""
        if client in self.folders:
            return self.folders[client]
        folder = os.path.join(self.options.programs, client)
        began = time.monotonic()
        done = subprocess.run(self.limited([os.path.join(HERE, client, "build.sh"), folder]),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 77:
            self.report.skip("%s: %s" % (client, done.stdout.strip().split("\n")[-1]))
        elif done.returncode != 0:
            self.report.line(self.options.workers[0], client, "build.sh ends well", "exit code "
                             "%d\n%s" % (done.returncode, done.stdout[-2000:]),
                             time.monotonic() - began)
        self.folders[client] = folder if done.returncode == 0 else None
        return self.folders[client]

    def run_suites(self, client, command, suites, workers):
        """`command` makes the command line of a program that takes the name of a suite."""
        suites = [s for s in suites
                  if not self.options.only or re.search(self.options.only, client + " " + s)]
        folder = self.built(client) if suites else None
        for suite in suites if folder else []:
            config = CONFIGS.get(suite, "")
            self.run_program(client, self.limited(command(folder) + [suite]), workers,
                             config(self.options.broker) if callable(config) else config,
                             kill_when="kill" if suite.endswith("restart") else None)

    def run_go(self, workers):
        self.run_suites("go", lambda folder: [os.path.join(folder, "interop")],
                        ["messages", "outcomes", "links", "login", "restart"], workers)

    def run_rust(self, workers):
        self.run_suites("rust", lambda folder: [os.path.join(folder, "target/debug/interop")],
                        ["messages", "login"], workers)

    def run_java(self, workers):
        def command(folder, name):
            return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp",
                    "%s/classes:%s/lib/*" % ((os.path.join(folder, name),) * 2), "Main"]
        self.run_suites("java", lambda folder: command(folder, "jms"),
                        ["jms-messages", "jms-destinations", "jms-topics", "jms-login",
                         "jms-restart"], workers)
        self.run_suites("java", lambda folder: command(folder, "rabbitmq"),
                        ["rabbitmq", "rabbitmq-restart"], workers)

    def run_examples(self, workers):
        """They want port 5672, hence a broker of their own."""
        script = os.path.join(HERE, "examples.sh")
        if self.options.only and not re.search(self.options.only, "examples"):
            return
        process = subprocess.Popen(
            self.limited([script, "--broker", self.options.broker, "--workers", str(workers)]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seen = self.report_lines(process, "shipped", workers, [])
        if process.wait() != 0 and seen == 0:
            self.report.line(workers, "shipped", "examples.sh ends well", "no case at all", 0)

    def run_python_programs(self, workers):
        for name in ("python_throughput.py", "python_reconnect.py"):
            self.run_program("python", self.limited([sys.executable, os.path.join(HERE, name)]),
                             workers, kill_when="kill" if "reconnect" in name else None)

    @staticmethod
    def limited(command, seconds=600):
        """A program that hangs is a failure, not the end of the run."""
        return ["timeout", "-k", "5", str(seconds)] + command

    def run(self):
        for workers in self.options.workers:
            for name in MODULES:
                if "python" in self.options.clients:
                    self.run_module(name, workers)
            if "python" in self.options.clients:
                self.run_python_programs(workers)
            if "c++" in self.options.clients:
                self.run_cpp(workers)
            if "rhea" in self.options.clients:
                self.run_rhea(workers)
            if "go" in self.options.clients:
                self.run_go(workers)
            if "rust" in self.options.clients:
                self.run_rust(workers)
            if "java" in self.options.clients:
                self.run_java(workers)
            if "examples" in self.options.clients:
                self.run_examples(workers)
        return self.report.end()


def is_instrumented(binary):
    with open(binary, "rb") as octets:
        data = octets.read()
    return any(word in data for word in (b"__asan_init", b"__tsan_init"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--workers", default="1 3")
    parser.add_argument("--clients", default="python c++ rhea go rust java examples")
    parser.add_argument("--only", default="")
    parser.add_argument("--assert-times", action="store_true")
    options = parser.parse_args()
    options.broker = os.path.abspath(options.broker)
    options.workers = [int(n) for n in options.workers.replace(",", " ").split()]
    options.clients = options.clients.replace(",", " ").split()
    options.instrumented = is_instrumented(options.broker)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(Runner(options).run())


if __name__ == "__main__":
    main()
