# SPDX-License-Identifier: Apache-2.0
"""`whimbrel ctl` and what it leaves behind, seen with Proton."""
import json
import os
import subprocess
import tempfile
import time

from proton import Message, symbol

from case import collector
from peer import REJECTED, check, check_equal, wait

CASES, case = collector()


class Ctl:
    def __init__(self, env):
        self.command = [env.options.broker, "ctl", "--url", "amqp://127.0.0.1:%d" % env.port]

    def run(self, *words, code=0):
        done = subprocess.run(self.command + list(words), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        check_equal(done.returncode, code, "exit code of %s: %s" % (" ".join(words), done.stderr))
        return done.stdout

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))


@case("ctl: queues are declared, listed, purged and deleted", alone=True)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    check_equal(ctl.run("declare", "queue", "orders"), "created\n", "declare")
    check_equal(ctl.run("declare", "queue", "orders"), "there already\n", "declare again")
    ctl.run("declare", "queue", "orders", "--transient", code=1)
    ctl.run("declare", "queue", "x", "--argument", "x-nonsense=5", code=1)
    sender = peer.sender("orders")
    for _ in range(3):
        peer.put(sender, Message(body="x"))
    listed = ctl.json("list", "queues")
    check_equal([(q["name"], q["message_count"]) for q in listed], [("orders", 3)], "list")
    check("orders" in ctl.run("list", "queues"), "the table")
    check_equal(ctl.json("get", "queue", "orders")["durable"], True, "get")
    ctl.run("delete", "queue", "orders", "--if-empty", code=1)
    check_equal(ctl.run("purge", "orders"), "3 messages dropped\n", "purge")
    check_equal(ctl.run("delete", "queue", "orders"), "deleted\n", "delete")
    ctl.run("get", "queue", "orders", code=1)
    check_equal(ctl.json("list", "queues"), [], "list")


@case("ctl: exchanges are bound and unbound", alone=True)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    ctl.run("declare", "exchange", "e", "--type", "fanout")
    ctl.run("declare", "exchange", "e", code=1)
    ctl.run("declare", "queue", "q")
    check_equal(ctl.run("bind", "e", "q", "--key", "k"), "bound\n", "bind")
    check_equal(ctl.run("bind", "e", "q", "--key", "k"), "there already\n", "bind again")
    peer.put(peer.sender("/exchanges/e"), Message(body="x"))
    check_equal(ctl.json("get", "queue", "q")["message_count"], 1, "messages")
    listed = ctl.json("list", "bindings")
    check_equal([(b["source"], b["destination"], b["binding_key"]) for b in listed],
                [("e", "q", "k")], "list")
    ctl.run("unbind", "e", "q", "--key", "k")
    check_equal(ctl.json("list", "bindings"), [], "list")
    ctl.run("delete", "exchange", "e")
    check("e" not in [e["name"] for e in ctl.json("list", "exchanges")], "list")


@case("ctl: policies are set, changed, listed and deleted, and change queues at once", alone=True)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    ctl.run("declare", "queue", "ring", "--argument", "x-max-length=5")
    ctl.run("declare", "queue", "rope")
    check_equal(ctl.run("set-policy", "two", "r*", "--argument", "max-length=2",
                        "--argument", "message-ttl=60000"), "set\n", "set-policy")
    check_equal(ctl.run("set-policy", "two", "r*", "--argument", "max-length=1"), "changed\n",
                "set-policy again")
    check_equal([(p["name"], p["pattern"], p["arguments"]) for p in ctl.json("list", "policies")],
                [("two", "r*", {"max-length": 1})], "list")
    shown = ctl.json("get", "queue", "ring")
    check_equal((shown["effective_arguments"], shown["policies"]), ({"max-length": 5}, ["two"]),
                "what is in force")
    check_equal(ctl.json("get", "queue", "rope")["effective_arguments"], {"max-length": 1},
                "what is in force")
    sender = peer.sender("rope")
    for _ in range(3):
        peer.put(sender, Message(body="x"))
    check_equal(ctl.json("get", "queue", "rope")["message_count"], 1, "messages in the ring")
    ctl.run("set-policy", "bad", "*", "--argument", "max-length=-1", code=1)
    check_equal(ctl.run("delete", "policy", "two"), "deleted\n", "delete")
    ctl.run("delete", "policy", "two", code=1)
    check_equal(ctl.json("list", "policies"), [], "list")


@case("ctl: a queue that deletes itself goes with its last consumer", alone=True)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    ctl.run("declare", "queue", "passing", "--auto-delete")
    link = peer.receiver("passing")
    check_equal(ctl.json("get", "queue", "passing")["auto_delete"], True, "get")
    peer.detach(link)
    wait(lambda: ctl.json("list", "queues") == [], "the queue to go")


DEAD = """
[[queue]]
name = "dead"
[[queue]]
name = "work"
dead-letter-queue = "dead"
"""


@case("ctl: dead letters are looked at, and go back to where they died", DEAD)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    sender, dead = peer.sender("work"), peer.sender("dead")
    for i in range(130):
        peer.put(sender, Message(id="m-%d" % i, subject="odd" if i % 2 else "even", body=i,
                                 annotations={symbol("x-opt-mine"): "kept"}))
    refuse = peer.receiver("work", credit=130)
    for one in peer.receive_all(refuse, 130):
        one.outcome(REJECTED)
    peer.detach(refuse)
    wait(lambda: ctl.json("get", "queue", "dead")["message_count"] == 130, "the dead letters")
    peer.put(dead, Message(id="stray", body="never died"))
    table = ctl.run("peek", "dead", "--count", "2").splitlines()
    check_equal(len(table), 3, "lines of the table")
    check(table[1].startswith("m-0") and "rejected in work" in table[1], table[1])
    lines = ctl.run("peek", "dead", "--json", "--selector", "amqp.subject = 'odd'").splitlines()
    check_equal([json.loads(line)["properties"]["message-id"] for line in lines],
                ["m-%d" % i for i in range(1, 20, 2)], "what was peeked")
    check_equal(ctl.run("replay", "dead", "--dry-run", code=1), "130 would go to work\n", "dry run")
    told = ctl.run("replay", "dead", "--selector", "amqp.subject = 'odd'", "--count", "5")
    check_equal(told, "5 moved to work\n", "replay of some")
    check_equal(ctl.run("replay", "dead", code=1), "125 moved to work\n", "replay of all")
    check_equal(ctl.json("get", "queue", "dead")["message_count"], 1, "the stray one")
    back = peer.receive_all(peer.receiver("work", credit=200), 130)
    check_equal(sorted(one.body for one in back), list(range(130)), "bodies")
    check_equal(back[0].message.annotations, {"x-opt-mine": "kept"}, "annotations")
    check_equal(back[0].message.delivery_count, 0, "delivery-count")
    check_equal(ctl.run("replay", "dead", "--to", "work"), "1 moved to work\n", "replay --to")


@case("ctl: messages are moved in order, at a pace; what is refused stays", DEAD)
def _(env):
    ctl, peer = Ctl(env), env.peer()
    ctl.run("declare", "queue", "a b/c")
    ctl.run("declare", "queue", "small", "--argument", "max-length=3", "--argument",
            "overflow=reject")
    sender = peer.sender("work")
    for i in range(250):
        peer.put(sender, Message(body=i, durable=True))
    begin = time.monotonic()
    check_equal(ctl.run("move", "work", "a b/c", "--count", "10", "--rate", "20"),
                "10 moved to a b/c\n", "move")
    check(time.monotonic() - begin > 0.4, "10 messages at 20 a second took too little")
    check_equal(ctl.run("move", "work", "a b/c"), "240 moved to a b/c\n", "move of the rest")
    check_equal(ctl.run("move", "work", "a b/c"), "0 moved\n", "move of nothing")
    ctl.run("move", "a b/c", "small", code=1)
    check_equal([ctl.json("get", "queue", q)["message_count"] for q in ("small", "a b/c")],
                [3, 247], "counts after the refusal")
    got = peer.receive_all(peer.receiver("/queues/a%20b%2Fc", credit=300), 247)
    check_equal([one.body for one in got], list(range(3, 250)), "order")
    ctl.run("move", "work", "work", code=2)
    ctl.run("move", "nowhere", "work", code=1)
    ctl.run("peek", "nowhere", code=1)
    ctl.run("peek", "work", "--selector", "nonsense (", code=1)


POLICIES = [
    {"vhost": "/", "name": "ring", "pattern": "^order", "apply-to": "queues", "priority": 2,
     "definition": {"max-length": 3, "max-length-bytes": 1000, "overflow": "drop-head"}},
    {"vhost": "/", "name": "either", "pattern": "^(a|b)$", "apply-to": "all", "priority": 0,
     "definition": {"max-length": 3}},
    {"vhost": "/", "name": "alternate", "pattern": ".*", "apply-to": "exchanges", "priority": 0,
     "definition": {"alternate-exchange": "x"}},
]


@case("ctl: policies of definitions are imported, again without effect, exported", alone=True)
def _(env):
    ctl = Ctl(env)
    with tempfile.TemporaryDirectory() as folder:
        file, copy = os.path.join(folder, "in.json"), os.path.join(folder, "out.json")
        with open(file, "w") as out:
            json.dump({"rabbit_version": "4.0.5", "policies": POLICIES}, out)
        told = ctl.run("definitions", "import", file)
        check("1 made" in told and told.count("not imported: policy") == 2, told)
        check_equal([p["pattern"] for p in ctl.json("list", "policies")], ["order*"], "patterns")
        check("1 there already, 0 made" in ctl.run("definitions", "import", file), "the second")
        ctl.run("definitions", "export", copy)
        with open(copy) as exported:
            written = json.load(exported)["policies"]
        check_equal(written, [dict(POLICIES[0], pattern="^order.*$")], "what was exported")
        ctl.run("delete", "policy", "ring")
        check("1 made" in ctl.run("definitions", "import", copy), "import of the export")
        ctl.run("delete", "policy", "ring")


RABBITMQ = {
    "rabbit_version": "4.0.5",
    "users": [{"name": "guest", "password_hash": "x"}],
    "vhosts": [{"name": "/"}],
    "queues": [
        {"name": "orders", "vhost": "/", "durable": True, "auto_delete": False,
         "arguments": {"x-queue-type": "quorum"}},
        {"name": "elsewhere", "vhost": "other", "durable": True, "auto_delete": False,
         "arguments": {}}],
    "exchanges": [{"name": "events", "vhost": "/", "type": "topic", "durable": True,
                   "auto_delete": False, "internal": False, "arguments": {}}],
    "bindings": [{"source": "events", "vhost": "/", "destination": "orders",
                  "destination_type": "queue", "routing_key": "order.#", "arguments": {}}],
}


@case("ctl: definitions of RabbitMQ are imported, again without effect, exported", alone=True)
def _(env):
    ctl = Ctl(env)
    with tempfile.TemporaryDirectory() as folder:
        file, copy = os.path.join(folder, "in.json"), os.path.join(folder, "out.json")
        with open(file, "w") as out:
            json.dump(RABBITMQ, out)
        told = ctl.run("definitions", "import", "--dry-run", file)
        check_equal(told.count("\n+ "), 3, "what would be made:\n" + told)
        check("not imported: 1 users" in told, "what is left out:\n" + told)
        check("not imported: 1 queues of other vhosts" in told, "what is left out:\n" + told)
        check_equal(ctl.json("list", "queues"), [], "queues after the dry run")
        check("3 made" in ctl.run("definitions", "import", file), "the first import")
        check("3 there already, 0 made" in ctl.run("definitions", "import", file), "the second")
        ctl.run("definitions", "export", copy)
        with open(copy) as exported:
            document = json.load(exported)
        check_equal([len(document[k]) for k in ("queues", "exchanges", "bindings")], [1, 1, 1],
                    "what was exported")
        ctl.run("delete", "queue", "orders")
        ctl.run("delete", "exchange", "events")
        check("3 made" in ctl.run("definitions", "import", copy), "import of the export")
        other = dict(RABBITMQ, exchanges=[dict(RABBITMQ["exchanges"][0], type="fanout")])
        with open(file, "w") as out:
            json.dump(other, out)
        told = ctl.run("definitions", "import", "--dry-run", file, code=1)
        check("! exchange events" in told, "what differs:\n" + told)


@case("ctl: exit codes tell wrong arguments and a missing broker")
def _(env):
    ctl = Ctl(env)
    ctl.run("list", code=2)
    ctl.run("declare", "queue", "x", "--argument", "nonsense", code=2)
    ctl.run("definitions", "import", "/", code=2)
    ctl.command[3] = "amqp://127.0.0.1:1"
    ctl.run("list", "queues", code=3)
    ctl.command[3] = "http://127.0.0.1"
    ctl.run("list", "queues", code=2)
