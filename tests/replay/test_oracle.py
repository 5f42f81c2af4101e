#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The naive evaluator (tests/eal/authz/naive.py) against a whole gateway: the packets of random policies go through
sluice-replay, and what became of each must be the naive verdict; policy.explain of the lockstep gateway must say the
same of the same packets.

    SEED=N DOCUMENTS=N PACKETS=N test_oracle.py SLUICE-REPLAY LOCKSTEP

Each policy is drawn from its own seed, which is printed when it fails.
"""
import base64
import collections
import fractions
import ipaddress
import json
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../eal/authz"))
import lockstep
import naive
import packets as pk
import random_policy
from check import check, equal, run
from lockstep import LISTEN, S, base_config, interface
from pcaptool import T0, config, need, path, run_replay, write_config, write_pcap

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 40)))
DOCUMENTS = int(os.environ.get("DOCUMENTS", "12"))
PACKETS = int(os.environ.get("PACKETS", "400"))
EXPLAINED = int(os.environ.get("EXPLAINED", str(PACKETS)))  # of each policy
# where the gateway itself lives: no packet of a policy has such an address
OWN = [ipaddress.ip_network(n) for n in ("198.18.0.0/15", "2001:db8:5::/48", "fd99::/16")]
NAMED = {6: "tcp", 17: "udp"}
DROPS = {"no_role": "no_role", "withdrawn": "target_withdrawn"}  # the others: denied


def address(version, number):
    return (ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address)(number)


def usable(ip):
    """One that a host may have: others are dropped before any policy is asked."""
    if ip.is_multicast or ip.is_loopback or ip.is_unspecified or ip.is_link_local or any(ip in n for n in OWN):
        return False
    if ip.version == 4:
        return 0 < int(ip) >> 24 < 224
    return ip.ipv4_mapped is None and int(ip) >> 32 != 0


class World:
    """Packets of which each begins a flow of its own, and peers that own the addresses at the tunnels' ends."""

    def __init__(self, generator, document, wanted):
        self.owner, self.outside, self.packets = {}, set(), []
        flows, source = set(), random_policy.Packets(generator, document)
        for _ in range(wanted * 4):
            if len(self.packets) == wanted:
                break
            p = source.packet()
            near, far = (p.src, p.dst) if not p.from_inside else (p.dst, p.src)
            near, far = (p.version, near), (p.version, far)
            ends = frozenset(((p.version, p.src, p.sport), (p.version, p.dst, p.dport)))
            if (near != far and (p.protocol, ends) not in flows and usable(address(*near)) and usable(address(*far))
                    and self.owner.get(near, p.peer) == p.peer and near not in self.outside and far not in self.owner):
                self.owner[near] = p.peer
                self.outside.add(far)
                flows.add((p.protocol, ends))
                self.packets.append(p)
        self.without_shared(document)

    def without_shared(self, document):
        """A member of all interfaces must not hold an address that a tunnel owns."""
        tunnel = [(version, ip) for version, ip in self.owner]
        for role in document["roles"].values():
            role["members"] = [m for m in role["members"] if not self.shared(m, tunnel)]

    @staticmethod
    def shared(member, tunnel):
        place = naive.Member(member).place
        return place is not None and place.interface is None and any(place.holds(v, ip, None) for v, ip in tunnel)

    def allowed_ips(self, peer):
        return sorted("%s/%d" % (address(*a), random_policy.BITS[a[0]]) for a, p in self.owner.items() if p == peer)


def wire(p, serial):
    """The bytes of a packet. What ICMP asks has an identifier of its own, so that it is a flow of its own."""
    src, dst = str(address(p.version, p.src)), str(address(p.version, p.dst))
    if p.protocol == 6:
        return pk.tcp_syn(src, dst, p.sport, p.dport)
    if p.protocol == 17:
        return pk.udp(src, dst, p.sport, p.dport, b"x")
    if p.protocol == (1 if p.version == 4 else 58):
        return pk.echo(src, dst, 1, ident=serial & 0xffff)
    return pk.ip(src, dst, p.protocol, bytes(20))


def key(name, number):
    return base64.b64encode(struct.pack(">I", number) + name.encode().ljust(28, b"-")).decode()


def peers_of(world, iface):
    return [{"name": n, "public_key": key(n, 1 + random_policy.PEERS.index((n, i))), "allowed_ips": world.allowed_ips((n, i))}
            for n, i in random_policy.PEERS if i == iface]


def two_interfaces(c, peers, device, **more):
    """Both reach any address on their own inside."""
    c["ports"] = [{"name": "wan", "addresses": ["198.18.5.2/24"]}, {"name": "lan", "addresses": ["198.19.0.1/24", "fd99::1/64"]},
                  {"name": "lan1", "addresses": ["198.19.1.1/24", "fd99:1::1/64"]}]
    for n, port in enumerate(c["ports"]):
        port["device"] = device % n
    routers = (("198.19.0.254", "wg0"), ("fd99::fe", "wg0"), ("198.19.1.254", "wg1"), ("fd99:1::fe", "wg1"))
    c["routes"] = [{"prefix": "::/0" if ":" in via else "0.0.0.0/0", "via": via, "interface": i} for via, i in routers]
    c["interfaces"] = [interface("wg%d" % n, LISTEN + n, ["198.19.%d.1/32" % (100 + n)], inside={"port": port},
                                 **peers("wg%d" % n), **more) for n, port in enumerate(("lan", "lan1"))]
    return c


def replay_conf(world, policy):
    c = two_interfaces(config([]), lambda iface: {"peers": peers_of(world, iface)}, "0000:3b:02.%d",
                       private_key_file="/nonexistent/key")
    c["policy"] = {"file": policy}
    return write_config(c, "oracle.conf")


def says(x, want):
    """Is this what the naive evaluator says? x: policy, why, rule, target and zone."""
    policy, why, rule, target, zone = x
    if policy != ("allow" if want.allow else "deny") or why != want.why or zone != want.zone:
        return False
    return rule in ({"%s/%d" % r for r in want.rules} or {None}) and target in (want.targets or {None})


def draw(seed):
    generator = random_policy.Generator(random.Random(seed))
    document, now = generator.document(), generator.time()
    world = World(generator, document, PACKETS)
    return document, now, world


def tell(seed, now, p, want, got, document):
    return ("SEED=%d DOCUMENTS=1 at %d: %s %s:%d -> %s:%d protocol %d peer %s\n  naive: allow %s %s %s zone %s targets %s\n"
            "  sluice: %r\n%s" % (seed, now, "inside" if p.from_inside else "tunnel", address(p.version, p.src), p.sport,
                                  address(p.version, p.dst), p.dport, p.protocol, p.peer, want.allow, want.why,
                                  sorted(want.rules), want.zone, sorted(want.targets), got, json.dumps(document)))


def replays():
    """Each packet is sealed, opened, judged and forwarded or dropped as it would be on a wire."""
    seen = collections.Counter()
    for seed in range(SEED, SEED + DOCUMENTS):
        document, now, world = draw(seed)
        with open(path("oracle.json"), "w", encoding="utf-8") as f:
            json.dump(document, f)
        at = fractions.Fraction(now, S) - T0  # a float would be some nanoseconds off
        pcap = write_pcap([(at, wire(p, n)) for n, p in enumerate(world.packets)])
        r = run_replay(replay_conf(world, path("oracle.json")), pcap, "--enforce")
        policy, roles = naive.Policy(document, now), list(document["roles"])
        for p, got in zip(world.packets, r.packets):
            want = policy.judge(p)
            fate = ("forwarded", None) if want.allow else ("dropped", DROPS.get(want.why, "denied"))
            role = got["rule"].split("/")[0] if "rule" in got else min(want.roles, key=roles.index, default=None)
            if ((got["verdict"], got.get("reason")) != fate or got.get("role") != role
                    or not says([got.get(k) for k in ("policy", "why", "rule", "target", "zone")], want)):
                check(False, tell(seed, now, p, want, got, document))
            seen[want.why, want.allow] += 1
            seen["inside"] += p.from_inside
        equal(r.summary["flows"], len(world.packets), "flows of seed %d" % seed)
    print("    replayed:", dict(seen))
    kinds = {"inside", ("rule", True), ("rule", False), ("no_role", False)}  # few policies have none of the others
    check(kinds < set(seen) and (len(seen) == 7 or DOCUMENTS < 50), "every kind comes up: %r" % seen)


class Explainer:
    """A lockstep gateway that gets each policy, its peers and its time."""

    def __init__(self):
        lockstep.BINARY = sys.argv[2]
        self.g = lockstep.Gateway(two_interfaces(base_config(), lambda iface: {}, "net_ring_lock%d"), queues=1)
        self.wall_shift = 0  # by set_wall()
        self.g.call("authz.mode.set", default="enforce", force=True)

    def wall(self):
        return lockstep.WALL0 + self.g.now - 1000 * S + self.wall_shift

    def take(self, world, document, now):
        g = self.g
        g.call("policy.clear", force=True)
        for fill in (lambda p: [], world.allowed_ips):  # an address may come from another peer
            for n, (name, iface) in enumerate(random_policy.PEERS, 1):
                g.call("peer.set", interface=iface, public_key=key(name, n), name=name, allowed_ips=fill((name, iface)))
        back = self.wall() - random_policy.LOADED * S
        g.set_wall(-(back // 10**6))
        self.wall_shift -= back // 10**6 * 10**6
        g.advance(100)
        g.call("policy.load", text=json.dumps(document))
        g.advance((now - self.wall()) // 10**6, 1000)
        equal(self.wall(), now, "time of the policy")

    def ask(self, p, n):
        x = {"sport": p.sport, "dport": p.dport} if p.protocol in NAMED else {}
        x = self.g.call("policy.explain", interface=p.interface, peer=key(p.peer[0], 1 + random_policy.PEERS.index(p.peer)),
                        src=str(address(p.version, p.src)), dst=str(address(p.version, p.dst)), protocol=str(p.protocol),
                        **{"from": "inside" if p.from_inside else "tunnel"}, **x)
        equal(x["effective"], "forwarded" if x["verdict"] == "allow" else "dropped", "enforced: %d" % n)
        return x


def explains():
    """policy.explain says the same of the same packets, and each rule that votes is one that may."""
    e, asked = Explainer(), 0
    for seed in range(SEED, SEED + DOCUMENTS):
        document, now, world = draw(seed)
        e.take(world, document, now)
        policy = naive.Policy(document, now)
        for n, p in enumerate(world.packets[:EXPLAINED]):
            want, got = policy.judge(p), e.ask(p, n)
            if not says([got["verdict"]] + [got.get(k) for k in ("why", "rule", "target", "zone")], want):
                check(False, tell(seed, now, p, want, got, document))
            asked += 1
    equal(e.g.close(leaks=False), 0, "exit code of lockstep")
    print("    explained:", asked)


need()
print("SEED=%d DOCUMENTS=%d PACKETS=%d" % (SEED, DOCUMENTS, PACKETS), flush=True)
run(replays, explains)
