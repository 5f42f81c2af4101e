# SPDX-License-Identifier: BSD-3-Clause
"""What a gateway must serve, told from the log of the control plane's store without the control plane's code, and whether it does."""

import collections
import ipaddress
import json
import sqlite3

POLICY = ("policy", "zone", "target", "role", "rule")
BURIED = ("peer", "role_map", "rule")  # kinds whose deletion a gateway remembers
EVER = "9999"
DEFAULT_MTU = 1420
STATES_MAX = 6000  # gateways are never so far behind


def epoch_of(store):
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute("SELECT epoch_id FROM state").fetchone()[0]
    finally:
        db.close()


class History:
    """States by (epoch, seq): {(kind, id): (rev, body)}, read from the store with nothing but SQLite."""

    def __init__(self, store):
        self.store = store
        self.states, self.epochs = {}, {}
        self.epoch, self.head = None, 0
        self.deaths = collections.defaultdict(list)  # (kind, id) -> [(epoch number, seq, rev)]
        self.puts = collections.defaultdict(list)  # the same of what was put

    def read(self):
        db = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)
        try:
            db.execute("BEGIN")
            number, eid, parent, parent_seq, head = db.execute(
                "SELECT epoch_number, epoch_id, parent_id, parent_seq, head FROM state").fetchone()
            if eid not in self.epochs:
                self.epochs[eid] = {"number": number, "id": eid, "parent_id": parent, "parent_seq": parent_seq}
                objects = db.execute("SELECT kind, id, rev, body FROM object").fetchall()
                self.states[eid, head] = {(k, i): (r, json.loads(b)) for k, i, r, b in objects}
                if head != parent_seq and parent:
                    raise ValueError(f"an epoch that begins at {parent_seq} is at {head} already")
                self.epoch, self.head = eid, head
                return
            rows = db.execute("SELECT seq, txn FROM log WHERE seq > ? ORDER BY seq", (self.head,)).fetchall()
            for seq, text in rows:
                if seq != self.head + 1:
                    raise ValueError(f"the log has a gap between {self.head} and {seq}")
                self.apply(number, seq, json.loads(text))
            if head != self.head:
                raise ValueError(f"the log ends at {self.head}, the store is at {head}")
        finally:
            db.close()

    def apply(self, number, seq, txn):
        state = dict(self.states[self.epoch, self.head])
        for op in txn["ops"]:
            key = (op["kind"], op["id"])
            if op["op"] == "put":
                state[key] = (op["rev"], op["obj"])
                self.puts[key].append((number, seq, op["rev"]))
            else:
                self.deaths[key].append((number, seq, max(op["rev"], state[key][0])))
                del state[key]
        self.states[self.epoch, seq] = state
        self.head = seq
        while len(self.states) > STATES_MAX:
            del self.states[next(iter(self.states))]

    def between(self, epoch, first, last):
        """Those that are still known."""
        return [v for (e, s), v in self.states.items() if e == epoch and first <= s <= last]

    def put_since(self, key, number, seq, rev, before):
        """Was it put again in that epoch after that seq, or anew in a later one before `before`?"""
        return any(n == number and s > seq or number < n < before and r > rev for n, s, r in self.puts[key])


def prefixes(body, gateway):
    return sorted(str(ipaddress.ip_network(p)) for p in body.get("allowed_ips", []) + body.get("addresses", {}).get(gateway, []))


def serves(state, gateway, interface):
    record = state.get(("gateway", gateway), (0, None))[1]
    return record is not None and record.get("enabled") is not False and interface in record["interfaces"]


def in_scope(state, gateway, interface, kind, body):
    """Of the kinds that a gateway remembers."""
    record = state.get(("gateway", gateway), (0, None))[1]
    if record is None or record.get("enabled") is False:
        return False
    if kind == "peer" or kind == "role_map" and body["interface"] != "*":
        return body["interface"] == interface and interface in record["interfaces"]
    return True


class View:
    """What a gateway serves of one state; `blocked`: objects that it may not let come back."""

    def __init__(self, state, gateway, interface, blocked=()):
        self.peers, self.members, self.policy, self.mtu = {}, {}, None, None
        record = state.get(("gateway", gateway), (0, None))[1]
        if record is None or record.get("enabled") is False:
            return
        here = interface in record["interfaces"]
        objects = {k: b for k, (_, b) in state.items() if k not in blocked}
        if here and ("interface", interface) in objects:
            self.mtu = objects["interface", interface].get("mtu", DEFAULT_MTU)
        self.policy = {"version": 0, "zones": {}, "targets": {}, "roles": {}, "rules": {}}
        if ("policy", "policy") not in objects:
            self.policy = None
        for (kind, name), body in objects.items():
            if kind == "peer" and here and body["interface"] == interface:
                self.peers[name] = {"key": body["public_key"], "enabled": body.get("enabled", True),
                                    "allowed": prefixes(body, gateway), "keepalive": body.get("keepalive_s", 0),
                                    "expires": body.get("expires_at", EVER), "roles": frozenset(body.get("roles", []))}
            elif self.policy and kind == "policy":
                self.policy["version"] = body["version"]
            elif self.policy and kind in POLICY:
                self.policy[kind + "s"][name] = body
        roles = self.policy["roles"] if self.policy else {}
        for name, body in roles.items():
            for m in body.get("members", []):
                self.members[name, m, "static"] = EVER
        for name, p in self.peers.items():
            for r in p["roles"] & set(roles):
                self.members[r, f"peer:{name}@{interface}", "static"] = EVER
        for (kind, _), body in objects.items():
            if kind == "role_map" and body["role"] in roles and (body["interface"] == "*" or here and body["interface"] == interface):
                self.members[body["role"], body["member"], body["source"]["type"]] = body.get("expires_at", EVER)

    def differs(self, seen):
        """@return what differs, None: nothing"""
        for what in ("peers", "members", "policy"):
            mine, theirs = getattr(self, what), getattr(seen, what)
            if mine != theirs:
                return f"{what}: {difference(mine, theirs)}"
        if self.mtu is not None and self.mtu != seen.mtu:
            return f"mtu {seen.mtu}, wanted {self.mtu}"
        return None


def difference(want, got):
    if not isinstance(want, dict) or not isinstance(got, dict):
        return f"wanted {want}, got {got}"
    for k in sorted(set(want) | set(got), key=str):
        if k not in got:
            return f"{k} is missing: {want[k]}"
        if k not in want:
            return f"{k} is there: {got[k]}"
        if want[k] != got[k]:
            return f"{k}: {difference(want[k], got[k])}"
    return ""


class Seen:
    """What a gateway says that it serves, in the form of a View."""

    def __init__(self, peers, members, document, interfaces, interface):
        self.peers = {p["name"]: {"key": p["public_key"], "enabled": p["enabled"],
                                  "allowed": sorted(str(ipaddress.ip_network(a)) for a in p["allowed_ips"]),
                                  "keepalive": p["persistent_keepalive"], "expires": stamp(p.get("expires")), "roles": frozenset()}
                      for p in peers if p["interface"] == interface}
        self.members = {(m["role"], m["member"], m["source"]): m.get("expires", EVER) for m in members}
        for (role, member, source), _ in self.members.items():
            name = member[5:].split("@")[0] if member.startswith("peer:") else ""
            if name in self.peers and source == "static" and member.endswith("@" + interface):
                self.peers[name]["roles"] |= {role}
        self.policy = None
        if document is not None and document["version"] > 0:  # without an object `policy` an empty one serves, or none
            self.policy = {k: document.get(k, {}) for k in ("version", "zones", "targets", "roles")}
            self.policy["rules"] = {f"{r['role']}/{r['id']}": r for r in document.get("rules", [])}
        self.mtu = next(i["mtu"] for i in interfaces if i["name"] == interface)


def stamp(unix):
    import datetime
    if unix is None:
        return EVER
    return datetime.datetime.fromtimestamp(unix, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_allow(rule):
    return rule is not None and rule["action"] == "allow" and rule.get("enabled") is not False


def less_than(views, seen, roles_matter=True):
    """
    The state of views[0], less what has been revoked up to views[-1]: who is there is in both and not more than in either; who was in all
    of them, unchanged, is there. @return what differs, None: nothing
    """
    first, last = views[0], views[-1]
    for name, p in seen.peers.items():
        a, b = first.peers.get(name), last.peers.get(name)
        if a is None or b is None:
            return f"peer {name} is there, but not in {'the first' if a is None else 'the last'} state"
        if p["key"] != a["key"] or a["key"] != b["key"]:
            return f"peer {name} has a key that was not in both"
        if p["enabled"] and not (a["enabled"] and b["enabled"]):
            return f"peer {name} may connect, but was suspended"
        if p["expires"] > min(a["expires"], b["expires"]):
            return f"peer {name} ends at {p['expires']}, not {min(a['expires'], b['expires'])}"
        if roles_matter and p["roles"] - (a["roles"] & b["roles"]):
            return f"peer {name} has roles {set(p['roles'])}, which it lost"
    for name, p in first.peers.items():
        if all(v.peers.get(name) == p for v in views) and name not in seen.peers:
            return f"peer {name} is missing"
    for key, expires in seen.members.items():
        if key not in first.members or key not in last.members:
            return f"member {key} is there, but not in both states"
        if expires > min(first.members[key], last.members[key]):
            return f"member {key} ends later than it may"
    mine, a, b = ((v.policy or {"rules": {}})["rules"] for v in (seen, first, last))
    for name, rule in mine.items():
        if not is_allow(rule):
            continue
        if name not in a or not is_allow(b.get(name)):
            return f"rule {name} allows, but does not in both states"
        if rule.get("expires", EVER) > min(a[name].get("expires", EVER), b[name].get("expires", EVER)):
            return f"rule {name} ends later than it may"
    for name, rule in a.items():
        if rule["action"] == "deny" and name not in mine:
            return f"rule {name}, which denies, is gone"
        if all((v.policy or {"rules": {}})["rules"].get(name) == rule for v in views) and name not in mine:
            return f"rule {name} is missing"
    return None


def verdict(view, peer, dst, port):
    """@return allow or deny of a new TCP flow of a peer, by the rules of the document alone"""
    p = view.peers[peer]
    src = ipaddress.ip_network(p["allowed"][0]).network_address
    names = (f"peer:{peer}", f"peer:{peer}@wg0")
    roles, best = set(), {}
    for role, member, _ in view.members:
        if member in names:
            roles.add(role)
        elif not member.startswith("peer:") and member.endswith("@wg0"):
            net = ipaddress.ip_network(member[:-4])
            if src in net:
                best.setdefault(net.prefixlen, set()).add(role)
    if best:
        roles |= best[max(best)]
    if not roles:
        return "deny"
    votes = {vote(view, r, dst, port) for r in roles}
    if votes & {"allow", "deny"}:
        return "deny" if "deny" in votes else "allow"
    zones = [(ipaddress.ip_network(n).prefixlen, z.get("default_policy", "deny")) for z in view.policy["zones"].values()
             for n in z["networks"] if dst in ipaddress.ip_network(n)]
    return max(zones)[1] if zones else "deny"


def vote(view, role, dst, port):
    hits = []
    for rule in view.policy["rules"].values():
        if rule["role"] != role or rule.get("enabled") is False:
            continue
        to = [a for t in rule["to"] for a in view.policy["targets"][t]["addresses"]]
        if any(dst in ipaddress.ip_network(a) for a in to) and (rule["protocol"] == "any" or port in rule.get("ports", [port])):
            hits.append((rule.get("priority", 128), rule["action"] != "deny", rule["action"]))
    return min(hits)[2] if hits else None
