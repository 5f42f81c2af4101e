# SPDX-License-Identifier: BSD-3-Clause
"""What a token of a gateway, follower, agent or peer may not do, at the REST API and on the stream."""

import calendar
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import restlib
from collect import Gateway, peer
from restlib import Control, Page, equal, fail, furnish, key, step

FAR = 2**53 - 1


def rest(c):
    step("REST: components see their own things alone, whatever they call")
    own = {"gateway": {"gw-a", "gw-a:wg0"}, "peer": {"alice"}, "agent": set(), "follower": set()}
    token = {r: c.make_token(r, bound={"peer": "alice", "agent": "alice", "follower": "cp2"}.get(r, "gw-a")) for r in own}
    another = {"name": "gw-b", "id": "0123456789", "role": "engineer", "version": "1"}
    answered = set()
    for method, _, path, op in c.page.ops:
        roles = op["x-roles"].split()
        at = path.format(**{**another, **({"name": "bob"} if "/peers/" in path else {"name": "gw-b:wg0"} if "interfaces/" in path else {})})
        for role, t in token.items():
            a = c.call(method, at, {} if method in ("POST", "PUT", "PATCH") else None, token=t, check=False, headers={"If-Match": "*"})
            if a.status >= 400 or {"any", "open"} & set(roles):
                continue
            answered.add((role, path))
            names = {x["name"] for x in a.json()["items"]}
            if role not in roles or not names <= own[role]:
                fail(f"{role} may {method} {at}: {names}")
    equal("lists that are cut to one's own", answered, {("gateway", "/gateways"), ("gateway", "/gateway-interfaces")})
    for k in (key(2), key(901)):
        c.want(409, "PUT", "/peers/alice/public-key", {"public_key": k}, token=token["peer"], reason="key_taken")


def outer_addresses(c):
    step("where a peer calls from is kept nowhere")
    t = c.make_token("peer", bound="alice")
    c.want(200, "PUT", "/peers/alice/public-key", {"public_key": key(700)}, token=t)
    c.want(403, "DELETE", "/peers/alice", token=t, headers={"If-Match": "*"})
    c.want(200, "PUT", "/peers/alice/public-key", {"public_key": key(1)})
    rows = [r for r in c.want(200, "GET", "/audit?limit=1000").json()["items"] if r["operation"] in ("putPeerPublicKey", "deletePeer")]
    equal("sources", [(r["operation"], r["source"]) for r in rows[-3:]],
          [("putPeerPublicKey", "-"), ("deletePeer", "-"), ("putPeerPublicKey", "127.0.0.1")])
    name = "token:" + t.split("_")[1]
    lines = [x for x in open(c.log, encoding="utf-8", errors="replace") if name in x]
    if not lines or any("127.0.0.1" in x for x in lines):
        fail(f"the log tells of it: {lines}")


def others(c):
    step("a gateway tells of the peers that it serves alone")
    c.want(201, "POST", "/interfaces", {"name": "wg9"})
    c.want(201, "POST", "/peers", {"name": "zed", "interface": "wg9", "public_key": key(500), "allowed_ips": ["10.99.0.1/32"]})
    g = Gateway(c, "gw-a", c.make_token("gateway", bound="gw-a"))
    g.stats([peer("zed", 100, 1), peer("nobody", 100, 1), peer("bob\u0001", 100, 1), peer("alice", 100, 1)])
    equal("sessions", [s["peer"] for s in c.want(200, "GET", "/sessions").json()["items"]], ["alice"])
    equal("zed", c.want(200, "GET", "/peers/zed/usage").json()["items"], [])
    for method, more in (("stats.report", {"peers": []}), ("log.push", {"first": 0, "rows": []}),
                         ("gateway.register", {"version": "1", "interfaces": []})):
        g.ask(method, {"node": "gw-b", "boot": "b", **more}, reason="node_foreign")
    g.ask("repl.ack", {"node": "gw-b", "seq": 1}, reason="node_foreign")
    g.ask("repl.subscribe", {"node": "gw-b", "scope": "gateway", "schema": [1]}, reason="node_foreign")
    g.ask("repl.subscribe", {"node": "gw-a", "scope": "all", "schema": [1]}, reason="scope_forbidden")
    for method in ("authz.mode.set", "log.enabled.set", "sys.shutdown", "repl.resync"):
        g.ask(method, {}, reason="method_unknown")
    return g


def rates(c, g):
    step("a gateway tells no more than it should, others tell on")
    # 250 at once and 20 a second; 500 rows cost as much as 6
    begin = time.monotonic()
    for _ in range(100):
        g.ask("log.push", {"boot": "b", "first": 0, "rows": []})
    row = {"interface": "wg0", "src": "10.7.0.2", "dst": "10.20.0.10", "protocol": 6, "port": 443, "from": "tunnel", "verdict": "allow",
           "would": "allow", "flows": 1, "packets": 1, "bytes": 1, "first": "2027-01-15T08:00:00Z", "last": "2027-01-15T08:00:00Z"}
    full = 20
    for i in range(full):
        g.ask("log.push", {"boot": "b", "first": 500 * i, "rows": [row] * 500})
    errors = g.refused_of(400, "log.push", {"boot": "b", "first": 500 * full, "rows": []})
    took, refused = time.monotonic() - begin, [e for e in errors if e]
    taken = len(errors) - len(refused)
    print(f"   pushes: {taken} more taken in {took:.1f} s before {len(refused)} were refused")
    if not errors[-1] or taken > 250 - 100 - 6 * full + 20 * took + 1:
        fail("there is no limit")
    equal("why", {(r["code"], r["data"]["reason"]) for r in refused}, {(-32008, "rate_limited")})
    if not all(0 < r["data"]["retry_after_ms"] < 2000 for r in refused):
        fail(f"no word of when: {refused[-1]}")
    g.ask("stats.report", {"boot": g.boot, "peers": []})
    time.sleep(errors[-1]["data"]["retry_after_ms"] / 1000)
    g.ask("log.push", {"boot": "b", "first": 500 * full, "rows": [row]})
    b = Gateway(c, "gw-b", c.make_token("gateway", bound="gw-b"))
    b.ask("log.push", {"boot": "b", "first": 0, "rows": []})
    told = [bool(b.refused("gateway.register", {"boot": "b", "version": "1", "interfaces": []})) for _ in range(60)]
    if told[:10] != [False] * 10 or not told[-1]:
        fail(f"registrations refused: {told}")
    b.s.close()


def acked(c, gateway):
    return [s for s in c.want(200, "GET", "/replication").json()["subscribers"] if s["gateway"] == gateway]


def follower(c, g):
    step("a follower does not say of a gateway that is connected here what it has")
    g.ask("repl.ack", {"seq": 3})
    f = Gateway.__new__(Gateway)  # a connection without a subscription
    f.open(c, "cp2", c.make_token("follower", bound="cp2"))
    f.ask("repl.ack", {"node": "gw-a", "seq": FAR})
    f.ask("repl.nack", {"node": "gw-a", "seq": FAR, "code": "acl_compile"})
    row = acked(c, "gw-a")[0]
    equal("gw-a", (row["acked_seq"], row.get("via", ""), row.get("nack")), (3, "", None))
    g.ask("repl.nack", {"seq": 3, "code": "x", "message": "a" + "\u3042" * 133})  # cut within a character it would be no JSON
    equal("gw-a refuses", acked(c, "gw-a")[0]["nack"]["message"], "a" + "\u3042" * 106)
    f.ask("repl.ack", {"node": "gw-b", "seq": 2})
    f.ask("stats.report", {"node": "nobody", "boot": "b", "peers": []}, reason="gateway_unknown")
    f.ask("log.push", {"node": "nobody", "boot": "b", "first": 0, "rows": []}, reason="gateway_unknown")
    equal("gw-b, which is not", (acked(c, "gw-b")[0]["acked_seq"], acked(c, "gw-b")[0]["via"]), (2, "cp2"))


def expiry(c):
    step("a token ends, and the connection that was opened with it")
    out = subprocess.run([restlib.CONTROL, "token", "create", "--state-dir", c.dir, "--role", "gateway", "--bound", "gw-b", "--expires", "3s"],
                         capture_output=True, text=True, check=True).stdout
    g = Gateway(c, "gw-b", re.search(r"slt_\w+", out)[0])
    begin = time.monotonic()
    g.s.settimeout(15)
    last = ""
    for last in g.f:
        pass
    if time.monotonic() - begin > 8 or "login_expired" not in last:
        fail(f"after {time.monotonic() - begin:.1f} s: {last!r}")


class Stranger(Gateway):
    """Keeps what its login says."""

    def __init__(self, c, token):
        self.open(c, "nobody", token)

    def ask(self, method, params):
        self.said = self.answer(method, params)


def refused_logins(c):
    step("logins that are refused are in the audit; of a peer without its address")
    ended = subprocess.run([restlib.CONTROL, "token", "create", "--state-dir", c.dir, "--role", "peer", "--bound", "alice", "--expires", "1s"],
                           capture_output=True, text=True, check=True).stdout
    time.sleep(1.5)
    for token in ("slt_0123456789_" + 43 * "A", re.search(r"slt_\w+", ended)[0], "nothing"):
        g = Stranger(c, token)
        if "error" not in g.said:
            fail("a token of nobody logs in")


def last_used(c):
    step("when a token was last used: known within seconds, and whatever ends the server after that")
    def used(token):
        out = subprocess.run([restlib.CONTROL, "token", "list", "--json", "--state-dir", c.dir], capture_output=True, text=True, check=True).stdout
        at = [t.get("last_used") for t in json.loads(out) if t["id"] == token.split("_")[1]][0]
        return at and calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
    tokens = [c.make_token("viewer") for _ in range(3)]
    equal("before", [used(t) for t in tokens], [None] * 3)
    began = int(time.time())
    c.want(200, "GET", "/peers", token=tokens[0])
    end = time.monotonic() + 30
    while used(tokens[0]) is None and time.monotonic() < end:
        time.sleep(0.2)
    first = used(tokens[0])
    if first is None or not began <= first <= time.time():
        fail(f"last used {first}, after {began}")
    c.stop(signal.SIGKILL)
    c.start()
    c.want(200, "GET", "/peers", token=tokens[1])
    equal("status", c.stop(), 0)
    second = used(tokens[1])
    if second is None or not first <= second <= time.time():
        fail(f"last used before the end {second}, after {first}")
    equal("through a kill, and never", [used(t) for t in tokens], [first, second, None])
    c.start()


def main():
    c = Control(Page())
    try:
        c.init()
        c.start()
        furnish(c)
        rest(c)
        outer_addresses(c)
        g = others(c)
        follower(c, g)
        rates(c, g)
        expiry(c)
        last_used(c)
        refused_logins(c)
        step("it ends cleanly")
        equal("status", c.stop(), 0)
        with sqlite3.connect(os.path.join(c.dir, "store.db")) as db:
            rows = db.execute("SELECT source, sum(count) FROM rest_audit WHERE operation = 'login' AND outcome = 'refused' GROUP BY source ORDER BY source").fetchall()
        equal("refused logins in the audit", rows, [("-", 1), ("127.0.0.1", 2)])
    except BaseException:
        if os.path.exists(c.log):
            sys.stdout.write(open(c.log, encoding="utf-8", errors="replace").read()[-1500:])
        raise
    finally:
        c.clean()


main()
