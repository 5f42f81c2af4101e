#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transport data: both ways in all combinations of IP versions, padding, keepalives, and what is
refused of it (paper 5.4.6)."""
import struct

import packets as pk
import wgpeer as wg
from check import check, equal, run
from lockstep import (INNER4, LISTEN, SERVER4, SERVER6, WAN4, WAN6, Gateway, base_config, expect,
                      interface, lan_packet, server_mac)

CONFIG = base_config(interfaces=[interface(), interface("wg1", 51821, ["10.8.0.1/16"])])
g = Gateway(CONFIG)


def both_ways():
    for outer6 in (False, True):
        c = g.client("o%d" % outer6, v6=outer6)
        kp = c.handshake()
        for inner6 in (False, True):
            inside, server = (c.in6, SERVER6) if inner6 else (c.in4, SERVER4)
            for n, size in enumerate((0, 1, 15, 16, 17, 500, 1420 - (48 if inner6 else 28))):
                text = bytes([n + 1]) * size
                out = c.data(pk.udp(inside, server, 1000 + n, 53, text, ttl=9), kp)
                ip = lan_packet(out)
                equal((ip.src, ip.dst, ip.sport, ip.dport, ip.data), (inside, server, 1000 + n, 53, text), "to LAN")
                equal(ip.ttl, 8, "TTL")
                check(not ip.padding, "no padding left")
                equal((out[0].dst_mac, out[0].src_mac), (server_mac(g, inner6), g.mac[1]), "MAC addresses")
                f = c.one(g.send_lan(pk.udp(server, inside, 53, 1000 + n, text, ttl=7)), "wg4")
                equal((f.ip.src, f.ip.sport, f.ip.dst), (WAN6 if outer6 else WAN4, LISTEN, c.ip), "outer addresses")
                equal((f.ip.tos, f.ip.ttl), (0, 64), "outer TOS and TTL")
                check(f.ip.zero_csum != outer6, "UDP checksum: none over IPv4, always over IPv6")
                if not outer6:
                    check(f.ip.df, "DF")
                plain = c.open(f)
                equal((pk.Ip(plain).data, pk.Ip(plain).ttl), (text, 6), "to the client")
                full = len(plain) + -len(plain) % 16
                equal(len(f.wg), 32 + min(full, 1420), "padded to 16, never above the MTU")
        g.expect_drops("both ways")


def counters_of_the_gateway():
    c = g.client("count")
    kp = c.handshake()
    for n in range(100):
        g.to_lan(pk.udp(SERVER4, c.in4, 1, 2, struct.pack(">I", n)))
    frames = g.run()
    equal([struct.unpack_from("<Q", f.wg, 8)[0] for f in frames], list(range(100)), "counters without a gap")
    equal([struct.unpack(">I", pk.Ip(p).data)[0] for p in c.opened(frames)], list(range(100)), "order")
    info = g.peer_info(c)
    equal((info["tx_packets"], info["rx_packets"]), (100, 1), "packets of the peer")
    check(info["tx_bytes"] >= 100 * 64, "bytes of the peer")
    equal({struct.unpack_from("<I", f.wg, 4)[0] for f in frames}, {kp.local}, "receiver index")


def keepalives():
    c = g.client("keep")
    kp = c.handshake()
    g.new_drops()
    for _ in range(3):
        expect(c.data(b"", kp))
    g.expect_drops("keepalives end here", consumed=3)
    equal(g.peer_info(c)["rx_packets"], 4, "and count")


def lengths():
    """Cut anywhere, an authentic packet is not authentic any more; its outer lengths are made right."""
    c = g.client("cut")
    kp = c.handshake()
    g.new_drops()
    msg = kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x" * 40))
    for n in range(0, len(msg)):
        c.put(msg[:n])
    expect(g.run())
    g.expect_drops("truncated messages", not_wireguard=4, wg_length=28, auth_fail=len(msg) - 32)
    for extra in (1, 15, 16, 100):
        c.put(msg + bytes(extra))
    expect(g.run())
    g.expect_drops("longer messages", auth_fail=4)
    equal(lan_packet(c.send(msg)).data, b"x" * 40, "and then the right one: its counter is still free")
    g.expect_drops("the right one")
    equal(g.peer_info(c)["auth_failures"], len(msg) - 32 + 4, "counted at the peer")


def cut_frames():
    """A frame that ends early at every length: nothing is read behind its end, all are dropped."""
    c = g.client("cutf")
    kp = c.handshake()
    for v6 in (False, True):
        c.ip = "2001:db8:97::1" if v6 else c.ip
        g.new_drops()
        whole = c.frame(kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x" * 8)))
        for n in range(14, len(whole)):
            g.rx(0, whole[:n])
        expect(g.run())
        g.expect_drops("cut frames", ip_truncated=len(whole) - 14)
        for n in range(1, 14):
            g.rx(0, whole[:n])
        expect(g.run())
        g.expect_drops("cut Ethernet headers", l2_truncated=13)
        equal(lan_packet(c.send(kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x")))).data, b"x", "whole")


def flipped_header():
    c = g.client("flip")
    kp = c.handshake()
    g.new_drops()
    for at in range(16):
        for bit in range(8):
            msg = bytearray(kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x"), counter=5000))
            msg[at] ^= 1 << bit
            expect(c.send(bytes(msg)))
            got = g.new_drops()
            equal(sum(got.values()), 1, "one drop for byte %d bit %d: %s" % (at, bit, got))
            why = set(got)
            if at < 4:
                ok = {"not_wireguard", "wg_length"}
            elif at < 8:
                ok = {"wg_index", "auth_fail"}
            else:
                ok = {"auth_fail", "keypair_expired"}
            check(why <= ok, "byte %d bit %d: %s" % (at, bit, got))
    c.one(c.send(kp.seal(b"", counter=5000)), None)
    g.expect_drops("the window did not move", consumed=1)


def flipped_body():
    c = g.client("flip2")
    kp = c.handshake()
    g.new_drops()
    inner = pk.udp(c.in4, SERVER4, 1, 2, b"y" * 200)
    n = 0
    for at in list(range(16, 64)) + list(range(64, 32 + len(inner), 7)):
        msg = bytearray(kp.seal(inner, counter=9))
        msg[min(at, len(msg) - 1)] ^= 1 << at % 8
        c.put(bytes(msg))
        n += 1
    for bit in range(128):
        msg = bytearray(kp.seal(inner, counter=9))
        msg[-16 + bit // 8] ^= 1 << bit % 8
        c.put(bytes(msg))
        n += 1
    expect(g.run())
    g.expect_drops("changed bodies and tags", auth_fail=n)
    check(lan_packet(c.send(kp.seal(inner, counter=9))).data == b"y" * 200, "unchanged")


def wrong_index():
    c = g.client("index")
    kp = c.handshake()
    g.new_drops()
    inner = pk.udp(c.in4, SERVER4, 1, 2, b"x")
    for bit in range(32):
        c.put(kp.seal(inner, counter=bit, receiver=kp.remote ^ 1 << bit))
    expect(g.run())
    got = g.new_drops()
    check(sum(got.values()) == 32 and set(got) <= {"wg_index", "auth_fail", "replay"}, "32 wrong indexes: %s" % got)
    check(got.get("wg_index", 0) >= 28, "most name nobody: %s" % got)


def wrong_interface():
    c = g.client("wif")
    kp = c.handshake()
    c.to_port = 51821
    expect(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("at the other interface's port", wrong_interface=1)
    c.to_port = LISTEN
    check(lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp)).data == b"x", "at its own")


def spoofed():
    a, b = g.client("sp-a"), g.client("sp-b")
    kp = a.handshake()
    b.handshake()
    g.new_drops()
    sources = [b.in4, "10.7.77.77", SERVER4, INNER4, "8.8.8.8", "10.8.0.5"]
    for src in sources:
        expect(a.data(pk.udp(src, SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("sources of others", spoofed_source=len(sources))
    for src in (b.in6, SERVER6, "fd00:7::1", "2001:db8::1"):
        expect(a.data(pk.udp(src, SERVER6, 1, 2, b"x"), kp))
    g.expect_drops("v6 sources of others", spoofed_source=4)
    for src in ("0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.1"):
        expect(a.data(pk.udp(src, SERVER4, 1, 2, b"x"), kp))
    for src in ("::", "::1", "ff02::1"):
        expect(a.data(pk.udp(src, SERVER6, 1, 2, b"x"), kp))
    got = g.new_drops()
    equal(got, {"inner_header": 7}, "sources that nobody may have")
    # in clear from inside with a tunnel's address, or with the gateway's own
    for src in (a.in4, INNER4, "10.20.0.1"):
        expect(g.send_lan(pk.udp(src, b.in4, 1, 2, b"x")))
    g.expect_drops("spoofed from inside", spoofed_source=3)
    for src in ("10.30.0.1", "198.18.5.77"):
        expect(g.send_lan(pk.udp(src, b.in4, 1, 2, b"x")))
    g.expect_drops("not an inside prefix", not_inside=2)


def inner_is_broken():
    c = g.client("broken")
    kp = c.handshake()
    g.new_drops()
    good = pk.udp(c.in4, SERVER4, 1, 2, b"x" * 20)
    for packet, why in (
            (b"\x00" * 40, "inner_version"), (b"\x55" + good[1:], "inner_version"),
            (b"\x45", "inner_length"), (good[:19], "inner_length"),
            (good[:2] + b"\xff\xff" + good[4:], "inner_length"),
            (good[:10] + b"\x00\x00" + good[12:], "inner_header"),
            (pk.ip4(c.in4, SERVER4, 17, b"x" * 20, ihl=4), "inner_header"),
            (pk.ip4(c.in4, SERVER4, 17, b"x" * 20, total=19), "inner_header"),
            (pk.udp(c.in6, SERVER6, 1, 2, b"x" * 8)[:39], "inner_length"),
            (pk.ip6(c.in6, SERVER6, 17, b"x" * 8, length=400), "inner_length"),
            (pk.ip4(c.in4, SERVER4, 17, b"x" * 4), "l4_truncated"),
            (pk.ip4(c.in4, SERVER4, 6, b"x" * 19), "l4_truncated")):
        expect(c.data(packet, kp, pad=False))
        g.expect_drops(packet.hex(), **{why: 1})


def counter_limits():
    c = g.client("limit")
    kp = c.handshake()
    g.new_drops()
    inner = pk.udp(c.in4, SERVER4, 1, 2, b"x")
    reject = wg.REJECT_AFTER_MESSAGES
    equal(reject, 2**64 - 2**13 - 1, "the limit")
    for counter in (reject, reject + 1, 2**64 - 1):
        expect(c.send(kp.seal(inner, counter=counter)))
    g.expect_drops("at and past the limit", keypair_expired=3)
    lan_packet(c.send(kp.seal(inner, counter=1)))
    lan_packet(c.send(kp.seal(inner, counter=reject - 1)))
    expect(c.send(kp.seal(inner, counter=reject)))
    expect(c.send(kp.seal(inner, counter=2)))
    g.expect_drops("the last one moves the window", keypair_expired=1, replay=1)


def udp_probe():
    """Somebody looks whether anything listens: no answer, counted."""
    c = g.client("probe", add=False)
    for n, text in enumerate((b"", b"\0", b"ping", b"\0" * 64, b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 1200)):
        expect(c.send(text))
        g.expect_drops("probe %d" % n, not_wireguard=1)
    for port in (1, 53, 51822):
        c.to_port = port
        expect(c.send(b"ping"))
    g.expect_drops("other ports", no_listener=3)


def broken_outer():
    c = g.client("outer")
    kp = c.handshake()
    g.new_drops()
    msg = kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x"), counter=50)
    good = c.frame(msg)

    def frame(packet):
        return good[:12] + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet

    src, dst = c.ip, WAN4
    seg = struct.pack(">HHHH", 5000, LISTEN, 8 + len(msg), 0) + msg
    for packet, why in (
            (pk.ip4(src, dst, 17, seg, check=b"\0\0"), "ip_checksum"),
            (pk.ip4(src, dst, 17, seg, version=5), "ip_header"),
            (pk.ip4(src, dst, 17, seg, ihl=4), "ip_header"),
            (pk.ip4(src, dst, 17, seg, total=len(seg) + 21), "ip_truncated"),
            (pk.ip4("127.0.0.1", dst, 17, seg), "ip_header"),
            (pk.ip4("224.1.1.1", dst, 17, seg), "ip_header"),
            (pk.ip4("0.0.0.0", dst, 17, seg), "ip_header"),
            (pk.udp(src, dst, 5000, LISTEN, msg, length=7), "l4_truncated"),
            (pk.udp(src, dst, 5000, LISTEN, msg, length=len(msg) + 9), "l4_truncated"),
            (pk.ip4(src, dst, 17, seg[:7]), "l4_truncated"),
            (pk.ip4(src, dst, 132, seg), "no_listener")):
        g.rx(0, frame(packet))
        expect(g.run())
        g.expect_drops(packet[:20].hex(), **{why: 1})
    for f, why in ((b"\x02" * 6 + good[6:], "l2_not_mine"), (b"\x01" * 6 + good[6:], "l2_not_mine"),
                   (good[:12] + b"\x88\xcc" + good[14:], "l2_ethertype"),
                   (good[:12] + b"\x81\x00\x00\x05" + good[12:], "l2_vlan")):
        g.rx(0, f)
        expect(g.run())
        g.expect_drops(why, **{why: 1})
    # UDP checksums: data is not verified (its tag is), handshakes are
    lan_packet(c.send(msg, check=b"\x12\x34"))
    g.advance(30)
    expect(c.send(c.peer.initiation(), check=b"\x12\x34"))
    g.expect_drops("checksum of an initiation", l4_checksum=1)
    c.one(c.send(c.peer.initiation(), check=b"\0\0"), "wg2")
    # Ethernet padding behind a short packet
    g.advance(30)
    g.rx(0, c.frame(c.peer.current.seal(counter=51)) + bytes(40))
    expect(g.run())
    g.expect_drops("trailer", consumed=1)


def to_another_address():
    """WireGuard for an address that is not the gateway's is not WireGuard, nor forwarded in clear."""
    c = g.client("transit")
    kp = c.handshake()
    g.new_drops()
    for to in ("198.18.5.9", "192.0.2.1", SERVER4):
        c.to_ip = to
        expect(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("transit", not_tunnel=3)


def big_burst():
    """Several bursts of many peers at once, interleaved: each peer's packets stay in order."""
    cs = [g.client("bb%d" % n) for n in range(40)]
    for c in cs:
        c.handshake()
    g.new_drops()
    frames = [c.frame(c.peer.current.seal(pk.udp(c.in4, SERVER4, 8, 9, bytes([n]) * (n + 1))))
              for n in range(20) for c in cs]
    g.rx_many(0, frames)
    out = g.run()
    equal(len(out), 800, "all arrive")
    for c in cs:
        equal([f.ip.data[0] for f in out if f.ip.src == c.in4], list(range(20)), "order of " + c.peer.name)
    g.rx_many(1, [pk.ip_frame(g.mac[1], server_mac(g), pk.udp(SERVER4, c.in4, 9, 8, bytes([n]))) for n in range(20) for c in cs])
    out = g.run()
    for c in cs:
        equal([pk.Ip(p).data[0] for p in c.opened(out)], list(range(20)), "order back of " + c.peer.name)
    g.expect_drops("burst")


run(both_ways, counters_of_the_gateway, keepalives, lengths, cut_frames, flipped_header, flipped_body, wrong_index,
    wrong_interface, spoofed, inner_is_broken, counter_limits, udp_probe, broken_outer, to_another_address, big_burst,
    last=g.close)
