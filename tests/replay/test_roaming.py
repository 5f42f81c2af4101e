#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where a peer is (paper 2.1): what moves its endpoint, what must not, and from which own address
the gateway answers."""
import packets as pk
from check import equal, run
from lockstep import (LAN, ROUTER4, SERVER4, WAN4, WAN6, Gateway, base_config, expect, lan_packet, u32)

CONFIG = base_config()
CONFIG["ports"][0]["addresses"] = [WAN4 + "/24", "198.18.5.3/24", "198.18.99.2/24", WAN6 + "/64", "2001:db8:5::3/64"]
g = Gateway(CONFIG)


def down(c):
    return g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x"))


def up(c, **kw):
    return c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), **kw)


def endpoint(c):
    return g.peer_info(c)["endpoint"]


def is_at(c, ip, port, source=None):
    f = expect(down(c), "wg4")
    equal((f.ip.dst, f.ip.dport), (ip, port), "where data goes")
    if source:
        equal(f.ip.src, source, "from where")
    equal(endpoint(c), "[%s]:%d" % (ip, port) if ":" in ip else "%s:%d" % (ip, port), "endpoint")


def by_data():
    c = g.client("data", "203.0.113.50", 1000)
    c.handshake()
    is_at(c, "203.0.113.50", 1000)
    c.port = 1001
    lan_packet(up(c))
    is_at(c, "203.0.113.50", 1001)
    c.ip = "203.0.113.51"
    lan_packet(up(c))
    is_at(c, "203.0.113.51", 1001)
    c.ip, c.port = "203.0.113.52", 2000
    expect(c.send(c.peer.current.seal()))
    is_at(c, "203.0.113.52", 2000)  # a keepalive is authentic too


def by_handshake():
    c = g.client("hs", "203.0.113.60", 1000)
    c.handshake()
    g.advance(100)
    c.ip = "203.0.113.61"
    c.initiate()
    is_at(c, "203.0.113.61", 1000)


def by_response():
    """A response may come from elsewhere than the initiation went."""
    c = g.client("resp", "203.0.113.62", 1000, endpoint="203.0.113.62:1000")
    f = c.one(down(c), "wg1")
    c.ip, c.port = "203.0.113.63", 1234
    frames, kp = c.answer(f)
    equal([(x.ip.dst, x.ip.dport, u32(x.wg)) for x in frames], [("203.0.113.63", 1234, kp.local)], "data follows")
    is_at(c, "203.0.113.63", 1234)


def across_versions():
    c = g.client("v46", "203.0.113.70", 1000)
    c.handshake()
    for ip in ("2001:db8:77::1", "203.0.113.71", "2001:db8:77::2", "2001:db8:77::3", "203.0.113.72"):
        c.ip = ip
        lan_packet(up(c))
        is_at(c, ip, 1000, WAN6 if ":" in ip else WAN4)


def in_one_burst():
    """The last authentic packet of a burst decides."""
    c = g.client("burst", "203.0.113.75", 1000)
    c.handshake()
    for n in range(10):
        c.port = 3000 + n
        c.put(c.peer.current.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x")), queue=0)
    equal(len(g.run()), 10, "all arrive")
    is_at(c, "203.0.113.75", 3009)


def not_by_replays_and_forgeries():
    c = g.client("not", "203.0.113.80", 1000)
    kp = c.handshake()
    msg = kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x"))
    lan_packet(c.send(msg))
    g.new_drops()
    c.ip, c.port = "203.0.113.81", 1001
    expect(c.send(msg))
    g.expect_drops("replay", replay=1)
    is_at(c, "203.0.113.80", 1000)
    bad = bytearray(kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x")))
    bad[-1] ^= 1
    expect(c.send(bytes(bad)))
    g.expect_drops("forged", auth_fail=1)
    is_at(c, "203.0.113.80", 1000)
    expect(c.send(kp.seal(b"x", counter=2**64 - 1)))
    g.expect_drops("counter", keypair_expired=1)
    is_at(c, "203.0.113.80", 1000)
    # an authentic packet whose contents are refused has moved it all the same (netns.sh, crypto-routing)
    expect(c.data(pk.udp("9.9.9.9", SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("spoofed inside", spoofed_source=1)
    is_at(c, "203.0.113.81", 1001)


def not_by_refused_handshakes():
    c = g.client("nohs", "203.0.113.85", 1000)
    c.handshake()
    old = c.peer.initiation(ts=bytes(12))
    c.ip = "203.0.113.86"
    g.advance(100)
    expect(c.send(old))
    g.expect_drops("timestamp", hs_replay=1)
    expect(c.send(c.peer.initiation(mac1=bytes(16))))
    g.expect_drops("mac1", hs_mac1=1)
    is_at(c, "203.0.113.85", 1000)


def not_by_cookie_reply():
    c = g.client("cookie", "203.0.113.87", 1000, endpoint="203.0.113.87:1000")
    f = c.one(down(c), "wg1")
    c.ip = "203.0.113.88"
    expect(c.send(c.peer.cookie_reply(f.wg, pk.addr(WAN4) + (51820).to_bytes(2, "big"))))
    equal(endpoint(c), "203.0.113.87:1000", "endpoint")
    c.ip = "203.0.113.87"
    f = expect(g.advance(5400), "wg1")
    equal(f.ip.dst, "203.0.113.87", "the retransmission")
    g.new_drops()


def sticky_source():
    """The gateway answers from the address that the peer spoke to."""
    c = g.client("sticky", "203.0.113.90", 1000)
    c.to_ip = "198.18.5.3"
    f = c.one(c.send(c.peer.initiation()), "wg2")
    equal(f.ip.src, "198.18.5.3", "response")
    kp = c.peer.on_response(f.wg)
    c.send(kp.seal())
    is_at(c, "203.0.113.90", 1000, "198.18.5.3")
    for to in ("198.18.99.2", WAN4, "198.18.5.3"):
        c.to_ip = to
        lan_packet(up(c))
        is_at(c, "203.0.113.90", 1000, to)
    c.ip, c.to_ip = "2001:db8:77::90", "2001:db8:5::3"
    lan_packet(up(c))
    is_at(c, "2001:db8:77::90", 1000, "2001:db8:5::3")
    # also what the gateway starts itself
    g.advance(1000)
    g.call("peer.kick", interface="wg0", peer="sticky")
    f = expect(down(c), "wg1")
    equal((f.ip.src, f.ip.dst), ("2001:db8:5::3", "2001:db8:77::90"), "its own initiation")


def first_source_by_route():
    """Without history the source is the address in the next hop's network."""
    c = g.client("route", "198.18.99.40", 1000, endpoint="198.18.99.40:1000")
    g.host(0, "198.18.99.40")
    f = expect(down(c), "wg1")
    equal((f.ip.src, f.dst_mac), ("198.18.99.2", g.hosts[(0, 0, "198.18.99.40")]), "a neighbour of the second network")
    d = g.client("route2", "203.0.113.91", 1000, endpoint="203.0.113.91:1000")
    f = expect(down(d), "wg1")
    equal((f.ip.src, f.dst_mac), (WAN4, g.hosts[(0, 0, ROUTER4)]), "by the router")


def set_by_operator():
    c = g.client("oper", "203.0.113.95", 1000)
    c.handshake()
    g.call("peer.set", interface="wg0", public_key=pub(c), endpoint="203.0.113.96:9999")
    g.run()
    is_at(c, "203.0.113.96", 9999)
    lan_packet(up(c))
    is_at(c, "203.0.113.95", 1000)


def pub(c):
    from lockstep import b64
    return b64(c.peer.pub)


def from_inside_port():
    """A peer may also sit on the inside port: its answers leave there."""
    c = g.client("inside", "10.20.0.66", 1000)
    c.wan_port, c.to_ip = LAN, "10.20.0.1"
    g.host(LAN, "10.20.0.66")
    f = c.one(c.send(c.peer.initiation()), "wg2")
    equal((f.port, f.ip.src, f.dst_mac), (LAN, "10.20.0.1", g.hosts[(LAN, 0, "10.20.0.66")]), "response")
    c.send(c.peer.on_response(f.wg).seal())
    lan_packet(up(c))
    f = expect(down(c), "wg4")
    equal((f.port, f.ip.dst), (LAN, "10.20.0.66"), "data")


run(by_data, by_handshake, by_response, across_versions, in_one_burst, not_by_replays_and_forgeries,
    not_by_refused_handshakes, not_by_cookie_reply, sticky_source, first_source_by_route, set_by_operator,
    from_inside_port, last=g.close)
