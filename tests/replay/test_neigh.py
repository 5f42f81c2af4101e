#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Neighbours: what the gateway answers to ARP and ND, what it asks, VLANs, aging, static entries."""
import packets as pk
from check import between, check, equal, run
from lockstep import (LAN, LAN4, LAN6, ROUTER4, S, WAN, WAN4, WAN6, Gateway, base_config, expect,
                      interface, lan_packet)

CONFIG = base_config(interfaces=[
    interface(inside={"port": "lan", "vlan": 30, "prefixes": ["10.30.0.0/24", "fd00:30::/64"]})])
CONFIG["ports"][0]["vlans"] = [{"id": 100, "addresses": ["198.18.6.2/24", "2001:db8:6::2/64"]}]
CONFIG["ports"][1]["vlans"] = [{"id": 30, "addresses": ["10.30.0.1/24", "fd00:30::1/64"]}]
CONFIG["neighbours"] = [{"port": "lan", "vlan": 30, "ip": "10.30.0.77", "mac": "02:00:00:00:00:77"}]
g = Gateway(CONFIG)
SRV4, SRV6 = "10.30.0.10", "fd00:30::10"
g.host(LAN, SRV4, vlan=30)
g.host(LAN, SRV6, vlan=30)
ME = bytes.fromhex("02deadbeef01")


def ask(port, frame):
    """@return what the gateway answered, neighbour messages included"""
    g.run()
    g.rx(port, frame, 0)
    g.trace = []
    g.run()
    out, g.trace = g.trace, None
    return [f for f in out if not (f.kind == "ns" or f.kind == "arp" and f.op == 1)]


def arp_request(port, sender, target, vlan=0, dst=pk.BROADCAST):
    return ask(port, pk.eth(dst, ME, pk.ARP, pk.arp(1, ME, sender, bytes(6), target), vlan))


def ns(port, sender, target, vlan=0, dst=None, mac=ME, to=None, **kw):
    group = pk.solicited_node(target)
    to = to or b"\x33\x33" + pk.addr(group)[12:]
    return ask(port, pk.ip_frame(to, ME, pk.nd(135, sender, dst or group, target, mac, **kw), vlan))


def answers_arp():
    for port, sender, own, vlan in ((WAN, "198.18.5.40", WAN4, 0), (LAN, "10.20.0.40", LAN4, 0),
                                    (WAN, "198.18.6.40", "198.18.6.2", 100), (LAN, "10.30.0.40", "10.30.0.1", 30)):
        for dst in (pk.BROADCAST, g.mac[port]):
            f = expect(arp_request(port, sender, own, vlan, dst), "arp")
            equal((f.port, f.vlan, f.op, f.sender, f.target), (port, vlan, 2, own, sender), "answer")
            equal((f.dst_mac, f.src_mac, f.l3[8:14], f.l3[18:24]), (ME, g.mac[port], g.mac[port], ME), "MACs")
            equal(len(f.l3), 28, "length")
    # a probe (RFC 5227) is answered too
    expect(arp_request(WAN, "0.0.0.0", WAN4), "arp")


def does_not_answer_arp():
    g.new_drops()
    for port, target, vlan in ((WAN, "198.18.5.3", 0), (WAN, LAN4, 0), (WAN, "10.7.0.1", 0), (WAN, "198.18.6.2", 0),
                               (WAN, WAN4, 100), (LAN, "10.7.5.5", 30)):
        expect(arp_request(port, "198.18.5.40", target, vlan))
    g.expect_drops("for others", l2_not_mine=6)
    expect(arp_request(WAN, "198.18.5.40", WAN4, 55))
    g.expect_drops("an unknown VLAN", l2_vlan=1)
    good = pk.arp(1, ME, "198.18.5.40", bytes(6), WAN4)
    for bad in (good[:27], b"\0\2" + good[2:], good[:4] + b"\5" + good[5:], good[:6] + b"\0\3" + good[8:]):
        expect(ask(WAN, pk.eth(pk.BROADCAST, ME, pk.ARP, bad)))
    g.expect_drops("malformed", ip_header=4)


def answers_nd():
    for port, sender, own, vlan in ((WAN, "2001:db8:5::40", WAN6, 0), (LAN, "fd00:20::40", LAN6, 0),
                                    (LAN, "fd00:30::40", "fd00:30::1", 30), (WAN, "fe80::40", WAN6, 0)):
        f = expect(ns(port, sender, own, vlan), "na")
        equal((f.port, f.vlan, f.ip.src, f.ip.dst, f.target), (port, vlan, own, sender, own), "answer")
        check(f.ip.ok and f.ip.ttl == 255, "checksum and hop limit")
        equal(f.ip.payload[4] & 0x60, 0x60, "solicited and override")
        equal(f.ip.payload[24:32], b"\2\1" + g.mac[port], "target's link-layer address")
        equal((f.dst_mac, f.src_mac), (ME, g.mac[port]), "MACs")
        f = expect(ns(port, sender, own, vlan, dst=own, to=g.mac[port]), "na")  # unicast probe
        equal(f.ip.dst, sender, "to the asker")
    # duplicate address detection: to all nodes, not solicited
    f = expect(ns(WAN, "::", WAN6, mac=None), "na")
    equal((f.ip.dst, f.dst_mac, f.ip.payload[4] & 0x40), ("ff02::1", bytes.fromhex("333300000001"), 0), "for all")
    # its link-local address
    m = g.mac[WAN]
    local = pk.text_of(bytes.fromhex("fe80000000000000") + bytes([m[0] ^ 2]) + m[1:3] + b"\xff\xfe" + m[3:])
    f = expect(ns(WAN, "fe80::40", local), "na")
    equal(f.ip.src, local, "link-local")


def does_not_answer_nd():
    g.new_drops()
    expect(ns(WAN, "2001:db8:5::40", "2001:db8:5::77"))
    g.expect_drops("for others", l2_not_mine=1)
    expect(ns(WAN, "2001:db8:5::40", WAN6, hop=254))
    g.expect_drops("not from this link", ip_header=1)
    expect(ns(WAN, "::", WAN6))  # DAD must not carry an address
    g.expect_drops("DAD with a MAC", ip_header=1)
    bad = pk.ip_frame(b"\x33\x33\xff\0\0\2", ME, pk.ip6("2001:db8:5::40", pk.solicited_node(WAN6), 58,
                                                           b"\x87\0\x12\x34" + bytes(4) + pk.addr(WAN6) + b"\1\1" + ME))
    expect(ask(WAN, bad))
    g.expect_drops("checksum", ip_header=1)


def echo_outside():
    for own in (WAN4, WAN6):
        src = "203.0.113.9" if own == WAN4 else "2001:db8:9::9"
        g.rx(WAN, pk.ip_frame(g.mac[WAN], ME, pk.echo(src, own, 3)))
        f = expect(g.run(), "ip6" if ":" in own else "ip4")
        equal((f.ip.src, f.ip.dst, f.dst_mac, f.ip.ok), (own, src, ME, True), "echo reply goes back where it came from")


def tunnel_over_vlan():
    """Clients on VLAN 100 outside, servers on VLAN 30 inside."""
    for v6 in (False, True):
        ip = "2001:db8:6::9" if v6 else "198.18.6.9"
        c = g.client("vlan%d" % v6, ip, 1000)
        g.host(WAN, ip, vlan=100)
        c.vlan, c.to_ip = 100, "2001:db8:6::2" if v6 else "198.18.6.2"
        f = c.one(c.send(c.peer.initiation()), "wg2")
        equal((f.vlan, f.ip.src, f.dst_mac), (100, c.to_ip, g.hosts[(WAN, 100, ip)]), "response on the VLAN")
        expect(c.send(c.peer.on_response(f.wg).seal()))
        for server, inside in ((SRV4, c.in4), (SRV6, c.in6)):
            frames = c.data(pk.udp(inside, server, 1, 2, b"x"))
            equal(lan_packet(frames).data, b"x", "inside")
            equal((frames[0].vlan, frames[0].dst_mac), (30, g.hosts[(LAN, 30, server)]), "VLAN and MAC inside")
            g.to_lan(pk.udp(server, inside, 2, 1, b"y"), vlan=30, src_mac=ME)
            f = c.one(g.run(), "wg4")
            equal((f.vlan, pk.Ip(c.open(f)).data), (100, b"y"), "back")
        g.new_drops()
        # the same packet on the untagged inside is not for a tunnel
        g.to_lan(pk.udp(SRV4, c.in4, 2, 1, b"y"), src_mac=ME)
        expect(g.run())
        g.expect_drops("other attachment", not_tunnel=1)


def vlan_zero_and_priority():
    """A tag with VLAN 0 carries only a priority; one with PCP bits is still VLAN 30."""
    c = g.client("prio")
    c.handshake()
    g.new_drops()
    p = pk.udp(SRV4, c.in4, 2, 1, b"y")
    frame = g.mac[LAN] + ME + b"\x81\x00" + bytes([0xE0, 30]) + b"\x08\x00" + p
    g.rx(LAN, frame)
    c.one(g.run(), "wg4")
    w = c.frame(c.peer.current.seal())
    g.rx(WAN, w[:12] + b"\x81\x00\x60\x00" + w[12:])
    expect(g.run())
    g.expect_drops("priority tag", consumed=1)


def static_neighbour():
    c = g.client("static")
    c.handshake()
    before = len(g.neigh_frames)
    f = expect(c.data(pk.udp(c.in4, "10.30.0.77", 1, 2, b"x")), "ip4")
    equal(f.dst_mac, bytes.fromhex("020000000077"), "MAC of the file")
    equal(len(g.neigh_frames), before, "nobody was asked")
    g.call("neighbour.set", port="lan", vlan=30, ip="10.30.0.77", mac="02:00:00:00:00:78")
    g.run()
    f = expect(c.data(pk.udp(c.in4, "10.30.0.77", 1, 2, b"x")), "ip4")
    equal(f.dst_mac[-1], 0x78, "changed")
    # somebody else who claims the address is not believed
    ask(LAN, pk.eth(g.mac[LAN], ME, pk.ARP, pk.arp(2, ME, "10.30.0.77", g.mac[LAN], "10.30.0.1"), 30))
    f = expect(c.data(pk.udp(c.in4, "10.30.0.77", 1, 2, b"x")), "ip4")
    equal(f.dst_mac[-1], 0x78, "a static entry stays")
    g.call("neighbour.remove", port="lan", vlan=30, ip="10.30.0.77")
    g.run()
    m = g.host(LAN, "10.30.0.77", vlan=30)
    f = expect(c.data(pk.udp(c.in4, "10.30.0.77", 1, 2, b"x")), "ip4")
    equal(f.dst_mac, m, "then it is resolved")


def resolves_and_asks_right():
    c = g.client("asks")
    c.handshake()
    for server, kind in (("10.30.0.21", "arp"), ("fd00:30::21", "ns")):
        inside = c.in6 if kind == "ns" else c.in4
        m = g.host(LAN, server, vlan=30)
        del g.neigh_frames[:]
        f = expect(c.data(pk.udp(inside, server, 1, 2, b"x")), "ip6" if kind == "ns" else "ip4")
        equal(f.dst_mac, m, "resolved")
        q = [x for x in g.neigh_frames if x.target == server]
        equal([(x.kind, x.port, x.vlan) for x in q], [(kind, LAN, 30)], "one question")
        if kind == "arp":
            equal((q[0].sender, q[0].dst_mac), ("10.30.0.1", pk.BROADCAST), "ARP request")
        else:
            equal((q[0].ip.dst, q[0].ip.ttl), (pk.solicited_node(server), 255), "neighbour solicitation")
            equal(q[0].dst_mac[:2], b"\x33\x33", "multicast MAC")
            check(q[0].ip.ok, "checksum")


def follows_a_moved_server():
    """The server gets another MAC: announced, or noticed when the old one does not answer any more."""
    c = g.client("moved")
    c.handshake()
    g.host(LAN, "10.30.0.31", vlan=30)
    expect(c.data(pk.udp(c.in4, "10.30.0.31", 1, 2, b"x")), "ip4")
    new = bytes.fromhex("020000003131")
    g.hosts[(LAN, 30, "10.30.0.31")] = new
    ask(LAN, pk.eth(pk.BROADCAST, new, pk.ARP, pk.arp(1, new, "10.30.0.31", bytes(6), "10.30.0.31"), 30))
    g.run()
    f = expect(c.data(pk.udp(c.in4, "10.30.0.31", 1, 2, b"x")), "ip4")
    equal(f.dst_mac, new, "after a gratuitous ARP")
    newer = bytes.fromhex("020000003132")
    g.hosts[(LAN, 30, "10.30.0.31")] = newer
    start = g.now
    while g.now - start < 150 * S:
        g.advance(1000, 100)
        out = c.data(pk.udp(c.in4, "10.30.0.31", 1, 2, b"x"))
        if out and out[0].dst_mac == newer:
            break
    between(g.now - start, 0, 140 * S, "noticed by itself")


def state_is_shown():
    shown = {(n["port"], n.get("vlan", 0), n["ip"]): n for n in g.call("neighbour.list")["neighbours"]}
    check(("wan", 0, ROUTER4) in shown, "the router is listed: %s" % sorted(shown))
    check(("lan", 30, SRV4) in shown, "the server is listed")
    equal(shown[("lan", 30, SRV4)]["mac"], g.hosts[(LAN, 30, SRV4)].hex(":"), "its MAC")


def nobody_is_learned_from_thin_air():
    """Replies that nobody asked for and requests for others make no entries."""
    before = len(g.call("neighbour.list")["neighbours"])
    for n in range(50):
        ask(WAN, pk.eth(g.mac[WAN], ME, pk.ARP, pk.arp(2, ME, "198.18.5.%d" % (100 + n), g.mac[WAN], WAN4)))
        ask(WAN, pk.eth(pk.BROADCAST, ME, pk.ARP, pk.arp(1, ME, "198.18.5.%d" % (100 + n), bytes(6), "198.18.5.250")))
        ask(WAN, pk.eth(pk.BROADCAST, ME, pk.ARP, pk.arp(1, ME, "8.8.8.%d" % n, bytes(6), WAN4)))
        g.advance(200)
    equal(len(g.call("neighbour.list")["neighbours"]), before, "entries")


run(answers_arp, does_not_answer_arp, answers_nd, does_not_answer_nd, echo_outside, tunnel_over_vlan,
    vlan_zero_and_priority, static_neighbour, resolves_and_asks_right, follows_a_moved_server, state_is_shown,
    nobody_is_learned_from_thin_air, last=g.close)
