#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Under load: cookie replies both ways, mac2, the rate per address (paper 5.3, 5.4.4, 5.4.7)."""
import struct

import packets as pk
import wgpeer as wg
from check import check, equal, run
from lockstep import LISTEN, SERVER4, WAN4, WAN6, Gateway, b64, expect, u32

g = Gateway()
FLOOD = 2000


def garbage(n, cookie=None, mac2=None):
    """An initiation with nothing true in it but mac1, so that the gateway must take it seriously."""
    b = (struct.pack("<II", 1, n) + wg.blake2s(struct.pack("<I", n)) * 4)[:116]
    b += wg.mac1_of(g.keys["wg0"], b)
    if mac2 is None:
        mac2 = wg.mac(cookie, b) if cookie else bytes(16)
    return b + mac2


flooder = g.client("flooder", add=False)


def load():
    """Bring the gateway under load; what it sends to the flooder is thrown away."""
    g.new_drops()
    g.rx_many(0, [flooder.frame(garbage(n)) for n in range(FLOOD)])
    out = g.run()
    check(all(f.kind == "wg3" for f in out), "the flood gets cookie replies at most")
    got = g.new_drops()
    check(got.get("hs_cookie_sent", 0) == len(out) > 0, "under load: %s" % got)
    check(set(got) <= {"hs_cookie_sent", "hs_invalid", "hs_lane_full"}, "reasons of the flood: %s" % got)
    equal(sum(got.values()), FLOOD, "each one is accounted")


def no_load_no_cookie():
    c = g.client("calm")
    c.one(c.send(c.peer.initiation(mac2=b"\x11" * 16)), "wg2")
    g.expect_drops("a wrong mac2 without load is not looked at")
    frames = [flooder.frame(garbage(n)[:116] + bytes(32)) for n in range(FLOOD)]
    g.rx_many(0, frames)
    expect(g.run())
    g.expect_drops("mac1 wrong: costs nothing", hs_mac1=FLOOD)
    g.advance(30)
    c.one(c.send(c.peer.initiation()), "wg2")
    g.advance(2000)


def round_trip():
    for v6 in (False, True):
        c = g.client("trip%d" % v6, v6=v6)
        load()
        msg = c.peer.initiation()
        f = c.one(c.send(msg), "wg3")
        equal(f.ip.tos, 0x88, "DSCP")
        equal((f.ip.src, f.ip.sport), (WAN6 if v6 else WAN4, LISTEN), "source")
        equal(c.peer.on_cookie(f.wg), u32(msg), "index of the reply")
        g.expect_drops("without mac2", hs_cookie_sent=1)
        check("endpoint" not in g.peer_info(c), "nothing was learned")
        f = c.one(c.send(c.peer.initiation()), "wg2")
        c.peer.on_response(f.wg)
        g.expect_drops("with mac2")
        # a wrong mac2 is as good as none
        g.advance(100)
        f = c.one(c.send(c.peer.initiation(mac2=b"\x22" * 16)), "wg3")
        g.expect_drops("wrong mac2", hs_cookie_sent=1)
        # the cookie of another port or address
        g.advance(100)
        port, ip = c.port, c.ip
        c.port += 1
        c.one(c.send(c.peer.initiation()), "wg3")
        c.port, c.ip = port, ("2001:db8:99::eeee" if v6 else "203.0.113.222")
        c.one(c.send(c.peer.initiation()), "wg3")
        c.ip = ip
        g.expect_drops("elsewhere", hs_cookie_sent=2)
        g.advance(100)
        c.one(c.send(c.peer.initiation()), "wg2")
        g.advance(3000)


def load_passes():
    c = g.client("passes")
    load()
    c.one(c.send(c.peer.initiation()), "wg3")
    g.advance(900)
    c.one(c.send(c.peer.initiation()), "wg3")
    g.advance(200)
    c.one(c.send(c.peer.initiation()), "wg2")
    g.expect_drops("1 s after", hs_cookie_sent=2)


def sessions_work_under_load():
    c = g.client("works")
    kp = c.handshake()
    load()
    expect(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp), "ip4")
    c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg4")
    # and the gateway's own handshakes go on: responses need no mac2
    i = g.client("works2", "203.0.113.190", 7000, endpoint="203.0.113.190:7000")
    f = i.one(g.send_lan(pk.udp(SERVER4, i.in4, 1, 2, b"x")), "wg1")
    equal(len(i.opened(i.answer(f)[0])), 1, "response under load")
    g.expect_drops("under load")
    g.advance(3000)


def cookie_ages():
    c = g.client("ages")
    load()
    c.peer.on_cookie(c.one(c.send(c.peer.initiation()), "wg3").wg)
    g.advance(60_000, 100)
    load()
    g.new_drops()
    c.one(c.send(c.peer.initiation()), "wg2")
    g.advance(80_000, 100)
    load()
    f = c.one(c.send(c.peer.initiation()), "wg3")
    g.expect_drops("140 s old", hs_cookie_sent=1)
    c.peer.on_cookie(f.wg)
    c.one(c.send(c.peer.initiation()), "wg2")
    g.advance(3000)


def cookie_for(ip, port):
    c = g.client("rate %s %d" % (ip, port), ip, port, add=False)
    msg = garbage(port)
    c.peer.last_mac1 = msg[116:132]
    f = c.one(c.send(msg), "wg3")
    c.peer.on_cookie(f.wg)
    g.expect_drops("cookie", hs_cookie_sent=1)
    return c


def passed(c, n):
    """Send n initiations with a right mac2. @return how many were looked at"""
    for i in range(n):
        c.put(garbage(i, c.peer.cookie))
    expect(g.run())
    got = g.new_drops()
    equal(sum(got.values()), n, "each is accounted")
    check(set(got) <= {"hs_invalid", "hs_ratelimit"}, "reasons: %s" % got)
    return got.get("hs_invalid", 0)


def rate(a, b, same_as_a):
    load()
    one, two, same = (cookie_for(*x) for x in (a, b, same_as_a))
    equal(passed(one, 6), 5, "burst of 5")
    equal(passed(same, 1), 0, "the same address or /64 has no more")
    equal(passed(two, 6), 5, "another address has its own")
    g.advance(50)
    equal(passed(one, 2), 1, "one in 50 ms")
    g.advance(100)
    equal(passed(same, 3), 2, "two in 100 ms")
    equal(passed(one, 1), 0, "no more")
    g.advance(400)
    load()
    equal(passed(two, 8), 5, "never more than 5 at once")
    g.advance(3000)


def rate_per_address():
    rate(("198.51.100.1", 1), ("198.51.100.2", 1), ("198.51.100.1", 2))


def rate_per_64():
    rate(("2001:db8:1:1::1", 1), ("2001:db8:1:2::1", 1), ("2001:db8:1:1:ffff::9", 1))


def own_source():
    return pk.addr(WAN4) + struct.pack(">H", LISTEN)


def as_initiator():
    c = g.client("init", "203.0.113.191", 7000, endpoint="203.0.113.191:7000")
    f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1")
    check(not any(f.wg[-16:]), "no mac2 yet")
    reply = c.peer.cookie_reply(f.wg, own_source())
    # wrong ones first: tag, index, and one that answers another message
    bad = bytearray(reply)
    bad[-1] ^= 1
    expect(c.send(bytes(bad)))
    g.expect_drops("tag", hs_invalid=1)
    other = bytearray(f.wg)
    other[120] ^= 1
    expect(c.send(c.peer.cookie_reply(bytes(other), own_source())))
    g.expect_drops("of another message", hs_invalid=1)
    expect(c.send(reply[:4] + struct.pack("<I", u32(f.wg) ^ 1) + reply[8:]))
    got = g.new_drops()
    check(sum(got.values()) == 1 and set(got) <= {"wg_index", "hs_no_state"}, "index: %s" % got)
    # the right one, from elsewhere: it is believed, but says nothing about where the peer is
    port, c.port = c.port, 7777
    expect(c.send(reply))
    c.port = port
    equal(g.peer_info(c)["endpoint"], "203.0.113.191:7000", "endpoint")
    g.expect_drops("a cookie reply is not a loss")
    expect(g.advance(4990))
    f = c.one(g.advance(360), "wg1")
    check(c.peer.mac2_ok(f.wg, own_source()), "mac2 of the retransmission")
    g.expect_drops("retransmission", park_timeout=1)
    frames, _ = c.answer(f)
    equal(c.opened(frames), [b""], "established")


def own_cookie_ages():
    c = g.client("old", "203.0.113.192", 7000, endpoint="203.0.113.192:7000")
    f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1")
    expect(c.send(c.peer.cookie_reply(f.wg, own_source())))
    seen = []
    for _ in range(14):
        out = g.advance(10_000, 100)
        g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x"))
        seen += [(x.at_ns, c.peer.mac2_ok(x.wg, own_source()), any(x.wg[-16:])) for x in out if x.kind == "wg1"]
    start = g.now - 140 * 10**9
    young = [s for s in seen if s[0] - start < 119 * 10**9]
    old = [s for s in seen if s[0] - start > 121 * 10**9]
    check(young and all(s[1] for s in young), "mac2 while the cookie is fresh")
    check(old and not any(s[2] for s in old), "none when it is older than 120 s")
    g.call("peer.remove", interface="wg0", peer=b64(c.peer.pub))
    g.run()
    g.new_drops()


def reply_to_our_response():
    """A client under load answers the gateway's response with a cookie."""
    c = g.client("resp")
    f = c.one(c.send(c.peer.initiation()), "wg2")
    expect(c.send(c.peer.cookie_reply(f.wg, own_source())))
    g.expect_drops("reply to a response")
    g.advance(100)
    f = c.one(c.send(c.peer.initiation()), "wg2")
    check(c.peer.mac2_ok(f.wg, own_source()), "mac2 of the next response")


run(no_load_no_cookie, round_trip, load_passes, sessions_work_under_load, cookie_ages, rate_per_address, rate_per_64,
    as_initiator, own_cookie_ages, reply_to_our_response, last=g.close)
