#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sluice-replay without a policy: link types, both directions, what is not replayed, many flows and peers,
long captures, the same output from the same input."""
import os

from scapy.all import (ICMP, IP, TCP, UDP, CookedLinux, Dot1AD, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6EchoRequest, IPerror,
                       IPv6, Loopback, PcapNgWriter, Raw, UDPerror, fragment)

import packets as pk
from check import check, equal, run
from lockstep import INNER4, INNER6, LAN4, SERVER4, SERVER6
from pcaptool import (ETHERNET, IPV4, IPV6, KEY, NULL, RAW, SLL, T0, config, need, path, peer, run_replay, write_config,
                      write_pcap)

ALICE4, ALICE6 = "10.7.0.2", "fd00:7::2"
BOB4 = "10.7.0.3"
CONF = write_config(config([peer(1, "alice"), peer(2, "bob")]))


def two_ways():
    """A TCP connection and its replies, and two echos over IPv6."""
    return [bytes(p) for p in (
        IP(src=ALICE4, dst=SERVER4) / TCP(sport=4000, dport=443, flags="S"),
        IP(src=SERVER4, dst=ALICE4) / TCP(sport=443, dport=4000, flags="SA"),
        IP(src=ALICE4, dst=SERVER4) / TCP(sport=4000, dport=443, flags="A") / Raw(b"GET /"),
        IPv6(src=ALICE6, dst=SERVER6) / ICMPv6EchoRequest(id=7, data=b"hello"),
        IPv6(src=ALICE6, dst=SERVER6) / UDP(sport=53, dport=53) / Raw(b"q"),
        IP(src=BOB4, dst=SERVER4) / UDP(sport=123, dport=123) / Raw(b"t"))]


def check_two_ways(r, packets):
    equal(r.column("verdict", "peer", "from"),
          [("forwarded", "alice", "peer"), ("forwarded", "alice", "inside"), ("forwarded", "alice", "peer"),
           ("forwarded", "alice", "peer"), ("forwarded", "alice", "peer"), ("forwarded", "bob", "peer")], "verdicts")
    equal(r.column("src", "dst", "proto", "sport", "dport")[1], (SERVER4, ALICE4, 6, 443, 4000), "tuple")
    equal(r.column("sport")[3], None, "echo has no ports")
    equal(r.summary["flows"], 4, "flows")
    equal(r.column("mode", "policy", "why"), [("observe", "deny", "no_role")] * 6, "without a policy nobody has a role")
    equal(len(r.out), len(packets), "each came out once")
    for n, ((ns, got), sent) in enumerate(zip(r.out, packets)):
        equal(ns, T0 * 10**9 + n * 10**6, "time of the capture")
        g, s = pk.Ip(got), pk.Ip(sent)
        equal((g.src, g.dst, g.payload, g.ttl), (s.src, s.dst, s.payload, s.ttl - 1), "packet %d" % n)
        check(g.ok and not g.padding, "it is whole")


def link_types():
    ps = two_ways()
    eth = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    ip = lambda p: (IPv6 if p[0] >> 4 == 6 else IP)(p)  # noqa: E731
    check_two_ways(run_replay(CONF, write_pcap(ps, RAW)), ps)
    check_two_ways(run_replay(CONF, write_pcap(ps, RAW, nano=False)), ps)
    for head in (eth, eth / Dot1Q(vlan=7), eth / Dot1AD(vlan=3) / Dot1Q(vlan=7)):
        # frames are padded: what stands behind the packet is no part of it
        check_two_ways(run_replay(CONF, write_pcap([bytes(head / ip(p)) + b"\xee" * 9 for p in ps], ETHERNET)), ps)
    sll = [bytes(CookedLinux(proto=0x86DD if p[0] >> 4 == 6 else 0x800)) + p for p in ps]
    check_two_ways(run_replay(CONF, write_pcap(sll, SLL)), ps)
    null = [bytes(Loopback(type=24 if p[0] >> 4 == 6 else 2)) + p for p in ps]
    check_two_ways(run_replay(CONF, write_pcap(null, NULL)), ps)
    for link, version in ((IPV4, 4), (IPV6, 6)):
        some = [p for p in ps if p[0] >> 4 == version]
        equal(run_replay(CONF, write_pcap(some, link)).column("verdict"), ["forwarded"] * len(some), "link %d" % link)
    with PcapNgWriter(path("in.pcapng")) as w:
        for n, p in enumerate(ps):
            q = eth / ip(p)
            q.time = T0 + n * 0.001
            w.write(q)
    r = run_replay(CONF, path("in.pcapng"))
    equal(r.column("verdict"), ["forwarded"] * 6, "pcapng")


def not_replayed():
    whole = bytes(IP(src=ALICE4, dst=SERVER4) / UDP(sport=1, dport=2) / Raw(b"x" * 100))
    arp = bytes(Ether() / (b"\0" * 28))
    eth = bytes(Ether(type=0x800))
    r = run_replay(CONF, write_pcap([
        (0, eth + whole),
        (1, eth + whole, 14 + 60),
        (2, eth + whole, 14 + 10),
        (3, eth + whole, 9),
        (4, eth + b"\x05" * 40),
        (5, arp),
        (6, eth + bytes(IP(src="10.9.0.1", dst="10.20.0.1") / UDP())),
        (7, eth + bytes(IP(src=ALICE4, dst=SERVER4) / UDP() / Raw(b"x" * 1400))),
        (8, eth + bytes(IP(src=SERVER4, dst=ALICE4) / UDP() / Raw(b"x" * 1480))),
        (9, eth + whole)], ETHERNET))
    equal(r.column("verdict", "reason"), [
        ("forwarded", None), ("skipped", "truncated"), ("skipped", "truncated"), ("skipped", "truncated"),
        ("skipped", "not_ip"), ("skipped", "not_ip"), ("skipped", "no_peer"), ("skipped", "too_big"),
        ("skipped", "too_big"), ("forwarded", None)], "verdicts")
    equal(r.column("src", "dst")[1], (ALICE4, SERVER4), "the addresses of a truncated packet are known")
    equal(r.column("ts")[9], "%d.000000000" % (T0 + 9), "time")
    big = write_pcap([bytes(IP(src=ALICE4, dst=SERVER4) / UDP() / Raw(b"x" * 8000)),
                      bytes(IP(src=SERVER4, dst=ALICE4) / UDP() / Raw(b"x" * 8000))])
    equal(run_replay(CONF, big, "--any-size").column("verdict"), ["forwarded"] * 2, "--any-size")


def the_gateway_itself():
    ps = [IP(src=ALICE4, dst=INNER4) / ICMP(id=1), IP(src=ALICE4, dst=LAN4) / ICMP(id=2),
          IPv6(src=ALICE6, dst=INNER6) / ICMPv6EchoRequest(), IP(src=ALICE4, dst=SERVER4, ttl=1) / UDP(),
          IP(src=ALICE4, dst="172.16.0.1") / UDP(), IP(src=ALICE4, dst=BOB4) / UDP(),
          IP(src=SERVER4, dst=ALICE4, flags="DF") / UDP() / Raw(b"x" * 1450)]
    r = run_replay(CONF, write_pcap([bytes(p) for p in ps]))
    equal(r.column("verdict", "reason"), [("local", None)] * 3 + [
        ("dropped", "ttl"), ("dropped", "no_route"),
        ("dropped", "isolation"), ("dropped", "mtu")], "verdicts")
    kinds = [(pk.Ip(p).src, pk.Ip(p).dst, pk.Ip(p).payload[0]) for _, p in r.out if pk.Ip(p).proto in (1, 58)]
    check((INNER4, ALICE4, 0) in kinds and (INNER4, ALICE4, 11) in kinds, "echo reply and time exceeded come out: %r" % kinds)
    check((LAN4, SERVER4, 3) in kinds, "too big goes inside: %r" % kinds)


def peer_to_peer():
    c = config([peer(1, "alice"), peer(2, "bob")])
    c["interfaces"][0]["isolation"] = False
    r = run_replay(write_config(c, "p2p.conf"), write_pcap([bytes(IP(src=ALICE4, dst=BOB4) / UDP(sport=1, dport=2)),
                                                            bytes(IP(src=BOB4, dst=ALICE4) / UDP(sport=2, dport=1))]))
    equal(r.column("verdict", "peer", "from"), [("forwarded", "alice", "peer"), ("forwarded", "bob", "peer")], "verdicts")
    equal((len(r.out), r.summary["flows"]), (2, 1), "both were opened by the other peer")


def fragments_and_errors():
    big = IP(src=ALICE4, dst=SERVER4, id=9) / UDP(sport=5, dport=6) / Raw(b"y" * 3000)
    parts = [bytes(p) for p in fragment(big, fragsize=1200)]
    error = IP(src=SERVER4, dst=ALICE4) / ICMP(type=3, code=3) / IPerror(bytes(IP(bytes(parts[0])))[:20]) / UDPerror(
        sport=5, dport=6)
    # the error quotes the flow of the fragments
    r = run_replay(CONF, write_pcap(parts + [bytes(error)]))
    equal(r.column("verdict"), ["forwarded"] * (len(parts) + 1), "fragments and their error")
    equal(r.column("policy")[0], "deny", "the first fragment has a flow")
    equal(r.packets[-1].get("policy"), "deny", "the error has the flow that it quotes")
    equal(r.summary["flows"], 1, "flows")
    orphan = run_replay(CONF, write_pcap(parts[1:]))
    equal(orphan.column("verdict"), ["forwarded"] * (len(parts) - 1), "orphans are observed")
    equal(run_replay(CONF, write_pcap(parts[1:]), "--enforce").column("verdict", "reason"),
          [("dropped", "frag_orphan")] * (len(parts) - 1), "orphans are enforced")


def named_peer():
    ps = [IP(src=ALICE4, dst=SERVER4) / UDP(sport=1, dport=2), IP(src=SERVER4, dst=ALICE4) / UDP(sport=2, dport=1),
          IP(src=BOB4, dst=SERVER4) / UDP(sport=1, dport=2), IP(src=SERVER4, dst=BOB4) / UDP(sport=2, dport=1),
          IP(src="192.0.2.7", dst=SERVER4) / UDP(sport=1, dport=2)]
    pcap = write_pcap([bytes(p) for p in ps])
    r = run_replay(CONF, pcap, "--peer", "alice")
    equal(r.column("verdict", "reason", "peer", "from"), [
        ("forwarded", None, "alice", "peer"), ("forwarded", None, "alice", "inside"),
        ("dropped", "spoofed_source", "alice", "peer"), ("forwarded", None, "bob", "inside"),
        ("dropped", "spoofed_source", "alice", "peer")], "as if alice had sent them")
    equal(run_replay(CONF, pcap, "--peer", "alice", "--interface", "wg0").packets, r.packets, "the interface is the only one")
    equal(run_replay(CONF, pcap).column("peer"), ["alice", "alice", "bob", "bob", None], "by AllowedIPs")


def many_flows_and_peers():
    """2,000 flows of 300 peers over three hours: sessions are renewed, entries of flows come and go."""
    conf = write_config(config([peer(n) for n in range(1, 301)]), "many.conf")
    ps = []
    for n in range(3000):
        who, port = 1 + n % 300, 1024 + n
        a = "10.7.%d.%d" % (who // 250, 1 + who % 250)
        ps.append((n * 3.6, pk.udp(a, SERVER4, port, 53, b"q%d" % n) if n // 300 % 2 == 0 else
                   pk.udp(SERVER4, a, 53, port - 300, b"a%d" % n)))
    r = run_replay(conf, write_pcap(ps))
    equal(r.summary["forwarded"], 3000, "all pass")
    equal(r.column("peer")[:3], ["peer1", "peer2", "peer3"], "peers")
    equal(len(set(r.column("peer"))), 300, "all of them")
    equal([pk.Ip(p).payload for _, p in r.out], [pk.Ip(p).payload for _, p in ps], "in order")


def the_clock_goes_on():
    """Gaps between packets, a clock that goes back, seconds of 1970."""
    p = pk.udp(ALICE4, SERVER4, 1, 2, b"x")
    q = pk.udp(SERVER4, ALICE4, 2, 1, b"x")
    times = [0, 0, 59, 200, 199, 86400 * 3, 86400 * 3 + 1]
    r = run_replay(CONF, write_pcap([(t, p if n % 2 == 0 else q) for n, t in enumerate(times)]))
    equal(r.column("verdict"), ["forwarded"] * len(times), "verdicts")
    equal(r.column("ts"), ["%d.000000000" % (T0 + t) for t in times], "times are the capture's")
    r = run_replay(CONF, write_pcap([(-T0, p), (1 - T0, q)]))
    equal(r.column("verdict", "ts"), [("forwarded", "0.000000000"), ("forwarded", "1.000000000")], "1970")


def same_again():
    """Byte for byte; another seed changes keys alone."""
    ps = [pk.udp("10.7.0.%d" % (2 + n % 2), SERVER4, 1000 + n % 97, 53, b"x" * (n % 50)) for n in range(600)]
    pcap = write_pcap(ps)

    def once(*more):
        run_replay(CONF, pcap, *more)
        return [open(path(n), "rb").read() for n in ("out.pcap", "report.json")]

    first = once()
    equal(once(), first, "the same input")
    equal(once("--seed", "99"), first, "with other keys")
    if not os.environ.get("MODE", "w1") == "w1":
        run_replay(CONF, pcap, "--workers", "1", "--io", "0")
        equal([open(path(n), "rb").read() for n in ("out.pcap", "report.json")], first, "with one worker")


def unnamed_peers():
    """A peer without a name is called by its real key, not by the one made here."""
    p = peer(1)
    del p["name"]
    p["public_key"] = KEY
    r = run_replay(write_config(config([p]), "unnamed.conf"), write_pcap([pk.udp(ALICE4, SERVER4, 1, 2, b"x")]))
    equal(r.column("peer"), [KEY[:8]], "name")


def vlans_and_networks():
    """Two interfaces with the same addresses, each with its inside on a VLAN."""
    c = config([peer(1, "alice")])
    c["ports"][1] = {"name": "lan", "device": "net_x", "vlans": [
        {"id": 10, "addresses": [LAN4 + "/24"]}, {"id": 20, "addresses": [LAN4 + "/24"]}]}
    second = {**c["interfaces"][0], "name": "wg1", "listen_port": 51821,
              "inside": {"port": "lan", "vlan": 20, "prefixes": ["10.20.0.0/16"]}, "peers": [peer(1, "carol")]}
    c["interfaces"][0]["inside"] = {"port": "lan", "vlan": 10, "prefixes": ["10.20.0.0/16"]}
    c["interfaces"].append(second)
    conf = write_config(c, "vlan.conf")
    pcap = write_pcap([pk.udp(ALICE4, SERVER4, 1, 2, b"x"), pk.udp(SERVER4, ALICE4, 2, 1, b"x")])
    for iface, name in (("wg0", "alice"), ("wg1", "carol")):
        r = run_replay(conf, pcap, "--interface", iface)
        equal(r.column("verdict", "peer", "interface"), [("forwarded", name, iface)] * 2, iface)
    equal(run_replay(conf, pcap).column("peer"), ["alice"] * 2, "without a choice the first one")


need()
run(link_types, not_replayed, the_gateway_itself, peer_to_peer, fragments_and_errors, named_peer, many_flows_and_peers,
    the_clock_goes_on, same_again, unnamed_peers, vlans_and_networks)
