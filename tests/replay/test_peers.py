#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Peers as an operator changes and sees them: counters as wg shows them, keys that must not work,
preshared keys and ports that change under live sessions, many peers at once."""
import packets as pk
import wgpeer as wg
from check import between, check, equal, run
from lockstep import S, SERVER4, Gateway, b64, expect, lan_packet

g = Gateway()


def down(c, text=b"x"):
    return g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, text))


def up(c, kp=None, text=b"x"):
    return c.data(pk.udp(c.in4, SERVER4, 1, 2, text), kp)


def counters_as_wg_shows_them():
    """Ten pings of a client that starts a session: handshake messages count, too."""
    c = g.client("count")
    kp = c.initiate()
    for n in range(10):
        equal(lan_packet(c.data(pk.echo(c.in4, SERVER4, n, data=bytes(56)), kp)).payload[0], 8, "request")
        c.one(g.send_lan(pk.echo(SERVER4, c.in4, n, data=bytes(56), kind=0)), "wg4")
    info = g.peer_info(c)
    equal((info["rx_bytes"], info["tx_bytes"]), (148 + 10 * 128, 92 + 10 * 128), "bytes")
    equal((info["rx_packets"], info["tx_packets"]), (10, 10), "packets of data")
    check(info["last_handshake"] >= 1_800_000_000, "time of the handshake")
    # refused packets do not count
    up(c, kp, b"x")
    g.peer_info(c)
    before = g.peer_info(c)["rx_bytes"]
    bad = bytearray(kp.seal(b"x" * 16))
    bad[-1] ^= 1
    c.send(bytes(bad))
    c.send(kp.seal(b"x" * 16, counter=0))
    equal(g.peer_info(c)["rx_bytes"], before, "forged and replayed ones")
    info = g.peer_info(c)
    equal((info["auth_failures"], info["replays"]), (1, 1), "but are seen")


def low_order_keys():
    """A public key of low order would make every session's keys known: no packet may be sent."""
    points = [bytes(32), b"\x01" + bytes(31),
              bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
              bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
              bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
              bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
              bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    for n, p in enumerate(points):
        try:
            g.call("peer.set", interface="wg0", public_key=b64(p), endpoint="203.0.113.240:%d" % (100 + n),
                   allowed_ips=["10.7.240.%d/32" % n], persistent_keepalive=5)
        except Exception as e:  # noqa: BLE001: refusing such a key is as good
            check("key_invalid" in str(e), "refused for its key: %s" % e)
            continue
        expect(g.send_lan(pk.udp(SERVER4, "10.7.240.%d" % n, 1, 2, b"x")))
        expect([f for f in g.advance(12_000, 100) if f.kind[:2] == "wg"])
        g.call("peer.remove", interface="wg0", peer=b64(p))
    g.run()
    g.new_drops()


def own_key():
    g.call_fails("peer_is_self", "peer.set", interface="wg0", public_key=b64(g.keys["wg0"]), allowed_ips=["10.7.9.9/32"])


def preshared_key_changes():
    c = g.client("psk")
    kp = c.handshake()
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), preshared_key_file=g.secret_file("new.psk", b"\x09" * 32))
    g.run()
    lan_packet(up(c, kp))  # the session goes on
    g.advance(100)
    try:
        c.initiate()
        check(False, "the old PSK must not work any more")
    except wg.ProtocolError:
        pass
    c.peer.psk = b"\x09" * 32
    g.advance(100)
    lan_packet(up(c, c.handshake()))
    g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub), preshared_key_file="")
    g.run()
    c.peer.psk = bytes(32)
    g.advance(100)
    lan_packet(up(c, c.handshake()))
    check(not g.peer_info(c)["preshared_key"], "none is shown")


def listen_port_changes():
    c = g.client("port")
    kp = c.handshake()
    g.call("interface.set", interface="wg0", listen_port=51999)
    g.listen[51999] = "wg0"
    g.run()
    g.new_drops()
    expect(up(c, kp))
    g.expect_drops("at the old port", no_listener=1)
    c.to_port = 51999
    lan_packet(up(c, kp))
    f = c.one(down(c), "wg4")
    equal(f.ip.sport, 51999, "from the new port")
    g.call("interface.set", interface="wg0", listen_port=51820)
    g.run()
    g.new_drops()
    g.call_fails("port_443", "interface.set", interface="wg0", listen_port=443)


def endpoint_by_route():
    """Routes may change under an endpoint: the next packet takes the new way."""
    c = g.client("route", "192.0.2.50", 7000)
    c.handshake()
    g.call("route.add", prefix="192.0.2.0/24", via="198.18.5.77")
    m = g.host(0, "198.18.5.77")
    g.run()
    out = down(c) or g.advance(3000)
    equal([(f.kind, f.dst_mac) for f in out if f.kind == "wg4"], [("wg4", m)], "by the new next hop")
    g.call("route.remove", prefix="192.0.2.0/24")
    g.run()
    equal(expect(down(c), "wg4").dst_mac, g.hosts[(0, 0, "198.18.5.1")], "and back")
    g.call("route.add", prefix="192.0.2.50/32", blackhole=True)
    g.run()
    g.new_drops()
    expect(down(c))
    g.expect_drops("no way", no_route=1)
    g.call("route.remove", prefix="192.0.2.50/32")
    g.run()


def allowed_ips_change_under_traffic():
    c = g.client("allow")
    kp = c.handshake()
    for n in range(30):
        g.call("peer.set", interface="wg0", public_key=b64(c.peer.pub),
               allowed_ips=[c.in4 + "/32"] + ["10.7.%d.0/24" % (160 + k) for k in range(n % 7)])
        lan_packet(up(c, kp))
        c.one(down(c), "wg4")
    equal(g.peer_info(c)["handshakes"], 1, "one session")


def many_initiations():
    """Sessions for 60 peers at once: paced, none forgotten, each packet arrives."""
    g.client("first").handshake()  # the router is resolved
    cs = []
    for n in range(60):
        ip = "203.0.113.%d" % (120 + n)
        c = g.client("many%d" % n, ip, 9000 + n, endpoint="%s:%d" % (ip, 9000 + n))
        c.auto = True
        cs.append(c)
    start = g.now
    for c in cs:
        g.to_lan(pk.udp(SERVER4, c.in4, 1, 2, c.peer.name.encode()))
    g.run()
    g.advance(1000)
    for c in cs:
        texts = [pk.Ip(t).data for _, _, _, t in c.received if t]
        equal(texts, [c.peer.name.encode()], "what %s got" % c.peer.name)
        between(c.received[0][0] - start, 0, S, "time")


def removed_while_it_shakes_hands():
    c = g.client("rem", "203.0.113.200", 7000, endpoint="203.0.113.200:7000")
    f = c.one(down(c), "wg1")
    msg, _ = c.peer.response(c.peer.on_initiation(f.wg))
    g.call("peer.remove", interface="wg0", peer="rem")
    c.known = False
    expect(c.send(msg))
    got = g.new_drops()
    got.pop("local_consumed", None)
    check(set(got) <= {"wg_index", "hs_no_state", "peer_down"}, "response: %s" % got)
    expect(g.advance(20_000, 100))


def added_and_removed_many_times():
    for n in range(200):
        c = g.client("churn%d" % n)
        kp = c.handshake()
        lan_packet(up(c, kp))
        g.call("peer.remove", interface="wg0", peer=c.peer.name)
        g.clients.remove(c)
    g.advance(2000, 100)
    equal(g.call("sys.mem")["keypairs_live"], 0, "no keypair is left")
    equal(g.call("peer.list")["peers"], [], "nor a peer")


run(counters_as_wg_shows_them, low_order_keys, own_key, preshared_key_changes, listen_port_changes, endpoint_by_route,
    allowed_ips_change_under_traffic, many_initiations, removed_while_it_shakes_hands, added_and_removed_many_times,
    after=g.forget_clients, last=g.close)
