# SPDX-License-Identifier: BSD-3-Clause
"""What large operations cost the others: while they go on, small requests are asked and a subscriber counts its heartbeats. The longest
waits are told; what fails is an answer that does not come for seconds, or a large operation that is not in bounded parts.

    loop.py PEERS RULES
"""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import restlib
from restlib import Control, Page, equal, fail, free_port, key, step

FILL = os.path.join(restlib.TOP, "build", "tests", "control", "fill_store")
WAIT_S = 5  # nobody waits longer: generous, for machines are busy
TURN_S = 0.2  # no turn of the loop works longer: generous too, a processor is shared by hyperthreads and others' caches
PART = 300  # objects of one transaction of a request that may be done in parts


class Stream:
    """A connection of the stream, logged in."""

    def __init__(self, c, token):
        ctx = c.context()
        ctx.set_alpn_protocols(["sluice-repl/1"])
        self.sock = ctx.wrap_socket(socket.create_connection(("127.0.0.1", c.repl), 10), server_hostname="127.0.0.1")
        self.file = self.sock.makefile("rb")
        self.call("auth.login", {"token": token, "client": "test"})
        self.sock.settimeout(60)

    def send(self, method, params, i=None):
        m = {"jsonrpc": "2.0", "method": method, "params": params, **({"id": i} if i else {})}
        self.sock.sendall(json.dumps(m).encode() + b"\n")

    def call(self, method, params):
        self.send(method, params, 1)
        while (m := json.loads(self.file.readline())).get("id") != 1:
            pass
        return m


class Subscriber(Stream, threading.Thread):
    """A gateway as far as the stream goes: it acknowledges, and notes when heartbeats come."""

    def __init__(self, c, name, token):
        threading.Thread.__init__(self, daemon=True)
        Stream.__init__(self, c, token)
        self.sock.settimeout(None)
        self.token = token
        self.beats, self.seq, self.chain, self.ops, self.ended = [time.monotonic()], 0, None, [], False
        self.call("repl.subscribe", {"node": name, "scope": "gateway", "schema": [1]})
        self.start()

    def run(self):
        for line in self.file:
            m = json.loads(line)
            p = m.get("params", {})
            if m.get("method") == "repl.heartbeat":
                self.beats.append(time.monotonic())
            elif m.get("method") in ("repl.txn", "repl.snapshot"):
                self.ops.append(len(p.get("ops", [])))
                self.chain = p.get("chain", self.chain)
                if p.get("last", True):
                    self.seq = p["seq"]
                    self.send("repl.ack", {"seq": self.seq})
        self.ended = True

    def gap(self, since):
        """The longest time without a heartbeat since then."""
        at = [since] + [b for b in self.beats if b > since] + [time.monotonic()]
        return max(b - a for a, b in zip(at, at[1:]))


class Asker(threading.Thread):
    """Asks a small thing again and again; how long the answers took."""

    def __init__(self, c, method, path, pause, body=None, token=None):
        super().__init__(daemon=True)
        self.args, self.pause = (method, restlib.PREFIX + path), pause
        self.body = json.dumps(body) if body else None
        self.headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})}
        self.conn, self.took, self.status, self.done = c.connect(), [], [], False
        self.start()

    def run(self):
        while not self.done:
            begun = time.monotonic()
            self.conn.request(*self.args, self.body, self.headers)
            r = self.conn.getresponse()
            r.read()
            self.took.append(time.monotonic() - begun)
            self.status.append(r.status)
            time.sleep(self.pause)
        self.conn.close()

    def end(self):
        self.done = True
        self.join()
        return max(self.took)


def turns(c):
    """How many turns of the loop took longer than so many seconds of processor time."""
    text = c.want(200, "GET", "/metrics", check=False).data.decode()
    at_most = {float(b): int(n) for b, n in re.findall(r'turn_seconds_bucket{le="([0-9.e-]+)"} (\d+)', text)}
    every = int(re.search(r"turn_seconds_count (\d+)", text)[1])
    return {b: every - n for b, n in at_most.items()}


def ms(s):
    return f"{s * 1000:.0f} ms"


class Watch:
    """Small reads, small changes and heartbeats beside something large."""

    def __init__(self, c, sub, what, changes=True):
        self.c, self.sub, self.what, self.changes = c, sub, what, changes

    def __enter__(self):
        self.read = Asker(self.c, "GET", "/healthz", 0.022)
        self.write = self.changes and Asker(self.c, "PUT", "/peers/small/enabled", 0.1, {"enabled": True}, self.c.operator)
        time.sleep(0.3)
        self.turns = turns(self.c)
        self.begun = time.monotonic()
        return self

    def __exit__(self, kind, value, trace):
        took = time.monotonic() - self.begun
        time.sleep(0.3)
        read, write, gap = self.read.end(), self.write.end() if self.write else 0, self.sub.gap(self.begun)
        long = {b: n - self.turns[b] for b, n in turns(self.c).items()}
        print(f"{self.what}: {took:.2f} s; a small question waited {ms(read)} at most of {len(self.read.took)}"
              + (f", a small change {ms(write)} of {len(self.write.took)} ({self.write.status.count(503)} sent away)" if self.write else "") + f"; heartbeats (1 s) came within {gap:.2f} s; "
              + "turns of the loop: " + (", ".join(f"{n} over {ms(b)}" for b, n in long.items() if n and b > 0.001) or "none over 5 ms"))
        if kind or self.c.measure:
            return
        if set(self.read.status) != {200} or self.write and not set(self.write.status) <= {200, 503}:
            fail(f"{self.what}: small requests were refused: {set(self.read.status)}, {set(self.write.status)}")
        if long.get(TURN_S):
            fail(f"{self.what}: {long[TURN_S]} turns of the loop took more than {ms(TURN_S)} of processor time")
        if read > WAIT_S or gap > 1 + WAIT_S or self.sub.ended:
            fail(f"{self.what}: others waited too long")


def document(rules):
    doc = json.loads(json.dumps(restlib.POLICY))
    doc["roles"]["engineer"]["members"] = []
    n_roles = 1 + (rules - 1) // 32
    doc["targets"].update({f"t-{n}": {"addresses": [f"10.20.{2 + n // 250}.{n % 250}/32"]} for n in range(32)})
    doc["roles"].update({f"r-{n}": {"id": 100 + n} for n in range(n_roles)})
    doc["rules"] += [{"id": 1000 + n, "role": f"r-{n // 32}", "to": [f"t-{n % 32}"], "protocol": "tcp", "ports": [500 + n % 9000], "action": "allow"} for n in range(rules)]
    return doc


def furnish(c, peers):
    c.init()
    subprocess.run([FILL, os.path.join(c.dir, "store.db"), str(peers), "2"], check=True)
    c.start("--heartbeat", "1")
    c.want(201, "POST", "/peers", {"name": "small", "interface": "wg0", "public_key": key(9), "allowed_ips": ["10.9.9.9/32"]})
    c.operator = c.make_token("operator")
    return Subscriber(c, "gw-2", c.make_token("gateway", bound="gw-2"))


def catch_up(c, sub, since, rules):
    step("those who were away are sent the policy from the log")
    stand = {"epoch": c.want(200, "GET", "/replication").json()["epoch"], "seq": since[0], "chain": since[1]}
    stand["epoch"] = {f: stand["epoch"][f] for f in ("number", "id")}
    token, head = c.make_token("gateway", bound="gw-1"), c.seq()
    before = turns(c)
    with Watch(c, sub, "6 times"):
        for _ in range(6):
            s = Stream(c, token)
            a = s.call("repl.subscribe", {"node": "gw-1", "scope": "gateway", "schema": [1, 2], **stand})["result"]
            equal("from", (a["mode"], a["from"]), ("resume", since[0] + 1))
            got, seq = 0, 0
            while seq < head and (m := json.loads(s.file.readline())):
                if "method" not in m:
                    fail(f"the stream was ended: {m}")
                if m["method"] == "repl.heartbeat":  # the last row may be none of its
                    seq = m["params"].get("scope_seq") and m["params"]["head"] or 0
                elif m["method"] == "repl.txn":
                    got += sum(o["kind"] == "rule" for o in m["params"]["ops"])
            if got < rules:
                fail(f"it was sent {got} rules")
            s.sock.close()
    long = {b: n - before[b] for b, n in turns(c).items()}
    if not c.measure and long[0.02] > 2:
        fail(f"{long[0.02]} turns of the loop took more than 20 ms")


def policies(c, sub, rules):
    step(f"a policy of {rules} rules; documents of tens of MB")
    text = json.dumps(document(rules))
    with Watch(c, sub, f"validate {len(text) / 1e6:.1f} MB"):
        c.want(200, "POST", "/policy/validate", text=text)
    since = sub.seq, sub.chain
    with Watch(c, sub, "put it"):
        c.want(200, "PUT", "/policy", text=text, headers={"If-None-Match": "*"})
    catch_up(c, sub, since, rules)
    with Watch(c, sub, "read it"):
        c.want(200, "GET", "/policy")
    big = text + " " * (40 << 20)
    with Watch(c, sub, f"validate {len(big) / 1e6:.0f} MB, mostly space"):
        c.want(200, "POST", "/policy/validate", text=big)
    big = '{"rules": [' + ", ".join('{"id": %d, "role": "x"}' % n for n in range(150000)) + "]}" + " " * (30 << 20)
    with Watch(c, sub, f"validate {len(big) / 1e6:.0f} MB that are no policy"):
        c.want(422, "POST", "/policy/validate", text=big)


def reports(c, sub):
    n_conns, each, peers = 8, 4, 1000
    step(f"{n_conns * each} reports of {peers} peers; a replay of many flows")
    streams = [Stream(c, sub.token) for _ in range(n_conns)]
    took = []

    def tell(s, n):
        for k in range(each):
            told = [{"id": f"peer-{p:06d}", "data_rx": 100 * k + n, "data_tx": 7, "data_age_s": 1, "handshake_age_s": 5} for p in range(peers)]
            begun = time.monotonic()
            a = s.call("stats.report", {"boot": f"b{n}", "peers": told})
            took.append(time.monotonic() - begun)
            if "result" not in a:
                fail(f"stats.report: {a}")

    before = turns(c)
    with Watch(c, sub, "reports"):
        threads = [threading.Thread(target=tell, args=(s, n)) for n, s in enumerate(streams)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    print(f"a report was answered within {ms(max(took))}")
    with sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=5) as db:
        seen = db.execute("SELECT count(*) FROM session WHERE ended IS NULL").fetchone()[0]
        now = int(time.time())
        db.executemany("INSERT INTO flow VALUES(?, 'gw-1', 'wg0', ?, '10.33.0.1', ?, 6, 443, 0, 0, 1, 1, '', '', '', 1, 1, 1, ?, ?)",
                       ((now // 86400, f"peer-{n % peers:06d}", f"10.20.{n // 250}.{n % 250}", now - 5, now - 5) for n in range(30000)))
    db.close()
    equal("sessions, when all are answered", seen, peers)
    with Watch(c, sub, "replay of 30,000 flows"):
        c.want(200, "POST", "/policy/replay", {"policy": document(10)})
    long = {b: n - before[b] for b, n in turns(c).items()}
    if not c.measure and long[0.02] > 5:
        fail(f"{long[0.02]} turns of the loop took more than 20 ms")


def walk(c, sub, what, path, name):
    seen, after = [], ""
    with Watch(c, sub, what):
        while after is not None:
            a = c.want(200, "GET", path + after).json()
            seen += [i[name] for i in a["items"]]
            after = "&after=" + a["next"] if "next" in a else None
            if len(a["items"]) > 1000:
                fail(f"{what}: a page of {len(a['items'])}")
    return seen


def lists(c, sub, peers):
    step("lists")
    with sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=5) as db:  # all are known for long
        db.executemany("INSERT OR REPLACE INTO peer_known VALUES(?, 1)", [(f"peer-{n:06d}",) for n in range(peers)])
    db.close()
    seen = walk(c, sub, "peers that nobody uses, page by page", "/unused-peers?limit=1000", "peer")
    equal("unused peers", (len(seen), len(set(seen))), (peers, peers))
    seen = walk(c, sub, "all peers, page by page", "/peers?limit=1000", "name")
    equal("peers", (len(seen), len(set(seen))), (peers + 1, peers + 1))
    equal("a filter that nothing passes", walk(c, sub, "a filter that nothing passes", "/peers?interface=wg9", "name"), [])
    with Watch(c, sub, "metrics"):
        c.want(200, "GET", "/metrics", check=False)


def ended_login(c):
    step("a token is revoked while its request waits")
    long = '{"version": 1, "roles": 7, "zones": [' + "1," * (18 << 20) + "1]}"
    for n in range(10):  # a document that is read for a while, and a large request that comes behind it; each has its own rate
        token, sender, revoker, got = c.make_token("operator"), c.make_token("admin"), c.make_token("admin"), []
        conn = c.connect(timeout=60)
        slow = threading.Thread(target=lambda to=conn, by=sender: c.call("POST", "/policy/validate", text=long, conn=to, token=by))
        ask = threading.Thread(target=lambda by=token: got.append(c.call("PUT", "/peers/small/enabled", text='{"enabled": false}' + " " * 100000, token=by)))
        slow.start()
        time.sleep(0.1 + 0.1 * (n % 5))
        ask.start()
        time.sleep(0.05)
        c.want(204, "DELETE", "/tokens/" + token.split("_")[1], token=revoker)
        ask.join()
        slow.join()
        conn.close()
        if got[0].status == 401 and got[0].reason == "login_ended":
            break
        c.want(200, "PUT", "/peers/small/enabled", {"enabled": True})  # it did not wait: once more
    else:
        fail(f"it was never refused: {got[0].status}")
    equal("what it would have changed", c.want(200, "GET", "/peers/small").json().get("enabled", True), True)


def transaction(c, sub):
    step("a transaction of 1,000 peers of another process")
    with Watch(c, sub, "1,000 peers at once"):
        seq = c.seq()
        subprocess.run([FILL, os.path.join(c.dir, "store.db"), "1000", "1", "500000"], check=True)
        while sub.seq <= seq:
            time.sleep(0.01)


def decommission(c, sub, peers):
    step(f"a gateway with {peers} peers is taken out")
    before, head = len(sub.ops), c.seq()
    body = json.dumps({"reason": "test", "certificates": [f"7f{i:038x}" for i in range(64)]}, indent=40)  # longer than a text in an object may be
    with Watch(c, sub, "decommission"):
        conn = c.connect(timeout=120)
        a = c.want(200, "POST", "/gateways/gw-1/decommission", text=body, conn=conn).json()
        conn.close()
    equal("what went", (a["peers"], a["allocations"], a["interfaces"]), (peers, peers, 1))
    c.want(404, "GET", "/gateways/gw-1")
    while sub.seq < a["seq"] - 1 and not c.measure:  # the last one is that of the other's record
        time.sleep(0.01)
    print(f"in {c.seq() - head} transactions, the largest one on the stream has {max(sub.ops[before:], default=0)} objects")
    if max(sub.ops[before:], default=0) > PART and not c.measure:
        fail("it did not go in parts")
    if any("gw-1" in p["addresses"] for p in c.want(200, "GET", "/peers?limit=1000").json()["items"] if "addresses" in p):
        fail("a peer has an address at it")


def in_parts(c, key_of=None):
    """Begin to take gw-2 out, and come back in the middle. Returns the thread and where its answer will be."""
    got = []

    def ask():
        try:
            got.append(c.call("POST", "/gateways/gw-2/decommission", {"reason": "test"}, headers={"Idempotency-Key": key_of} if key_of else None))
        except (OSError, http.client.HTTPException):
            pass  # it was killed

    t = threading.Thread(target=ask)
    t.start()
    for _ in range(3000):
        a = c.call("GET", "/gateways/gw-2/status")
        gone = a.json().get("decommission", {}).get("gone", {}).get("peers", 0) if a.status == 200 else fail("it went before anybody looked: more peers are needed")
        if gone:
            return t, got
        time.sleep(0.01)
    fail("nothing of it is gone")


def until(c, path, status, text):
    for _ in range(6000):
        if c.call("GET", path).status == status:
            return
        time.sleep(0.01)
    fail(text)


def gone(c):
    until(c, "/gateways/gw-2", 404, "it does not go on")


def promoted(f):
    step("a follower that is promoted meanwhile goes on too")
    subprocess.run([restlib.CONTROL, "promote", "--state-dir", f.dir], check=True, capture_output=True)
    before = refers(f, "peer")
    if not before:
        fail("the follower had it all")
    f.start("--mode", "primary")
    gone(f)
    equal("what refers to it", (refers(f, "peer"), refers(f, "allocation")), (0, 0))
    f.want(404, "GET", "/settings/decommissions")
    a = f.want(200, "POST", "/gateways/gw-2/decommission", {"reason": "test"}, headers={"Idempotency-Key": "gone-1"}).json()
    equal("what went since", (a["gateway"], a["peers"]), ("gw-2", before))


def interrupted(c):
    step("a gateway is changed while it is taken out: it stays")
    t, got = in_parts(c)
    c.want(200, "PATCH", "/gateways/gw-2", {"enabled": True})
    t.join()
    equal("who changed it wins", (got[0].status, got[0].reason), (409, "gateway_changed"))
    equal("it is there", c.want(200, "GET", "/gateways/gw-2").json()["enabled"], True)
    if "decommission" in c.want(200, "GET", "/gateways/gw-2/status").json():
        fail("it still leaves")
    c.want(404, "GET", "/settings/decommissions")
    left = refers(c, "peer"), refers(c, "allocation")
    f = restlib.follower(c.page, c, c, "follow-1")
    try:
        while f.call("GET", "/readyz", token=None).status != 200:  # it has no tokens yet
            time.sleep(0.05)
        f.want(200, "GET", f"/peers?limit=1&at_seq={c.seq()}")
        killed(c, f, left)
        promoted(f)
    finally:
        f.clean()


def killed(c, f, left):
    step("kill -9 while a gateway is taken out: it goes on by itself")
    t, got = in_parts(c, "gone-1")
    until(f, "/settings/decommissions", 200, "the follower never heard of it")
    c.stop(signal.SIGKILL)
    f.stop()
    t.join()
    c.start()
    gone(c)
    a = c.want(200, "POST", "/gateways/gw-2/decommission", {"reason": "test"}, headers={"Idempotency-Key": "gone-1"}).json()
    equal("what went, over both", (a["peers"], a["allocations"]), left)
    equal("and the log ends with it", a["seq"], c.seq())


def refers(c, kind):
    """How many of a kind refer to gw-2."""
    with sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=5) as db:
        n = db.execute("SELECT count(DISTINCT id) FROM ref WHERE to_kind = 'gateway' AND to_id = 'gw-2' AND kind = ?", (kind,)).fetchone()[0]
    db.close()
    return n


def locked(c, sub):
    step("another process holds the store's write lock")
    db = sqlite3.connect(os.path.join(c.dir, "store.db"), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with Watch(c, sub, "locked for 7 s", changes=False):
        begun = time.monotonic()
        a = c.call("PUT", "/peers/small/enabled", {"enabled": True})
        took = time.monotonic() - begun
        time.sleep(max(0, 7 - took))
    equal("a change meanwhile", (a.status, a.reason, a.headers.get("Retry-After")), (503, "store_busy", "1"))
    db.execute("ROLLBACK")
    db.close()
    c.want(200, "PUT", "/peers/small/enabled", {"enabled": True})


def main():
    peers, rules = int(sys.argv[1]), int(sys.argv[2])
    c = Control(Page())
    c.measure = len(sys.argv) > 3  # of an older program: fail for nothing
    try:
        sub = furnish(c, peers)
        time.sleep(1.5)
        with Watch(c, sub, "nothing large"):
            time.sleep(3)
        policies(c, sub, rules)
        if not c.measure:
            lists(c, sub, peers)
            ended_login(c)
        reports(c, sub)
        transaction(c, sub)
        locked(c, sub)
        decommission(c, sub, peers + 1000)
        if not c.measure:
            interrupted(c)
        equal("it ends cleanly", c.stop(), 0)
    finally:
        c.clean()


main()
