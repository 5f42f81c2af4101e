# SPDX-License-Identifier: BSD-3-Clause
"""simulate.py STATE_DIR TOKEN RPC_SOCKET INTERFACE [SEED]: random objects at a control plane whose gateway gw-1 serves INTERFACE;
POST /policy/simulate must say of random flows what policy.explain and policy.simulate say at the gateway."""

import collections
import http.client
import json
import os
import random
import socket
import ssl
import sys
import time

STATE, TOKEN, SOCKET, IFACE = sys.argv[1:5]
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else 7
FLOWS = 300
NOW = time.time()
rnd = random.Random(SEED)
HOSTS = [f"10.20.{a}.{b}" for a in (0, 1, 2) for b in (10, 20, 30)] + ["10.30.0.5", "10.30.1.5", "192.0.2.9", "fd00:20::10", "fd00:20::20", "2001:db8::9"]
ROLES = [f"r{n}" for n in range(8)]
PEERS = [f"p{n}" for n in range(10)]


class Rest:
    def __init__(self):
        tls = ssl.create_default_context(cafile=os.path.join(STATE, "tls", "ca.pem"))
        self.c = http.client.HTTPSConnection("127.0.0.1", 7443, context=tls, timeout=20)

    def __call__(self, method, path, body=None, **head):
        while True:
            self.c.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None,
                           {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json", **head})
            r = self.c.getresponse()
            data = json.loads(r.read() or b"null")
            if r.status != 429:
                break
            time.sleep(0.5)
        if r.status >= 400:
            sys.exit(f"FAIL: {method} {path} {str(body)[:300]}: {data}")
        return data


class Gateway:
    def __init__(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(SOCKET)
        self.f = s.makefile("rw")

    def __call__(self, method, **params):
        self.f.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
        self.f.flush()
        a = json.loads(self.f.readline())
        if "error" in a:
            sys.exit(f"FAIL: {method} {params}: {a['error']}")
        return a["result"]


def at(hours):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + hours * 3600))


def some(values, least, most):
    return rnd.sample(values, rnd.randint(least, most))


def rule(n):
    proto = rnd.choice(["any", "tcp", "tcp", "udp", "icmp"])
    r = {"id": n + 1, "role": rnd.choice(ROLES), "protocol": proto, "action": rnd.choice(["allow", "allow", "deny"]),
         "to": some([f"t{k}" for k in range(6)] + ["10.30.0.0/16", "fd00:20::/64"], 1, 2), "priority": rnd.choice([10, 128, 200]),
         "bidirectional": rnd.random() < 0.5, "enabled": rnd.random() < 0.9}
    if proto in ("tcp", "udp"):
        r["ports"] = some([22, 53, 443, "1000-2000"], 1, 2)
    if rnd.random() < 0.15 and any(":" not in t for t in r["to"]):
        r["src"] = [f"10.7.{rnd.randint(1, 4)}.0/24"]
    if rnd.random() < 0.2:
        r[rnd.choice(["not_before", "expires"])] = at(rnd.choice([2, 40]))
    return r


def policy():
    targets = {f"t{k}": {"addresses": some([f"10.20.{a}.0/24" for a in range(3)] + [h for h in HOSTS if "." in h and h[:5] == "10.20"], 1, 2)} for k in range(6)}
    roles = {r: {"id": n + 1, "members": [f"10.7.{n % 4 + 1}.0/24@{IFACE}"] if n < 3 else [f"peer:{rnd.choice(PEERS)}"]} for n, r in enumerate(ROLES)}
    for r in some(ROLES, 3, 3):
        roles[r]["on_idp_down"] = "deny"
    roles["r7"]["members"].append(f"10.20.0.0/16@{IFACE}")  # servers that begin themselves
    return {"zones": {"in": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16", "fd00:20::/64"]},
                      "dmz": {"id": 2, "type": "external", "networks": ["10.30.0.0/16"], "default_policy": "allow"},
                      "vpn": {"id": 3, "type": "vpn", "networks": ["10.7.0.0/16"], "default_policy": "allow"}},
            "targets": targets, "roles": roles, "rules": [rule(n) for n in range(40)]}


def furnish(rest):
    for n, p in enumerate(PEERS):
        where = [f"10.7.{n % 5 + 1}.{n + 10}/32", f"fd00:7::{n + 16:x}/128"]
        body = {"name": p, "interface": IFACE, "public_key": os.popen("wg genkey | wg pubkey").read().strip()}
        body.update({"addresses": {"gw-1": where[:1]}, "allowed_ips": where[1:]} if n % 3 == 0 else {"allowed_ips": where + ["10.7.200.0/24"][:n == 4]})
        rest("POST", "/peers", body)
    rest("PUT", "/policy", policy(), **{"If-Match": "*"})
    for p in PEERS:
        rest("PATCH", f"/peers/{p}", {"roles": some(ROLES, 0, 2)}, **{"If-Match": "*", "Content-Type": "application/merge-patch+json"})
    rest("PUT", "/providers/corp", {"state": "down", "since": at(-2)}, **{"If-None-Match": "*"})
    rest("PUT", "/providers/old", {"state": "down", "since": at(-200)}, **{"If-None-Match": "*"})
    rest("PUT", "/providers/up", {"state": "up"}, **{"If-None-Match": "*"})
    members = [f"peer:{p}" for p in PEERS] + [f"10.7.{n}.0/24@{IFACE}" for n in (3, 4, 5)] + [f"10.7.1.{n}/32@{IFACE}" for n in (10, 15)]
    for role, member in rnd.sample([(r, m) for r in ROLES for m in members], 60):
        body = {"role": role, "member": member, "interface": IFACE, "source": {"type": "dynamic", "reason": "test"}}
        if rnd.random() < 0.8:
            body["source"] = {"type": "idp", "provider": rnd.choice(["corp", "corp", "old", "up"]), "user": "u"}
        if rnd.random() < 0.8:
            body["expires_at"] = at(rnd.choice([-1, -1, -3, -20, -30, 5]))
        rest("POST", "/role-maps", body)


def flow():
    """A question to the gateway, and the same to the control plane."""
    inside = rnd.random() < 0.5
    far = rnd.choice(HOSTS)
    subject, mine = {}, {"interface": IFACE, "from": "inside" if inside else "tunnel"}
    kind = rnd.choice(["peer", "address", "both"])
    if kind != "address":
        subject["peer"] = mine["peer"] = rnd.choice(PEERS)
    if kind != "peer":
        n = rnd.randint(0, 12)  # those from 10 on are nobody's, but for 10.7.200.0/24
        own = f"fd00:7::{n + 16:x}" if ":" in far else rnd.choice([f"10.7.{n % 5 + 1}.{n + 10}", "10.7.200.7"])
        subject["address"] = own
        mine["dst" if inside else "src"] = own
    if rnd.random() < 0.5:
        subject["interface"] = IFACE
    mine["src" if inside else "dst"] = far
    proto = rnd.choice(["tcp", "udp", "icmpv6" if ":" in far else "icmp"])
    ports = {} if proto[0] == "i" else {"sport": rnd.choice([22, 443, 1500, 40000]), "dport": rnd.choice([22, 53, 443, 1500, 40000])}
    return {**mine, "protocol": proto, **ports}, {"subject": subject, "from": mine["from"], "src" if inside else "dst": far, "proto": proto, **ports}


def simulate(rest, gateway, mine, its):
    """The same question on both surfaces, of another time or of roles alone, perhaps."""
    mine, its = dict(mine), dict(its, subject=dict(its["subject"]))
    if rnd.random() < 0.3:
        own = "dst" if mine["from"] == "inside" else "src"
        mine = {k: v for k, v in mine.items() if k not in ("peer", own)}
        mine["roles"] = some(ROLES, 1, 3)
        its["subject"] = {"roles": mine["roles"], "interface": IFACE}
    if rnd.random() < 0.6:
        mine["at"] = its["at"] = at(rnd.choice([-30, -2, 1, 6, 30]))
    g, c = gateway("policy.simulate", **mine), rest("POST", "/policy/simulate", its)
    for a in (g, c):
        a["trace"].sort(key=json.dumps)
        del a["policy_version"]
        if "at" not in mine:
            del a["at"]
    if g != c:
        sys.exit(f"FAIL: seed {SEED}: {mine}\n  gateway: {g}\n  control: {c}")


def compare(rest, gateway):
    seen = collections.Counter()
    for n in range(FLOWS):
        mine, its = flow()
        if n % 5 == 0:
            simulate(rest, gateway, mine, its)
        g, c = gateway("policy.explain", **mine), rest("POST", "/policy/simulate", its)
        both = [[a.get(k) for k in ("verdict", "why", "rule", "zone", "target", "src", "dst")] for a in (g, c)]
        if both[0] != both[1]:
            sys.exit(f"FAIL: seed {SEED}: {mine}\n  gateway: {both[0]} {g['roles']}\n  control: {both[1]} {c['trace']}")
        seen[(mine["from"], c["verdict"], c["why"])] += 1
    for k, n in sorted(seen.items()):
        print("  ", *k, n)
    if len({(f, v) for f, v, _ in seen}) < 4 or len({w for _, _, w in seen}) < 3:
        sys.exit("FAIL: the flows are too much alike")


def main():
    rest, gateway = Rest(), Gateway()
    furnish(rest)
    deadline = time.time() + 15
    while gateway("control.status")["serving_seq"] != rest("GET", "/replication")["seq"]:
        if time.time() > deadline:
            sys.exit(f"FAIL: not served: {gateway('control.status')}")
        time.sleep(0.1)
    compare(rest, gateway)


main()
