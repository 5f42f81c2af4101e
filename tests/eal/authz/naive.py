# SPDX-License-Identifier: BSD-3-Clause
"""The verdict on a new flow, as the requirements tell it and in the plainest way: no tries, no sorting, no classes.

Written from the rules alone, not from the C code, whose oracle it is:

* The subject's roles are those of the most specific prefix of (interface, source) that has a valid role, and those
  of the tunnel peer. An expired entry counts as absent.
* Of each role, among all enabled rules in time that match, the lowest priority number votes; at equal priority DENY.
* Any DENY vote denies; else any ALLOW vote allows; else the default policy of the destination's zone (none: deny).
* Who has no role is denied.
* A flow that begins inside: the roles of its source vote by their rules, and those of the peer that receives it by
  their bidirectional rules mirrored: addresses swapped, the rule's ports on the source port.
* Whatever they say: if the most specific target at the end that is not the tunnel's (of a flow from inside its
  source, else its destination) is withdrawn, nothing passes. Of equal prefixes one that is not withdrawn counts.
"""
import datetime
import ipaddress

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
WITH_PORTS = (6, 17)
ANY = None


def nanoseconds(text):
    """RFC 3339 in UTC; None stays None."""
    if text is None:
        return None
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return int(at.timestamp()) * 1_000_000_000


class Place:
    """A prefix, and the interface that it holds in (None: all)."""

    def __init__(self, text):
        prefix, _, interface = text.partition("@")
        net = ipaddress.ip_network(prefix)
        self.version = net.version
        self.net = int(net.network_address)
        self.mask = int(net.netmask)
        self.length = net.prefixlen
        self.interface = interface if interface not in ("", "*") else None

    def holds(self, version, address, interface):
        return (self.version == version and address & self.mask == self.net
                and (self.interface is None or self.interface == interface))


class Member:
    def __init__(self, entry):
        entry = entry if isinstance(entry, dict) else {"member": entry}
        self.expires = nanoseconds(entry.get("expires"))
        self.peer = self.place = self.interface = None
        text = entry.get("member") or entry.get("prefix") or "peer:" + entry["peer"]
        if text.startswith("peer:"):
            self.peer, _, interface = text[5:].partition("@")
            self.interface = interface or entry.get("interface")
        else:
            self.place = Place(text)

    def valid(self, now):
        return self.expires is None or now < self.expires


class Rule:
    def __init__(self, rule, targets):
        self.name = (rule["role"], rule["id"])
        self.role = rule["role"]
        protocol = rule["protocol"]
        self.protocol = ANY if protocol == "any" else PROTOCOLS.get(protocol, protocol)
        self.src = [Place(p) for p in rule.get("src", [])]
        self.to = []
        for to in rule["to"]:
            if to == "*":
                self.to += [Place("0.0.0.0/0"), Place("::/0")]
            elif to in targets:
                self.to += targets[to]
            else:
                self.to.append(Place(to))
        self.ports = []
        for p in rule.get("ports", []):
            low, _, high = str(p).partition("-")
            self.ports.append((int(low), int(high or low)))
        self.allow = rule["action"] == "allow"
        self.priority = rule.get("priority", 128)
        self.bidirectional = rule.get("bidirectional", False)
        self.enabled = rule.get("enabled", True)
        self.not_before = nanoseconds(rule.get("not_before"))
        self.expires = nanoseconds(rule.get("expires"))

    def in_force(self, now):
        return (self.enabled and (self.not_before is None or self.not_before <= now)
                and (self.expires is None or now < self.expires))

    def matches(self, packet, mirrored):
        if self.protocol is not ANY and self.protocol != packet.protocol:
            return False
        near, far, port = packet.src, packet.dst, packet.dport
        if mirrored:
            near, far, port = packet.dst, packet.src, packet.sport
        if self.ports and packet.protocol in WITH_PORTS and not any(low <= port <= high for low, high in self.ports):
            return False
        if self.src and not any(p.holds(packet.version, near, packet.interface) for p in self.src):
            return False
        return any(p.holds(packet.version, far, packet.interface) for p in self.to)


class Packet:
    """The first packet of a flow; addresses are numbers, ports 0 unless TCP or UDP."""

    __slots__ = ("version", "protocol", "interface", "peer", "from_inside", "src", "dst", "sport", "dport")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)


class Verdict:
    __slots__ = ("allow", "why", "rules", "roles", "zone", "targets")

    def __init__(self, allow, why, rules, roles, zone, targets):
        self.allow = allow
        self.why = why  # rule, zone_default, no_role, withdrawn
        self.rules = rules  # any of these may be named as the one that decides: (role, id)
        self.roles = roles  # of the subject
        self.zone = zone
        self.targets = targets  # the most specific ones


class Policy:
    """A document at one time."""

    def __init__(self, document, now):
        self.zones = [(name, Place(p), z["default_policy"] == "allow")
                      for name, z in document["zones"].items() for p in z["networks"]]
        targets = {name: [Place(p) for p in t["addresses"]] for name, t in document["targets"].items()}
        self.targets = [(name, p, not document["targets"][name].get("withdrawn", False))
                        for name, places in targets.items() for p in places]
        self.members = []
        for role, r in document["roles"].items():
            for entry in r["members"]:
                member = Member(entry)
                if member.valid(now):
                    self.members.append((role, member))
        self.rules = {role: [] for role in document["roles"]}
        for r in document["rules"]:
            rule = Rule(r, targets)
            if rule.in_force(now):
                self.rules[rule.role].append(rule)

    def prefix_roles(self, packet):
        longest, roles = -1, set()
        for role, member in self.members:
            place = member.place
            if place is None or place.length < longest or not place.holds(packet.version, packet.src, packet.interface):
                continue
            if place.length > longest:
                longest, roles = place.length, set()
            roles.add(role)
        return roles

    def peer_roles(self, peer):
        name, interface = peer
        return {role for role, m in self.members if m.peer == name and m.interface in (None, interface)}

    def vote(self, role, packet, mirrored):
        """(allow, the rules that say so), or None."""
        matching = [r for r in self.rules[role] if (r.bidirectional or not mirrored) and r.matches(packet, mirrored)]
        if not matching:
            return None
        lowest = min(r.priority for r in matching)
        matching = [r for r in matching if r.priority == lowest]
        allow = all(r.allow for r in matching)
        return allow, {r.name for r in matching if r.allow == allow}

    @staticmethod
    def most_specific(places, packet, address, goes_first=lambda p: True):
        """Of (..., Place, ...) those with the longest prefix; then one of the interface's own before one of all."""
        hits = [((p[1].length, goes_first(p), p[1].interface is not None), p) for p in places
                if p[1].holds(packet.version, address, packet.interface)]
        rank = max((h[0] for h in hits), default=None)
        return [p for r, p in hits if r == rank]

    def targets_of(self, packet, address):
        return self.most_specific(self.targets, packet, address, lambda t: t[2])

    def judge(self, packet):
        own = self.prefix_roles(packet)
        peer = self.peer_roles(packet.peer)
        if packet.from_inside:
            votes = [self.vote(r, packet, False) for r in own] + [self.vote(r, packet, True) for r in peer]
        else:
            own |= peer
            votes = [self.vote(r, packet, False) for r in own]
        votes = [v for v in votes if v is not None]
        zone = self.most_specific(self.zones, packet, packet.dst)
        targets = {t[0] for t in self.targets_of(packet, packet.dst)}
        zone_name = zone[0][0] if zone else None
        there = self.targets_of(packet, packet.src if packet.from_inside else packet.dst)
        if there and not there[0][2]:
            voted = {r for r in peer if packet.from_inside and self.vote(r, packet, True) is not None}
            return Verdict(False, "withdrawn", set(), own | voted, zone_name, {t[0] for t in there})
        if not own and not votes:
            return Verdict(False, "no_role", set(), own, zone_name, targets)
        if not votes:
            return Verdict(bool(zone) and zone[0][2], "zone_default", set(), own, zone_name, targets)
        allow = all(v[0] for v in votes)
        rules = set().union(*(v[1] for v in votes if v[0] == allow))
        return Verdict(allow, "rule", rules, own, zone_name, targets)
