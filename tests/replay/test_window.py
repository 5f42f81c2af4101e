#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The replay window: 8,192 bits, of which 8,128 + 1 counters are usable (paper 5.4.6, RFC 6479)."""
import struct

import packets as pk
import wgpeer as wg
from check import equal, run
from lockstep import SERVER4, Gateway, expect

g = Gateway()
W = 8128 + 1
R = wg.REJECT_AFTER_MESSAGES


def fresh(name):
    c = g.client(name)
    c.initiate()  # the first data packet confirms, so that counter 0 is free
    g.new_drops()
    return c


def accepted(c, counters):
    """Send packets with these counters in this order. @return positions that came through"""
    g.rx_many(0, [c.frame(c.peer.current.seal(pk.udp(c.in4, SERVER4, 1, 2, struct.pack(">I", n)), counter=k))
                  for n, k in enumerate(counters)])
    return [struct.unpack(">I", f.ip.data)[0] for f in g.run()]


def sequence(name, steps, one_by_one=True):
    """steps: (counter, must it come through)."""
    c = fresh(name)
    counters = [k for k, _ in steps]
    want = [n for n, (_, ok) in enumerate(steps) if ok]
    if one_by_one:
        got = [n for n, k in enumerate(counters) if accepted(c, [k])]
    else:
        got = accepted(c, counters)
    equal(got, want, "which of %s came through" % (steps if len(steps) < 60 else name))
    limit = sum(1 for k, ok in steps if not ok and k >= R)
    drops = {"replay": len(steps) - len(want) - limit, "keypair_expired": limit}
    g.expect_drops(name, **{k: v for k, v in drops.items() if v})
    equal(g.peer_info(c)["replays"], drops["replay"], "replays of the peer")


EDGES = [(0, True), (1, True), (1, False), (9, True), (8, True), (7, True), (7, False), (W, True), (W - 1, True),
         (W - 1, False), (W - 2, True), (2, True), (2, False), (W + 16, True), (3, False), (W + 16, False),
         (4 * W, True), (4 * W - (W - 1), True), (10, False), (4 * W - W, False), (4 * W - (W + 1), False),
         (4 * W - (W - 2), True), (4 * W + 1 - W, False), (0, False), (R, False), (R - 1, True), (R, False),
         (R - 1, False), (R - 2, True), (R + 1, False), (R + 2, False), (R - 2, False), (R - 3, True), (0, False)]


def edges():
    sequence("edges", EDGES)


def edges_in_one_burst():
    sequence("burst", EDGES, one_by_one=False)


def behind():
    """Exactly 0, 8,127 and 8,128 behind the newest are new, 8,129 and more are too old."""
    top = 100_000
    for back, ok in ((0, False), (1, True), (8127, True), (8128, True), (8129, False), (8130, False), (8191, False),
                     (8192, False), (8193, False), (50_000, False), (top, False)):
        sequence("back%d" % back, [(top, True), (top - back, ok)])


def upwards_then_zero():
    sequence("up", [(k, True) for k in range(1, W)] + [(0, True), (0, False)], False)


def one_more_upwards():
    sequence("up1", [(k, True) for k in range(2, W + 1)] + [(1, True), (0, False)], False)


def downwards():
    sequence("down", [(k, True) for k in range(W - 1, -1, -1)], False)


def downwards_without_zero():
    sequence("down1", [(k, True) for k in range(W, 0, -1)] + [(0, False)], False)


def downwards_then_up():
    sequence("down2", [(k, True) for k in range(W - 1, 0, -1)] + [(W, True), (0, False)], False)


def downwards_then_zero():
    sequence("down3", [(k, True) for k in range(W - 1, 0, -1)] + [(0, True), (W, True)], False)


def jumps():
    """Far jumps clear the whole window, also the words that wrap onto themselves."""
    steps, at = [], 0
    for jump in (1, 63, 64, 65, 8127, 8128, 8129, 8191, 8192, 8193, 16384, 2**20, 2**40):
        at += jump
        steps += [(at, True), (at, False)]
        if jump > W:
            steps += [(at - 1, True), (at - 64, True), (at - W + 1, True), (at - W, False)]
    sequence("jumps", steps)


def all_again():
    """A thousand packets twice in other orders: each comes through once."""
    c = fresh("again")
    order = [(k * 7919) % 1009 for k in range(1009)]
    equal(len(accepted(c, order)), 1009, "first time")
    equal(accepted(c, order[::-1]), [], "second time")
    g.expect_drops("again", replay=1009)
    expect(g.run())


def forged_does_not_move_it():
    """The window moves only for authentic packets."""
    c = fresh("forged")
    accepted(c, [5])
    bad = bytearray(c.peer.current.seal(b"x" * 32, counter=2**50))
    bad[-1] ^= 1
    expect(c.send(bytes(bad)))
    equal(accepted(c, [4, 6]), [0, 1], "neighbours of the newest")
    g.expect_drops("forged", auth_fail=1)


run(edges, edges_in_one_burst, behind, upwards_then_zero, one_more_upwards, downwards, downwards_without_zero,
    downwards_then_up, downwards_then_zero, jumps, all_again, forged_does_not_move_it, last=g.close)
