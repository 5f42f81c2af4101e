# SPDX-License-Identifier: BSD-3-Clause
"""A primary, a follower and a follower of that one, with a played gateway: reads everywhere, writes at the primary alone, "has everybody
got it?", what is left when the primary is gone, promotion, the ledger and a rolling upgrade after it."""

import base64
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time

import restlib
from restlib import documented, equal, fail, follower, furnish, key, step


class Gateway:
    """As much of a gateway as the stream needs: logs in, subscribes, acknowledges, reports."""

    def __init__(self, c, name, token, schema=(1,), **more):
        ctx = c.context()
        ctx.set_alpn_protocols(["sluice-repl/1"])
        self.sock = ctx.wrap_socket(socket.create_connection(("127.0.0.1", c.repl), 5), server_hostname="127.0.0.1")
        self.file = self.sock.makefile("rb")
        self.n, self.name, self.token, self.schema, self.notes, self.has, self.stand = 0, name, token, list(schema), [], {}, {}
        self.call("auth.login", token=token, client="played/1")
        self.position = self.call("repl.subscribe", node=name, scope="gateway", schema=self.schema, **more)

    def send(self, method, params, i=None):
        m = {"jsonrpc": "2.0", "method": method, "params": params}
        if i is not None:
            m["id"] = i
        self.sock.sendall(json.dumps(m).encode() + b"\n")

    def read(self):
        line = self.file.readline()
        if not line:
            fail(f"{self.name}: the stream ended")
        return json.loads(line)

    def call(self, method, **params):
        self.n += 1
        self.send(method, params, self.n)
        while True:
            m = self.read()
            if m.get("id") == self.n:
                if "error" in m:
                    fail(f"{self.name}: {method}: {m['error']}")
                return m["result"]
            self.notes.append(m)

    def until(self, seq):
        """Take what comes until `seq` and acknowledge it."""
        at = 0
        while at < seq:
            m = self.notes.pop(0) if self.notes else self.read()
            p = m.get("params", {})
            for o in p.get("objects", []) + p.get("ops", []):
                self.has[o["kind"], o["id"]] = o.get("obj")
            if m.get("method") == "repl.snapshot" and p.get("last"):
                at = p["seq"]
            elif m.get("method") == "repl.txn":
                at = p["seq"]
            elif m.get("method") == "repl.heartbeat":
                at = max(at, p.get("scope_seq", 0))
            if at and "chain" in p:
                self.stand = {"epoch": {f: p["epoch"][f] for f in ("number", "id")}, "seq": p.get("head", at), "chain": p["chain"]}
        self.send("repl.ack", {"node": self.name, "seq": at, "serving_seq": at})
        return at

    def again(self, c, schema=(1,), **more):
        """Another connection, from where it stands."""
        self.sock.close()
        g = Gateway(c, self.name, self.token, schema, **{**self.stand, **more})
        g.has, g.stand = self.has, self.stand
        return g

    def report(self, mode):
        """Register, and say how the target db is judged."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.call("gateway.register", boot="b2", version="0.1.0", interfaces=[], schema=self.schema)
        self.call("stats.report", boot="b2", now=now, peers=[], state={
            "mode": {"default": "observe", "panic": False, "prefixes": {"10.20.0.10/32": mode}}, "logging": True, "packets": 1000, "drops": {},
            "latency_ns": {"p50": 9000, "p95": 20000, "p99": 40000}})


def same(a, b):
    seq = a.seq()
    b.want(200, "GET", f"/peers?at_seq={seq}")
    for path in ("/peers", "/gateways", "/gateway-interfaces", "/rules", "/policy", "/allocations", "/role-maps"):
        equal(f"{path} of {b.name}", b.want(200, "GET", path).data, a.want(200, "GET", path).data)
    equal("sum of all objects", b.want(200, "GET", "/replication").json()["hash"], a.want(200, "GET", "/replication").json()["hash"])


def events(p, f):
    step("a follower tells of changes as they come to it")
    conn = f.connect()
    conn.request("GET", f"/api/v1/events?at_seq={p.seq()}", headers={"Authorization": "Bearer " + f.token})
    lines = conn.getresponse()
    a = p.want(200, "PATCH", "/peers/bob", {"description": "told"}, headers={"If-Match": "*"})
    head = int(a.headers["X-Sluice-Seq"])
    while not (line := lines.readline()).startswith(b"id: %d." % head):
        equal("its head", line == b"", False)
    lines.readline()
    equal("told", json.loads(lines.readline().split(b": ", 1)[1])["obj"]["description"], "told")
    conn.close()
    p.want(200, "PATCH", "/peers/bob", {"description": None}, headers={"If-Match": "*"})


def reads_and_writes(p, f, g):
    events(p, f)
    step("followers answer as the primary does, and take no changes")
    same(p, f)
    same(p, g)
    for c in (f, g):
        a = c.want(403, "POST", "/peers", {"name": "x", "interface": "wg0", "public_key": key(50)}, "readonly")
        equal("primary", a.json()["primary"], "https://control.example.net:7443")
        equal("Link", a.headers["Link"], '<https://control.example.net:7443>; rel="primary"')
        for path in ("/sessions", "/unused-peers", "/peers/alice/usage", "/peers/alice/stats", "/policy/would-deny", "/flows", "/audit/export", "/migration", "/migration/targets/db"):
            a = c.want(403, "GET", path, reason="not_primary")
            equal(f"primary of {path}", (a.json()["primary"], "https://control.example.net:7443" in a.json()["hint"]), ("https://control.example.net:7443", True))
        for method, path in (("PUT", "/peers/alice"), ("PATCH", "/peers/alice"), ("DELETE", "/peers/alice"), ("PUT", "/policy"), ("POST", "/tokens"),
                             ("POST", "/backup")):
            c.want(403, method, path, {} if method != "DELETE" else None, "readonly")
        equal("audit", c.want(200, "GET", "/audit").json()["items"], [])
        c.want(403, "GET", "/audit/key", reason="not_primary")
        r = c.want(200, "GET", "/replication").json()
        equal("role and source", (r["role"], r["source"]["up"]), ("follower", True))
    step("a read after a write waits for it")
    worst = 0
    for i in range(10):
        a = p.want(200, "PATCH", "/peers/bob", {"keepalive_s": 10 + i}, headers={"If-Match": "*"})
        begun = time.monotonic()
        b = g.want(200, "GET", f"/peers/bob?at_seq={a.headers['X-Sluice-Seq']}")
        worst = max(worst, time.monotonic() - begun)
        equal("two steps away", b.json()["keepalive_s"], 10 + i)
    print(f"   the slowest of 10 took {worst * 1000:.0f} ms over two followers")
    t = p.make_token("viewer")
    f.want(200, "GET", f"/peers?at_seq={p.seq()}")  # a login does not wait
    f.want(200, "GET", "/peers", token=t)
    p.want(204, "DELETE", "/tokens/" + t.split("_")[1])
    f.want(200, "GET", f"/peers?at_seq={p.seq()}")
    f.want(401, "GET", "/peers", token=t, reason="token_refused")
    p.want(200, "POST", "/policy/validate", {"zones": {}, "targets": {}, "roles": {}, "rules": []})
    f.want(200, "POST", "/policy/simulate", {"subject": {"peer": "alice"}, "dst": "10.20.0.10", "dport": 5432})


def gateways(p, g):
    step("has everybody got it? gateways at the primary and two followers away")
    a = Gateway(p, "gw-a", p.make_token("gateway", bound="gw-a"))
    token = p.make_token("gateway", bound="gw-b")
    g.want(200, "GET", f"/peers?at_seq={p.seq()}")
    b = Gateway(g, "gw-b", token)
    seq = int(p.want(200, "PATCH", "/peers/bob", {"keepalive_s": 33}, headers={"If-Match": "*"}).headers["X-Sluice-Seq"])
    w = p.want(200, "GET", f"/wait?seq={seq}&timeout=1").json()
    equal("nobody yet", (w["all"], sorted(x["gateway"] for x in w["missing"])), (False, ["gw-a", "gw-b"]))
    a.until(seq)
    equal("gw-a", p.want(200, "GET", f"/wait?seq={seq}&gateways=gw-a&timeout=5").json()["all"], True)
    b.until(seq)
    equal("all", p.want(200, "GET", f"/wait?seq={seq}&gateways=all&timeout=5").json(), {"seq": seq, "all": True, "missing": []})
    s = p.want(200, "GET", "/gateways/gw-b/status").json()
    equal("status of gw-b", (s["connected"], s["acked_seq"] >= seq), (True, True))
    if not s["via"]:
        fail(f"by whom? {s}")
    p.want(404, "GET", f"/wait?seq={seq}&gateways=gw-z", reason="not_found")
    step("a gateway tells its key, over two followers")
    new = base64.b64encode(os.urandom(32)).decode()
    r = b.call("gateway.register", boot="b1", version="0.1.0", interfaces=[{"interface": "wg0", "public_key": new}, {"interface": "wg7", "public_key": key(3)}])
    equal("key of gw-b", p.want(200, "GET", f"/gateway-interfaces/gw-b:wg0?at_seq={r['seq']}").json()["public_key"], new)
    equal("of no other interface", p.want(404, "GET", "/gateway-interfaces/gw-b:wg7").reason, "not_found")
    step("a follower's metrics are those that the page lists")
    p.make_token("viewer", expires_in_s=86400)
    p.want(201, "POST", "/providers", {"name": "corp", "state": "down"})
    g.want(200, "GET", f"/peers?at_seq={p.seq()}")
    documented(g, g.want(200, "GET", "/metrics").data.decode(), "Collected by a primary")
    return a, b


def ledger(p, f, a, b):
    step("a target is moved up to enforced; its gateways are at the primary and two followers away")
    for x in (a, b):
        x.report("observe")
    p.want(200, "PUT", "/migration/deployment", {"phase": 1, "major": ["db"]})
    p.want(200, "PUT", "/migration/targets/db/distribution", {"distribute": ["peer:alice"]})
    p.want(200, "POST", "/migration/targets/db/advance", {"to": "pilot"})
    p.want(200, "POST", "/migration/targets/db/advance", {"to": "observed", "force": True})
    for x in (a, b):
        x.report("enforce")
    if not until(lambda: p.want(200, "GET", "/migration/targets/db").json()["state"] == "enforced"):
        fail("the ledger does not follow the gateways")
    f.want(200, "GET", f"/peers?at_seq={p.seq()}")  # before the primary is gone
    return p.want(200, "GET", "/migration/targets/db").json()["history"]


def ledger_after(f, g, a, b, history):
    step("the ledger goes on at the promoted one")
    t = f.want(200, "GET", "/migration/targets/db").json()
    equal("as it was", (t["state"], t["history"], t["baseline"]["p95_ns"]), ("enforced", history, 20000))
    f.want(409, "POST", "/migration/targets/db/advance", {"to": "done"}, reason="gate_closed")  # nobody has told anything here
    a, b = a.again(f), b.again(g)
    for x in (a, b):
        equal(f"what {x.name} is sent", (x.position["mode"], x.position["reason"]), ("snapshot", "epoch_changed"))
        x.until(f.seq())
    a.report("enforce")
    time.sleep(1.5)  # it looks each second
    equal("of one gateway nothing is known", f.want(200, "GET", "/migration/targets/db").json()["state"], "enforced")
    b.report("enforce")
    t = f.want(200, "POST", "/migration/targets/db/advance", {"to": "done"}).json()
    equal("done", (t["state"], [h["to"] for h in t["history"]]), ("done", ["pilot", "observed", "enforced", "done"]))
    equal("complete", f.want(200, "PUT", "/migration/deployment", {"phase": 5}).json()["phase"], 5)
    a.report("observe")
    if not until(lambda: f.want(200, "GET", "/migration/targets/db").json()["state"] == "observed"):
        fail("the ledger of the promoted one does not follow its gateways")
    t = f.want(200, "POST", "/migration/targets/db/withdraw", {"comment": "after the promotion"}).json()
    equal("who does not know what is withdrawn", t["older_gateways"], ["gw-a", "gw-b"])
    same(f, g)
    return a, b


def older_layout(c):
    """Its store becomes one that an earlier version left."""
    equal("status", c.stop(), 0)
    with sqlite3.connect(os.path.join(c.dir, "store.db")) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()


def upgrade(f, g, a, b):
    step("a rolling upgrade of the promoted one, its follower and the gateways: nobody needs a snapshot but for the schema")
    seq = f.seq()
    for x in (a, b):
        x.until(seq)
    before = f.want(200, "GET", "/replication").json()["epoch"]
    older_layout(f)
    f.start("--mode", "primary", "--heartbeat", "1")
    older_layout(g)
    g.start("--mode", "follower", "--source", f"127.0.0.1:{f.repl}", "--heartbeat", "1")
    for c in (f, g):
        if not os.path.exists(os.path.join(c.dir, "store.db.schema-1")):
            fail(f"{c.name} kept no copy of the former layout")
    equal("epoch", f.want(200, "GET", "/replication").json()["epoch"], before)
    a, b = a.again(f), b.again(g)
    for x in (a, b):
        equal(f"{x.name} goes on", (x.position["mode"], x.position["from"]), ("resume", x.stand["seq"] + 1))
    f.want(200, "PATCH", "/peers/bob", {"keepalive_s": 44}, headers={"If-Match": "*"})
    same(f, g)
    if re.search(r"^sluice_control_source_snapshots_total.* [1-9]", g.want(200, "GET", "/metrics").data.decode(), re.M):
        fail("the follower took a snapshot")
    for x in (a, b):
        x.until(f.seq())
        equal(f"{x.name} has what came since", (x.has["peer", "bob"]["keepalive_s"], "withdrawn" in x.has["target", "db"]), (44, False))
    a, b = a.again(f, (1, 2), want="snapshot", why="schema"), b.again(g, (1, 2), want="snapshot", why="schema")
    for x in (a, b):
        equal(f"{x.name} is updated", (x.position["schema"], x.position["mode"], x.position["reason"]), (2, "snapshot", "schema"))
        x.until(f.seq())
        equal(f"what {x.name} knows now", x.has["target", "db"].get("withdrawn"), True)
        x.report("observe")
    if not until(lambda: "older_gateways" not in f.want(200, "GET", "/migration/targets/db").json()):
        fail(f"somebody is still older: {f.want(200, 'GET', '/replication').data}")
    equal("all applied", f.want(200, "GET", f"/wait?seq={f.seq()}&gateways=all&timeout=5").json()["all"], True)
    return a, b


def without_primary(p, f, g):
    step("the primary is gone: reads go on, readiness tells; promotion")
    p.stop()
    f.want(200, "GET", "/peers")
    for _ in range(100):
        a = f.call("GET", "/readyz", token=None)
        if a.status == 503:
            break
        time.sleep(0.1)
    equal("ready", a.json()["status"], "not_ready")
    seq = f.seq()
    f.stop()
    subprocess.run([restlib.CONTROL, "promote", "--state-dir", f.dir], check=True, capture_output=True)
    f.start("--mode", "primary", "--heartbeat", "1")
    r = f.want(200, "GET", "/replication").json()
    equal("epoch after the promotion", (r["role"], r["epoch"]["number"], r["seq"] >= seq), ("primary", 2, True))
    f.want(201, "POST", "/peers", {"name": "after", "interface": "wg0", "public_key": key(60)})
    for _ in range(150):
        if g.call("GET", "/peers/after").status == 200:
            break
        time.sleep(0.1)
    equal("the last one follows", g.want(200, "GET", "/peers/after").json()["name"], "after")
    same(f, g)


def former_primary(p, f, g):
    step("a former primary: its epoch is refused, told, and taken when somebody says so")
    was = f.want(200, "GET", "/replication").json()["epoch"]["id"]
    p.start("--public-url", "https://control.example.net:7443", "--heartbeat", "1")
    its = p.want(200, "GET", "/replication").json()["epoch"]["id"]
    g.stop()
    g.start("--mode", "follower", "--source", f"127.0.0.1:{p.repl}", "--heartbeat", "1")
    if not until(lambda: "refused_epoch" in g.want(200, "GET", "/replication").json()["source"]):
        fail("the refused epoch is not told")
    equal("refused", g.want(200, "GET", "/replication").json()["source"]["refused_epoch"]["id"], its)
    if f"sluice-control epoch accept {its}" not in g.call("GET", "/readyz", token=None).data.decode():
        fail("readyz names no remedy")
    if "\nsluice_control_source_epoch_refused 1\n" not in g.want(200, "GET", "/metrics").data.decode():
        fail("no metric")
    with open(g.log, encoding="utf-8") as log:
        if f"sluice-control epoch accept {its}" not in log.read():
            fail("the log names no remedy")
    def accept(where, word, *args):
        out = subprocess.run([restlib.CONTROL, "epoch", *args, "--state-dir", where], capture_output=True, text=True, check=False)
        if word not in out.stdout + out.stderr:
            fail(f"epoch {args}: {out.stdout}{out.stderr}")
        return out.returncode
    equal("at a primary", accept(f.dir, "a primary's epoch is its own", "accept", its), 1)
    equal("another word", accept(g.dir, "accept is what there is", "refuse", its), 2)
    equal("no id", accept(g.dir, "32 hex digits", "accept", "1"), 2)
    equal("its own", accept(g.dir, "is in that epoch", "accept", was), 1)
    equal("status", accept(g.dir, its, "accept", its), 0)
    if not until(lambda: g.want(200, "GET", "/replication").json()["epoch"]["id"] == its):
        fail("the accepted epoch is not taken")
    equal("what came after it", g.call("GET", "/peers/after").status, 404)
    same(p, g)
    if '\nsluice_control_source_snapshots_total{reason="new"} 1\n' not in g.want(200, "GET", "/metrics").data.decode():
        fail("no count of the snapshot that it took")
    with open(g.log, encoding="utf-8") as log:
        if f"accepted by uid:{os.getuid()} at " not in log.read():
            fail("the log does not tell whose word it was")
    g.stop()
    g.start("--mode", "follower", "--source", f"127.0.0.1:{f.repl}", "--heartbeat", "1")
    if not until(lambda: g.call("GET", "/peers/after").status == 200):
        fail("the later epoch is not taken")
    p.stop()


def until(is_so):
    for _ in range(150):
        if is_so():
            return True
        time.sleep(0.1)
    return False


def wrong_starts(p, f):
    step("wrong starts name the remedy")
    def run(*args):
        out = subprocess.run([restlib.CONTROL, "run", *args], capture_output=True, text=True, check=False, timeout=20)
        return out.returncode, out.stderr
    for want, word, args in (
            (2, "--source", ["--mode", "follower"]), (2, "ADDRESS:PORT", ["--rest", "nowhere"]), (2, "primary or follower", ["--mode", "x"]),
            (1, "init", ["--state-dir", os.path.join(p.dir, "nothing")]),
            (1, "stop it first", ["--state-dir", p.dir]),
            (1, "NAME=ROLE", ["--state-dir", f.dir, "--mode", "follower", "--source", "127.0.0.1:1", "--allow-cert", "x=root", "--rest", "127.0.0.1:0",
                              "--repl", "127.0.0.1:1"])):
        if "--allow-cert" in args:
            f.stop()
        rc, err = run(*args)
        if rc != want or word not in err:
            fail(f"run {args}: status {rc}, {err!r}")
    rc, err = run("--state-dir", f.dir)
    if rc != 1 or "--mode follower" not in err:
        fail(f"a follower's store as a primary: {rc} {err}")
    f.start("--mode", "follower", "--source", f"127.0.0.1:{p.repl}", "--heartbeat", "1")


def by_token(p, f):
    step("a follower logs in with a token, whatever its certificate says")
    token = p.make_token("follower", bound=f.name)
    path = os.path.join(os.path.dirname(f.dir), "token")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
        out.write(token + "\n")
    f.stop()
    f.start("--mode", "follower", "--source", f"127.0.0.1:{p.repl}", "--heartbeat", "1", "--token-file", path)
    same(p, f)
    with open(p.log, encoding="utf-8") as log:
        if f"login of token:{token.split('_')[1]}" not in log.read():
            fail("the primary knows nothing of that login")
    p.want(204, "DELETE", "/tokens/" + token.split("_")[1])
    f.stop()
    f.start("--mode", "follower", "--source", f"127.0.0.1:{p.repl}", "--heartbeat", "1")


def main():
    page = restlib.Page()
    p = restlib.Control(page)
    all_ = [p]
    try:
        p.init()
        p.start("--public-url", "https://control.example.net:7443", "--heartbeat", "1")
        furnish(p)
        f = follower(page, p, p, "cp2")
        all_.append(f)
        g = follower(page, p, f, "cp3")
        all_.append(g)
        wrong_starts(p, f)
        by_token(p, f)
        reads_and_writes(p, f, g)
        streams = gateways(p, g)
        history = ledger(p, f, *streams)
        without_primary(p, f, g)
        streams = ledger_after(f, g, *streams, history)
        for s in upgrade(f, g, *streams):
            s.sock.close()
        former_primary(p, f, g)
        for c in (f, g):
            equal("status", c.stop(), 0)
    except BaseException:
        for c in all_:
            if os.path.exists(c.log):
                sys.stdout.write(f"--- {c.name}\n" + open(c.log, encoding="utf-8", errors="replace").read()[-1500:])
        raise
    finally:
        for c in all_:
            c.clean()


main()
