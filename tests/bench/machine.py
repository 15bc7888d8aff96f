# SPDX-License-Identifier: Apache-2.0
"""What the machine itself gives, so that a figure can be judged: processor, load that is not ours,
the file system below the data directory and how long its fdatasync takes."""
import os
import platform
import subprocess
import time

BLOCK = 4096


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def load_average():
    return "%.2f %.2f %.2f" % os.getloadavg()


def busy_seconds():
    """Processor seconds that all cores together have spent on anything but idling."""
    with open("/proc/stat", encoding="ascii") as lines:
        ticks = [int(word) for word in lines.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def file_system(path):
    """Type and device, e.g. ("ext4", "/dev/vda")."""
    found = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", path],
                           capture_output=True, text=True, check=False).stdout.split()
    return (found[0], found[1]) if len(found) >= 2 else ("unknown", "unknown")


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def fdatasync_us(directory, count=500, seconds_max=4.0):
    """(p50, p99) in microseconds of writing 4 KiB and calling fdatasync, in a file that has its
    blocks already, as the log of a database in its steady state."""
    path = os.path.join(directory, "probe")
    blocks = 256
    times = []
    with open(path, "wb", buffering=0) as out:
        out.write(os.urandom(BLOCK) * blocks)
        os.fsync(out.fileno())
        deadline = time.monotonic() + seconds_max
        for i in range(count):
            began = time.perf_counter_ns()
            os.pwrite(out.fileno(), os.urandom(BLOCK), (i % blocks) * BLOCK)
            os.fdatasync(out.fileno())
            times.append((time.perf_counter_ns() - began) / 1000)
            if time.monotonic() > deadline:
                break
    os.unlink(path)
    return percentile(times, 0.5), percentile(times, 0.99)
