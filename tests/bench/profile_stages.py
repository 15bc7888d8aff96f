# SPDX-License-Identifier: Apache-2.0
"""Turns `perf script` of the broker into a budget by stage of a message's road.

A sample is charged to the first rule that matches, looking at its frames from the innermost
outwards, functions that the compiler inlined included. So memcpy is charged to whoever copied,
and what std, boost or the codec do to the part of the engine that asked for it."""
import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

# Kernel work, by the system call it was done for.
SYSCALLS = [
    ("read syscall", r"sys_(recv|read)"),
    ("store: disk", r"sys_(fdatasync|fsync|pwrite|pread|ftruncate|lseek|fcntl|unlink|openat)"),
    ("write syscall", r"sys_(send|writev)"),
    ("wake-up", r"sys_(write|futex|eventfd)"),
    ("event loop", r"sys_(epoll|timerfd|poll)"),
]

# Ours, by file and function. The innermost frame that matches decides, within it the order here.
RULES = [
    ("allocation", r"^\S* (malloc|free|cfree|calloc|realloc|_int_|operator (new|delete)|"
                   r"__libc_(malloc|calloc|realloc)|unlink_chunk|sysmalloc|systrim|tcache_)|"
                   r"^broker/core/slab"),
    ("store: sqlite", r"sqlite3\.c|sqlite3[A-Z_]|libsqlite3"),
    ("message", r"^broker/core/message|^amqp/message/|^storage/blob"),
    ("store: writer", r"^storage/"),
    ("frame decode", r"^amqp/frame/decoder"),
    ("performative decode", r"^amqp/spec/(fast|definitions|transport)\S* .*(read|decode|parse)"),
    ("transfer in", r"^amqp/engine/receiver|^broker/protocol/incoming_link\S* .*"
                    r"(on_transfer|admit|put)\b"),
    ("disposition in", r"^broker/protocol/outgoing_link\S* .*(on_outcome|::settle$)|"
                       r"^amqp/engine/\S* .*(on_disposition|next_of_walk|report_outcome)"),
    ("disposition out", r"^broker/protocol/incoming_link\S* .*on_(verdict|refusal)|"
                        r"^broker/protocol/outgoing_link\S* .*(send_settle|answer)|"
                        r"^amqp/engine/\S* .*(settle|tell|write_disposition)"),
    ("transfer out", r"^broker/protocol/outgoing_link|^amqp/engine/sender"),
    ("credit", r"^broker/protocol/incoming_link|^amqp/engine/(credit|window)|"
               r"^amqp/engine/\S* .*(on_flow|send_flow)"),
    ("queue", r"^broker/core/(queue|stub)"),
    ("commit", r"^broker/core/commit"),
    ("mailbox", r"^broker/core/(shard|letter)|"
                r"^broker/net/\S* .*(leave|hand_over|drain_inbox|wake_up)"),
]

# Where none of these matches in the whole stack.
REMAINDER = [
    ("engine, other", r"^amqp/engine/"),
    ("handler, other", r"^broker/protocol/"),
    ("driver", r"^amqp/io/"),
    ("event loop", r"boost/asio|^broker/net/"),
]

OURS = re.compile(r"(amqp|broker|storage|client)/")


def parse_samples(path):
    """(thread, [(address, symbol, dso)]) of each sample, innermost frame first."""
    thread, frames = None, []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip()
            if not line:
                if thread is not None:
                    yield thread, frames
                thread, frames = None, []
            elif thread is None:
                words = line.split()
                thread = " ".join(words[:-1]) + "/" + words[-1]
            else:
                found = re.match(r"\s*([0-9a-f]+) (.*) \((.*)\)$", line)
                if found:
                    frames.append((int(found[1], 16), found[2], found[3]))
    if thread is not None:
        yield thread, frames


class Lines:
    """Functions and files of addresses, those inlined first, by addr2line over all of them."""

    def __init__(self, binary):
        self.binary = binary
        self.known = {}
        segments = subprocess.run(["readelf", "-lW", binary], check=True, text=True,
                                  capture_output=True).stdout
        self.segments = [(int(offset, 16), int(address, 16), int(size, 16)) for
                         offset, address, size in
                         re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)", segments)]

    def address_of(self, offset):
        """perf tells places in the file."""
        for begin, address, size in self.segments:
            if begin <= offset < begin + size:
                return offset - begin + address
        return offset

    def load(self, offsets):
        at_offset = {self.address_of(offset): offset for offset in offsets}
        wanted = sorted(at_offset)
        done = subprocess.run(["addr2line", "-e", self.binary, "-afiC"], check=True,
                              input="".join("%x\n" % at for at in wanted), text=True,
                              capture_output=True)
        at, function = None, None
        for line in done.stdout.splitlines():
            if re.fullmatch(r"0x[0-9a-f]{16}", line):
                at, function = at_offset[int(line, 16)], None
                self.known[at] = []
            elif function is None:
                function = line
            else:
                self.known[at].append((function, self.shorten(line)))
                function = None

    def shorten(self, place):
        path = os.path.normpath(re.sub(r":[0-9?]+( \(.*\))?$", "", place))
        ours = re.match(r".*/((amqp|broker|storage|client)/.*)", path)
        if ours and "/include/" not in path:
            return ours[1]
        return path.rsplit("/include/", 1)[-1].lstrip("/")

    def of(self, address, symbol, is_return):
        """A return address belongs to the call before it."""
        return self.known.get(address - 1 if is_return else address) or [(symbol, "?")]


def short_name(function):
    """Without parameters and template arguments, enough to find it."""
    out, depth = [], 0
    function = function.replace("operator<<", "operator_shl").replace("(anonymous namespace)", "_")
    for char in function:
        if char in "<(":
            depth += 1
        if depth == 0:
            out.append(char)
        if char in ">)":
            depth = max(0, depth - 1)
    return "".join(out).replace("whimbrel::", "").replace(" const", "").strip()[-70:]


def expand(frames, lines, binary):
    """[(function, file)] with inlined functions in their place."""
    out = []
    for depth, (address, symbol, dso) in enumerate(frames):
        if dso == binary:
            out += [(short_name(f), place) for f, place in lines.of(address, symbol, depth > 0)]
        else:
            out.append((symbol, "[kernel]" if "kernel" in dso else dso.rsplit("/", 1)[-1]))
    return out


def stage_of(chain):
    kernel = [function for function, place in chain if place == "[kernel]"]
    for stage, pattern in SYSCALLS:
        if any(re.search(pattern, function) for function in kernel):
            return stage
    for rules in (RULES, REMAINDER):
        for function, place in chain:
            if place == "[kernel]":
                continue
            text = place + " " + function
            for stage, pattern in rules:
                if re.search(pattern, text):
                    return stage
    return "other"


def print_table(title, counts, ns_each, total):
    print("\n%s" % title)
    for name, samples in counts:
        print("  %7.1f ns  %5.1f %%  %s" % (samples * ns_each, 100 * samples / total, name))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--load", required=True, help="the JSON line of proton_load")
    parser.add_argument("--mode", default="both")
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("script")
    options = parser.parse_args()
    with open(options.load, encoding="utf-8") as line:
        load = json.load(line)
    messages = load["acked"] if options.mode == "send" else load["received"]

    samples = list(parse_samples(options.script))
    if not samples or not messages:
        sys.exit("no samples")
    lines = Lines(options.binary)
    lines.load({address - (1 if depth else 0) for _, frames in samples
                for depth, (address, _, dso) in enumerate(frames) if dso == options.binary})

    stages, threads, own, inclusive = Counter(), Counter(), Counter(), Counter()
    inside = defaultdict(Counter)
    for thread, frames in samples:
        chain = expand(frames, lines, options.binary)
        stage = stage_of(chain)
        stages[stage] += 1
        threads[thread] += 1
        if not chain:
            continue
        name = "%s  (%s)" % next((c for c in chain if OURS.match(c[1])), chain[0])
        own[name] += 1
        inside[stage]["%s  (%s)" % chain[0]] += 1
        for function, place in {c for c in chain if OURS.match(c[1])}:
            inclusive["%s  (%s)" % (function, place)] += 1

    total = len(samples)
    ns_each = load["broker_cpu_s"] * 1e9 / messages / total
    print("%d messages, %.0f /s, %.3f us of broker CPU a message; %d samples of %.1f ns a message" %
          (messages, load["rate"], load["broker_cpu_us_per_message"], total, ns_each))
    print_table("by thread", threads.most_common(), ns_each, total)
    print_table("by stage", stages.most_common(), ns_each, total)
    print_table("functions of ours, with what is not ours below them",
                own.most_common(options.top), ns_each, total)
    print_table("functions of ours, with all that they call",
                inclusive.most_common(options.top), ns_each, total)
    for stage, count in stages.most_common():
        if count / total >= 0.03:
            print_table("inside: " + stage, inside[stage].most_common(8), ns_each, total)


if __name__ == "__main__":
    main()
