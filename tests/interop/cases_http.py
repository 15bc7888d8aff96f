# SPDX-License-Identifier: Apache-2.0
"""The pages of `--http`: /live, /ready and /metrics, and `whimbrel ctl ping`."""
import http.client
import re
import subprocess

from proton import Delivery, Message, symbol, uint

from case import collector
from peer import check, check_equal, freeze, wait

CASES, case = collector()

CONFIG = 'http = "127.0.0.1:0"\n'


def pages(env):
    """Host and port of the pages, from the broker's log."""
    found = re.search(r"health and metrics on http://([\d.]+):(\d+)", env.broker.log_tail(1000))
    check(found, "the log names the pages' address")
    return found.group(1), int(found.group(2))


def ask(where, path, method="GET", headers=None):
    connection = http.client.HTTPConnection(*where, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def metrics(where):
    status, text = ask(where, "/metrics")
    check_equal(status, 200, "status of /metrics")
    found = re.findall(r"^(whimbrel_\S+) (\S+)$", text, re.M)
    return {name: float(value) for name, value in found}


def ping(env, url, code=0):
    done = subprocess.run([env.options.broker, "ctl", "--url", url, "ping"], capture_output=True,
                          text=True, timeout=60)
    check_equal(done.returncode, code, "exit code of ping: " + done.stdout + done.stderr)
    return done.stdout


@case("http: a broker that commits is live and ready", alone=True, config=CONFIG)
def _(env):
    where = pages(env)
    check_equal(ask(where, "/live"), (200, "live\n"), "/live")
    before = metrics(where)["whimbrel_store_commits_total"]
    check_equal(ask(where, "/ready"), (200, "ready\n"), "/ready")
    check_equal(metrics(where)["whimbrel_store_commits_total"], before + 1, "commits of /ready")
    check("ready" in ping(env, "http://%s:%d" % where), "ctl ping of the pages")
    check("alive" in ping(env, "amqp://127.0.0.1:%d" % env.port), "ctl ping over AMQP")
    ping(env, "http://127.0.0.1:1", code=3)
    ping(env, "http://%s:%d/nothing" % where, code=1)


@case("http: metrics count messages, outcomes, links and what is queued", alone=True,
      config=CONFIG)
def _(env):
    where, peer = pages(env), env.peer()
    sender = peer.sender("counted")
    for _ in range(7):
        peer.put(sender, Message(body="x", durable=True))
    receiver = peer.receiver("counted", credit=3)
    first, second, third = peer.receive_all(receiver, 3)
    first.accept(settle=False)
    second.accept(settle=False)
    third.outcome(Delivery.RELEASED, settle=False)
    for each in (first, second, third):
        wait(lambda one=each: one.delivery.settled, "the settlement of an outcome")
    seen = metrics(where)
    check_equal(seen["whimbrel_messages_in_total"], 7, "in")
    check_equal(seen["whimbrel_messages_stored_total"], 7, "stored")
    check_equal(seen['whimbrel_deliveries_settled_total{outcome="accepted"}'], 2, "accepted")
    check_equal(seen['whimbrel_deliveries_settled_total{outcome="released"}'], 1, "released")
    check_equal(seen["whimbrel_queued_messages"], 5, "queued")
    check_equal((seen["whimbrel_connections"], seen["whimbrel_links"]), (1, 2), "links")
    check(seen["whimbrel_store_commit_seconds_count"] > 0, "commits are timed")


@case("http: what is not a GET of a page is refused, and hangs nothing", alone=True,
      config=CONFIG)
def _(env):
    where = pages(env)
    check_equal(ask(where, "/nothing")[0], 404, "a page that is not there")
    check_equal(ask(where, "/live", method="POST")[0], 405, "POST")
    check_equal(ask(where, "/live", headers={"a": "x" * 10000})[0], 431, "a long head")
    check_equal(ask(where, "/metrics", method="HEAD"), (200, ""), "HEAD")
    idle = [http.client.HTTPConnection(*where, timeout=20) for _ in range(40)]
    for connection in idle:
        connection.connect()
    for connection in idle:
        connection.close()
    check_equal(ask(where, "/ready")[0], 200, "ready after idle connections")


@case("a connection that we close goes, though its peer reads nothing any more", alone=True,
      config=CONFIG)
def _(env):
    where = pages(env)
    address = env.address()
    producer, frozen = env.peer(), env.peer(container_id="frozen")
    frozen.receiver(address, credit=100)
    link = producer.sender(address)
    for _ in range(20):  # more than the sockets and the broker's output hold
        producer.send(link, Message(body=bytes(1 << 20)), settled=True)
    freeze(frozen)
    producer.close()
    check_equal(metrics(where)["whimbrel_connections"], 1, "connections that are there")
    policy = {symbol("sole-connection-enforcement-policy"): uint(1)}
    fresh = env.peer(container_id="frozen", properties=policy,
                     desired=symbol("sole-connection-for-container"))
    fresh.close()
    wait(lambda: metrics(where)["whimbrel_connections"] == 0, "the end of the first connection")
