#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Interfaces as separate networks: isolation, the same inner address twice, routes of one interface,
AllowedIPs that nest and move; authz modes."""
import packets as pk
from check import check, equal, run
from lockstep import (LAN, SERVER4, SERVER6, Gateway, b64, base_config, expect, interface, lan_packet)

CONFIG = base_config()
CONFIG["ports"][1]["vlans"] = [{"id": 40, "addresses": ["10.20.0.1/24", "fd00:20::1/64"]}]
CONFIG["interfaces"] = [
    interface(),
    interface("open", 51821, ["10.8.0.1/16", "fd00:8::1/64"], isolation=False),
    interface("twin", 51822, ["10.7.0.1/16", "fd00:7::1/64"],
              inside={"port": "lan", "vlan": 40, "prefixes": ["10.20.0.0/24", "fd00:20::/64"]})]
g = Gateway(CONFIG)
g.host(LAN, SERVER4, vlan=40)
g.host(LAN, SERVER6, vlan=40)


def data(a, dst, **kw):
    src = a.in6 if ":" in dst else a.in4
    return a.data(pk.udp(src, dst, 1, 2, b"x", **kw))


def isolated():
    a, b = g.client("a"), g.client("b", allowed=["10.7.50.0/24", "10.7.128.0/17", "fd00:7:0:0:8000::/65"])
    a.handshake()
    b.handshake()
    g.new_drops()
    for dst in ("10.7.50.9", "10.7.222.222", "fd00:7:0:0:8000::5"):
        expect(data(a, dst))
    g.expect_drops("tunnel to tunnel", isolation=3)
    expect(data(a, a.in4))
    g.expect_drops("to itself", isolation=1)
    lan_packet(data(a, SERVER4))
    g.call("peer.remove", interface="wg0", peer="b")
    g.run()
    g.new_drops()


def not_isolated():
    a = g.client("oa", iface="open", allowed=["10.8.0.10/32", "fd00:8::10/128"])
    b = g.client("ob", iface="open", allowed=["10.8.0.11/32", "fd00:8::11/128"])
    a.in4, a.in6, b.in4, b.in6 = "10.8.0.10", "fd00:8::10", "10.8.0.11", "fd00:8::11"
    a.handshake()
    b.handshake()
    g.new_drops()
    for dst in (b.in4, b.in6):
        f = b.one(data(a, dst, ttl=9), "wg4")
        ip = pk.Ip(b.open(f))
        equal((ip.dst, ip.ttl, ip.data), (dst, 8, b"x"), "through the gateway, TTL once")
    f = a.one(data(a, b.in4, ttl=1), "wg4")
    equal(pk.Ip(a.open(f)).payload[:2].hex(), "0b00", "time exceeded")
    g.expect_drops("TTL", ttl=1)
    expect(a.data(pk.udp(b.in4, a.in4, 1, 2, b"x")))
    g.expect_drops("with the other's address", spoofed_source=1)
    # too big for the other tunnel never happens with one MTU; a fragment-free path at the MTU works
    f = b.one(a.data(pk.udp(a.in4, b.in4, 1, 2, bytes(1392))), "wg4")
    equal(len(b.open(f)), 1420, "at the MTU")
    # across interfaces isolation always holds
    c = g.client("wa")
    c.handshake()
    g.new_drops()
    expect(data(c, b.in4))
    g.expect_drops("another interface on the same inside", isolation=1)
    # switched on, it holds at once
    g.call("interface.set", interface="open", isolation=True)
    expect(data(a, b.in4))
    g.expect_drops("switched on", isolation=1)
    g.call("interface.set", interface="open", isolation=False)
    b.one(data(a, b.in4), "wg4")


def twins():
    """The same inner addresses in two interfaces: each stays in its own network."""
    a = g.client("ta", allowed=["10.7.9.9/32", "fd00:7::99/128"])
    b = g.client("tb", iface="twin", allowed=["10.7.9.9/32", "fd00:7::99/128"])
    for c in (a, b):
        c.in4, c.in6 = "10.7.9.9", "fd00:7::99"
        c.handshake()
    g.new_drops()
    for server in (SERVER4, SERVER6):
        equal([f.vlan for f in data(a, server)], [0], "untagged inside")
        equal([f.vlan for f in data(b, server)], [40], "VLAN 40")
        inside = a.in6 if ":" in server else a.in4
        a.one(g.send_lan(pk.udp(server, inside, 2, 1, b"to a")), "wg4")
        b.one(g.send_lan(pk.udp(server, inside, 2, 1, b"to b"), vlan=40), "wg4")
    g.expect_drops("twins")


def wrong_interface():
    a = g.client("wra")
    kp = a.handshake()
    g.new_drops()
    for port in (51821, 51822):
        a.to_port = port
        expect(a.data(pk.udp(a.in4, SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("datagrams to other interfaces", wrong_interface=2)
    a.to_port = 51820
    lan_packet(data(a, SERVER4))


def allowed_ips():
    """Longest prefix wins; a prefix moves with `move`, and only then."""
    a, b = g.client("la", allowed=["10.7.64.0/18", "fd00:7:0:0:1::/80"]), g.client("lb", allowed=["10.7.65.0/24"])
    a.handshake()
    b.handshake()
    g.new_drops()

    def owner(dst):
        out = expect(g.send_lan(pk.udp(SERVER4, dst, 1, 2, b"x")), "wg4")
        return a if a.is_for(out) else b

    equal([owner(x) is a for x in ("10.7.64.1", "10.7.65.1", "10.7.66.1", "10.7.127.255")],
          [True, False, True, True], "owners")
    expect(a.data(pk.udp("10.7.65.1", SERVER4, 1, 2, b"x")))
    g.expect_drops("the more specific owner counts for sources too", spoofed_source=1)
    g.call_fails("allowed_conflict", "peer.set", interface="wg0", public_key=b64(a.peer.pub),
                 allowed_ips=["10.7.64.0/18", "10.7.65.0/24"])
    check(owner("10.7.65.1") is b, "nothing changed")
    g.call("peer.set", interface="wg0", public_key=b64(a.peer.pub), allowed_ips=["10.7.64.0/18", "10.7.65.0/24"],
           move=True)
    g.run()
    check(owner("10.7.65.1") is a, "moved")
    lan_packet(a.data(pk.udp("10.7.65.1", SERVER4, 1, 2, b"x")))
    expect(b.data(pk.udp("10.7.65.1", SERVER4, 1, 2, b"x")))
    g.expect_drops("and taken away", spoofed_source=1)
    g.call("peer.set", interface="wg0", public_key=b64(a.peer.pub), allowed_ips=["10.7.64.0/18"])
    g.run()
    expect(a.data(pk.udp("10.7.150.1", SERVER4, 1, 2, b"x")))
    g.expect_drops("not his any more or never", spoofed_source=1)
    lan_packet(a.data(pk.udp("10.7.65.1", SERVER4, 1, 2, b"x")))  # by the /18


def removed_interface():
    key = g.add_key("gone")
    g.call("interface.set", interface="gone", listen_port=51999, private_key_file=key, addresses=["10.99.0.1/16"],
           inside={"port": "lan", "prefixes": ["10.20.0.0/24"]})
    g.listen[51999] = "gone"
    c = g.client("gc", iface="gone", allowed=["10.99.0.5/32"])
    c.in4 = "10.99.0.5"
    kp = c.handshake()
    lan_packet(data(c, SERVER4))
    check(g.found(kp.recv_key) > 0, "live")
    g.call("interface.remove", interface="gone")
    g.advance(1500)
    g.new_drops()
    expect(c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x"), kp))
    g.expect_drops("the port is closed", no_listener=1)
    equal(g.found(kp.recv_key), 0, "its keys are wiped")
    expect(g.send_lan(pk.udp(SERVER4, c.in4, 1, 2, b"x")))
    g.expect_drops("nor is it a tunnel's network", not_tunnel=1)


def enforce():
    a = g.client("en")
    a.handshake()
    g.new_drops()
    lan_packet(data(a, SERVER4))
    g.call("authz.mode.set", default="enforce", force=True)
    g.run()
    expect(data(a, SERVER4))
    expect(data(a, SERVER6))
    expect(g.send_lan(pk.udp(SERVER4, a.in4, 1, 2, b"x")))
    g.expect_drops("without a policy nobody has a role", no_role=3)
    # the tunnel itself lives on
    expect(a.send(a.peer.current.seal()))
    g.advance(30)
    a.handshake()
    # a denied packet starts no handshake
    b = g.client("en2", "203.0.113.210", 7000, endpoint="203.0.113.210:7000")
    expect(g.send_lan(pk.udp(SERVER4, b.in4, 1, 2, b"x")))
    g.expect_drops("no handshake", no_role=1)
    # observe for one server
    g.call("authz.mode.set", prefixes=["10.20.0.10/32"], mode="observe")
    g.run()
    lan_packet(data(a, SERVER4))
    a.one(g.send_lan(pk.udp(SERVER4, a.in4, 1, 2, b"x")), "wg4")
    expect(data(a, SERVER6))
    expect(data(a, "10.20.0.11"))
    g.expect_drops("others are enforced", no_role=2)
    # a more specific enforce inside an observe prefix
    g.call("authz.mode.set", prefixes=["10.20.0.0/24"], mode="observe")
    g.call("authz.mode.set", prefixes=["10.20.0.10/32"], mode="enforce", force=True)
    g.run()
    expect(data(a, SERVER4))
    g.expect_drops("longest prefix", no_role=1)
    g.host(LAN, "10.20.0.11")
    lan_packet(data(a, "10.20.0.11"))
    # panic lets all pass, and nothing is forgotten
    g.call("authz.mode.set", panic="observe")
    g.run()
    lan_packet(data(a, SERVER4))
    lan_packet(data(a, SERVER6))
    g.call("authz.mode.set", panic="off")
    g.run()
    expect(data(a, SERVER6))
    g.expect_drops("panic is over", no_role=1)
    # isolation and the source check hold in every mode
    g.call("authz.mode.set", prefixes=["10.20.0.10/32", "10.20.0.0/24"], mode="default", force=True)
    g.call("authz.mode.set", default="observe")
    g.run()
    expect(data(a, b.in4))
    expect(a.data(pk.udp("9.9.9.9", SERVER4, 1, 2, b"x")))
    g.expect_drops("in observe too", isolation=1, spoofed_source=1)
    lan_packet(data(a, SERVER6))


run(isolated, not_isolated, twins, wrong_interface, allowed_ips, removed_interface, enforce, last=g.close)
