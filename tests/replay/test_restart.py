#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A restart: what is kept (endpoints and timestamps in memory-backed files, authz modes on disk),
what comes back by itself, and a wall clock that is set."""
import os

import packets as pk
import wgpeer as wg
from check import between, check, equal, run
from lockstep import PEER_WALL0, S, SERVER4, WALL0, Gateway, b64, base_config, expect, interface, lan_packet


def config(names, **authz):
    peers = [{"name": n, "public_key": b64(wg.public(wg.key_of(n))), "allowed_ips": ["10.7.60.%d/32" % k]}
             for k, n in enumerate(names, 1)]
    c = base_config(interfaces=[interface(peers=peers)])
    if authz:
        c["authz"] = authz
    return c


def clients(g, names, like=None):
    out = []
    for k, n in enumerate(names, 1):
        c = g.client(n, "203.0.113.%d" % (20 + k), 4000 + k, add=False)
        c.in4 = "10.7.60.%d" % k
        if like:
            c.peer, c.ip, c.port = like[k - 1].peer, like[k - 1].ip, like[k - 1].port
        out.append(c)
    return out


def files_below(path):
    return [os.path.join(d, f) for d, _, fs in os.walk(path) for f in fs]


def everything_comes_back():
    names = ["ra", "rb", "rc"]
    g = Gateway(config(names))
    a, b, c = clients(g, names)
    a.handshake()
    g.advance(100)
    last = a.peer.initiation()
    a.one(a.send(last), "wg2")
    b.handshake()
    b.ip, b.port = "2001:db8:99::b", 777  # roamed
    lan_packet(b.data(pk.udp(b.in4, SERVER4, 1, 2, b"x")))
    g.advance(7000, 100)
    for f in files_below(g.dir + "/state"):
        text = open(f, "rb").read()
        check(b"203.0.113" not in text and b"2001:db8:99" not in text, "no endpoint on disk: %s" % f)
    equal(g.close(), 0, "exit code")

    h = Gateway(config(names), keep=g.dir)
    a2, b2, c2 = clients(h, names, (a, b, c))
    out = h.run() + h.advance(1000)
    equal(sorted((f.kind, f.ip.dst, f.ip.dport) for f in out),
          [("wg1", "2001:db8:99::b", 777), ("wg1", "203.0.113.21", 4001)], "it initiates to whom it knew")
    h.new_drops()
    # a recorded initiation must not move anybody
    a2.ip = "203.0.113.66"
    expect(a2.send(last))
    h.expect_drops("replayed from before the restart", hs_replay=1)
    equal(h.peer_info(a2)["endpoint"], "203.0.113.21:4001", "endpoint")
    a2.ip = a.ip
    for x in (a2, b2):
        f = [f for f in out if x.is_for(f)][0]
        frames, kp = x.answer(f)
        equal(x.opened(frames), [b""], "session of " + x.peer.name)
        x.peer.current = kp
        lan_packet(x.data(pk.udp(x.in4, SERVER4, 1, 2, b"x")))
    c2.handshake()
    equal(h.close(), 0, "exit code")


def forgotten_without_run_files():
    names = ["fa"]
    g = Gateway(config(names))
    a, = clients(g, names)
    a.handshake()
    g.advance(7000, 100)
    g.close()
    for f in files_below(g.dir + "/run"):
        os.remove(f)
    h = Gateway(config(names), keep=g.dir)
    a2, = clients(h, names, (a,))
    expect(h.advance(10_000, 100))
    check("endpoint" not in h.peer_info(a2), "nothing is known")
    a2.handshake()
    h.close()


def broken_run_files():
    """Whatever stands there, the gateway starts and works."""
    names = ["ba"]
    g = Gateway(config(names))
    a, = clients(g, names)
    a.handshake()
    g.advance(7000, 100)
    g.close()
    path = [f for f in files_below(g.dir + "/run") if os.path.getsize(f)]
    equal(len(path), 1, "one run file")
    good = open(path[0], "rb").read()
    for bad in (b"", b"garbage\n", good[:-5], good.replace(b"203.0.113", b"999.0.113"), good + b"x y z\n", b"\0" * 1000,
                good * 3, b"sluice-run 2\n" + good):
        with open(path[0], "wb") as f:
            f.write(bad)
        h = Gateway(config(names), keep=g.dir)
        a2, = clients(h, names, (a,))
        h.run()
        h.advance(100)
        a2.peer.pending.clear()
        a2.handshake()
        lan_packet(a2.data(pk.udp(a2.in4, SERVER4, 1, 2, b"x")))
        equal(h.close(), 0, "exit code")


def modes_are_kept():
    names = ["ma"]
    g = Gateway(config(names, mode="observe"))
    g.call("authz.mode.set", default="enforce", force=True)
    g.call("authz.mode.set", prefixes=["10.20.0.10/32"], mode="observe")
    g.close()
    h = Gateway(config(names, mode="observe"), keep=g.dir)
    m = h.call("authz.mode.get")
    equal((m["default"], m["prefixes"], m["from_state"]),
          ("enforce", [{"prefix": "10.20.0.10/32", "mode": "observe"}], True), "a restart never lowers enforcement")
    a, = clients(h, names)
    a.handshake()
    h.new_drops()
    lan_packet(a.data(pk.udp(a.in4, SERVER4, 1, 2, b"x")))
    expect(a.data(pk.udp(a.in4, "10.20.0.11", 1, 2, b"x")))
    h.expect_drops("enforced", no_role=1)
    h.close()


def wall_clock_is_set():
    g = Gateway()
    c = g.client("wall", "203.0.113.30", 7000, endpoint="203.0.113.30:7000")
    stamps = []

    def stamp(f):
        c.peer.on_initiation(f.wg)  # refuses what is not newer
        stamps.append(wg.tai64n_ns(c.peer.last_ts))

    stamp(c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1"))
    g.set_wall(-3600_000)
    stamp(c.one(g.advance(5400), "wg1"))
    g.set_wall(7200_000)
    stamp(c.one(g.advance(5400), "wg1"))
    equal(stamps, sorted(stamps), "timestamps go up, whatever the clock does")
    between(stamps[2] - stamps[0], 3600 * S, 3700 * S, "and follow it forward")
    check(stamps[1] - stamps[0] < S, "but do not run ahead of it")
    g.new_drops()
    # a peer's own clock counts, not ours
    c.peer.wall_ns = PEER_WALL0
    c.handshake()
    check(WALL0 > PEER_WALL0, "the peer's clock is behind")
    g.close()


run(everything_comes_back, forgotten_without_run_files, broken_run_files, modes_are_kept, wall_clock_is_set)
