# SPDX-License-Identifier: BSD-3-Clause
"""Agents A, B and C at three gateways: each has a network of its own, 10.N.0.0/24, in which it is .100 and gateway K is .K. Its
configuration is one file for all gateways, compared byte by byte; gateways come and go, and files and addresses follow."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

import restlib
from restlib import SLUICECTL, Control, Page, ctl, equal, fail, key, step


def gateway(c, k, told=True):
    c.want(201, "POST", "/gateways", {"name": f"gw{k}", "interfaces": ["wg0"]})
    body = {"gateway": f"gw{k}", "interface": "wg0", "index": k, "endpoint": f"203.0.113.{k}:51820"}
    if told:
        body["public_key"] = key(90 + k)
    c.want(201, "POST", "/gateway-interfaces", body)


def addresses(c, k):
    return c.want(200, "GET", f"/gateway-interfaces/gw{k}:wg0").json().get("addresses", [])


def golden(name, n, gateways):
    out = f"# {name}\n[Interface]\n# PrivateKey = (yours: it stays with you)\nAddress = 10.{n}.0.100/24\n"
    for k in gateways:
        out += f"\n[Peer]\nPublicKey = {key(90 + k)}\nEndpoint = 203.0.113.{k}:51820\nAllowedIPs = 10.{n}.0.{k}/32\nPersistentKeepalive = 25\n"
    return out


def text(c, name, gateway_name=None):
    a = c.want(200, "GET", f"/peers/{name}/config" + (f"?gateway={gateway_name}" if gateway_name else "")).json()
    return a["text"]


def files(c):
    step("three agents at three gateways: the files, byte by byte, and the gateways' addresses")
    c.want(201, "POST", "/interfaces", {"name": "wg0", "listen_port": 51820})
    for k in (1, 2, 3):
        gateway(c, k)
    for n, name in enumerate("abc", 1):
        a = c.want(201, "POST", "/peers?allocate=agent", {"name": name, "interface": "wg0", "public_key": key(n)}).json()
        equal(f"prefixes of {name}", a["allowed_ips"], [f"10.{n}.0.100/32"])
    for n, name in enumerate("abc", 1):
        equal(f"file of {name}", text(c, name), golden(name, n, (1, 2, 3)))
        one = c.want(200, "GET", f"/peers/{name}/config?gateway=gw2").json()
        equal(f"{name} at gw2 alone", (one["text"], [x["gateway"] for x in one["configs"]]), (golden(name, n, (2,)), ["gw2"]))
    for k in (1, 2, 3):
        equal(f"addresses of gw{k}", addresses(c, k), [f"10.{n}.0.{k}/24" for n in (1, 2, 3)])


def come_and_go(c):
    step("a gateway that comes gets its addresses, one that goes takes them along")
    gateway(c, 4, told=False)
    equal("addresses of gw4", addresses(c, 4), ["10.1.0.4/24", "10.2.0.4/24", "10.3.0.4/24"])
    equal("before it has told its key", text(c, "a"), golden("a", 1, (1, 2, 3)))
    c.want(200, "PATCH", "/gateway-interfaces/gw4:wg0", {"public_key": key(94)})
    equal("then", text(c, "a"), golden("a", 1, (1, 2, 3, 4)))
    seq = c.seq()
    c.want(200, "PATCH", "/gateway-interfaces/gw4:wg0", {"description": "Osaka"})
    equal("one change, and nothing beside it", [len(r["diff"]) for r in c.want(200, "GET", "/audit?limit=1000").json()["items"] if r.get("seq", 0) > seq], [1])
    rev = c.want(200, "GET", "/gateway-interfaces/gw4:wg0").json()
    body = {f: v for f, v in rev.items() if f not in ("name", "rev", "addresses")}
    c.want(200, "PUT", "/gateway-interfaces/gw4:wg0", body)
    equal("addresses that a replacement forgot", addresses(c, 4), ["10.1.0.4/24", "10.2.0.4/24", "10.3.0.4/24"])
    c.want(200, "POST", "/gateways/gw2/decommission", {"reason": "sold"})
    for n, name in enumerate("abc", 1):
        equal(f"file of {name}", text(c, name), golden(name, n, (1, 3, 4)))
    c.want(204, "DELETE", "/peers/b", headers={"If-Match": "*"})
    equal("addresses of gw4", addresses(c, 4), ["10.1.0.4/24", "10.3.0.4/24"])
    c.want(422, "POST", "/gateway-interfaces", {"gateway": "gw1", "interface": "wg9", "index": 1})


def router(c):
    step("an agent that routes for its network, and a stock client, which has a file for each gateway")
    a = c.want(201, "POST", "/peers?allocate=agent", {"name": "r", "interface": "wg0", "public_key": key(8), "subnet_router": True}).json()
    equal("prefixes of r", a["allowed_ips"], ["10.2.0.0/24"])
    equal("file of r", text(c, "r"), golden("r", 2, (1, 3, 4)))
    c.want(201, "POST", "/peers", {"name": "s", "interface": "wg0", "public_key": key(9), "allowed_ips": ["10.200.0.1/32"]})
    s = c.want(200, "GET", "/peers/s/config").json()
    equal("of a stock client", ("text" in s, len(s["configs"])), (False, 3))


def agent_nets(c):
    z = [z for z in c.want(200, "GET", "/zones").json()["items"] if z["name"] == "agent-networks"]
    equal("kind of zone", [(x["type"], x["default_policy"]) for x in z], [("vpn", "deny")] * len(z))
    return z[0]["networks"] if z else None


def agent(c, name, n, **kw):
    return c.want(201, "POST", "/peers?allocate=agent", {"name": name, "interface": "wg0", "public_key": key(n), **kw}).json()


def zones(c):
    step("networks of agents are a zone of type vpn beside those of the document, whatever wider ones say")
    doc = {"zones": {"in": {"id": 1, "type": "internal", "networks": ["10.0.0.0/8"], "default_policy": "allow"}},
           "roles": {"eng": {"members": ["peer:s"]}}, "rules": [],
           "tests": [{"from": {"roles": ["eng"], "interface": "wg0"}, "to": to, "protocol": "tcp", "port": 22, "expect": expect}
                     for to, expect in (("10.1.0.100", "deny"), ("10.99.0.1", "allow"))]}
    have = ["10.1.0.0/24@wg0", "10.2.0.0/24@wg0", "10.3.0.0/24@wg0"]
    equal("before there is a policy", ("warnings" in agent(c, "z1", 21), agent_nets(c)), (False, None))
    equal("by validate", c.want(200, "POST", "/policy/validate", doc).json()["tests_run"], 2)
    c.want(200, "PUT", "/policy", doc, headers={"If-None-Match": "*"})
    equal("with one", agent_nets(c), have + ["10.4.0.0/24@wg0"])
    equal("no warning", "warnings" in agent(c, "z2", 22), False)
    out = ctl(c, "peer", "add", "z3", "wg0", key(23), "allocate=agent")
    equal("by command", (out.returncode, "warnings" in out.stdout + out.stderr), (0, False))
    equal("new ones", agent_nets(c), have + [f"10.{n}.0.0/24@wg0" for n in (4, 5, 6)])
    verdict = c.want(200, "POST", "/policy/simulate", {"subject": {"peer": "s"}, "dst": "10.6.0.100", "dport": 22}).json()
    equal("simulate", [verdict[k] for k in ("verdict", "why", "zone")], ["deny", "zone_default", "agent-networks"])
    step("what the author wrote is what is read, and put again as it is")
    got = c.want(200, "GET", "/policy").json()
    equal("zones", list(got["zones"]), ["in"])
    c.want(200, "PUT", "/policy", got, headers={"If-Match": "*"})
    equal("the same ones", agent_nets(c), have + [f"10.{n}.0.0/24@wg0" for n in (4, 5, 6)])
    for name, zone, reason in (("agent-networks", {"id": 9, "type": "vpn", "networks": ["172.16.0.0/12"]}, "zone_reserved"),
                               ("part", {"id": 9, "type": "internal", "networks": ["10.1.0.96/28"]}, "pool_in_internal_zone")):
        bad = {**doc, "zones": {**doc["zones"], name: zone}, "tests": []}
        c.want(422, "POST", "/policy/validate", bad, reason=reason)
        c.want(422, "PUT", "/policy", bad, headers={"If-Match": "*"}, reason=reason)
    step("an internal network that names part of the pool is the servers' own: no agent gets it")
    doc["zones"]["in"]["networks"] += ["10.7.0.0/16"]
    c.want(200, "PUT", "/policy", doc, headers={"If-Match": "*"})
    c.want(422, "POST", "/peers?allocate=agent", {"name": "z4", "interface": "wg0", "public_key": key(24)}, reason="pool_in_internal_zone")
    doc["zones"]["vpn"] = {"id": 2, "type": "vpn", "networks": [f"10.{n}.0.0/16" for n in range(1, 6)]}
    c.want(200, "PUT", "/policy", doc, headers={"If-Match": "*"})
    equal("those in no zone of type vpn", agent_nets(c), ["10.6.0.0/24@wg0"])
    step("where no gateway has an index, the maker is told")
    c.want(201, "POST", "/interfaces", {"name": "wg2"})
    doc["zones"]["in"]["networks"] = ["10.99.0.0/16"]
    del doc["zones"]["vpn"]
    c.want(200, "PUT", "/policy", doc, headers={"If-Match": "*"})
    w = agent(c, "z5", 25, interface="wg2")
    equal("told", len(w["warnings"]) == 1 and "10.1.0.0/24" in w["warnings"][0] and "index" in w["warnings"][0], True)
    equal("not kept", "warnings" in c.want(200, "GET", "/peers/z5").json(), False)
    for name in ("z1", "z2", "z3", "z5"):
        c.want(204, "DELETE", f"/peers/{name}", headers={"If-Match": "*"})
    equal("gone with them", agent_nets(c), have)


def upkeep(*words):
    return subprocess.run([restlib.CONTROL, *words], capture_output=True, text=True, check=False, timeout=30)


def restored(c):
    step("a backup has the zone as it was, and it goes on from there")
    backup, zone = os.path.join(c.dir, "backup.db"), agent_nets(c)
    equal("backup", upkeep("backup", backup, "--state-dir", c.dir).returncode, 0)
    agent(c, "later", 26)
    equal("since, from its interface and the one beside it", len(agent_nets(c)), len(zone) + 2)
    equal("the end", c.stop(), 0)
    equal("restore", upkeep("restore", backup, "--state-dir", c.dir).returncode, 0)
    seq = upkeep("status", "--state-dir", c.dir, "--json")
    c.start("--heartbeat", "1")
    equal("no row of its own", c.seq(), json.loads(seq.stdout)["head"])
    equal("as it was", agent_nets(c), zone)
    agent(c, "later", 26)
    equal("once more", len(agent_nets(c)), len(zone) + 2)
    c.want(204, "DELETE", "/peers/later", headers={"If-Match": "*"})
    equal("and gone", agent_nets(c), zone)


def followed(c):
    step("a follower has the zone from a snapshot and by rows; promoted, it keeps it by itself")
    zone, f = agent_nets(c), restlib.follower(c.page, c, c, "cp2")
    try:
        while f.call("GET", "/readyz", token=None).status != 200:
            time.sleep(0.05)
        f.want(200, "GET", f"/peers?limit=1&at_seq={c.seq()}")
        equal("by a snapshot", agent_nets(f), zone)
        agent(c, "later", 26)
        f.want(200, "GET", f"/peers?limit=1&at_seq={c.seq()}")
        more = agent_nets(c)
        equal("by a row", (agent_nets(f), len(more)), (more, len(zone) + 2))
        new = (set(more) - set(zone)).pop().split("@")[0].replace(".0/24", ".100")
        for on in (c, f):
            verdict = on.want(200, "POST", "/policy/simulate", {"subject": {"peer": "s"}, "dst": new, "dport": 22}).json()
            equal(f"simulate at {on.name}", [verdict[k] for k in ("verdict", "zone")], ["deny", "agent-networks"])
        equal("sum of all objects", f.want(200, "GET", "/replication").json()["hash"], c.want(200, "GET", "/replication").json()["hash"])
        equal("the end", f.stop(), 0)
        c.want(204, "DELETE", "/peers/later", headers={"If-Match": "*"})  # nobody follows
        equal("promote", upkeep("promote", "--state-dir", f.dir).returncode, 0)
        f.start("--mode", "primary")
        equal("of the promoted one", agent_nets(f), more)
        f.want(204, "DELETE", "/peers/later", headers={"If-Match": "*"})
        equal("which keeps it", agent_nets(f), zone)
    finally:
        f.clean()


def named_so(c):
    step("a document of before with a zone of that name: the server does not start, and the zone stays")
    old = [z for z in c.want(200, "GET", "/zones").json()["items"] if z["name"] == "agent-networks"]
    equal("the end", c.stop(), 0)
    with sqlite3.connect(os.path.join(c.dir, "store.db")) as db:
        version = json.loads(db.execute("SELECT body FROM object WHERE kind = 'policy'").fetchone()[0])["version"]
        where = ("policy_text", str(version))
        body = db.execute("SELECT body FROM object WHERE kind = ? AND id = ?", where).fetchone()[0]
        changed = json.loads(body)
        doc = json.loads(changed["text"])
        doc["zones"]["agent-networks"] = {"id": 77, "type": "internal", "networks": ["10.0.0.0/9"]}
        changed["text"] = json.dumps(doc)
        db.execute("UPDATE object SET body = ? WHERE kind = ? AND id = ?", (json.dumps(changed), *where))
        db.commit()
        out = upkeep("run", "--state-dir", c.dir, "--rest", "127.0.0.1:0", "--repl", "127.0.0.1:0")
        if out.returncode != 1 or f"version {version} of the policy document" not in out.stderr or "put the document with another name" not in out.stderr:
            fail(f"it starts, or names no remedy: {out}")
        db.execute("UPDATE object SET body = ? WHERE kind = ? AND id = ?", (body, *where))
        db.commit()
    db.close()
    c.start()
    equal("the zone", [z for z in c.want(200, "GET", "/zones").json()["items"] if z["name"] == "agent-networks"], old)


def full(c):
    step("an interface of a gateway has room for 300 agents; the next one is told what to do")
    c.want(201, "POST", "/interfaces", {"name": "wg1"})
    c.want(200, "PATCH", "/gateways/gw1", {"interfaces": ["wg0", "wg1"]})
    taken = [f"10.{n}.{k}.1/24" for k in (50, 51) for n in range(1, 151)]
    c.want(201, "POST", "/gateway-interfaces", {"gateway": "gw1", "interface": "wg1", "index": 1, "addresses": taken})
    a = c.want(422, "POST", "/peers?allocate=agent", {"name": "z", "interface": "wg1", "public_key": key(10)}, reason="field_range").json()
    equal("where, and what to do", (a["errors"][0]["path"], "an interface of their own" in a["hint"]), ("/gateway_interface/gw1:wg1/addresses", True))


def commands(c):
    step("the same by command: one file, complete but for nothing")
    with tempfile.TemporaryDirectory() as d:
        token = os.path.join(d, "token")
        with open(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(c.token + "\n")
        ctl = [SLUICECTL, "--control", f"https://127.0.0.1:{c.port}", "--ca", c.ca(), "--token-file", token]
        out = subprocess.run(ctl + ["peer", "add", "d", "wg0", "allocate=agent", "--new-key", "--out", os.path.join(d, "d.conf")],
                             capture_output=True, text=True, check=False)
        if out.returncode or out.stdout.strip() != os.path.join(d, "d.conf"):
            fail(f"peer add: {out}")
        with open(os.path.join(d, "d.conf"), encoding="ascii") as f:
            lines = f.read().splitlines(keepends=True)
        secret = [s for s in lines if s.startswith("PrivateKey = ")]
        equal("private keys", len(secret), 1)
        equal("the rest", "".join(s for s in lines if s not in secret), golden("d", 4, (1, 3, 4)).replace("# PrivateKey = (yours: it stays with you)\n", ""))
        out = subprocess.run(ctl + ["peer", "config", "a"], capture_output=True, text=True, check=True)
        equal("peer config", out.stdout, golden("a", 1, (1, 3, 4)))


def main():
    c = Control(Page())
    try:
        c.init()
        c.start()
        files(c)
        come_and_go(c)
        router(c)
        zones(c)
        full(c)
        commands(c)
        restored(c)
        followed(c)
        named_so(c)
        if c.stop() != 0:
            fail("the server did not end well")
    finally:
        if sys.exc_info()[0] is not None and os.path.exists(c.log):
            print(open(c.log, encoding="utf-8", errors="replace").read()[-2000:])
        c.clean()


if __name__ == "__main__":
    main()
