#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Timers by the virtual clock (paper section 6): each at its second, none earlier. What the data
lcores publish are ticks of 100 ms, so what starts with data may be that much late."""
import packets as pk
from check import between, check, equal, run
from lockstep import MS, S, SERVER4, Gateway, b64, expect, lan_packet, u32

g = Gateway()
TICK = 200 * MS  # a tick, a step of the clock and a turn
JITTER = 334 * MS


def known(name, n):
    ip = "203.0.113.%d" % n
    return g.client(name, ip, 7000, endpoint="%s:7000" % ip)


def down(c, text=b"x"):
    return g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, text))


def up(c, kp, text=b"x", **kw):
    return c.data(pk.udp(c.in4, SERVER4, 1, 2, text), kp, **kw)


def retransmission():
    c = known("retry", 100)
    start = g.now
    first = c.one(down(c), "wg1")
    rest = g.advance(150_000)
    equal({f.kind for f in rest}, {"wg1"}, "nothing but initiations")
    all_ = [first] + rest
    times = [start] + [f.at_ns for f in rest]
    for a, b in zip(times, times[1:]):
        between(b - a, 5 * S, 5 * S + JITTER + 10 * MS, "distance of two initiations")
    check(len({b - a for a, b in zip(times, times[1:])}) > 3, "there is jitter")
    between(times[-1] - start, 84 * S, 90 * S, "the last one")
    between(len(times), 17, 18, "initiations in 90 s")
    for what, key in (("index", lambda f: u32(f.wg)), ("ephemeral key", lambda f: f.wg[8:40]),
                      ("ciphertext", lambda f: f.wg[88:116])):
        equal(len({key(f) for f in all_}), len(all_), "each has its own " + what)
    for f in all_:
        c.peer.on_initiation(f.wg)  # each timestamp is newer than the one before
    equal(g.peer_info(c)["state"], "error", "state")
    g.expect_drops("the packet waited 5 s", park_timeout=1)
    # only the newest one can be answered
    msg, _ = c.peer.response(c.peer.on_initiation(c.one(down(c), "wg1").wg))
    equal(len(c.opened(c.send(msg))), 1, "new traffic starts anew")


def old_attempts_are_void():
    c = known("void", 101)
    first = c.one(down(c), "wg1")
    old, _ = c.peer.response(c.peer.on_initiation(first.wg))
    second = c.one(g.advance(5400), "wg1")
    expect(c.send(old))
    got = g.new_drops()
    got = {k: v for k, v in got.items() if k not in ("park_timeout", "local_consumed")}
    check(sum(got.values()) == 1 and set(got) <= {"wg_index", "hs_no_state"}, "response to the first: %s" % got)
    frames, _ = c.answer(second)
    equal(c.opened(frames), [b""], "response to the second")


def traffic_keeps_trying():
    """New traffic begins the 90 s again, but no packet makes an initiation more."""
    c = known("keeps", 102)
    out = down(c)
    start = g.now
    while g.now - start < 200 * S:
        out += g.advance(1000, 50)
        out += down(c)
    times = [f.at_ns for f in out if f.kind == "wg1"]
    equal(len(out), len(times), "only initiations")
    between(len(times), 37, 41, "initiations in 200 s")


def passive_keepalive():
    c = g.client("passive")
    kp = c.handshake()
    start = g.now
    lan_packet(up(c, kp))
    expect(g.advance(5000))
    lan_packet(up(c, kp))  # does not put it off
    f = c.one(g.advance(55_000), "wg4")
    between(f.at_ns - start, 10 * S, 10 * S + TICK, "keepalive after data without answer")
    equal(c.open(f), b"", "it is empty")
    equal(len(f.wg), 32, "32 bytes")
    # an answer makes it needless
    lan_packet(up(c, kp))
    g.advance(5000)
    c.one(down(c), "wg4")
    expect(up(c, kp), "ip4")
    expect(c.send(kp.seal()))
    start = g.now
    f = c.one(g.advance(30_000), "wg4")
    between(f.at_ns - start, 10 * S, 10 * S + TICK, "counts from the data after the answer")
    # keepalives need no keepalive
    expect(c.send(kp.seal()))
    expect(g.advance(14_000))


def persistent_keepalive():
    c = g.client("persist")
    kp = c.handshake()
    start = g.now
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), persistent_keepalive=25)
    out = g.advance(101_000)
    equal([f.kind for f in out], ["wg4"] * 4, "keepalives in 101 s")
    at = start
    for f in out:
        between(f.at_ns - at, 25 * S, 25 * S + TICK, "distance")
        equal(c.open(f), b"", "empty")
        at = f.at_ns
    g.advance(15_000)
    start = g.now
    expect(c.send(kp.seal()))
    f = c.one(g.advance(30_000), "wg4")
    between(f.at_ns - start, 25 * S, 25 * S + TICK, "counts from the last packet of either side")
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), persistent_keepalive=0)
    expect(g.advance(30_000))


def persistent_keepalive_holds_the_tunnel():
    """Without any traffic the tunnel to a known endpoint comes up and stays up."""
    c = known("holds", 103)
    c.auto = True
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), persistent_keepalive=20)
    out = g.advance(400_000, 50)
    kinds = [f.kind for f in out]
    between(kinds.count("wg1"), 3, 4, "handshakes in 400 s")
    between(kinds.count("wg4"), 17, 24, "keepalives in 400 s")
    times = [f.at_ns for f in out]
    check(max(b - a for a, b in zip(times, times[1:])) <= 20 * S + 2 * TICK, "never silent for longer")


def unanswered_data():
    c = g.client("unans")
    kp = c.handshake()
    g.advance(3000)
    start = g.now
    c.one(down(c), "wg4")
    expect(g.advance(5000))
    c.one(down(c), "wg4")
    expect(g.advance(9990))
    f = c.one(g.advance(600), "wg1")
    between(f.at_ns - start, 15 * S, 15 * S + JITTER + TICK, "new handshake after data without answer")
    frames, new = c.answer(f)
    equal(c.opened(frames), [b""], "confirmed")
    # anything authentic is an answer
    g.advance(3000)
    c.one(down(c), "wg4")
    g.advance(3000)
    expect(c.send(new.seal()))
    expect(g.advance(30_000))
    check(kp is not new, "two sessions")


def rekey_as_initiator():
    c = known("rekey", 104)
    f = c.one(down(c), "wg1")
    _, kp = c.answer(f)
    start = g.now
    for _ in range(11):
        g.advance(10_000, 100)
        expect(c.send(kp.seal()))
        c.one(down(c), "wg4")
    g.advance(9900, 100)
    c.one(down(c), "wg4")
    equal(g.now - start, 119_900 * MS, "no rekey before 120 s")
    expect(c.send(kp.seal()))
    g.advance(110)
    out = down(c)
    equal(sorted(x.kind for x in out), ["wg1", "wg4"], "the first packet after 120 s goes, and asks")
    f = next(x for x in out if x.kind == "wg1")
    # the answer comes late: the old keypair goes on
    expect(down(c), "wg4")
    frames, new = c.answer(f)
    equal([u32(x.wg) for x in frames], [new.local], "the new keypair is used at once")
    equal([u32(x.wg) for x in down(c)], [new.local], "and from then on")
    lan_packet(up(c, kp))
    lan_packet(up(c, new))
    g.expect_drops("no loss")


def no_rekey_as_responder():
    c = g.client("norekey")
    kp = c.handshake()
    for _ in range(17):
        g.advance(10_000, 100)
        expect(c.send(kp.seal()))
        c.one(down(c), "wg4")
    expect(c.send(kp.seal()))
    g.expect_drops("170 s")


def rekey_on_receive():
    """An initiator that never sends rekeys at 165 s, so that keys never run out (180 - 10 - 5)."""
    c = known("recv", 105)
    _, kp = c.answer(c.one(down(c), "wg1"))
    start = g.now
    while g.now - start < 164_600 * MS:
        expect(g.advance(200, 100))
        expect(c.send(kp.seal()))  # data would be answered by keepalives, and they count as sending
    g.advance(500)
    f = [x for x in c.send(kp.seal()) if x.kind == "wg1"]
    equal(len(f), 1, "initiation at 165 s")
    frames, _ = c.answer(f[0])
    equal(c.opened(frames), [b""], "established")


def reject_after_180():
    c = g.client("reject")
    kp = c.handshake()
    start = g.now
    g.advance(170_000, 100)
    lan_packet(up(c, kp))
    g.advance(9900)
    lan_packet(up(c, kp))
    c.one(down(c), "wg4")
    equal(g.now - start, 179_900 * MS, "usable up to here")
    g.new_drops()
    g.advance(110)
    expect(up(c, kp))
    got = g.new_drops()
    got.pop("local_consumed", None)
    check(sum(got.values()) == 1 and set(got) <= {"keypair_expired", "wg_index"}, "receive after 180 s: %s" % got)
    out = down(c)
    equal([x.kind for x in out], ["wg1"], "send after 180 s: wait and shake hands")
    frames, new = c.answer(out[0])
    equal(len(c.opened(frames)), 1, "the packet waited")
    lan_packet(up(c, new))


def reject_is_of_the_keypair():
    """The age is the keypair's, not that of its last use."""
    c = g.client("reject2")
    kp = c.handshake()
    for _ in range(90):
        g.advance(2000, 100)
        up(c, kp)
    g.new_drops()
    expect([f for f in up(c, kp) if f.kind != "wg1"])
    got = g.new_drops()
    check(got.get("keypair_expired", 0) + got.get("wg_index", 0) == 1, "busy for 180 s: %s" % got)


def keys_are_zeroed():
    c = g.client("zero", psk=b"\x77" * 32)
    kp = c.handshake()
    lan_packet(up(c, kp))
    c.one(down(c), "wg4")
    expect(c.send(kp.seal()))
    keys = (kp.send_key, kp.recv_key)
    for k in keys:
        check(g.found(k) > 0, "a live key is in memory: else this search says nothing")
    g.advance(170_000, 100)
    for k in keys:
        check(g.found(k) > 0, "still live after 170 s")
    g.advance(375_000, 100)
    for k in keys:
        equal(g.found(k), 0, "keys are wiped after 540 s")
    equal(g.peer_info(c)["state"], "expired", "state")
    c.handshake()
    equal(g.peer_info(c)["state"], "established", "and it can start again")


def replaced_keys_are_wiped():
    """previous is forgotten when a third session comes; removal of the peer forgets all at once."""
    c = g.client("wipe")
    old = []
    for n in range(4):
        kp = c.handshake()
        lan_packet(up(c, kp))
        old.append(kp)
        g.advance(1000)
        for k in old[:-2]:
            equal((g.found(k.send_key), g.found(k.recv_key)), (0, 0), "keypair %d after %d more" % (old.index(k), n))
        for k in old[-2:]:
            check(g.found(k.recv_key) > 0, "previous and current are live")
    g.call("peer.kick", interface="wg0", peer=b64(c.peer.pub))
    g.advance(1000)
    for k in old:
        equal((g.found(k.send_key), g.found(k.recv_key)), (0, 0), "after a kick")
    kp = c.handshake()
    check(g.found(kp.recv_key) > 0, "live again")
    g.forget_clients()
    g.advance(1000)
    equal((g.found(kp.send_key), g.found(kp.recv_key)), (0, 0), "after removal")


def unconfirmed_keys_are_zeroed():
    """A response that was never confirmed leaves no keys behind either."""
    c = g.client("unconf")
    kp = c.initiate()
    check(g.found(kp.send_key) > 0, "live")
    expect([f for f in g.advance(545_000, 100) if f.kind != "wg1"])
    equal((g.found(kp.send_key), g.found(kp.recv_key)), (0, 0), "wiped: %s" % g.where)


run(retransmission, old_attempts_are_void, traffic_keeps_trying, passive_keepalive, persistent_keepalive,
    persistent_keepalive_holds_the_tunnel, unanswered_data, rekey_as_initiator, no_rekey_as_responder,
    rekey_on_receive, reject_after_180, reject_is_of_the_keypair, keys_are_zeroed, replaced_keys_are_wiped,
    unconfirmed_keys_are_zeroed, after=g.forget_clients, last=g.close)
