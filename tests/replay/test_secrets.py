#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where secrets stand in the memory of the gateway: transport keys, private keys and preshared keys
in locked pages that no core dump holds; everything that a handshake computes on its way, nowhere
when it is over."""
import os
import re

import packets as pk
import wgpeer as wg
from check import check, equal, run
from lockstep import BINARY, SERVER4, Gateway, b64, base_config, expect, lan_packet

CONFIG = base_config()
CONFIG["system"]["mbufs"] = 4095  # less to search
g = Gateway(CONFIG)


def mappings():
    """(low, high, flags) of each mapping of the gateway."""
    out, low, high = [], 0, 0
    with open("/proc/%d/smaps" % g.proc.pid, encoding="ascii", errors="replace") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if m:
                low, high = int(m[1], 16), int(m[2], 16)
            elif line.startswith("VmFlags:"):
                out.append((low, high, line.split()[1:]))
    return out


def can_lock():
    """Root may lock memory; the address sanitizer makes mlock() do nothing."""
    with open(BINARY, "rb") as f:
        return os.geteuid() == 0 and b"__asan_init" not in f.read()


LOCKED = can_lock()


def is_kept_well(what, secret, copies):
    n = g.found(secret)
    check(1 <= n <= copies, "%s: %d copies, at most %d expected: %s" % (what, n, copies, g.where))
    maps = mappings()
    for line in g.where[:-1]:
        at = int(line.split()[1], 16)
        flags = next(f for low, high, f in maps if low <= at < high)
        check("dd" in flags, "%s at %x would be in a core dump: %s" % (what, at, line))
        check("lo" in flags or not LOCKED, "%s at %x is not locked: %s" % (what, at, line))


def is_gone(what, secret):
    equal(g.found(secret), 0, "%s is left: %s" % (what, g.where))


class Recorder:
    """What a handshake derives on the peer's side: chaining keys, message keys, DH results."""

    def __enter__(self):
        self.seen, self.kdf, self.dh = [], wg.kdf, wg.dh

        def kdf(key, data, n):
            out = self.kdf(key, data, n)
            self.seen += out
            return out

        def dh(priv, pub):
            out = self.dh(priv, pub)
            self.seen.append(out)
            return out

        wg.kdf, wg.dh = kdf, dh
        return self

    def __exit__(self, *exc):
        wg.kdf, wg.dh = self.kdf, self.dh


def derived(c, rec, kp):
    """All but the transport keys, and but the product of the static keys, which is kept on purpose."""
    keep = {kp.send_key, kp.recv_key, wg.dh(c.peer.static, c.peer.remote_pub)}
    return [s for s in dict.fromkeys(rec.seen) if s not in keep]


def handshake_as_responder():
    c = g.client("resp", psk=b"\x3c" * 32)
    with Recorder() as rec:
        kp = c.initiate()
    secrets = derived(c, rec, kp)
    check(len(secrets) >= 12, "%d values" % len(secrets))
    for n, s in enumerate(secrets):
        is_gone("value %d of the handshake" % n, s)
    for k in (kp.send_key, kp.recv_key):
        is_kept_well("transport key", k, 1)
    c.send(kp.seal())
    lan_packet(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))
    c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg4")
    for k in (kp.send_key, kp.recv_key):
        is_kept_well("transport key in use", k, 1)
    is_kept_well("preshared key", c.peer.psk, 2)
    is_kept_well("product of the static keys", wg.dh(c.peer.static, c.peer.remote_pub), 1)


def handshake_as_initiator():
    c = g.client("init", "203.0.113.100", 7000, endpoint="203.0.113.100:7000")
    f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1")
    with Recorder() as rec:
        state = c.peer.on_initiation(f.wg)
        is_kept_well("chaining key of a pending handshake", state[0].ck, 1)
        msg, kp = c.peer.response(state)
    expect(c.send(msg), "wg4")
    for n, s in enumerate(derived(c, rec, kp)):
        is_gone("value %d of the handshake" % n, s)
    for k in (kp.send_key, kp.recv_key):
        is_kept_well("transport key", k, 1)


def handshake_that_ends_in_nothing():
    c = g.client("never", "203.0.113.101", 7000, endpoint="203.0.113.101:7000")
    f = c.one(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")), "wg1")
    ck = c.peer.on_initiation(f.wg)[0].ck
    g.advance(95_000, 100)
    is_gone("chaining key after giving up", ck)


def failed_handshakes():
    """Messages that fail late leave nothing behind either."""
    c = g.client("fail", add=False)
    with Recorder() as rec:
        expect(c.send(c.peer.initiation()))  # unknown peer: found out after two products
    for n, s in enumerate(dict.fromkeys(rec.seen)):
        is_gone("value %d of an unknown peer's initiation" % n, s)


def private_keys():
    is_kept_well("private key", wg.key_of("interface wg0"), 2)
    is_gone("its base64 text", b64(wg.key_of("interface wg0")).encode())
    g.call("interface.set", interface="tmp", listen_port=51999, private_key_file=g.add_key("tmp"),
           addresses=["10.99.0.1/24"])
    g.run()
    is_kept_well("private key by RPC", wg.key_of("interface tmp"), 2)
    is_gone("its base64 text", b64(wg.key_of("interface tmp")).encode())
    g.call("interface.remove", interface="tmp")
    g.advance(2000)
    is_gone("private key of a removed interface", wg.key_of("interface tmp"))


def preshared_keys():
    c = g.client("psk", psk=b"\x4d\x3c" * 16)
    g.run()
    is_kept_well("preshared key", c.peer.psk, 2)
    is_gone("its base64 text", b64(c.peer.psk).encode())
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub),
           preshared_key_file=g.secret_file("other.psk", b"\x4e\x3d" * 16))
    g.run()
    is_gone("replaced preshared key", c.peer.psk)
    is_kept_well("the new one", b"\x4e\x3d" * 16, 2)
    g.forget_clients()
    g.advance(2000)
    is_gone("preshared key of a removed peer", b"\x4e\x3d" * 16)


def nothing_on_the_wire_side():
    """Keys are not in what RPC tells."""
    c = g.client("told", psk=b"\x11\x22" * 16)
    kp = c.handshake()
    texts = "".join(str(g.call(m)) for m in ("peer.list", "session.list", "interface.list", "config.show", "sys.health"))
    for s in (kp.send_key, kp.recv_key, c.peer.psk, wg.key_of("interface wg0")):
        check(b64(s) not in texts and s.hex() not in texts, "a secret is told")


run(handshake_as_responder, handshake_as_initiator, handshake_that_ends_in_nothing, failed_handshakes, private_keys,
    preshared_keys, nothing_on_the_wire_side, after=g.forget_clients, last=g.close)
