#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""next, current and previous (paper 5.4.5, 6.2): who may send with what, and when."""
import packets as pk
from check import check, equal, run
from lockstep import SERVER4, Gateway, b64, expect, lan_packet, u32

g = Gateway()


def known(name, n):
    ip = "203.0.113.%d" % n
    return g.client(name, ip, 7000, endpoint="%s:7000" % ip)


def down(c, text=b"x"):
    return g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, text))


def up(c, kp, text=b"x", **kw):
    return c.data(pk.udp(c.in4, SERVER4, 1, 2, text), kp, **kw)


def not_with_unconfirmed_keys():
    """The responder may not send before the initiator has shown that it has the keys."""
    c = g.client("unconf")
    kp = c.initiate()
    out = down(c)
    check("wg4" not in [f.kind for f in out], "data with an unconfirmed keypair")
    frames = c.send(kp.seal())
    equal([u32(f.wg) for f in frames if f.kind == "wg4"], [kp.local], "what waited goes with the confirmation")
    equal(len(c.opened(frames)), 1, "it opens")
    g.expect_drops("nothing lost")


def confirmed_by_data():
    c = g.client("bydata")
    kp = c.initiate()
    lan_packet(up(c, kp))
    c.one(down(c), "wg4")
    equal(g.peer_info(c)["handshakes"], 1, "one session")


def not_confirmed_by_forgeries():
    c = g.client("forge")
    kp = c.initiate()
    bad = bytearray(kp.seal())
    bad[-1] ^= 1
    expect(c.send(bytes(bad)))
    out = down(c)
    check("wg4" not in [f.kind for f in out], "a forged packet confirms nothing")
    equal(g.peer_info(c)["handshakes"], 0, "no session")
    c.send(kp.seal())
    equal(g.peer_info(c)["handshakes"], 1, "session")
    g.expect_drops("forged", auth_fail=1)


def old_current_until_confirmed():
    """While next waits for its confirmation, current goes on in both directions."""
    c = g.client("goeson")
    first = c.handshake()
    g.advance(1000)
    second = c.initiate()
    for _ in range(3):
        equal([u32(f.wg) for f in down(c)], [first.local], "still the first keypair")
        lan_packet(up(c, first))
    lan_packet(up(c, second))
    equal([u32(f.wg) for f in down(c)], [second.local], "the second after its first packet")
    lan_packet(up(c, first))
    equal([u32(f.wg) for f in down(c)], [second.local], "a packet of the first does not bring it back")
    g.expect_drops("nothing lost")


def previous_opens_until_the_next():
    c = g.client("prev")
    kps = []
    for n in range(5):
        kps.append(c.handshake())
        g.advance(1000)
        g.new_drops()
        for k, kp in enumerate(kps):
            out = up(c, kp)
            if k >= n - 1:
                lan_packet(out)
            else:
                expect(out)
                g.expect_drops("keypair %d of %d" % (k, n), wg_index=1)


def unconfirmed_next_is_replaced():
    """Initiations without confirmation: only the newest response counts, current stays."""
    c = g.client("again")
    first = c.handshake()
    unused = []
    for _ in range(10):
        g.advance(100)
        unused.append(c.initiate())
    g.new_drops()
    equal([u32(f.wg) for f in down(c)], [first.local], "current")
    for kp in unused[:-1]:
        expect(up(c, kp))
    g.expect_drops("replaced ones", wg_index=9)
    lan_packet(up(c, unused[-1]))
    equal([u32(f.wg) for f in down(c)], [unused[-1].local], "the newest")
    lan_packet(up(c, first))


def initiator_sends_at_once():
    c = known("atonce", 100)
    frames, kp = c.answer(c.one(down(c), "wg1"))
    equal([u32(f.wg) for f in frames], [kp.local], "current at once")
    equal(len(c.opened(frames)), 1, "data")


def both_at_once():
    """Both sides initiate; each side's response is taken; traffic goes on in both directions."""
    c = known("cross", 101)
    theirs = c.one(down(c), "wg1")
    mine = c.peer.initiation()
    response, b = c.peer.response(c.peer.on_initiation(theirs.wg))
    frames = c.send(mine)
    got = [f for f in frames if f.kind == "wg2"]
    equal(len(got), 1, "the gateway answers though it initiates itself")
    a = c.peer.on_response(got[0].wg)
    frames = c.send(response)
    g.new_drops()
    frames += c.send(a.seal())
    check(len([p for p in c.opened(frames) if p]) == 1, "what was parked comes once")
    lan_packet(up(c, a))
    equal([u32(f.wg) in (a.local, b.local) for f in down(c)], [True], "traffic to the client")


def kick_and_disable():
    c = g.client("kick")
    kp = c.handshake()
    g.call("peer.kick", interface="wg0", peer=b64(c.peer.pub))
    g.run()
    g.new_drops()
    expect(up(c, kp))
    g.expect_drops("kicked", wg_index=1)
    g.advance(30)
    kp = c.handshake()
    lan_packet(up(c, kp))
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), enabled=False)
    g.run()
    g.new_drops()
    expect(up(c, kp))
    expect(down(c))
    got = g.new_drops()
    check(set(got) <= {"peer_down", "wg_index", "no_peer"} and sum(got.values()) == 2, "disabled: %s" % got)


def changes_beside_do_not_disturb():
    """Adding, changing and removing other peers touches no session."""
    c = g.client("calm")
    kp = c.handshake()
    for n in range(20):
        other = g.client("noise%d" % n)
        lan_packet(up(c, kp))
        g.call("peer.set", interface="wg0", public_key=b64(other.peer.pub), allowed_ips=["10.66.%d.0/24" % n])
        c.one(down(c), "wg4")
        g.call("peer.remove", interface="wg0", peer=b64(other.peer.pub))
        lan_packet(up(c, kp))
    # its own name and keepalive may change too
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), name="calmer", persistent_keepalive=100)
    lan_packet(up(c, kp))
    equal(g.peer_info(c)["handshakes"], 1, "one session all the time")


def new_interface_key():
    """With another private key the gateway is another: old sessions end."""
    c = g.client("newkey")
    kp = c.handshake()
    lan_packet(up(c, kp))
    import wgpeer as wg
    old = g.keys["wg0"]
    other = g.secret_file("other.key", wg.key_of("another gateway"))
    g.call("interface.set", interface="wg0", private_key_file=other)
    g.run()
    g.new_drops()
    expect(up(c, kp))
    got = g.new_drops()
    check(set(got) <= {"wg_index", "peer_down"} and sum(got.values()) == 1, "old session: %s" % got)
    g.advance(30)
    expect(c.send(c.peer.initiation()))
    g.expect_drops("for the old key", hs_mac1=1)
    c.peer.remote_pub = wg.public(wg.key_of("another gateway"))
    c.handshake()
    g.call("interface.set", interface="wg0", private_key_file=g.add_key("wg0"))
    equal(g.keys["wg0"], old, "back")


run(not_with_unconfirmed_keys, confirmed_by_data, not_confirmed_by_forgeries, old_current_until_confirmed,
    previous_opens_until_the_next, unconfirmed_next_is_replaced, initiator_sends_at_once, both_at_once,
    kick_and_disable, changes_beside_do_not_disturb, new_interface_key, last=g.close)
