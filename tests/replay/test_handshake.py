#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Handshakes: the gateway as responder and as initiator, and what it must refuse (paper 5.4)."""
import struct

import packets as pk
import wgpeer as wg
from check import between, check, equal, run
from lockstep import (LISTEN, MS, S, SERVER4, SERVER6, WALL0, WAN4, WAN6, Gateway, base_config, expect,
                      interface, lan_packet, u32)

g = Gateway(base_config(interfaces=[interface(), interface("other", 51999, ["10.99.0.1/24"], key_store="memory")]))


def outer_is_right(f, c):
    equal(f.ip.tos, 0x88, "DSCP of a handshake message")
    equal((f.ip.src, f.ip.sport), (WAN6 if c.v6 else WAN4, LISTEN), "source of the answer")
    equal(f.ip.ttl, 64, "TTL")
    check(not f.ip.zero_csum, "handshake messages have a UDP checksum")


def as_responder():
    for v6 in (False, True):
        for psk in (None, b"\x55" * 32):
            c = g.client("r%d%d" % (v6, psk is not None), v6=v6, psk=psk)
            before = g.peer_info(c)
            check("endpoint" not in before and before["handshakes"] == 0, "nothing before")
            f = c.one(c.send(c.peer.initiation()), "wg2")
            outer_is_right(f, c)
            kp = c.peer.on_response(f.wg)
            equal(f.wg[76:], bytes(16), "no mac2 without a cookie")
            expect(c.send(kp.seal()))
            info = g.peer_info(c)
            equal((info["state"], info["handshakes"]), ("established", 1), "state")
            check(info["preshared_key"] == (psk is not None), "PSK is shown")
            g.expect_drops("handshake")


def as_initiator():
    for v6 in (False, True):
        for psk in (None, b"\x66" * 32):
            name = "i%d%d" % (v6, psk is not None)
            ip = "2001:db8:98::1" if v6 else "203.0.113.201"
            end = "[%s]:7000" % ip if v6 else "%s:7000" % ip
            c = g.client(name, ip, 7000, psk=psk, endpoint=end)
            f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"parked 1")), "wg1")
            outer_is_right(f, c)
            ts = wg.tai64n_ns(f.wg and c_timestamp(c, f))
            between(g.now - 1000 * S + WALL0 - ts, 0, 17 * MS, "timestamp is the wall clock, blurred")
            expect(g.send_lan(pk.udp(SERVER6, c.in6, 1, 2, b"parked 2")))
            frames, kp = c.answer(f)
            equal([u32(x.wg) for x in frames], [kp.local] * 2, "receiver index")
            got = [pk.Ip(p).data for p in c.opened(frames)]
            equal(got, [b"parked 1", b"parked 2"], "parked packets in order")
            equal(sorted(kp.seen), [0, 1], "counters")
            check(lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"back"), kp)).data == b"back", "back")
            equal(g.peer_info(c)["state"], "established", "state")
    g.expect_drops("initiator")


def c_timestamp(c, f):
    """What stands in an initiation, without making the peer remember it."""
    sym = wg.Symmetric()
    _, ts = wg.read_initiation(sym, c.peer.static, f.wg[8:40], f.wg[40:88], f.wg[88:116])
    return ts


def initiator_without_data_sends_keepalive():
    c = g.client("ka", "203.0.113.202", 7000)
    g.call("peer.set", interface="wg0", public_key=wgb64(c), endpoint="203.0.113.202:7000", persistent_keepalive=30)
    f = c.one(g.advance(1000), "wg1")
    frames, kp = c.answer(f)
    equal(c.opened(frames), [b""], "a keepalive confirms the session")
    g.call("peer.set", interface="wg0", public_key=wgb64(c), persistent_keepalive=0)
    g.expect_drops("keepalive")


def wgb64(c):
    from lockstep import b64
    return b64(c.peer.pub)


def wrong_psk():
    c = g.client("wpsk", psk=b"\x01" * 32)
    c.peer.psk = b"\x02" * 32
    f = c.one(c.send(c.peer.initiation()), "wg2")
    try:
        c.peer.on_response(f.wg)
        check(False, "the response must not open with another PSK")
    except wg.ProtocolError:
        pass
    g.expect_drops("wrong PSK at the initiator")
    # and the gateway refuses the same of a responder, but waits on for a right one
    i = g.client("wpsk2", "203.0.113.203", 7000, psk=b"\x01" * 32, endpoint="203.0.113.203:7000")
    f = i.one(g.send_lan(pk.udp(SERVER4, i.in4, 1, 2, b"x")), "wg1")
    state = i.peer.on_initiation(f.wg)
    again = (copy(state[0]),) + state[1:]
    msg, _ = i.peer.response(state, psk=b"\x02" * 32)
    expect(i.send(msg))
    g.expect_drops("response with another PSK", hs_invalid=1)
    msg, kp = i.peer.response(again)
    equal([pk.Ip(p).data for p in i.opened(i.send(msg))], [b"x"], "a right response still counts")
    g.expect_drops("the right one")


def copy(sym):
    new = wg.Symmetric()
    new.ck, new.h = sym.ck, sym.h
    return new


def responses_that_are_wrong():
    c = g.client("wresp", "203.0.113.204", 7000, endpoint="203.0.113.204:7000")
    f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1")
    state = c.peer.on_initiation(f.wg)

    def fresh():
        return (copy(state[0]),) + state[1:]

    msg, _ = c.peer.response(fresh(), mac1=bytes(16))
    expect(c.send(msg))
    g.expect_drops("mac1", hs_mac1=1)
    msg, _ = c.peer.response(fresh(), receiver=u32(f.wg) ^ 0x80)
    expect(c.send(msg))
    got = g.new_drops()
    check(sum(got.values()) == 1 and set(got) <= {"wg_index", "hs_no_state"}, "wrong index: %s" % got)
    for at in (12, 43, 44, 59):  # ephemeral, empty
        msg, _ = c.peer.response(fresh())
        body = bytearray(msg[:60])
        body[at] ^= 0x01
        expect(c.send(c.peer.macs(bytes(body))))
        g.expect_drops("byte %d" % at, hs_invalid=1)
    msg, kp = c.peer.response(fresh())
    equal(len(c.opened(c.send(msg))), 1, "the right response")
    expect(c.send(msg))
    g.expect_drops("a response again", hs_no_state=1)


def wrong_mac1():
    c = g.client("mac1")
    msg = c.peer.initiation()
    for at in list(range(4, 132, 3)) + [131]:
        bad = bytearray(msg)
        bad[at] ^= 0x10
        c.put(bytes(bad))
    expect(g.run())
    g.expect_drops("initiations with a changed byte", hs_mac1=44)
    expect(c.send(c.peer.initiation(mac1=bytes(16))))
    g.expect_drops("mac1 zero", hs_mac1=1)
    check("endpoint" not in g.peer_info(c), "nothing was learned")
    c.handshake()
    g.expect_drops("and then a right one")


def wrong_inside():
    """Right mac1, wrong contents: only somebody who knows the gateway's key gets so far."""
    c = g.client("inside")
    for at in (8, 39, 40, 87, 88, 115):
        g.advance(30)
        bad = bytearray(c.peer.initiation()[:116])
        bad[at] ^= 1
        expect(c.send(c.peer.macs(bytes(bad))))
        g.expect_drops("byte %d" % at, hs_invalid=1)
    bad = bytearray(c.peer.initiation()[:116])
    bad[8:40] = bytes(32)
    expect(c.send(c.peer.macs(bytes(bad))))
    g.expect_drops("ephemeral of low order", hs_invalid=1)
    equal(g.peer_info(c)["state"], "init", "state")


def wrong_lengths():
    c = g.client("length")
    msg = c.peer.initiation()
    for n in range(4, 160):
        if n != 148:
            c.put(msg[:n].ljust(n, b"\0"))
    expect(g.run())
    g.expect_drops("initiations of other lengths", wg_length=155)
    for n in range(0, 4):
        c.put(msg[:n])
    expect(g.run())
    g.expect_drops("less than a type", not_wireguard=4)
    for kind, size in ((2, 92), (3, 64)):
        for n in (4, size - 1, size + 1, 148):
            c.put(struct.pack("<I", kind).ljust(n, b"\0"))
        expect(g.run())
        g.expect_drops("type %d" % kind, wg_length=4)
    for n in range(4, 32):
        c.put(struct.pack("<I", 4).ljust(n, b"\0"))
    expect(g.run())
    g.expect_drops("data shorter than a keepalive", wg_length=28)
    for kind in (0, 5, 255, 0x101, 0x01000001, 0x10004):
        c.put(struct.pack("<I", kind) + msg[4:])
    expect(g.run())
    g.expect_drops("other types and reserved bytes", not_wireguard=6)


def old_timestamps():
    c = g.client("tai")
    c.handshake()
    first = c.peer.wall_ns
    for what, ns in (("equal", first), ("older", first - S), ("1 ns older", first - 1)):
        g.advance(30)
        expect(c.send(c.peer.initiation(ts=wg.tai64n(ns))))
        g.expect_drops(what + " timestamp", hs_replay=1)
    g.advance(30)
    c.one(c.send(c.peer.initiation(ts=wg.tai64n(first + 1))), "wg2")
    g.expect_drops("1 ns newer")
    # replayed from another address: the endpoint stays
    g.advance(30)
    kp = c.peer.current
    msg = c.peer.initiation(ts=wg.tai64n(first + S))
    c.one(c.send(msg), "wg2")
    end = g.peer_info(c)["endpoint"]
    g.advance(30)
    c.ip = "203.0.113.250"
    expect(c.send(msg))
    g.expect_drops("replayed from elsewhere", hs_replay=1)
    equal(g.peer_info(c)["endpoint"], end, "endpoint")
    check(kp is c.peer.current, "same keypair")


def flood():
    c = g.client("flood")
    g.advance(100)
    answered = 0
    for _ in range(100):
        answered += len(c.send(c.peer.initiation()))
        g.advance(10)
    equal(answered, 50, "answers to 100 initiations in a second")
    g.expect_drops("flood", hs_flood=50)


def flood_does_not_touch_others():
    a, b = g.client("fl-a"), g.client("fl-b")
    for c in (a, b, a, b):
        c.put(c.peer.initiation())
    expect(g.run(), "wg2", "wg2")
    g.expect_drops("two each", hs_flood=2)


def unknown_peer():
    c = g.client("stranger", add=False)
    expect(c.send(c.peer.initiation()))
    g.expect_drops("unknown", hs_unknown_peer=1)
    g.call("peer.set", interface="wg0", public_key=wgb64(c), allowed_ips=[c.in4 + "/32"], enabled=False)
    g.advance(30)
    expect(c.send(c.peer.initiation()))
    g.expect_drops("disabled", peer_down=1)
    g.call("peer.set", interface="wg0", public_key=wgb64(c), enabled=True)
    g.advance(30)
    kp = c.handshake()
    check(lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp)).data == b"x", "known and enabled")
    g.call("peer.remove", interface="wg0", peer=wgb64(c))
    expect(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))
    got = g.new_drops()
    got.pop("local_consumed", 0)
    check(sum(got.values()) == 1 and set(got) <= {"wg_index", "peer_down"}, "removed: %s" % got)
    g.advance(30)
    expect(c.send(c.peer.initiation()))
    g.expect_drops("removed", hs_unknown_peer=1)


def other_interface():
    """An initiation for one interface's key at the other's port."""
    c = g.client("other")
    c.to_port = 51999
    expect(c.send(c.peer.initiation()))
    g.expect_drops("mac1 is of another key", hs_mac1=1)


def parked():
    c = g.client("park", "203.0.113.205", 7000, endpoint="203.0.113.205:7000")
    frames = []
    for n in range(130):
        g.to_lan(pk.udp(SERVER4, c.in4, 1, 2, struct.pack(">I", n)))
        frames += g.run()
    f = c.one(frames, "wg1")
    g.expect_drops("130 packets", park_full=2)
    frames, kp = c.answer(f)
    got = [struct.unpack(">I", pk.Ip(p).data)[0] for p in c.opened(frames)]
    equal(got, list(range(2, 130)), "the newest 128, in order")
    equal(sorted(kp.seen), list(range(128)), "counters")
    # a handshake that nobody answers: packets end after 5 s
    d = g.client("park2", "203.0.113.206", 7000, endpoint="203.0.113.206:7000")
    d.one(g.send_lan(pk.udp(SERVER4, d.in4, 1, 2, b"x")), "wg1")
    expect(g.advance(4900))
    g.expect_drops("4.9 s")
    expect([x for x in g.advance(300) if x.kind != "wg1"])
    g.expect_drops("5.2 s", park_timeout=1)


def no_endpoint():
    c = g.client("noend")
    f = expect(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "ip4")
    equal((f.port, f.ip.dst, f.ip.payload[:2]), (1, SERVER4, b"\3\1"), "host unreachable")
    f = expect(g.send_lan(pk.udp(SERVER6, c.in6, 1, 2, b"x")), "ip6")
    equal((f.port, f.ip.dst, f.ip.payload[:2]), (1, SERVER6, b"\1\3"), "address unreachable")
    g.expect_drops("no endpoint", no_endpoint=2)


run(as_responder, as_initiator, initiator_without_data_sends_keepalive, wrong_psk, responses_that_are_wrong,
    wrong_mac1, wrong_inside, wrong_lengths, old_timestamps, flood, flood_does_not_touch_others, unknown_peer,
    other_interface, parked, no_endpoint, last=g.close)
