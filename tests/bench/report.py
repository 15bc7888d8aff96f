# SPDX-License-Identifier: Apache-2.0
"""Figures of the runs as tables that fit a terminal, and beside the targets."""
from statistics import median


def table(heading, rows):
    """Left column and names to the left, figures to the right."""
    widths = [max(len(row[i]) for row in [heading] + rows) for i in range(len(heading))]

    def line(cells):
        text = [cells[i].ljust(widths[i]) if i < 2 else cells[i].rjust(widths[i])
                for i in range(len(cells))]
        return "  ".join(text).rstrip()

    print(line(heading))
    print("  ".join("-" * width for width in widths))
    for row in rows:
        print(line(row))
    print()


def thousands(value):
    return "%.0f k" % (value / 1000)


def spread(values):
    return "%s (%s-%s)" % (thousands(median(values)), thousands(min(values)).rstrip(" k"),
                           thousands(max(values)).rstrip(" k"))


def milliseconds(micros):
    return "%.2f" % (micros / 1000)


def runs_of(results, label, key):
    return [run for run in results if run["label"] == label and run["subject"] == key]


def ratio_to_direct(results, runs):
    """Each run beside the brokerless run of its own round: what drifts hits both."""
    out = []
    for run in runs:
        direct = [other["rate"] for other in results
                  if other["subject"] == "direct" and other["scenario"] == run["scenario"]
                  and other["round"] == run["round"]]
        if direct:
            out.append(run["rate"] / direct[0])
    return median(out) if out else None


def cancelled_share(runs):
    shares = [run["cancelled"] / run["moved"] for run in runs if run.get("cancelled") is not None]
    return median(shares) if shares else None


def optional(value, pattern):
    return pattern % value if value is not None else "-"


def cpu_us(runs):
    if not any(run["broker_cpu_s"] for run in runs):
        return None
    return median(run["broker_cpu_us_per_message"] for run in runs)


def throughput_table(results, labels, subjects):
    rows = []
    for label in labels:
        for subject in subjects:
            runs = runs_of(results, label, subject.key)
            if not runs:
                continue
            share = cancelled_share(runs)
            peak = max(run["broker_peak_mb"] for run in runs)
            rows.append([
                label if subject is subjects[0] or subject.key == "broker" else "",
                subject.name,
                spread([run["rate"] for run in runs]),
                "-" if subject.key == "direct" else
                optional(ratio_to_direct(results, runs), "%.2f"),
                optional(cpu_us(runs), "%.2f"),
                "%.0f" % peak if peak else "-",
                "-" if share is None else "%.0f %%" % (100 * share),
                "%.1f" % max(run["other_load"] for run in runs),
            ])
    table(["scenario", "subject", "rate /s (min-max)", "x brokerless", "broker us/msg",
           "peak MB", "cancelled", "other load"], rows)


def latency_table(results, labels, subjects):
    rows = []
    for label in labels:
        for subject in subjects:
            runs = runs_of(results, label, subject.key)
            if not runs:
                continue

            def figure(which, share, runs=runs):
                values = [run[which][share] for run in runs]
                return milliseconds(median(values)) if any(values) else "-"

            rows.append([label, subject.name] +
                        [figure(which, share) for which in ("latency_us", "accepted_us")
                         for share in ("p50", "p99", "max")] +
                        [optional(cpu_us(runs), "%.1f"),
                         "%.1f" % max(run["other_load"] for run in runs)])
    table(["scenario", "subject", "delivery p50 ms", "p99", "max", "accepted p50 ms", "p99",
           "max", "broker us/msg", "other load"], rows)


def targets_table(results, fdatasync_p99_us):
    """What the broker should do, now and in the end; the exit code does not depend on it."""
    rows = []

    def add(label, what, figure, pattern, now, final, more_is_better):
        if figure is None:
            return
        sign = ">= " if more_is_better else "<= "

        def is_met(wanted):
            return figure >= wanted if more_is_better else figure <= wanted

        rows.append([label, what, pattern % figure] +
                    [cell for wanted in (now, final) for cell in
                     (("-", "") if wanted is None else
                      (sign + pattern % wanted, "met" if is_met(wanted) else "MISSED"))])

    for label, rate, rate_final, cpu, cpu_final, ratio, ratio_final in (
            ("transient, 100 octets, keeping up", None, None, 0.8, 0.5, 0.60, 0.85),
            ("durable, 100 octets, keeping up", 200e3, 350e3, None, 2.0, None, None),
            ("durable, 100 octets, no consumer", 150e3, 250e3, None, None, None, None),
            ("durable, 100 octets, draining", None, 250e3, None, None, None, None)):
        runs = runs_of(results, label, "broker")
        if not runs:
            continue
        if rate_final:
            add(label, "rate /s", median(run["rate"] for run in runs), "%.0f",
                rate, rate_final, True)
        if cpu_final:
            add(label, "broker us/msg", cpu_us(runs), "%.2f", cpu, cpu_final, False)
        if ratio_final:
            add(label, "x brokerless", ratio_to_direct(results, runs), "%.2f", ratio, ratio_final,
                True)
    runs = runs_of(results, "durable, no consumer", "broker")
    if runs:
        limit = 2 * fdatasync_p99_us / 1000 + 1
        add("durable, no consumer, paced", "accepted p99 ms",
            median(run["accepted_us"]["p99"] for run in runs) / 1000, "%.2f", limit, limit, False)
    if rows:
        table(["target", "figure", "measured", "first", "", "final", ""], rows)
