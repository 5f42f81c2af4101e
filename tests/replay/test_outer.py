#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Outer fragments, one-armed operation, jumbo frames, outer UDP checksums."""
import packets as pk
from check import check, equal, run
from lockstep import (SERVER4, WAN, WAN4, WAN6, Gateway, base_config, expect, interface, lan_packet)

g = Gateway()


def reassembled(c, message, size, order=None, **kw):
    """Send a datagram in fragments of `size` bytes in an order of their numbers."""
    whole = c.datagram(message, **kw)
    parts = pk.fragments6(whole, size, ident=c.port) if c.v6 else pk.fragments4(whole, size)
    for n in order or range(len(parts)):
        g.rx(WAN, pk.ip_frame(g.mac[WAN], g.hosts[(WAN, 0, "198.18.5.1")], parts[n]))
    return g.run()


def data_in_fragments():
    for v6 in (False, True):
        c = g.client("frag%d" % v6, v6=v6)
        kp = c.handshake()
        g.new_drops()
        for size, order in ((512, None), (512, [2, 1, 0]), (512, [1, 2, 0]), (264, [3, 1, 4, 0, 5, 2])):
            c.port += 1  # another datagram for the table
            frames = reassembled(c, kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(1350))), size, order, **ident(c))
            equal(len(lan_packet(frames).data), 1350, "order %s" % order)
        g.expect_drops("fragments")
        f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg4")
        equal(f.ip.dport, c.port, "and the endpoint followed")


def ident(c):
    return {} if c.v6 else {"ident": c.port}


def handshake_in_fragments():
    c = g.client("fraghs")
    frames = reassembled(c, c.peer.initiation(), 64, None, ident=9)
    kp = c.peer.on_response(c.one(frames, "wg2").wg)
    expect(c.send(kp.seal()))


def incomplete():
    c = g.client("incomplete")
    kp = c.handshake()
    g.new_drops()
    expect(reassembled(c, kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(1350))), 512, [0, 1], ident=11))
    g.expect_drops("still waiting")
    expect(g.advance(1500))
    g.expect_drops("1 s passed", frag_outer=2)
    expect(reassembled(c, kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(1350))), 512, [1, 2], ident=12))
    expect(g.advance(1500))
    g.expect_drops("no first fragment", frag_outer=2)


def too_many():
    """More half datagrams than the table holds: bounded, and it recovers."""
    c = g.client("many")
    kp = c.handshake()
    g.new_drops()
    router = g.hosts[(WAN, 0, "198.18.5.1")]
    frames = []
    for n in range(3000):
        p = pk.fragments4(pk.udp("203.0.113.%d" % (n % 200), WAN4, n, 51820, bytes(64), ident=n), 32)[0]
        frames.append(pk.ip_frame(g.mac[WAN], router, p))
    g.rx_many(WAN, frames)
    expect(g.run())
    g.advance(2000)
    got = g.new_drops()
    equal(got, {"frag_outer": 3000}, "all are dropped in the end")
    lan_packet(reassembled(c, kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(1350))), 512, None, ident=13))


def overlapping():
    c = g.client("overlap")
    kp = c.handshake()
    g.new_drops()
    whole = c.datagram(kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(1350))), ident=14)
    router = g.hosts[(WAN, 0, "198.18.5.1")]
    a = pk.fragments4(whole, 512)
    b = pk.fragments4(whole, 640)
    for p in (a[0], b[1], a[2]):
        g.rx(WAN, pk.ip_frame(g.mac[WAN], router, p))
    expect(g.run())
    g.advance(1500)
    got = g.new_drops()
    check(sum(got.values()) in (1, 3) and set(got) <= {"frag_outer", "auth_fail", "l4_truncated"}, "overlap: %s" % got)
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))


def to_other_ports():
    c = g.client("fragport")
    c.to_port = 53
    g.new_drops()
    expect(reassembled(c, bytes(1000), 512, None, ident=15))
    g.advance(1500)
    got = g.new_drops()
    check(set(got) <= {"frag_outer", "no_listener"} and sum(got.values()) >= 1, "fragments to nobody: %s" % got)


def udp_checksums():
    conf = base_config(interfaces=[
        interface("zero", 51820, ["10.7.0.1/16"], outer_udp_checksum="zero"),
        interface("full", 51821, ["10.8.0.1/16"], outer_udp_checksum="full"),
        interface("auto", 51822, ["10.9.0.1/16"], outer_udp_checksum="auto")])
    with Gateway(conf) as h:
        for name, net, want in (("zero", 7, True), ("full", 8, False), ("auto", 9, True)):
            c = h.client(name, iface=name, allowed=["10.%d.1.1/32" % net])
            c.handshake()
            f = c.one(h.send_lan(pk.udp(SERVER4, "10.%d.1.1" % net, 1, 2, b"x")), "wg4")
            equal(f.ip.zero_csum, want, "IPv4 checksum " + name)
            c.open(f)
            c.ip = "2001:db8:4::%d" % net
            expect(c.send(c.peer.current.seal()))
            f = c.one(h.send_lan(pk.udp(SERVER4, "10.%d.1.1" % net, 1, 2, b"x")), "wg4")
            check(not f.ip.zero_csum and f.ip.ok, "IPv6 has one always")


def one_armed():
    """One port carries both sides."""
    conf = base_config(interfaces=[interface(inside={"port": "wan", "prefixes": ["198.18.5.128/25"]})])
    conf["ports"] = conf["ports"][:1]
    with Gateway(conf) as h:
        h.hosts = {(WAN, 0, "198.18.5.1"): h.host(WAN, "198.18.5.1"), (WAN, 0, "2001:db8:5::1"): bytes(6)}
        server = "198.18.5.200"
        mac = h.host(WAN, server)
        c = h.client("arm")
        kp = c.handshake()
        h.new_drops()
        f = expect(c.data(pk.udp(c.in4, server, 1, 2, b"x"), kp), "ip4")
        equal((f.port, f.dst_mac, f.ip.dst, f.ip.ok), (WAN, mac, server, True), "to the server, same port")
        h.rx(WAN, pk.ip_frame(h.mac[WAN], mac, pk.udp(server, c.in4, 2, 1, b"y")))
        equal(pk.Ip(c.open(c.one(h.run(), "wg4"))).data, b"y", "back")
        h.rx(WAN, pk.ip_frame(h.mac[WAN], mac, pk.udp("198.18.5.100", c.in4, 2, 1, b"y")))
        expect(h.run())
        h.expect_drops("not an inside prefix", not_inside=1)
        h.rx(WAN, pk.ip_frame(h.mac[WAN], mac, pk.udp(server, "192.0.2.9", 2, 1, b"y")))
        expect(h.run())
        h.expect_drops("to the outside in clear", not_tunnel=1)


def jumbo():
    conf = base_config(interfaces=[interface(mtu=8920)])
    for p in conf["ports"]:
        p["mtu"] = 9000
    with Gateway(conf) as h:
        c = h.client("jumbo")
        kp = c.handshake()
        h.new_drops()
        for size in (1500, 4000, 8920 - 28):
            ip = lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, bytes(size)), kp))
            equal(len(ip.data), size, "up")
            f = c.one(h.send_lan(pk.udp(SERVER4, c.in4, 1, 2, bytes(size), df=True)), "wg4")
            equal(len(c.open(f)), size + 28, "down")
        ip = lan_packet(h.send_lan(pk.udp(SERVER4, c.in4, 1, 2, bytes(8921 - 28), df=True)))
        equal(ip.payload[:2].hex(), "0304", "too big")
        h.expect_drops("jumbo", mtu=1)


def both_versions_listen():
    c = g.client("both")
    for to in (WAN4, WAN6):
        c.ip = "2001:db8:99::9" if to == WAN6 else "203.0.113.9"
        g.advance(100)
        c.handshake()
    equal(g.peer_info(c)["handshakes"], 2, "one port for both")


run(data_in_fragments, handshake_in_fragments, incomplete, too_many, overlapping, to_other_ports, udp_checksums,
    one_armed, jumbo, both_versions_listen, last=g.close)
