# SPDX-License-Identifier: Apache-2.0
"""Breaks the code on purpose, one place at a time, and expects a test to notice.

Works on a clone of the committed tree, so that nothing here can be broken by it. See --help.
"""
import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import MUTATIONS

TOP = Path(__file__).resolve().parents[2]


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tests/mutations/run.sh",
        description="Changes one line of the code at a time and runs the tests that are meant to "
        "notice. Works on a clone of the last commit; the last line is `N passed, N failed`, where "
        "a mutation that a test noticed has passed.",
    )
    parser.add_argument("--list", action="store_true", help="print the mutations and stop")
    parser.add_argument("--check", action="store_true",
                        help="only say whether each changes a line that is there, and stop")
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="those that --list shows under a matching name")
    parser.add_argument("--jobs", type=int, default=2, help="for the compiler (2)")
    parser.add_argument("--directory", type=Path,
                        help="keep clone and build here, so that a second run builds less")
    return parser.parse_args()


class Tree:
    """A clone of the last commit, with a build of its own."""

    def __init__(self, where, jobs):
        self.source = where / "main"
        self.build = where / "build"
        self.jobs = jobs
        if self.source.exists():
            self.call("git", "fetch", "-q", "origin")
            self.call("git", "reset", "-q", "--hard", "origin/HEAD")
        else:
            subprocess.run(["git", "clone", "-q", TOP, self.source], check=True)
        self.call("cmake", "--preset", "dev", "-B", self.build, "-DWHIMBREL_WERROR=OFF")

    def call(self, *command):
        subprocess.run(command, cwd=self.source, check=True, stdout=subprocess.DEVNULL)

    def make(self, program):
        """The compiler's last words if the program does not build."""
        done = subprocess.run(["ninja", "-C", self.build, f"-j{self.jobs}", program],
                              capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout[-2000:]

    def test(self, mutation):
        """Exit code and output of the cases that are meant to notice."""
        command = [self.build / mutation.program, f"-tc={mutation.cases}", "--no-intro"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                                  errors="replace")
        except subprocess.TimeoutExpired:
            return 1, "it ran for 300 s and was ended"
        return done.returncode, done.stdout


def listed(mutation):
    return f"{mutation.site}: {mutation.name}"


def first_complaint(output):
    """The name of the case that failed first."""
    named = re.search(r"TEST CASE: +(.*)\n(?:(?!TEST CASE:)[^\0])*?ERROR", output)
    if named:
        return named.group(1).strip()
    lines = output.strip().splitlines()
    return lines[-1] if lines else "it crashed"


def ran_some(output):
    counted = re.search(r"test cases: *(\d+)", output)
    return counted is not None and int(counted.group(1)) > 0


def misplaced(source, mutation):
    """What is wrong with the line that it changes, if anything."""
    count = (source / mutation.file).read_text().count(mutation.old)
    return "" if count == 1 else f"{mutation.file} holds {count} times: {mutation.old!r}"


def check(chosen):
    wrong = [f"{listed(m)}: {misplaced(TOP, m)}" for m in chosen if misplaced(TOP, m)]
    for line in wrong:
        print(line)
    print(f"{len(chosen) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def try_one(tree, mutation):
    """None if a test noticed, else what is wrong."""
    if misplaced(tree.source, mutation):
        return misplaced(tree.source, mutation), ""
    path = tree.source / mutation.file
    text = path.read_text()
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        trouble = tree.make(mutation.program)
        if trouble:
            return "it does not compile:\n" + trouble, ""
        code, output = tree.test(mutation)
        if code == 0:
            return "no test noticed", ""
        return None, first_complaint(output)
    finally:
        path.write_text(text)


def check_unchanged(tree, mutations):
    """The tests pass, and are there, while nothing is broken."""
    for mutation in {(m.program, m.cases): m for m in mutations}.values():
        trouble = tree.make(mutation.program)
        if trouble:
            sys.exit("the unchanged tree does not build:\n" + trouble)
        code, output = tree.test(mutation)
        if code != 0 or not ran_some(output):
            sys.exit(f"the unchanged tree fails, or has no case {mutation.cases!r}:\n"
                     + output[-2000:])


def main():
    arguments = parse_arguments()
    chosen = [m for m in MUTATIONS if re.search(arguments.only, listed(m))]
    if not chosen:
        sys.exit(f"no mutation matches {arguments.only!r}; --list prints all")
    if arguments.list:
        for m in chosen:
            print(f"{listed(m)}\n    {m.file}\n    - {m.old.strip()}\n    + {m.new.strip()}")
        return 0
    if arguments.check:
        return check(chosen)
    with tempfile.TemporaryDirectory(prefix="whimbrel-mutations.") as scratch:
        tree = Tree(arguments.directory or Path(scratch), arguments.jobs)
        check_unchanged(tree, chosen)
        failed = 0
        for m in chosen:
            begin = time.monotonic()
            trouble, noticed_by = try_one(tree, m)
            failed += trouble is not None
            verdict = f"FAIL: {trouble}" if trouble else f"noticed by {noticed_by!r}"
            print(f"{listed(m)} ({m.file}): {verdict} [{time.monotonic() - begin:.0f} s]",
                  flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
