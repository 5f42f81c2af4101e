# SPDX-License-Identifier: BSD-3-Clause
"""What gateways report, seen through the REST API: sessions, usage, evidence with gaps, the ledger, metrics. The gateways are
sockets of this test that speak the stream's JSON-RPC over TLS."""

import base64
import json
import os
import re
import socket
import sqlite3
import sys
import tempfile
import time

from prometheus_client.parser import text_string_to_metric_families

from restlib import Control, Page, ctl, documented, equal, fail, key, step

DOC = {"version": 1, "zones": {"srv": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16"]}},
       "targets": {"db": {"addresses": ["10.20.0.10"]}, "web": {"addresses": ["10.20.1.0/24"]}},
       "roles": {"eng": {"id": 1, "members": ["peer:alice"]}},
       "rules": [{"id": 1, "role": "eng", "to": ["db"], "protocol": "tcp", "ports": [5432], "action": "allow"}]}
T = "%Y-%m-%dT%H:%M:%SZ"


def at(age):
    return time.strftime(T, time.gmtime(time.time() - age))


class Gateway:
    """A gateway's connection."""

    def __init__(self, c, name, token):
        self.open(c, name, token)
        self.ask("repl.subscribe", {"node": name, "scope": "gateway", "schema": [1]})

    def open(self, c, name, token):
        self.name, self.n, self.boot, self.row = name, 0, "b-" + name, 0
        raw = socket.create_connection(("127.0.0.1", c.repl), timeout=20)
        ctx = c.context()
        ctx.set_alpn_protocols(["sluice-repl/1"])
        self.s = ctx.wrap_socket(raw, server_hostname="127.0.0.1")
        self.f = self.s.makefile("r")
        self.ask("auth.login", {"token": token})

    def refused(self, method, params):
        """Ask. What the error is, None where there is none."""
        return self.answer(method, params).get("error")

    def answer(self, method, params):
        self.n += 1
        self.s.sendall((json.dumps({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params}) + "\n").encode())
        while True:
            line = self.f.readline()
            if not line:
                fail(f"{self.name}: {method}: the connection was closed")
            a = json.loads(line)
            if a.get("id") == self.n:
                return a

    def refused_of(self, count, method, params):
        """Ask so many times at once. What the error of each is, None where there is none."""
        first, self.n = self.n + 1, self.n + count
        calls = [{"jsonrpc": "2.0", "id": i, "method": method, "params": params} for i in range(first, self.n + 1)]
        self.s.sendall("".join(json.dumps(c) + "\n" for c in calls).encode())
        errors = {}
        while len(errors) < count:
            line = self.f.readline()
            if not line:
                fail(f"{self.name}: {count} times {method}: the connection was closed")
            a = json.loads(line)
            if first <= a.get("id", 0) <= self.n:
                errors[a["id"]] = a.get("error")
        return [errors[c["id"]] for c in calls]

    def ask(self, method, params, reason=None):
        a = self.answer(method, params)
        if reason:
            equal(f"{method}: reason", a.get("error", {}).get("data", {}).get("reason"), reason)
            return None
        if "error" in a:
            fail(f"{self.name}: {method}: {a['error']}")
        return a["result"]

    def stats(self, peers, mode="observe", prefixes=None, **state):
        self.ask("stats.report", {"boot": self.boot, "now": at(0), "peers": peers, "state": {
            "mode": {"default": mode, "panic": False, "prefixes": prefixes or {}}, "logging": True, "packets": 1000, "drops": {"tx_full": 0},
            "latency_ns": {"p50": 9000, "p95": 20000, "p99": 40000}, **state}})

    def push(self, rows, covered=86400, lost=0):
        r = self.ask("log.push", {"boot": self.boot, "first": self.row + lost, "lost_before": lost, "from": at(covered), "to": at(0), "rows": rows})
        self.row += len(rows) + lost
        equal("acked", r["acked"], self.row - 1)


def flow(peer, src, dst, port, flows=3, would="deny", **more):
    return {"interface": "wg0", "peer": peer, "from": "tunnel", "src": src, "dst": dst, "protocol": 6, "port": port, "verdict": "allow", "would": would,
            "flows": flows, "packets": 10 * flows, "bytes": 100 * flows, "first": at(3600), "last": at(60), **more}


def peer(name, rx, age, **more):
    return {"id": name, "data_rx": rx, "data_tx": 2 * rx, "data_age_s": age, "handshake_age_s": 5, **more}


def set_up(c):
    c.want(201, "POST", "/interfaces", {"name": "wg0"})
    for k, g in enumerate(("gw-a", "gw-b")):
        c.want(201, "POST", "/gateways", {"name": g, "interfaces": ["wg0"]})
        c.want(201, "POST", "/gateway-interfaces", {"gateway": g, "interface": "wg0", "index": k + 1, "endpoint": f"192.0.2.{k + 1}:51820"})
    c.want(200, "PUT", "/policy", DOC, headers={"If-None-Match": "*"})
    for n, p in enumerate(("alice", "bob")):
        c.want(201, "POST", "/peers", {"name": p, "interface": "wg0", "public_key": key(n + 1), "allowed_ips": [f"10.7.0.{n + 2}/32"]})
    gw = [Gateway(c, g, c.make_token("gateway", bound=g)) for g in ("gw-a", "gw-b")]
    for n, g in enumerate(gw):
        g.ask("gateway.register", {"boot": g.boot, "version": "0.1.0", "interfaces": [{"interface": "wg0", "public_key": key(90 + n)}]})
    return gw


def sessions(c, gw):
    step("sessions across gateways, usage, peers that nobody uses")
    gw[0].stats([peer("alice", 1000, 1, country="JP", asn=2516)])
    gw[1].stats([peer("alice", 500, 2)])
    gw[1].stats([{**peer("bob", 0, 0), "data_age_s": None}])  # handshakes alone
    s = c.want(200, "GET", "/sessions").json()["items"]
    equal("sessions", [(x["peer"], x["state"], x["rx"], x["gateways"], x["country"]) for x in s], [("alice", "open", 1500, ["gw-a", "gw-b"], "JP")])
    equal("sessions of bob", c.want(200, "GET", "/sessions?peer=bob").json()["items"], [])
    u = c.want(200, "GET", "/peers/alice/usage").json()["items"]
    equal("usage", (sum(h["rx"] for h in u), sum(h["tx"] for h in u)), (1500, 3000))
    stats(c)
    unused(c)
    gw[0].ask("stats.report", {"boot": "x", "peers": [{"data_rx": 1}]}, reason="param_type")
    gw[0].ask("stats.report", {"node": "gw-b", "boot": "x", "peers": []}, reason="node_foreign")


def stats(c):
    """A peer as each gateway told of it: one that serves it and said nothing, one that has never told anything, one that does not serve it."""
    c.want(201, "POST", "/interfaces", {"name": "wg8"})
    for name, interfaces in (("gw-c", ["wg0"]), ("gw-d", ["wg8"])):
        c.want(201, "POST", "/gateways", {"name": name, "interfaces": interfaces})
    own = c.make_token("peer", bound="alice")
    p = c.want(200, "GET", "/peers/alice/stats", token=own).json()
    equal("by gateway", [(g["gateway"], g["state"], g["rx"], g["tx"], sorted(g)[2:-3]) for g in p["gateways"]],
          [("gw-a", "active", 1000, 2000, ["last_handshake", "rx"]), ("gw-b", "active", 500, 1000, ["last_handshake", "rx"]), ("gw-c", "never", 0, 0, [])])
    equal("its session", (p["session"]["state"], p["session"]["rx"], p["session"]["country"]), ("open", 1500, "JP"))
    equal("handshakes are seconds old", all(at(15) < t <= at(0) for t in (p["last_handshake"], p["gateways"][0]["last_handshake"])), True)
    p = c.want(200, "GET", "/peers/bob/stats").json()
    equal("handshakes alone", ([(g["state"], "last_data" in g, "last_handshake" in g) for g in p["gateways"]], "session" in p, "last_handshake" in p),
          ([("never", False, False), ("idle", False, True), ("never", False, False)], False, True))
    c.want(404, "GET", "/peers/bob/stats", token=own)
    c.want(404, "GET", "/peers/nobody/stats", reason="not_found")
    shown = ctl(c, "peer", "stats", "alice").stdout
    if not re.search(r"^gw-b +active +500 +1000 ", shown, re.M):
        fail(f"peer stats does not show gw-b: {shown}")
    for path in ("/gateways/gw-c", "/gateways/gw-d", "/interfaces/wg8"):
        c.want(204, "DELETE", path, headers={"If-Match": "*"})


def known(db, peer, want):
    for _ in range(100):
        row = db.execute("SELECT since FROM peer_known WHERE peer = ?", (peer,)).fetchone()
        if (row is not None) == want:
            return
        time.sleep(0.1)
    fail(f"{peer} is {'not ' if want else ''}known")


def unused(c):
    """Who never sent anything is unused for a day when it is known for a day; who gets the name of one that is gone begins anew."""
    def names():
        return [x["peer"] for x in c.want(200, "GET", "/unused-peers?days=1").json()["items"]]
    db = sqlite3.connect(os.path.join(c.dir, "store.db"), isolation_level=None, timeout=10)
    known(db, "bob", True)
    equal("unused at once", names(), [])
    db.execute("UPDATE peer_known SET since = since - 86401")
    equal("unused", names(), ["bob"])
    body = {f: v for f, v in c.want(200, "GET", "/peers/bob").json().items() if f != "rev"}
    c.want(204, "DELETE", "/peers/bob", headers={"If-Match": "*"})
    known(db, "bob", False)
    c.want(201, "POST", "/peers", body)
    known(db, "bob", True)
    equal("unused, of the same name", names(), [])
    db.close()


def evidence(c, gw):
    step("evidence: would-deny, suggest, replay across gateways, and what is missing")
    gw[0].push([flow("alice", "10.7.0.2", "10.20.0.10", 5432, would="allow"), flow("alice", "10.7.0.2", "10.20.0.10", 22, reason="no_role")])
    gw[1].push([flow("alice", "10.7.0.2", "10.20.0.10", 22, flows=4), flow("bob", "10.7.0.3", "10.20.1.5", 443),
                flow("alice", "10.7.0.2", "10.20.1.7", 80, midstream=True)])
    w = c.want(200, "GET", "/policy/would-deny?target=db").json()
    equal("flows to db", (w["flows"], w["denied"]), (10, 7))
    equal("by gateway", sorted((r["gateway"], r["port"], r["flows"], r["why"]) for r in w["rows"]), [("gw-a", 22, 3, "zone_default"), ("gw-b", 22, 4, "zone_default")])
    equal("what was said then", sorted((r["gateway"], r["then"], r.get("reason")) for r in w["rows"]), [("gw-a", "deny", "no_role"), ("gw-b", "deny", None)])
    equal("gaps", [(g["gateway"], g["lost_rows"], g["covered_s"] > 86300) for g in w["gaps"]], [("gw-a", 0, True), ("gw-b", 0, True)])
    s = c.want(200, "POST", "/policy/suggest", {"target": "db"}).json()
    equal("rules", [(r["rule"]["role"], r["rule"]["to"], r["rule"]["ports"], r["rule"]["src"], r["flows"]) for r in s["rules"]],
          [("eng", ["10.20.0.10"], [22], ["10.7.0.2"], 7)])
    r = c.want(200, "POST", "/policy/replay", {"policy": s["candidate"], "target": "db"}).json()
    equal("replay", (r["newly_denied"]["flows"], r["newly_allowed"]["flows"], r["unchanged"]), (0, 7, 3))
    everything = c.want(200, "POST", "/policy/suggest", {}).json()
    v = c.want(200, "POST", "/policy/validate", everything["candidate"]).json()
    if v.get("tests_run", 1) == 0:
        fail(f"the candidate's tests did not run: {v}")
    typo = {**everything["candidate"], "roles": {**everything["candidate"]["roles"], "ghosts": {"members": ["peer:nobody-here"]}}}
    v = c.want(200, "POST", "/policy/validate", typo).json()
    equal("a member that is no peer", [x["path"] for x in v["lints"] if x["code"] == "peer_unknown" and "nobody-here" in x["text"]], ["/roles/ghosts/members/0"])
    worse = {**DOC, "version": 3, "rules": []}
    equal("a policy without rules", c.want(200, "POST", "/policy/replay", {"policy": worse}).json()["newly_denied"]["flows"], 3)
    c.want(404, "GET", "/policy/would-deny?target=nowhere", reason="not_found")
    c.want(422, "POST", "/policy/replay", {"policy": {**DOC, "rules": [{"id": 1, "role": "none", "to": ["db"], "protocol": "tcp", "action": "allow"}]}})
    shown = ctl(c, "would-deny", "db").stdout
    if not re.search(r"^gw-b +alice +tunnel +10.7.0.2 +10.20.0.10 +tcp +22 +zone_default +4$", shown, re.M):
        fail(f"would-deny does not show who and what: {shown}")
    shown = ctl(c, "policy", "suggest", "db").stdout
    if not re.search(r"^eng +\d+ +10.7.0.2 +10.20.0.10 +tcp +22 +7$", shown, re.M):
        fail(f"suggest does not show the rule: {shown}")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        f.write("// by hand\n" + json.dumps(worse))
        f.flush()
        shown = ctl(c, "policy", "replay", f.name).stdout
    if not re.search(r"^newly_denied +3$", shown, re.M) or not re.search(r"^gw-a +alice +tunnel +10.7.0.2 +10.20.0.10 +tcp +5432 ", shown, re.M):
        fail(f"replay does not show what changes: {shown}")
    gw[1].push([flow("bob", "10.7.0.3", "10.20.1.5", 443)], covered=80000, lost=100)
    g = {x["gateway"]: x for x in c.want(200, "GET", "/policy/would-deny").json()["gaps"]}
    equal("lost rows", (g["gw-a"]["lost_rows"], g["gw-b"]["lost_rows"]), (0, 100))
    gw[0].ask("log.push", {"boot": "b", "first": 0, "rows": [{"src": 1}]}, reason="row_invalid")
    return s["candidate"]


def seen(c, gw):
    step("flows, page by page: what was told, beside what would be denied now")
    def ask(query="", **more):
        return c.want(200, "GET", "/flows" + query, **more).json()
    f = ask()
    equal("all of them", sorted((r["gateway"], r.get("peer"), r["port"], r["flows"], r["would"]) for r in f["items"]),
          [("gw-a", "alice", 22, 3, "deny"), ("gw-a", "alice", 5432, 3, "allow"), ("gw-b", "alice", 22, 4, "deny"), ("gw-b", "alice", 80, 3, "deny"),
           ("gw-b", "bob", 443, 6, "deny")])
    equal("what is missing", [(g["gateway"], g["lost_rows"]) for g in f["gaps"]], [("gw-a", 0), ("gw-b", 100)])
    equal("seen from the middle", [r["port"] for r in f["items"] if r.get("midstream")], [80])
    equal("as would-deny counts them", sum(r["flows"] for r in ask("?target=db")["items"]), c.want(200, "GET", "/policy/would-deny?target=db").json()["flows"])
    paged, query = [], "?limit=2"
    while query:
        p = ask(query)
        equal("gaps are on the first page", "gaps" in p, query == "?limit=2")
        paged += p["items"]
        query = f"?limit=2&after={p['next']}" if "next" in p else ""
    equal("in pages", paged, f["items"])
    for query, ports in (("?peer=bob", [443]), ("?gateway=gw-a", [22, 5432]), ("?would=allow", [5432]), ("?verdict=deny", []), ("?target=web", [80, 443]),
                         ("?target=10.20.0.0/24&gateway=gw-b", [22]), (f"?until={at(7200)}", []), (f"?since={at(30)}", []),
                         (f"?since={at(90000)}&until={at(0)}", [22, 22, 80, 443, 5432]), ("?peer=nobody", [])):
        equal(query, sorted(r["port"] for r in ask(query)["items"]), ports)
    for query, reason in (("?would=maybe", "param_invalid"), ("?since=yesterday", "param_invalid"), ("?until=1", "param_invalid"), ("?after=x", "param_invalid"),
                          ("?after=" + p_of([1]), "param_invalid"), ("?after=" + p_of(["1", *"abcdefghi"]), "param_invalid"),
                          ("?after=" + p_of([1, "g" * 64, "", "", "", "", 0, 0, 0, 0]), "param_invalid"),
                          ("?after=" + p_of([1, "", "", "", "", "", 0, 0, 0, 0, 0]), "param_invalid"), ("?after=" + "A" * 1601, "param_invalid")):
        c.want(400, "GET", "/flows" + query, reason=reason)
    equal("from a place that nobody gave", ask("?after=" + p_of([2**62, "' OR 1", "", "", "", "", 0, 0, 0, 0]))["items"], f["items"])
    equal("and before all", ask("?after=" + p_of([-2**62, "", "", "", "", "", 0, 0, 0, 0])), {"items": []})
    c.want(404, "GET", "/flows?target=nowhere", reason="not_found")
    shown = ctl(c, "flows", "alice", "would=deny").stdout
    if not re.search(r"^gw-b +alice +10.7.0.2 +10.20.0.10 +tcp +22 +allow +deny +4 +20", shown, re.M) or not re.search(r"^gw-b +\d+ .*100 +0 ", shown, re.M):
        fail(f"flows does not show who and what, and what is missing: {shown}")


def p_of(key_of_a_row):
    return base64.urlsafe_b64encode(json.dumps(key_of_a_row).encode()).decode().rstrip("=")


def migration(c, gw, candidate):
    step("the ledger: gates, steps, what gateways report, withdrawal")
    cfg = c.want(200, "GET", "/peers/alice/config").json()["configs"][0]
    equal("without a migration all targets are routed", cfg["allowed_ips"], ["10.20.0.10/32", "10.20.1.0/24"])
    gw[0].stats([], mode="enforce")
    c.want(409, "PUT", "/migration/deployment", {"phase": 1, "major": ["db"]}, reason="gate_closed")
    for g in gw:
        g.stats([])
    m = c.want(200, "PUT", "/migration/deployment", {"phase": 1, "major": ["db"]}).json()
    equal("phase", (m["phase"], [t["state"] for t in m["targets"]]), (1, ["vpn", "vpn"]))
    cfg = c.want(200, "GET", "/peers/alice/config").json()["configs"][0]
    equal("phase 1 switches no route", cfg["allowed_ips"], [])
    c.want(422, "PUT", "/migration/targets/db/distribution", {"distribute": ["peer:nobody"]})
    c.want(200, "PUT", "/migration/targets/db/distribution", {"distribute": ["peer:alice"]})
    c.want(422, "POST", "/migration/targets/db/advance", {"to": "done", "force": True}, reason="step_unknown")
    t = c.want(200, "POST", "/migration/targets/db/advance", {"to": "pilot", "comment": "alice first"}).json()
    equal("pilot", (t["state"], t["path"], t["peers"]), ("pilot", "wg", 1))
    equal("alice's route", c.want(200, "GET", "/peers/alice/config").json()["configs"][0]["allowed_ips"], ["10.20.0.10/32"])
    equal("bob's route", c.want(200, "GET", "/peers/bob/config").json()["configs"][0]["allowed_ips"], [])
    t = c.want(200, "POST", "/migration/targets/db/advance", {"to": "observed"}).json()
    equal("baseline", t["baseline"]["p95_ns"], 20000)
    gates = {g["gate"]: g["ok"] for g in t["gates"]}
    equal("before enforce", (t["next_state"], gates["would_deny_zero"], gates["flows_seen"], gates["no_worse"]), ("enforced", False, True, True))
    c.want(422, "POST", "/migration/targets/db/advance", {"to": "enforced", "force": True}, reason="step_unknown")
    c.want(200, "PUT", "/policy", candidate, headers={"If-Match": "*"})
    gates = {g["gate"]: g["ok"] for g in c.want(200, "GET", "/migration/targets/db").json()["gates"]}
    equal("with the suggested rule", gates["would_deny_zero"], True)

    def state(want):
        for _ in range(60):
            s = c.want(200, "GET", "/migration/targets/db").json()["state"]
            if s == want:
                return
            time.sleep(0.1)
        fail(f"the ledger says {s}, wanted {want}")
    gw[0].stats([], prefixes={"10.20.0.10/32": "enforce"})
    time.sleep(1.5)
    state("observed")  # one of two
    gw[1].stats([], prefixes={"10.20.0.0/24": "enforce"})
    state("enforced")
    gw[1].stats([], prefixes={"10.20.0.0/24": "enforce", "10.20.0.10/32": "observe"})
    state("observed")
    gw[1].stats([], prefixes={"10.20.0.0/24": "enforce"})
    state("enforced")
    t = c.want(200, "POST", "/migration/targets/db/advance", {"to": "done"}).json()
    m = c.want(200, "PUT", "/migration/deployment", {"phase": 5}).json()
    equal("complete", (t["state"], m["phase"]), ("done", 5))
    step("a restart of the server takes nothing back before gateways have told their modes anew")
    c.stop()
    c.start()
    gw[:] = [Gateway(c, g, c.make_token("gateway", bound=g)) for g in ("gw-a", "gw-b")]
    for g, prefix in zip(gw, ("10.20.0.10/32", "10.20.0.0/24")):
        g.stats([], prefixes={prefix: "enforce"})
        time.sleep(1.5)
        state("done")
    said = ctl(c, "-j", "migration", "withdraw", "db", "comment=trouble")
    t = json.loads(said.stdout)
    for g in ("gw-a", "gw-b"):  # they read schema 1 here
        if f"sluicectl: {g} is older" not in said.stderr or "take the rules that allow it out" not in said.stderr:
            fail(f"whoever withdraws does not hear of {g}: {said.stderr}")
    equal("withdrawn", (t["state"], t["path"], t["stale_configs"], len(t["history"])), ("vpn", "vpn", ["alice"], 7))
    c.want(409, "POST", "/migration/targets/db/withdraw", {}, reason="is_vpn")
    equal("alice's route", c.want(200, "GET", "/peers/alice/config").json()["configs"][0]["allowed_ips"], [])
    c.want(200, "POST", "/migration/targets/db/advance", {"to": "pilot"})
    c.want(200, "POST", "/migration/targets/db/advance", {"to": "observed", "force": True})
    state("enforced")  # gateways enforce it all the time
    c.want(200, "POST", "/migration/targets/db/withdraw", {})
    equal("nobody has it any more", "stale_configs" in c.want(200, "GET", "/migration/targets/db").json(), False)
    equal("never moved", "older_gateways" in c.want(200, "GET", "/migration/targets/web").json(), False)
    equal("who does not know", t["older_gateways"], ["gw-a", "gw-b"])  # they read schema 1 here
    # the mark that gateways are sent: the ledger's alone
    targets = {t["name"]: t.get("withdrawn") for t in c.want(200, "GET", "/targets").json()["items"]}
    equal("marked", targets, {"db": True, "web": None})
    forged = json.loads(json.dumps(candidate))
    forged["targets"]["web"]["withdrawn"] = True
    for method, path, body in (("PUT", "/policy", forged), ("POST", "/policy/validate", forged)):
        a = c.want(422, method, path, body, reason="ledger_owned", headers={"If-Match": "*"})
        equal("where", a.json()["errors"][0]["path"], "/targets/web/withdrawn")
    before = c.want(200, "GET", "/targets/db").json()["rev"]
    c.want(200, "PUT", "/policy", candidate, headers={"If-Match": "*"})
    equal("a document leaves it", (c.want(200, "GET", "/targets/db").json()["rev"], c.want(200, "GET", "/targets/db").json()["withdrawn"]), (before, True))
    equal("nor does its text say it", "withdrawn" in json.dumps(c.want(200, "GET", "/policy").json()), False)
    s = c.want(200, "POST", "/policy/simulate", {"subject": {"peer": "alice"}, "dst": "10.20.0.10", "dport": 5432}).json()
    equal("simulated", (s["verdict"], s["why"], s["target"]), ("deny", "withdrawn", "db"))
    w = c.want(200, "GET", "/policy/would-deny?target=db").json()
    equal("would-deny", ({r["why"] for r in w["rows"]}, w["denied"], w["flows"] > 0), ({"withdrawn"}, w["flows"], True))
    s = c.want(200, "POST", "/policy/suggest", {"target": "db"}).json()
    equal("no rule opens it", (s["rules"], {x["reason"] for x in s["left_out"]}), ([], {"withdrawn"}))
    r = c.want(200, "POST", "/policy/replay", {"policy": candidate, "target": "db"}).json()
    equal("nor does a candidate", (r["newly_allowed"]["flows"], r["newly_denied"]["flows"]), (0, 0))
    c.want(200, "POST", "/migration/targets/db/advance", {"to": "pilot", "force": True})
    equal("it is back", [t["name"] for t in c.want(200, "GET", "/targets").json()["items"] if "withdrawn" in t], [])
    c.want(200, "POST", "/migration/targets/db/withdraw", {"comment": "again"})


def metrics(c, gw):
    gw[0].stats([], tcp_rtt_ms={"db": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "n": 4}, **{f"invented-{i}": {"p50": 1, "p95": 1, "p99": 1, "n": 1} for i in range(50)}})
    db = sqlite3.connect(os.path.join(c.dir, "store.db"))
    equal("targets with times", db.execute("SELECT DISTINCT target FROM trend_rtt").fetchall(), [("db",)])
    for i in range(40):
        gw[0].ask("log.push", {"boot": f"boot-{i}", "first": 0, "rows": []})
    equal("boots that are known", db.execute("SELECT count(*) FROM flow_next WHERE gateway = 'gw-a'").fetchone()[0], 16)
    db.close()
    step("metrics, a clock that is off, and no outer address anywhere")
    gw[0].ask("stats.report", {"boot": gw[0].boot, "now": at(600), "peers": []})
    c.make_token("viewer", expires_in_s=86400)
    c.want(201, "POST", "/providers", {"name": "corp", "state": "down"})
    a = c.want(200, "GET", "/metrics")
    text = a.data.decode()
    for rx in (r'^sluice_control_oplog_head \d+$', r'^sluice_control_gateway_lag\{node="gw-a",kind="gateway"\} \d+$', r'^sluice_control_hash_ok\{node="gw-b"',
               r'^sluice_control_sessions_open 1$', r'^sluice_control_clock_skew_seconds\{node="gw-a"\} -(599|600|601)\.', r'^sluice_control_objects\{kind="peer"\} 2$', r'^sluice_control_idp_up\{issuer="corp"\} 0$'):
        if not re.search(rx, text, re.M):
            fail(f"metrics lack {rx}:\n{text}")
    parsed = {f.name: f for f in text_string_to_metric_families(text)}
    turns = parsed["sluice_control_loop_turn_seconds"].samples
    buckets = [x.value for x in turns if x.name.endswith("_bucket")]
    equal("buckets that grow, up to the count", buckets, sorted(buckets[:-1]) + [x.value for x in turns if x.name.endswith("_count")])
    equal("families without samples or help", [n for n, f in parsed.items() if not f.samples or not f.documentation], [])
    names = re.findall(r"^# TYPE (\S+)", text, re.M)
    equal("a family is there once", len(names), len(set(names)))
    documented(c, text, "The source of a follower")
    equal("without a login", c.call("GET", "/metrics", token=None).status, 401)
    equal("a token of nobody", c.call("GET", "/metrics", token="slt_aaaaaaaaaa_" + "a" * 43).status, 401)
    after = c.want(200, "GET", "/metrics").data.decode()
    for name, labels, more in (("http_requests", 'operation="none",code="401"', 2), ("http_requests", 'operation="getMetrics",code="200"', 1),
                               ("login", 'method="none",result="refused"', 1), ("login", 'method="token",result="refused"', 1),
                               ("login", 'method="token",result="ok"', 1)):
        old, new = (re.search(rf"^sluice_control_{name}_total\{{{labels}\}} (\d+)$", t, re.M) for t in (text, after))
        equal(f"{name} {labels}", int(new[1]) - (int(old[1]) if old else 0), more)
    equal("requests of which the time is known", re.search(r"^sluice_control_http_request_seconds_count (\d+)$", after, re.M)[1] > "0", True)
    if "clock_skew" not in open(c.log, encoding="utf-8").read():
        fail("no alarm about the clock of gw-a")


def foreign(c):
    step("flows of peers that a gateway does not serve are nobody's")
    c.want(201, "POST", "/interfaces", {"name": "wg9"})
    c.want(201, "POST", "/gateways", {"name": "gw-x", "interfaces": ["wg9"]})
    x = Gateway(c, "gw-x", c.make_token("gateway", bound="gw-x"))
    x.push([flow("alice", "10.7.0.2", "192.0.2.77", 4444)])
    rows = [r for r in c.want(200, "GET", "/policy/would-deny").json()["rows"] if r["gateway"] == "gw-x"]
    equal("whose", [(r["port"], r.get("peer", "")) for r in rows], [(4444, "")])
    text = json.dumps(c.want(200, "POST", "/policy/suggest", {}).json()["rules"])
    equal("nothing is suggested for alice", "4444" in text, False)


def main():
    c = Control(Page())
    try:
        c.init()
        c.start()
        gw = set_up(c)
        sessions(c, gw)
        candidate = evidence(c, gw)
        seen(c, gw)
        migration(c, gw, candidate)
        metrics(c, gw)
        foreign(c)
        step("what was collected is there after a restart")
        c.stop()
        c.start()
        equal("sessions", len(c.want(200, "GET", "/sessions").json()["items"]), 1)
        equal("flows", c.want(200, "GET", "/policy/would-deny?target=db").json()["flows"], 10)
        if c.stop() != 0:
            fail("the server did not end well")
    finally:
        if sys.exc_info()[0] is not None and os.path.exists(c.log):
            print(open(c.log, encoding="utf-8", errors="replace").read()[-3000:])
        c.clean()


if __name__ == "__main__":
    main()
