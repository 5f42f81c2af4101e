#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Forwarding: TTL, ECN, MTU and fragments, unreachable destinations, MSS, echo to the gateway's own
addresses, IPv6 extension headers, fragments inside, nested tunnels."""
import ipaddress
import struct

import packets as pk
from check import between, check, equal, run
from lockstep import (INNER4, INNER6, LAN, LAN4, LAN6, LISTEN, SERVER4, SERVER6, WAN4, Gateway, base_config, expect,
                      interface, lan_packet)

CONFIG = base_config(interfaces=[
    interface(), interface("noclamp", 51830, ["10.9.0.1/16"], mss_clamp=False, mtu=1300)])
CONFIG["routes"] += [{"prefix": "10.20.77.0/24", "via": "10.20.0.254"}, {"prefix": "10.20.88.0/24", "port": "lan", "blackhole": True}]
g = Gateway(CONFIG)
c = g.client("main")
kp = c.handshake()
g.new_drops()


def fresh():
    """The keypair of the main client; a new one when the clock has gone on for long."""
    global kp
    if g.peer_info(c)["state"] != "established" or g.now - born[0] > 100 * 10**9:
        kp = c.handshake()
        born[0] = g.now
    g.new_drops()
    return kp


born = [g.now]


def up(packet, **kw):
    return c.data(packet, fresh(), **kw)


def down(packet):
    fresh()
    return g.send_lan(packet)


def one_inner(frames):
    """The plaintext of the only frame to the client."""
    return pk.Ip(c.open(c.one(frames, "wg4")))


def icmp_to_client(frames, kind, quoted):
    ip = one_inner(frames)
    equal((ip.src, ip.dst), (INNER6, c.in6) if ip.version == 6 else (INNER4, c.in4), "addresses of the error")
    equal(ip.payload[:2].hex(), kind, "type and code")
    check(ip.payload[8:].startswith(quoted[:28]), "quotes the packet")
    return ip


def ttl():
    for server, inside, k in ((SERVER4, c.in4, "0b00"), (SERVER6, c.in6, "0300")):
        for t in (0, 1):
            p = pk.udp(inside, server, 1, 2, b"x" * 30, ttl=t)
            icmp_to_client(up(p), k, p)
            g.expect_drops("TTL up", ttl=1)
        equal(lan_packet(up(pk.udp(inside, server, 1, 2, b"x", ttl=2))).ttl, 1, "TTL 2")
        equal(lan_packet(up(pk.udp(inside, server, 1, 2, b"x", ttl=255))).ttl, 254, "TTL 255")
        for t in (0, 1):
            p = pk.udp(server, inside, 1, 2, b"x" * 30, ttl=t)
            ip = lan_packet(down(p))
            equal((ip.src, ip.dst, ip.payload[:2].hex()), (LAN6 if ip.version == 6 else LAN4, server, k), "from inside")
            g.expect_drops("TTL down", ttl=1)
        equal(one_inner(down(pk.udp(server, inside, 1, 2, b"x", ttl=2))).ttl, 1, "TTL 2 down")
    # no error about an error
    expect(up(pk.ip4(c.in4, SERVER4, 1, pk.l4_csum(b"", b"", 1, b"\3\1\0\0\0\0\0\0" + bytes(28), 2), ttl=1)))
    g.expect_drops("ICMP error with TTL 1", ttl=1)


NECT, ECT1, ECT0, CE = 0, 1, 2, 3
# RFC 6040, figure 4: inner, outer -> what arrives; None: dropped
DECAP = {(NECT, NECT): NECT, (NECT, ECT0): NECT, (NECT, ECT1): NECT, (NECT, CE): None,
         (ECT0, NECT): ECT0, (ECT0, ECT0): ECT0, (ECT0, ECT1): ECT1, (ECT0, CE): CE,
         (ECT1, NECT): ECT1, (ECT1, ECT0): ECT1, (ECT1, ECT1): ECT1, (ECT1, CE): CE,
         (CE, NECT): CE, (CE, ECT0): CE, (CE, ECT1): CE, (CE, CE): CE}


def ecn_and_dscp_up():
    for ip6 in (False, True):
        inside, server = (c.in6, SERVER6) if ip6 else (c.in4, SERVER4)
        for out6 in (False, True):
            back, c.ip = c.ip, "2001:db8:99::77" if out6 else c.ip
            for (inner, outer), want in DECAP.items():
                for dscp in (0, 0xB8):
                    frames = up(pk.udp(inside, server, 1, 2, b"x", tos=dscp | inner), tos=outer | 0x50)
                    if want is None:
                        expect(frames)
                        g.expect_drops("CE on a packet that is not ECN-capable", ecn_ce=1)
                    else:
                        equal(lan_packet(frames).tos, dscp | want, "inner %d, outer %d" % (inner, outer))
            c.ip = back


def ecn_and_dscp_down():
    for out6 in (False, True):
        back, c.ip = c.ip, "2001:db8:99::77" if out6 else c.ip
        expect(up(b""))
        for ip6 in (False, True):
            inside, server = (c.in6, SERVER6) if ip6 else (c.in4, SERVER4)
            for ecn in range(4):
                for dscp in (0, 0xB8, 0x20):
                    f = c.one(down(pk.udp(server, inside, 1, 2, b"x", tos=dscp | ecn)), "wg4")
                    equal(f.ip.tos, ecn, "outer: DSCP 0, ECN of the inner packet")
                    equal(pk.Ip(c.open(f)).tos, dscp | ecn, "inner TOS is untouched")
        c.ip = back
    expect(up(b""))


def too_big_down():
    for size, ok in ((1420, True), (1421, False), (1500, False)):
        p = pk.udp(SERVER4, c.in4, 1, 2, b"a" * (size - 28), df=True)
        frames = down(p)
        if ok:
            equal(one_inner(frames).total, 1420, "at the MTU")
        else:
            ip = lan_packet(frames)
            equal((ip.src, ip.dst, ip.payload[:2].hex()), (LAN4, SERVER4, "0304"), "fragmentation needed")
            equal(struct.unpack_from(">H", ip.payload, 6)[0], 1420, "MTU told")
            check(ip.payload[8:].startswith(p[:28]), "quote")
            g.expect_drops("too big", mtu=1)
        p = pk.udp(SERVER6, c.in6, 1, 2, b"a" * (size - 48))
        frames = down(p)
        if ok:
            equal(one_inner(frames).total, 1420, "at the MTU")
        else:
            ip = lan_packet(frames)
            equal((ip.src, ip.dst, ip.payload[:2].hex()), (LAN6, SERVER6, "0200"), "packet too big")
            equal(struct.unpack_from(">I", ip.payload, 4)[0], 1420, "MTU told")
            between(ip.total, 200, 1280, "as much as fits into 1280")
            g.expect_drops("too big", mtu=1)


def joined(packets_):
    """Put IPv4 fragments together. @return payload"""
    parts = sorted((p.off, p.payload, p.mf) for p in packets_)
    body = b""
    for off, payload, _ in parts:
        equal(off, len(body), "offset of a fragment")
        body += payload
    equal([m for _, _, m in parts], [True] * (len(parts) - 1) + [False], "more fragments")
    return body


def fragments_down():
    for size in (1421, 1424, 1440, 1500):
        text = bytes(range(256)) * 6
        p = pk.udp(SERVER4, c.in4, 1, 2, text[:size - 28], ident=size)
        frames = down(p)
        equal([f.kind for f in frames], ["wg4", "wg4"], "two pieces")
        parts = [pk.Ip(c.open(f)) for f in frames]
        equal(joined(parts), p[20:], "the same payload")
        for q in parts:
            check(q.total <= 1420 and q.ident == size and q.ttl == 63 and q.ok, "each is a right packet")
    g.expect_drops("fragments")


def fragments_through():
    """Fragments that come go on, each for itself."""
    whole = pk.udp(c.in4, SERVER4, 1, 2, bytes(3000), ident=77)
    for f in pk.fragments4(whole, 1208):
        c.put(kp_now().seal(f))
    out = g.run()
    equal([f.port for f in out], [LAN] * 3, "three fragments up")
    equal(joined([f.ip for f in out]), whole[20:], "payload up")
    whole = pk.udp(c.in6, SERVER6, 1, 2, bytes(3000))
    for f in pk.fragments6(whole, 1208):
        c.put(kp_now().seal(f))
    out = g.run()
    equal([(f.port, f.ip.proto) for f in out], [(LAN, 44)] * 3, "three IPv6 fragments up")
    g.expect_drops("fragments through")
    # a first fragment that hides its ports
    p = pk.fragments4(pk.udp(c.in4, SERVER4, 1, 2, bytes(100)), 16)[0]
    expect(up(p))
    g.expect_drops("tiny first fragment", frag_short=1)


def kp_now():
    return fresh()


def mss():
    n = c_noclamp()
    for flags, mss_in, want in ((2, 1460, 1380), (2, 1381, 1380), (2, 1380, 1380), (2, 536, 536), (0x12, 1460, 1380),
                                (2, 65535, 1380), (2, None, None), (0x10, 1460, 1460)):
        for up_ in (False, True):
            ends = (c.in4, SERVER4) if up_ else (SERVER4, c.in4)
            p = pk.tcp_syn(*ends, 1000, 80, mss_in, flags)
            ip = lan_packet(up(p)) if up_ else one_inner(down(p))
            equal(mss_of(ip), want, "IPv4 MSS %s, flags %x" % (mss_in, flags))
            check(ip.ok, "checksum")
            if want is not None and want != 536:
                ends = (c.in6, SERVER6) if up_ else (SERVER6, c.in6)
                p = pk.tcp_syn(*ends, 1000, 80, mss_in, flags)
                ip = lan_packet(up(p)) if up_ else one_inner(down(p))
                equal(mss_of(ip), min(want, 1360) if flags != 0x10 else 1460, "IPv6 MSS %s" % mss_in)
    p = pk.tcp_syn(n.in4, SERVER4, 1000, 80, 1460)
    equal(mss_of(lan_packet(n.data(p))), 1460, "clamp is off")
    g.expect_drops("MSS")


def mss_of(ip):
    t = ip.payload
    return struct.unpack_from(">H", t, 22)[0] if t[12] >> 4 > 5 else None


def c_noclamp():
    n = g.client("noclamp", iface="noclamp", allowed=["10.9.5.5/32"])
    n.in4 = "10.9.5.5"
    n.handshake()
    g.new_drops()
    return n


def own_mtu_of_an_interface():
    n = g.client("mtu1300", iface="noclamp", allowed=["10.9.5.6/32"])
    n.handshake()
    g.new_drops()
    # netns.sh: padding may not go above the MTU
    f = n.one(g.send_lan(pk.udp(SERVER4, "10.9.5.6", 1, 2, bytes(1299 - 28), df=True)), "wg4")
    equal(len(f.wg), 32 + 1300, "padded to the MTU")
    ip = lan_packet(g.send_lan(pk.udp(SERVER4, "10.9.5.6", 1, 2, bytes(1301 - 28), df=True)))
    equal(struct.unpack_from(">H", ip.payload, 6)[0], 1300, "MTU told")
    g.expect_drops("MTU 1300", mtu=1)


def unreachable_up():
    p = pk.udp(c.in4, "192.0.2.77", 1, 2, b"x" * 30)
    icmp_to_client(up(p), "0300", p)
    g.expect_drops("no route", no_route=1)
    p = pk.udp(c.in6, "2001:db8:dead::1", 1, 2, b"x" * 30)
    icmp_to_client(up(p), "0100", p)
    g.expect_drops("no route", no_route=1)
    expect(up(pk.udp(c.in4, "10.20.88.1", 1, 2, b"x" * 30)))
    g.expect_drops("blackhole is silent", no_route=1)


def route_by_next_hop():
    m = g.host(LAN, "10.20.0.254")
    g.advance(5000)
    frames = up(pk.udp(c.in4, "10.20.77.5", 1, 2, b"x")) or g.advance(2000)
    equal(lan_packet(frames).dst, "10.20.77.5", "destination")
    equal(frames[0].dst_mac, m, "next hop's MAC")


def unanswered_neighbour():
    """The server does not answer ARP: the packets wait, then the client is told."""
    p = pk.udp(c.in4, "10.20.0.99", 1, 2, b"x" * 30)
    out = up(p)
    expect(out)
    asked = len([f for f in g.neigh_frames if getattr(f, "target", "") == "10.20.0.99"])
    check(asked >= 1, "ARP was sent")
    out = g.advance(4000)
    out += up(p)
    kinds = [f.kind for f in out]
    check("wg4" in kinds, "the client is told: %s" % kinds)
    errors = [pk.Ip(x) for x in c.opened(out)]
    check(all(e.payload[:2].hex() == "0301" for e in errors if e.proto == 1), "host unreachable")
    got = g.new_drops()
    check(set(got) <= {"neigh_wait", "neigh_failed"}, "reasons: %s" % got)
    g.advance(5000)
    # it comes up at last
    g.host(LAN, "10.20.0.99")
    g.advance(30_000, 100)
    for _ in range(3):
        out = up(p)
        g.advance(1000)
    equal([f.port for f in out], [LAN], "when it answers, packets flow")
    g.new_drops()


def waiting_for_a_neighbour():
    """Eight packets wait for a next hop; the oldest make room."""
    for n in range(12):
        c.put(fresh().seal(pk.udp(c.in4, "10.20.0.98", 1, 2, struct.pack(">I", n))))
    expect(g.run())
    g.host(LAN, "10.20.0.98")
    out = g.advance(3000)
    got = [struct.unpack(">I", f.ip.data)[0] for f in out if f.port == LAN and f.kind == "ip4"]
    equal(got, list(range(4, 12)), "the newest eight in order")
    g.expect_drops("the others", neigh_wait=4)


def no_peer():
    f = down(pk.udp(SERVER4, "10.7.200.1", 1, 2, b"x" * 30))
    ip = lan_packet(f)
    equal((ip.dst, ip.payload[:2].hex()), (SERVER4, "0301"), "host unreachable")
    ip = lan_packet(down(pk.udp(SERVER6, "fd00:7::ffff", 1, 2, b"x" * 30)))
    equal((ip.dst, ip.payload[:2].hex()), (SERVER6, "0103"), "address unreachable")
    g.expect_drops("nobody has these", no_peer=1)  # down() looks between the two
    expect(down(pk.udp(SERVER4, "8.8.8.8", 1, 2, b"x" * 30)))
    g.expect_drops("not for a tunnel", not_tunnel=1)


def echo():
    for inside, own in ((c.in4, INNER4), (c.in6, INNER6), (c.in4, LAN4), (c.in6, LAN6)):
        ip = one_inner(up(pk.echo(inside, own, 5, data=b"sluice" * 20)))
        equal((ip.src, ip.dst, ip.payload[0], ip.ttl), (own, inside, 129 if ":" in own else 0, 64), "through the tunnel")
        equal(ip.payload[6:], b"\0\5" + b"sluice" * 20, "sequence and data")
    for server, own in ((SERVER4, LAN4), (SERVER6, LAN6), (SERVER4, INNER4), (SERVER6, INNER6)):
        ip = lan_packet(down(pk.echo(server, own, 6)))
        equal((ip.src, ip.dst, ip.payload[0]), (own, server, 129 if ":" in own else 0), "from inside to %s" % own)
    g.expect_drops("echo")
    bad = bytearray(pk.echo(c.in4, INNER4, 5))
    bad[-1] ^= 1
    expect(up(bytes(bad)))
    g.expect_drops("checksum", l4_checksum=1)
    # other protocols at the gateway's own address
    p = pk.udp(c.in4, INNER4, 1, 53, b"x" * 30)
    icmp_to_client(up(p), "0303", p)
    p = pk.tcp_syn(c.in6, INNER6, 1, 22, 1400)
    g.expect_drops("no listener", no_listener=1)
    icmp_to_client(up(p), "0104", p)
    g.expect_drops("no listener", no_listener=1)


def echo_is_limited():
    for n in range(400):
        c.put(fresh().seal(pk.echo(c.in4, INNER4, n)))
    out = g.run()
    between(len(out), 50, 200, "answers at one moment")
    g.expect_drops("more than that", rate_local=400 - len(out))
    g.advance(1000)


def nested():
    expect(up(pk.udp(c.in4, WAN4, 1, LISTEN, bytes(64))))
    g.expect_drops("a tunnel in the tunnel, outer address", nested_tunnel=1)
    expect(up(pk.udp(c.in4, INNER4, 1, LISTEN, bytes(64))))
    g.expect_drops("inner address", nested_tunnel=1)
    expect(up(pk.udp(c.in4, LAN4, 1, LISTEN, bytes(64))))
    g.expect_drops("address of the inside port", nested_tunnel=1)
    lan_packet(up(pk.udp(c.in4, SERVER4, 1, LISTEN, bytes(64))))  # somebody else's tunnel is no concern of ours
    g.expect_drops("another server")


HBH, ROUTING, DSTOPT, FRAG = 0, 43, 60, 44


def with_headers(src, dst, chain, proto, payload, rtype=4, left=0):
    """IPv6 with extension headers of 8 bytes each."""
    types = list(chain) + [proto]
    body = b""
    for here, after in zip(types, types[1:]):
        rest = b"\1\4\0\0\0\0" if here in (HBH, DSTOPT) else bytes([rtype, left, 0, 0, 0, 0]) if here == ROUTING else bytes(6)
        body += bytes([after, 0]) + rest
    return pk.ip6(src, dst, types[0], body + payload)


def extension_headers():
    seg = pk.udp(c.in6, SERVER6, 1, 2, b"ext")[40:]
    for chain in ([HBH], [DSTOPT], [HBH, DSTOPT], [HBH, DSTOPT, ROUTING, DSTOPT], [DSTOPT] * 8):
        p = with_headers(c.in6, SERVER6, chain, 17, seg)
        f = lan_packet(up(p))
        equal(f.bytes[40:], p[40:], "goes through unchanged: %s" % chain)
    for what, p in (("nine", with_headers(c.in6, SERVER6, [DSTOPT] * 9, 17, seg)),
                    ("misplaced hop-by-hop", with_headers(c.in6, SERVER6, [DSTOPT, HBH], 17, seg)),
                    ("source routing", with_headers(c.in6, SERVER6, [ROUTING], 17, seg, rtype=0, left=1)),
                    ("segment routing", with_headers(c.in6, SERVER6, [ROUTING], 17, seg, rtype=4, left=1)),
                    ("cut", with_headers(c.in6, SERVER6, [DSTOPT], 17, b"")[:44]),
                    ("longer than the packet", pk.ip6(c.in6, SERVER6, DSTOPT, b"\x11\x09" + bytes(6) + seg))):
        if what == "cut":
            p = pk.ip6(c.in6, SERVER6, DSTOPT, b"\x11\x00\x01\x02")
        equal(up(p), [], what)
        g.expect_drops(what, v6_ext=1)


def protocols():
    """Anything that is IP is forwarded in observe mode."""
    for proto in (2, 47, 50, 51, 89, 103, 132, 255):
        ip = lan_packet(up(pk.ip4(c.in4, SERVER4, proto, b"payload!" * 3)))
        equal(ip.proto, proto, "protocol")
    for proto in (47, 50, 59, 132):
        equal(lan_packet(up(pk.ip6(c.in6, SERVER6, proto, b"payload!" * 3))).proto, proto, "IPv6 protocol")
    # IPv4 options stay
    p = pk.ip4(c.in4, SERVER4, 17, pk.udp(c.in4, SERVER4, 1, 2, b"x")[20:], options=b"\1\1\1\0")
    equal(lan_packet(up(p)).bytes[20:24], b"\1\1\1\0", "options")
    # but none that has the packet go on from where policy lets it go
    route = bytes([131, 7, 4]) + ipaddress.ip_address(LAN4).packed + b"\0"
    equal(up(pk.ip4(c.in4, SERVER4, 17, pk.udp(c.in4, SERVER4, 1, 2, b"x")[20:], options=route)), [], "a source route")
    g.expect_drops("a source route", inner_header=1)


def multicast_and_broadcast():
    for dst in ("224.0.0.5", "239.1.1.1", "255.255.255.255", "10.20.255.255"):
        out = up(pk.udp(c.in4, dst, 1, 2, b"x"))
        check(all(f.port != LAN for f in out), "%s must not reach the inside" % dst)
        got = g.new_drops()
        equal(sum(got.values()), 1, "%s: %s" % (dst, got))
    for dst in ("ff02::1", "ff05::2", "fe80::1"):
        out = up(pk.udp(c.in6, dst, 1, 2, b"x"))
        check(all(f.port != LAN for f in out), "%s must not reach the inside" % dst)
        got = g.new_drops()
        equal(sum(got.values()), 1, "%s: %s" % (dst, got))


run(ttl, ecn_and_dscp_up, ecn_and_dscp_down, too_big_down, fragments_down, fragments_through, mss,
    own_mtu_of_an_interface, unreachable_up, route_by_next_hop, unanswered_neighbour, waiting_for_a_neighbour, no_peer,
    echo, echo_is_limited, nested, extension_headers, protocols, multicast_and_broadcast, last=g.close)
