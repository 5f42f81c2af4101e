# SPDX-License-Identifier: BSD-3-Clause
"""Random valid policy documents and packets at their edges, for the oracle."""
import datetime
import ipaddress

from naive import Packet, Place

INTERFACES = ["wg0", "wg1"]  # of the gateway; wg9 in a document is none of them
PEERS = [("alice", "wg0"), ("bob", "wg0"), ("carol", "wg0"), ("alice", "wg1"), ("dave", "wg1")]
LOADED = 1_800_000_000  # when documents are loaded, seconds
BITS = {4: 32, 6: 128}
LENGTHS = {4: [0, 8, 12, 15, 16, 17, 20, 23, 24, 25, 28, 30, 31, 32],
           6: [0, 16, 32, 33, 47, 48, 63, 64, 65, 96, 97, 112, 127, 128]}
PORTS = [0, 1, 22, 53, 80, 443, 5432, 8000, 8010, 32768, 65534, 65535]


def text_of(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Generator:
    def __init__(self, random):
        self.random = random
        self.anchors = {}
        for version in (4, 6):
            base = {4: ("10.7.0.0", "10.20.0.0", "192.168.0.0"), 6: ("fd00:7::", "fd00:20::", "2001:db8::")}[version]
            self.anchors[version] = [int(ipaddress.ip_address(random.choice(base))) | self.bits(version)
                                     for _ in range(random.choice((2, 4, 7)))]
        self.changes = [LOADED + random.choice((10, 60, 61, 3600)) for _ in range(3)]

    def chance(self, share):
        return self.random.random() < share

    def bits(self, version):
        """Low bits of an address: few that are set, so that prefixes of all lengths differ."""
        r = self.random
        return sum(1 << r.randrange(BITS[version] - 16) for _ in range(r.randrange(5)))

    def prefix(self, version=None):
        r = self.random
        version = version or r.choice((4, 4, 6))
        length = r.choice(LENGTHS[version])
        address = r.choice(self.anchors[version])
        if self.chance(0.2):
            address ^= 1 << (BITS[version] - max(length, 1))
        address = address >> (BITS[version] - length) << (BITS[version] - length)
        make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        return f"{make(address)}/{length}"

    def place(self, version=None):
        """A prefix, sometimes in one interface."""
        return self.prefix(version) + (f"@{self.random.choice(('wg0', 'wg1', 'wg9'))}" if self.chance(0.15) else "")

    def expires(self):
        return text_of(self.random.choice(self.changes))

    def zones(self):
        r, taken, zones = self.random, set(), {}
        for i in range(r.choice((0, 1, 3, 5))):
            nets = {self.place() for _ in range(r.randrange(1, 4))} - taken
            taken |= nets
            if not nets:
                continue
            zones[f"zone{i}"] = {"id": i + 1, "type": r.choice(("internal", "vpn", "external")),
                                 "networks": sorted(nets), "default_policy": r.choice(("allow", "deny"))}
        return zones

    def targets(self):
        return {f"target{i}": {"addresses": [self.place() for _ in range(self.random.randrange(1, 4))],
                               "withdrawn": self.chance(0.1)}
                for i in range(self.random.randrange(1, 6))}

    def members(self, share):
        r, members = self.random, {}
        for _ in range(r.choice((0, 1, 2, 2, 4))):
            key = f"{self.prefix()}@{r.choice(('wg0', 'wg0', 'wg1', '*', 'wg9'))}"
            members[key] = {"prefix": key, "expires": self.expires()} if self.chance(0.3) else key
        for name, interface in PEERS:
            if self.chance(share):
                only = {"interface": interface} if self.chance(0.4) else {}
                key = f"peer:{name}@{interface}" if only else "peer:" + name
                members[key] = {"peer": name, **only, "expires": self.expires()} if self.chance(0.3) else key
        return list(members.values())

    def ports(self):
        r, ports = self.random, []
        for _ in range(r.choice((1, 1, 2, 3))):
            low, high = sorted((r.choice(PORTS[1:]), r.choice(PORTS[1:])))  # no rule names port 0
            ports.append(f"{low}-{high}" if self.chance(0.4) else low)
        return ports

    def rule(self, role, number, targets):
        r = self.random
        protocol = r.choice(("tcp", "tcp", "tcp", "udp", "udp", "any", "icmp", "icmpv6", 47, 1, 58, 6, 132))
        version = 4 if protocol in ("icmp", 1) else 6 if protocol in ("icmpv6", 58) else r.choice((4, 4, 6))
        rule = {"id": number, "role": role, "protocol": protocol, "action": r.choice(("allow", "allow", "deny")),
                "to": [self.place(version)]}
        for _ in range(r.choice((0, 0, 0, 1, 2))):
            rule["to"].append(r.choice((self.place(), self.place(), r.choice(targets), "*")))
        if self.chance(0.1):
            rule["to"] = ["*"]
        if self.chance(0.3):
            rule["src"] = [self.prefix(version)] + [self.prefix() for _ in range(r.randrange(3))]
        if protocol in ("tcp", "udp", 6) and self.chance(0.7) or protocol == 47 and self.chance(0.2):
            rule["ports"] = self.ports()
        if self.chance(0.6):
            rule["priority"] = r.choice((0, 1, 100, 127, 128, 129, 255))
        if self.chance(0.3):
            rule["bidirectional"] = True
        if self.chance(0.1):
            rule["enabled"] = self.chance(0.3)
        self.times(rule)
        return rule

    def times(self, rule):
        if self.chance(0.15):
            rule["expires"] = self.expires()
        if self.chance(0.15):
            rule["not_before"] = self.expires()
        if rule.get("expires", "9") <= rule.get("not_before", ""):
            del rule["not_before"]

    def document(self):
        r = self.random
        n_roles = r.choice((1, 2, 3, 5, 8, 8, 20, 40))
        most = 8 if n_roles > 8 else r.choice((4, 10, 32))
        roles = {f"role{i}": {"members": self.members(0.6 if n_roles >= 20 else 0.3)} for i in range(n_roles)}
        targets = self.targets()
        rules = [self.rule(role, 1 + k, list(targets)) for role in roles for k in range(r.randrange(most + 1))]
        r.shuffle(rules)
        return {"version": r.randrange(1, 1000), "zones": self.zones(), "targets": targets, "roles": roles,
                "rules": rules, "tests": []}

    def time(self):
        """Often the very moment of a change, or the last before it."""
        at = self.random.choice(self.changes) * 1_000_000_000
        return at + self.random.choice((-100_000_000, -100_000_000, 0, 0, 100_000_000, 3_000_000_000_000))


class Packets:
    """Packets for one document."""

    def __init__(self, generator, document):
        self.g = generator
        self.random = generator.random
        self.document = document
        targets = {name: t["addresses"] for name, t in document["targets"].items()}
        self.places = [p for a in targets.values() for p in a]
        self.places += [p for z in document["zones"].values() for p in z["networks"]]
        self.members = {}
        for role, entry in document["roles"].items():
            self.members[role] = [m if isinstance(m, str) else m.get("prefix") or "peer:" + m["peer"]
                                  for m in entry["members"]]
            self.places += [m for m in self.members[role] if not m.startswith("peer:")]
        self.rule_to = {id(rule): [p for to in rule["to"] if to != "*" for p in targets.get(to, [to])]
                        for rule in document["rules"]}
        self.parsed = {p: Place(p) for p in self.places + generator_anchors(generator)}
        for rule in document["rules"]:
            for p in self.rule_to[id(rule)] + rule.get("src", []):
                self.parsed[p] = Place(p)

    def near(self, place, version):
        """An address in a prefix, often at its ends, sometimes just outside."""
        full = (1 << BITS[version]) - 1
        first, last = place.net, place.net | (full ^ place.mask)
        kind = self.random.randrange(10)
        if kind < 2:
            return first
        if kind < 4:
            return last
        if kind == 4:
            return (first - 1) & full
        if kind == 5:
            return (last + 1) & full
        anchor = self.random.choice(self.g.anchors[version])
        return first | anchor & (full ^ place.mask) if kind < 8 else self.random.randint(first, last)

    def address(self, version, wanted):
        """Near one of the wanted places of this version, else of any place, else of an anchor."""
        for places in (wanted, self.places):
            fit = [self.parsed[p] for p in places if self.parsed[p].version == version]
            if fit and self.random.random() < 0.9:
                return self.near(self.random.choice(fit), version)
        return self.random.choice(self.g.anchors[version]) ^ self.random.randrange(2)

    def port(self, rule):
        r = self.random
        if rule and rule.get("ports") and r.random() < 0.8:
            low, _, high = str(r.choice(rule["ports"])).partition("-")
            low, high = int(low), int(high or low)
            return r.choice((low, high, low, high, (low - 1) & 65535, (high + 1) & 65535, r.randint(low, high)))
        return r.choice(PORTS)

    def packet(self):
        r = self.random
        rule = r.choice(self.document["rules"]) if self.document["rules"] and r.random() < 0.9 else None
        version, protocol = r.choice((4, 4, 6)), r.choice((6, 17, 1, 58, 47))
        peer = r.choice(PEERS)
        near, far = [], []
        if rule:
            protocol = self.protocol(rule, protocol)
            far, near = self.rule_to[id(rule)], rule.get("src", [])
            version = self.parsed[r.choice(far)].version if far and r.random() < 0.9 else version
            peer, prefixes = self.holder(rule["role"], peer)
            near = near if near and r.random() < 0.6 else prefixes
        inside = r.random() < 0.4
        mirrored = inside and r.random() < 0.7
        ports = [self.port(rule), r.randrange(65536)]
        src, dst = self.address(version, near), self.address(version, far)
        if mirrored:
            src, dst = dst, src
        else:
            ports.reverse()
        if protocol not in (6, 17):
            ports = [0, 0]
        return Packet(version=version, protocol=protocol, interface=peer[1], peer=peer, from_inside=inside,
                      src=src, dst=dst, sport=ports[0], dport=ports[1])

    def protocol(self, rule, other):
        named = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "any": other}
        return named.get(rule["protocol"], rule["protocol"]) if self.random.random() < 0.9 else other

    def holder(self, role, peer):
        """A peer that has the role, if there is one, and the prefixes that have it."""
        members = self.members[role]
        names = {m[5:].partition("@")[0] for m in members if m.startswith("peer:")}
        peers = [p for p in PEERS if p[0] in names]
        if peers and self.random.random() < 0.6:
            peer = self.random.choice(peers)
        return peer, [m for m in members if not m.startswith("peer:")]


def generator_anchors(generator):
    return [f"{ipaddress.ip_address(a)}" for version in (4, 6) for a in generator.anchors[version]]
