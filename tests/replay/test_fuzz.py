#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bad frames of all kinds at a whole gateway: random changes to right ones, cut and chained buffers.
Every frame is accounted for once (forwarded, dropped under a reason, or a handshake message that
was taken), no buffer is lost, and the tunnels still work. The changes come from a fixed seed."""
import os
import random

import packets as pk
from check import check, equal, run
from lockstep import (INNER4, LAN, SERVER4, SERVER6, WAN, WAN4, WAN6, Gateway, expect, lan_packet)

g = Gateway()
ROUNDS = int(os.environ.get("ROUNDS", "40"))
BATCH = 100


def mutate(rng, frame):
    """One to four small changes, mostly where headers are."""
    b = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        what = rng.randrange(7)
        at = min(int(rng.expovariate(1 / 30)), len(b) - 1) if b else 0
        if not b:
            break
        if what == 0:
            b[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            b[at] = rng.choice((0, 1, 4, 6, 0x45, 0x60, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
        elif what == 2:
            del b[rng.randrange(len(b)):]
        elif what == 3:
            b += bytes(rng.randrange(64))
        elif what == 4:
            del b[at:at + rng.randint(1, 8)]
        elif what == 5:
            b[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
        else:
            n = rng.choice((2, 4))
            b[at:at + n] = rng.choice((b"\0" * n, b"\xff" * n, b"\x7f\xff\xff\xff"[:n], b"\x00\x00\x05\xdc"[:n]))
    return bytes(b[:2000])


def fix(frame):
    """Make the IPv4 header checksum right again, so that changes get further."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    if len(frame) < at + 20 or frame[at] != 0x45:
        return frame
    h = frame[at:at + 10] + b"\0\0" + frame[at + 12:at + 20]
    return frame[:at + 10] + pk.csum(h) + frame[at + 12:]


def outside(c, rng):
    """Right frames from the WAN side."""
    kp = c.peer.current
    router = g.hosts[(WAN, 0, "198.18.5.1")]
    inner = pk.udp(c.in4, SERVER4, 1, 2, bytes(rng.randrange(300)))
    kind = rng.randrange(8)
    if kind == 0:
        return c.frame(c.peer.initiation())
    if kind == 1:
        return c.frame(b"\2\0\0\0" + bytes(88))
    if kind == 2:
        return c.frame(b"\3\0\0\0" + bytes(60))
    if kind == 3:
        return pk.ip_frame(g.mac[WAN], router, rng.choice(pk.fragments4(c.datagram(kp.seal(inner)), 64)))
    if kind == 4:
        return pk.eth(pk.BROADCAST, router, pk.ARP, pk.arp(1, router, "198.18.5.1", bytes(6), WAN4))
    if kind == 5:
        return pk.ip_frame(g.mac[WAN], router, pk.nd(135, "2001:db8:5::1", WAN6, WAN6, router))
    if kind == 6:
        return pk.ip_frame(g.mac[WAN], router, pk.echo("203.0.113.7", WAN4, 1))
    return c.frame(kp.seal(inner))


def inside(c, rng):
    """Right frames from the LAN side."""
    server = rng.choice((SERVER4, SERVER6))
    to = c.in4 if server == SERVER4 else c.in6
    kind = rng.randrange(5)
    if kind == 0:
        p = pk.tcp_syn(server, to, 1, 2, 1460)
    elif kind == 1:
        p = pk.echo(server, to, 1)
    elif kind == 2:
        p = rng.choice(pk.fragments4(pk.udp(SERVER4, c.in4, 1, 2, bytes(900)), 256))
    elif kind == 3:
        p = pk.echo(server, INNER4 if server == SERVER4 else "fd00:7::1", 1)
    else:
        p = pk.udp(server, to, 1, 2, bytes(rng.randrange(1300)))
    return pk.ip_frame(g.mac[LAN], g.hosts[(LAN, 0, server)], p)


def in_tunnel(c, rng):
    """Right and changed packets inside authentic messages."""
    to, own = rng.choice(((SERVER4, c.in4), (SERVER6, c.in6), (INNER4, c.in4), ("fd00:7::1", c.in6)))
    p = rng.choice((pk.udp(own, to, 1, 2, bytes(rng.randrange(200))), pk.tcp_syn(own, to, 1, 2, 1460),
                    pk.echo(own, to, 1)))
    p = mutate(rng, p)
    if p[:1] == b"\x45" and len(p) >= 20:
        p = p[:10] + pk.csum(p[:10] + b"\0\0" + p[12:20]) + p[12:]
    return c.frame(c.peer.current.seal(p))


def totals():
    s = g.call("stats.get")
    h = s["handshakes"]
    return s["rx"]["packets"], sum(g.drops().values()), h


def storm(name, make, port, changed=True):
    rng = random.Random(name)
    c = g.client(name)
    c.handshake()
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"before")))
    lan_packet(c.data(pk.udp(c.in6, SERVER6, 1, 2, b"before")))
    for _ in range(ROUNDS):
        frames = []
        for _ in range(BATCH):
            f = make(c, rng)
            if changed:
                f = mutate(rng, f)
                f = fix(f) if rng.random() < 0.7 else f
            frames.append(f)
        g.rx_many(port, [f for f in frames if f], 0)
        g.run()
        g.advance(50)
    g.advance(3000)
    # it goes on as if nothing had been
    c.ip, c.port = "203.0.113.9", 999
    g.advance(1000)
    kp = c.handshake()
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"after"), kp))
    c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"after")), "wg4")
    g.check_leaks()
    got = g.new_drops()
    check(len(got) >= 4, "%s reached little: %s" % (name, got))


def changed_outside():
    storm("fuzz-outside", outside, WAN)


def changed_inside():
    storm("fuzz-inside", inside, LAN)


def changed_in_the_tunnel():
    storm("fuzz-tunnel", in_tunnel, WAN, changed=False)


def noise():
    """Nothing but random bytes behind a right Ethernet header."""
    rng = random.Random("noise")

    def make(_, r):
        return g.mac[WAN] + bytes(6) + r.choice((b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00")) + rng.randbytes(
            r.randrange(200))

    storm("fuzz-noise", make, WAN, changed=False)


def accounted():
    """Frames in = packets out + drops, where nothing else is made."""
    c = g.client("accounted")
    kp = c.handshake()
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x")))
    g.advance(2000)
    rng = random.Random("accounted")
    rx, dropped, _ = totals()
    frames = []
    for n in range(3000):
        msg = kp.seal(pk.udp(c.in4, SERVER4, 1, 2, bytes(n % 100)))
        if n % 3:
            msg = bytearray(msg)
            msg[rng.randrange(8, len(msg))] ^= 1 + rng.randrange(255)
        frames.append(c.frame(bytes(msg)))
    g.rx_many(WAN, frames, 0)
    out = g.run()
    g.advance(200)
    rx2, dropped2, _ = totals()
    equal(rx2 - rx, 3000, "received")
    equal(len(out) + dropped2 - dropped, 3000, "forwarded and dropped")


def chained():
    """Frames in chains of small buffers give the same as in one, at every cut."""
    c = g.client("chain")
    c.handshake()
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x")))
    for seg in list(range(1, 80)) + [100, 200, 500]:
        inner = pk.udp(c.in4, SERVER4, seg, 2, bytes(range(150)))
        g.rx_chain(WAN, c.frame(c.peer.current.seal(inner)), seg)
        equal(lan_packet(g.run()).data, bytes(range(150)), "up, %d bytes a buffer" % seg)
        g.rx_chain(LAN, pk.ip_frame(g.mac[LAN], g.hosts[(LAN, 0, SERVER4)],
                                    pk.udp(SERVER4, c.in4, 2, seg, bytes(range(150)))), seg)
        equal(pk.Ip(c.open(c.one(g.run(), "wg4"))).data, bytes(range(150)), "down, %d bytes a buffer" % seg)
        if seg % 8 == 0:
            g.advance(30)
            g.rx_chain(WAN, c.frame(c.peer.initiation()), seg)
            kp = c.peer.on_response(c.one(g.run(), "wg2").wg)
            expect(c.send(kp.seal()))
    g.expect_drops("chains")
    # more than a buffer can take
    whole = c.frame(c.peer.current.seal(bytes(8000)))
    g.rx_chain(WAN, whole, 1500)
    expect(g.run())
    g.expect_drops("longer than a buffer", chained=1)


run(changed_outside, changed_inside, changed_in_the_tunnel, noise, accounted, chained, after=g.forget_clients,
    last=g.close)
