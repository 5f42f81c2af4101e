#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Policies end to end: documents come in over RPC, packets of real sessions are forwarded or dropped."""
import datetime
import json
import random

import packets as pk
from check import check, equal, run
from lockstep import LAN, S, SERVER4, SERVER6, WALL0, Gateway, b64, base_config, expect, lan_packet

g = Gateway(base_config())
# where enforcing wants evidence, these tests do without
FORCE = {"force": True} if any("force" in m["params"] for m in g.call("rpc.methods")["methods"]
                               if m["name"] == "authz.mode.set") else {}
g.call("authz.mode.set", default="enforce", **FORCE)
DB, WEB = SERVER4, "10.20.0.20"
for ip in (WEB, "10.20.0.99"):
    g.host(LAN, ip)

ZONES = {"in": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16", "fd00:20::/64"]},
         "vpn": {"id": 2, "type": "vpn", "networks": ["10.7.0.0/16", "fd00:7::/64"]}}
TARGETS = {"db": {"addresses": [DB + "/32", SERVER6 + "/128"]}, "web": {"addresses": [WEB + "/32"]}}
version = 0


def rule(n, role, to, protocol="udp", ports=None, action="allow", **more):
    r = {"id": n, "role": role, "to": to if isinstance(to, list) else [to], "protocol": protocol, "action": action}
    if ports:
        r["ports"] = ports
    r.update(more)
    return r


def load(roles, rules, zones=None, targets=None, **more):
    global version
    version += 1
    roles = {k: v if isinstance(v, dict) else {"members": v} for k, v in roles.items()}
    doc = {"version": version, "zones": zones or ZONES, "targets": targets or TARGETS, "roles": roles, "rules": rules}
    answer = g.call("policy.load", text=json.dumps(doc), **more)
    g.run()
    return answer


def when(seconds):
    """A time so many seconds from now."""
    t = (WALL0 + g.now - 1000 * S) // S + seconds
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def client(name, **kw):
    c = g.client(name, **kw)
    c.handshake()
    g.new_drops()
    return c


serial = 20000


def new_port():
    global serial
    serial = serial + 1 if serial < 60000 else 20000
    return serial


def passes(c, dst, dport, sport=None, src=None):
    """Does a datagram of the client reach the inside? Anything but that or silence is an error."""
    src = src or (c.in6 if ":" in dst else c.in4)
    out = [f for f in c.data(pk.udp(src, dst, sport or new_port(), dport, b"x")) if f.kind[:2] == "ip"]
    check(len(out) <= 1, "one packet at most")
    return bool(out)


def comes(c, src, sport, dport, dst=None):
    """Does a datagram of a server reach the client?"""
    dst = dst or (c.in6 if ":" in src else c.in4)
    return len(c.opened(g.send_lan(pk.udp(src, dst, sport, dport, b"y")))) == 1


def done():
    g.forget_clients()


def roles_and_targets():
    a, b = client("alice"), client("bob")
    load({}, [])
    check(not passes(a, DB, 53), "without a role")
    g.expect_drops("no policy for anybody", no_role=1)
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", ports=[53, "100-110"])])
    for dst in (DB, SERVER6):
        equal([passes(a, dst, p) for p in (53, 54, 99, 100, 110, 111)], [True, False, False, True, True, False], dst)
    check(not passes(a, WEB, 53), "another target")
    g.expect_drops("no rule, zone default", denied=7)
    check(not passes(b, DB, 53), "another peer")
    g.expect_drops("bob has no role", no_role=1)
    load({"net": ["%s/32@wg0" % b.in4]}, [rule(1, "net", "10.20.0.0/24", protocol="any")])
    check(passes(b, DB, 1) and passes(b, WEB, 1), "by the prefix of the source")
    check(not passes(b, SERVER6, 1), "IPv6 has none")
    check(not passes(a, DB, 53), "alice has none any more")
    g.new_drops()


def zones():
    a = client("alice")
    z = dict(ZONES, dmz={"id": 3, "type": "external", "networks": ["10.20.0.96/28"], "default_policy": "allow"})
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "10.20.0.96/28", ports=[22], action="deny")], zones=z)
    check(passes(a, "10.20.0.99", 80), "default allow")
    check(not passes(a, "10.20.0.99", 22), "a deny goes before it")
    check(not passes(a, DB, 80), "default deny outside")
    load({"eng": []}, [], zones=z)
    check(not passes(a, "10.20.0.99", 80), "nobody without a role, whatever the zone says")
    g.expect_drops("zones", denied=2, no_role=1)


def deny_wins():
    a = client("alice")
    load({"one": ["peer:alice"], "two": ["peer:alice"]},
         [rule(1, "one", "*", protocol="any"), rule(1, "two", "db", ports=[53], action="deny")])
    check(not passes(a, DB, 53) and passes(a, DB, 54), "one role's DENY over another's ALLOW")
    load({"one": ["peer:alice"]},
         [rule(1, "one", "*", protocol="any", action="deny"), rule(2, "one", "db", ports=[53], priority=10)])
    check(passes(a, DB, 53) and not passes(a, DB, 54), "the lowest priority decides in a role")
    load({"one": ["peer:alice"]}, [rule(1, "one", "db"), rule(2, "one", "db", action="deny")])
    check(not passes(a, DB, 53), "equal priority: DENY")
    g.new_drops()


def from_inside():
    a = client("alice")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", ports=[53])])
    check(not comes(a, DB, 53, 5000), "a server begins")
    g.expect_drops("no role inside", no_role=1)
    sport = new_port()
    check(passes(a, DB, 53, sport) and comes(a, DB, 53, sport), "its answers come")
    check(not comes(a, DB, 54, sport), "from the port that was asked")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", ports=[53], bidirectional=True)])
    check(comes(a, DB, 53, 5001), "bidirectional")
    check(not comes(a, DB, 54, 5001) and not comes(a, WEB, 53, 5001), "rule ports are the server's")
    load({"srv": [DB + "/32@*"]}, [rule(1, "srv", "10.7.0.0/16", ports=[7000])])
    check(comes(a, DB, 9, 7000) and not comes(a, DB, 9, 7001), "a role of the server itself")
    g.new_drops()


def icmp():
    a = client("alice")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", ports=[53])])
    echo = pk.echo(a.in4, DB, 1)
    expect(a.data(echo))
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", protocol="icmp")])
    lan_packet(a.data(pk.echo(a.in4, DB, 2, ident=7)))
    check(not passes(a, DB, 53), "icmp alone")
    g.new_drops()


def times():
    a = client("alice")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", not_before=when(10), expires=when(20))])
    sport = new_port()
    check(not passes(a, DB, 53, sport), "before")
    g.advance(11_500, 500)
    check(passes(a, DB, 53, sport), "within")
    g.advance(9_000, 500)
    check(not passes(a, DB, 53, sport), "the flow ends with its rule")
    g.new_drops()
    load({"eng": [{"peer": "alice", "expires": when(5)}]}, [rule(1, "eng", "db")])
    check(passes(a, DB, 53, sport) and comes(a, DB, 53, sport), "a role for a time")
    g.advance(6_100, 100)
    check(not passes(a, DB, 53, sport) and not comes(a, DB, 53, sport), "is over")
    g.new_drops()


def revocation():
    """The next packet after a change is the first one that is cut, and only where it is denied."""
    a, b = client("alice"), client("bob")
    flows = [(a, DB, 53), (a, WEB, 53), (b, DB, 53)]
    ports = [new_port() for _ in flows]

    def alive():
        return [(passes(c, dst, dport, p), comes(c, dst, dport, p)) for (c, dst, dport), p in zip(flows, ports)]

    both = {"eng": ["peer:alice", "peer:bob"]}
    load(both, [rule(1, "eng", "db"), rule(2, "eng", "web")])
    equal(alive(), [(True, True)] * 3, "in the beginning")
    load(both, [rule(1, "eng", "db"), rule(2, "eng", "web", log=True)])
    equal(alive(), [(True, True)] * 3, "a change that denies none of them")
    load(both, [rule(1, "eng", "db")])
    equal(alive(), [(True, True), (False, False), (True, True)], "a rule is gone")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db")])
    equal(alive(), [(True, True), (False, False), (False, False)], "a member is gone")
    g.call("role.member.add", role="eng", peer="bob")
    equal(alive(), [(True, True), (False, False), (True, True)], "beside the document")
    g.call("role.member.remove", role="eng", peer="bob")
    equal(alive(), [(True, True), (False, False), (False, False)], "and taken back")
    g.call("role.member.add", role="eng", prefix=b.in4 + "/32", interface="wg0", expires=when(3))
    equal(alive()[2], (True, True), "by a prefix")
    g.advance(4_200, 100)
    equal(alive()[2], (False, False), "for a time")
    g.call("peer.set", interface="wg0", public_key=b64(a.peer.pub), name="mallory")
    equal(alive()[0], (False, False), "roles follow the name")
    g.call("peer.set", interface="wg0", public_key=b64(b.peer.pub), name="alice")
    equal(alive()[2], (True, True), "to whoever has it")
    g.new_drops()


def later_peers():
    load({"eng": ["peer:carol"]}, [rule(1, "eng", "db")])
    c = client("carol")
    check(passes(c, DB, 53), "a peer that came after the policy")
    g.call("peer.remove", interface="wg0", peer="carol")
    g.clients.remove(c)
    g.run()
    d = client("dave", allowed=c.allowed)
    d.in4, d.in6 = c.in4, c.in6
    check(not passes(d, DB, 53), "another one with the same addresses")
    g.expect_drops("dave has no role", no_role=1)


def moved_address():
    """An address that goes to another peer takes no flow of its former owner along."""
    a, b = client("alice"), client("bob")
    load({"eng": ["peer:alice"], "srv": [DB + "/32@*"]},
         [rule(1, "eng", "db"), rule(1, "srv", "10.7.0.0/16", ports=[7000])])
    out, came = new_port(), new_port()
    check(passes(a, DB, 53, out) and comes(a, DB, 53, out), "alice asks")
    check(comes(a, DB, came, 7000) and passes(a, DB, came, 7000), "and is asked")
    g.call("peer.set", interface="wg0", public_key=b64(b.peer.pub), allowed_ips=[a.in4 + "/32"], move=True)
    g.run()
    check(not passes(b, DB, 53, out, src=a.in4), "bob goes on with her flow")
    g.expect_drops("bob has no role", no_role=1)
    check(not comes(b, DB, 53, out, dst=a.in4), "its answers come to him")
    g.new_drops()


def midstream():
    """TCP whose begin was not seen passes as an answer; a connection that begins does not."""
    a = client("alice")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db", protocol="tcp", ports=[22])])

    def tcp(flags, sport=22, dport=445):
        return len(a.opened(g.send_lan(pk.tcp_syn(DB, a.in4, sport, dport, flags=flags)))) == 1

    check(not tcp(2), "a server begins")
    check(not tcp(3, dport=447), "nor with FIN")
    check(tcp(0x10, dport=446), "an answer")
    check(not tcp(2, dport=446), "but it begins nothing")
    g.new_drops()
    seg = pk.tcp_syn(DB, a.in4, 22, 448, flags=0x10)[20:] + bytes(12)
    syn = seg[8:13] + b"\x02" + seg[14:]
    for off, piece, n in ((0, seg[:24], 1), (8, syn, 0), (16, seg[16:], 0), (24, seg[24:], 1)):
        got = a.opened(g.send_lan(pk.ip4(DB, a.in4, pk.TCP, piece, ident=7, mf=off < 24, off=off)))
        equal(len(got), n, "a fragment at %d" % off)
    g.expect_drops("over the header of the first", frag_orphan=2)


def refused():
    a = client("alice")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db")])
    before = g.call("policy.status")
    for text, reason in (("{", "json_syntax"), ('{"version":1,"x":1}', "field_unknown"),
                         (json.dumps({"version": 1, "roles": {"r": {}},
                                      "rules": [rule(i + 1, "r", "*") for i in range(33)]}), "limit_rules"),
                         (json.dumps({"version": 1, "tests": [
                             {"name": "t", "from": {"peer": "alice"}, "to": DB, "protocol": "udp", "port": 1,
                              "expect": "allow"}]}), "test_failed")):
        g.call_fails(reason, "policy.load", text=text)
        check(passes(a, DB, 53), "the former one serves")
        equal(g.call("policy.status")["generation"], before["generation"], "generation")
    g.call_fails("version_mismatch", "policy.load", text='{"version":1}', if_version=1)
    check(passes(a, DB, 53), "the former one serves")


def observe():
    """In observe everything is forwarded, whatever the policy; a panic overrides all modes."""
    a, b = client("alice"), client("bob")
    load({"eng": ["peer:alice"]}, [rule(1, "eng", "db")])
    g.call("authz.mode.set", prefixes=[WEB + "/32"], mode="observe")
    equal([passes(a, WEB, 1), passes(b, WEB, 1), passes(b, DB, 1)], [True, True, False], "one target observed")
    g.call("authz.mode.set", panic="observe")
    check(passes(b, DB, 1), "panic")
    g.call("authz.mode.set", panic="off", **FORCE)
    check(not passes(b, DB, 1), "enforced again")
    g.call("authz.mode.set", prefixes=[WEB + "/32"], mode="default", **FORCE)
    check(not passes(b, WEB, 1), "and the target")
    g.new_drops()


def withdrawn():
    """A target that is reached another way: in no mode a packet passes, and a peer is told."""
    a, b = client("alice"), client("bob")
    roles, rules = {"eng": ["peer:alice"]}, [rule(1, "eng", "*", protocol="any", bidirectional=True)]
    gone = dict(TARGETS, db=dict(TARGETS["db"], withdrawn=True))

    def told(c, dst):
        """The answer to a datagram, as type and code; its quote is the datagram."""
        src, v4 = (c.in6, False) if ":" in dst else (c.in4, True)
        out = c.data(pk.udp(src, dst, new_port(), 53, b"who is there"))
        check(not [f for f in out if f.kind[:2] == "ip"], "it does not come out")
        got = c.opened(out)
        equal(len(got), 1, "one answer")
        icmp = got[0][20:] if v4 else got[0][40:]
        equal(icmp[8:][28 if v4 else 48:][:12], b"who is there", "what it quotes")
        return icmp[0], icmp[1]

    load(roles, rules)
    own = new_port()
    check(passes(a, DB, 53, own) and comes(a, DB, 53, own), "reached through the tunnel")
    load(roles, rules, targets=gone)
    for mode in ("enforce", "observe"):
        g.call("authz.mode.set", default=mode, **FORCE)
        equal([told(a, DB), told(b, DB), told(a, SERVER6)], [(3, 13), (3, 13), (1, 1)], mode)
        check(not passes(a, DB, 53, own) and not comes(a, DB, 53, own), "the flow of before")
        check(not comes(a, DB, 53, 5003), "nor does it begin one")
        check(passes(a, WEB, 53), "another target")
        g.expect_drops(mode, target_withdrawn=6)
        x = g.call("policy.explain", interface="wg0", peer="alice", protocol="udp", dst=DB, dport=53)
        equal((x["verdict"], x["effective"], x["mode"], x["why"], x["target"]), ("deny", "dropped", mode, "withdrawn", "db"), "explained")
    equal([t.get("withdrawn") for t in g.call("target.list")["targets"]], [True, None], "listed")
    g.call("authz.mode.set", default="enforce", **FORCE)
    load(roles, rules)
    check(passes(a, DB, 53, own) and comes(a, DB, 53, own), "it is back")
    g.new_drops()


def explains():
    """policy.explain tells what then happens, for random flows under random policies."""
    rng = random.Random(5)
    a, b = client("alice"), client("bob")
    names = ["r0", "r1", "r2"]
    for _ in range(12):
        roles = {n: [m for m in ("peer:alice", "peer:bob", "%s/32@wg0" % b.in4, DB + "/32@*") if rng.random() < .4]
                 for n in names}
        rules = [rule(i + 1, rng.choice(names), rng.choice(["db", "web", "*", "10.7.0.0/16"]),
                      rng.choice(["udp", "any", "icmp"]), action=rng.choice(["allow", "allow", "deny"]),
                      priority=rng.randrange(3), bidirectional=rng.random() < .3) for i in range(6)]
        for r in rules:
            if r["protocol"] == "udp" and rng.random() < .6:
                r["ports"] = [rng.choice([53, "50-60", "1-1000"])]
        load(roles, rules, targets={n: dict(t, withdrawn=rng.random() < .2) for n, t in TARGETS.items()})
        for _ in range(10):
            c, dst, port, own = rng.choice((a, b)), rng.choice((DB, WEB)), rng.choice((53, 55, 70, 2000)), new_port()
            out = rng.random() < .6
            ask = dict(interface="wg0", peer=c.peer.name, protocol="udp")
            if out:
                x = g.call("policy.explain", dst=dst, sport=own, dport=port, **ask)
                got = passes(c, dst, port, own)
            else:
                x = g.call("policy.explain", src=dst, dst=c.in4, sport=port, dport=own, **{"from": "inside"}, **ask)
                got = comes(c, dst, port, own)
            equal((x["verdict"], x["effective"]), ("allow", "forwarded") if got else ("deny", "dropped"), json.dumps(x))
            check(x["why"] != "map_error", "the tables and the scan agree")
    g.new_drops()


def swaps():
    """1,000 changes under traffic: what both policies allow is never lost, and no burst is judged by a mix: of
    two packets of which each policy allows one, exactly one passes."""
    a, b = client("alice"), client("bob")
    sets = [[rule(1, "eng", "db", ports=[1000]), rule(2, "eng", "db", ports=[n])] for n in (1, 2)]
    seen = set()
    sport = new_port()
    for i in range(1000):
        n = 1 + i % 2
        seen.add(load({"eng": ["peer:alice", "peer:bob"]}, sets[n - 1])["generation"])
        burst, own = [], new_port()
        for c in (a, b):
            for dport, p in ((1000, sport), (1, own), (2, own)):
                burst.append(c.frame(c.peer.current.seal(pk.udp(c.in4, DB, p, dport, b"%d" % i))))
        g.rx_many(0, burst)
        got = sorted((f.ip.src, f.ip.dport) for f in g.run() if f.port == LAN and f.kind[:2] == "ip")
        equal(got, sorted((c.in4, p) for c in (a, b) for p in (1000, n)), "swap %d" % i)
        if i % 100 == 99:
            g.advance(1000, 100)
    equal(len(seen), 1000, "a generation for each")
    g.new_drops()


run(roles_and_targets, zones, deny_wins, from_inside, icmp, times, revocation, later_peers, moved_address, midstream,
    refused, observe, withdrawn, explains, swaps, after=done, last=g.close)
