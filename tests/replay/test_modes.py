#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mode matrix: one script against one worker, two workers with two queues, two workers whose
packets come in at the wrong queue, and an io lcore with two workers. Per keypair and per inner flow
the output must be the same bytes in the same order; order between them is compared after a stable
sort by virtual time, then keypair or flow."""
import struct

import packets as pk
import wgpeer as wg
from check import check, equal, run
from lockstep import LAN, SERVER4, SERVER6, Gateway, base_config, lcores, rss

CLIENTS = 12
PACKETS = 24  # of a client in a turn, each way: too few in a second for a change of its home


def config(workers, io):
    c = base_config()
    c["system"].update(lcores(workers, io))
    return c


def by_client(frame):
    """All that goes to one client comes in at one queue, all that comes from it as well."""
    f = pk.Frame(0, 0, frame)
    if f.ip is None:
        return 0
    end = f.ip.dst if f.ip.dst.startswith(("10.7.", "fd00:7:")) else f.ip.src
    last = pk.addr(end)[-1]
    return last - 1 if end.startswith("10.7.") else last


def script(g):
    """Handshakes of both roles, streams both ways, a rekey, roaming, errors, replays. Every frame sent
    stands in g.trace."""
    g.trace = []
    cs = []
    for n in range(CLIENTS):
        end = {"endpoint": "203.0.113.%d:%d" % (100 + n, 4000 + n)} if n % 3 == 2 else {}
        c = g.client("m%d" % n, "2001:db8:9::%x" % n if n % 3 == 1 else "203.0.113.%d" % (100 + n), 4000 + n, **end)
        cs.append(c)
    for n, c in enumerate(cs):
        if n % 3 == 2:
            c.auto = True
            g.send_lan(pk.udp(SERVER4, c.in4, n, 9, b"first"))
            check(c.peer.keypairs, "session of %s" % c.peer.name)
            c.auto = False
            c.peer.current = list(c.peer.keypairs.values())[-1]
        else:
            c.handshake()
    for server, inside in ((SERVER4, cs[0].in4), (SERVER6, cs[0].in6)):
        cs[0].data(pk.udp(inside, server, 1, 2, b"resolve"))
    for turn in range(6):
        traffic(g, cs, turn)
        g.advance(700, 100)
    errors(g, cs)
    for n in (0, 1, 4):
        cs[n].ip = "203.0.113.%d" % (200 + n)  # roaming, to another queue
    traffic(g, cs, 7)
    g.advance(12_000, 100)
    for c in cs[::2]:
        c.handshake()
    traffic(g, cs, 8)
    traffic(g, cs, 9)
    return g.trace


def traffic(g, cs, turn):
    """Packets each way of each client, interleaved."""
    up, down = [], []
    for k in range(PACKETS):
        for n, c in enumerate(cs):
            text = struct.pack(">III", turn, n, k) + bytes((turn * 37 + n * 11 + k * 5) % 900)
            inside, server = (c.in6, SERVER6) if k % 2 else (c.in4, SERVER4)
            up.append(c.frame(c.peer.current.seal(pk.udp(inside, server, 5000 + k % 3, 80, text))))
            down.append(pk.ip_frame(g.mac[LAN], g.hosts[(LAN, 0, SERVER4)],
                                    pk.udp(server, inside, 80, 5000 + k % 3, text)))
    g.rx_many(0, up)
    out = g.run()
    g.rx_many(1, down)
    out += g.run()
    equal(len(out), 2 * PACKETS * len(cs), "turn %d: all arrive" % turn)


def errors(g, cs):
    c, kp = cs[0], cs[0].peer.current
    good = kp.seal(pk.udp(c.in4, SERVER4, 1, 2, b"x"))
    c.send(good)
    c.send(good)
    bad = bytearray(kp.seal(b"x" * 20))
    bad[-1] ^= 1
    c.send(bytes(bad))
    c.data(pk.udp(cs[1].in4, SERVER4, 1, 2, b"x"))
    c.data(pk.udp(c.in4, SERVER4, 1, 2, b"x", ttl=1))
    c.data(pk.udp(c.in4, cs[1].in4, 1, 2, b"x"))
    c.data(pk.echo(c.in4, "10.7.0.1", 1))
    for k in range(3):
        g.to_lan(pk.udp(SERVER4, cs[k].in4, 1, 2, bytes(1473)))           # fragments
        g.to_lan(pk.udp(SERVER4, cs[k].in4, 1, 2, bytes(1473), df=True))  # too big
    g.run()
    check(g.call("stats.get")["rx"]["packets"] > 0, "statistics count")


def flow_of(i):
    """Inner flow of a packet; of an ICMP error also what it quotes."""
    more = b""
    if i.proto == pk.UDP and not i.off:
        more = i.payload[:4]
    elif i.proto == pk.ICMP and i.payload[0] in (3, 11):
        more = i.payload[20:28]
    return "flow", i.src, i.dst, i.proto, more.hex()


def sequences(frames):
    """Per keypair and per flow in clear: (time, bytes behind Ethernet) in order."""
    out = {}
    for f in frames:
        if f.kind in ("arp", "ns", "na"):
            continue
        if f.kind == "wg4":
            key = ("keypair", struct.unpack_from("<I", f.wg, 4)[0])
        elif f.kind.startswith("wg"):
            key = ("handshake", f.ip.dst)
        else:
            key = flow_of(f.ip)
        out.setdefault(key, []).append((f.at_ns, f.l3))
    return out


def opened(frames, clients):
    """Per inner flow to a client: (time, plaintext) in order; counters have no gap."""
    keys = {kp.local: kp for c in clients for kp in c.peer.keypairs.values()}
    out, counters = {}, {}
    for f in frames:
        if f.kind != "wg4":
            continue
        index, counter = struct.unpack_from("<IQ", f.wg, 4)
        text = wg.unseal(keys[index].recv_key, counter, f.wg[16:])
        counters.setdefault(index, []).append(counter)
        if text:
            out.setdefault((index,) + flow_of(pk.Ip(text)), []).append((f.at_ns, text))
    for index, seen in counters.items():
        equal(sorted(seen), list(range(len(seen))), "counters of keypair %x" % index)
    return out


def same(what, got, ref):
    equal(sorted(map(repr, got)), sorted(map(repr, ref)), what + ": keypairs and flows")
    for key, seq in ref.items():
        for n, (a, b) in enumerate(zip(got[key], seq)):
            equal(a, b, "%s: packet %d of %s" % (what, n, key))
        more = (got[key][len(seq):] + seq[len(got[key]):])[:1]
        equal(len(got[key]), len(seq), "%s: packets of %s, %s" % (what, key, more))


results = {}


def mode(name, workers, io, queues, route, exact=True, one_home=None):
    """exact: the packets of a keypair come in at one queue, so the very bytes must be the same. Where
    a NIC spreads the flows of a client, queues are drained in turn and their order among each other
    decides who gets which counter: there the packets inside are compared, flow by flow."""
    with Gateway(config(workers, io), queues=queues, seed=7, route=route) as g:
        frames = script(g)
        roles = sorted(x["role"] for x in g.call("sys.lcores")["lcores"] if x["role"] in ("worker", "io"))
        equal(roles, sorted(["worker"] * workers + ["io"] * io), "lcores of " + name)
        drops = g.new_drops()
        homes = {g.peer_info(c)["worker"] for c in g.clients}
        check(len(homes) == workers or homes == one_home, "homes: %s" % homes)
        inner = opened(frames, g.clients)
    outer = sequences(frames)
    if not results:
        results.update(outer=outer, inner=inner, drops=drops)
        check(len(outer) > 100 and len(inner) > 100, "flows: %d" % len(outer))
        return
    if exact:
        same(name, outer, results["outer"])
    same(name + ", inside", inner, results["inner"])
    equal(drops, results["drops"], name + ": drops")


def one_worker():
    mode("one worker", 1, 0, 1, None)


def one_worker_again():
    mode("one worker again", 1, 0, 1, None)


def two_workers():
    mode("two workers", 2, 0, 2, lambda f: by_client(f) % 2)


def two_workers_wrong_queue():
    mode("two workers, the other queue", 2, 0, 2, lambda f: (by_client(f) + 1) % 2)


def two_workers_one_queue_for_all():
    mode("two workers, one queue gets all", 2, 0, 2, lambda f: 1, one_home={1})


def two_workers_rss():
    mode("two workers, RSS", 2, 0, 2, lambda f: rss(f) % 2, exact=False)


def io_and_two_workers():
    mode("io and two workers", 2, 1, 1, None)


def two_io_and_two_workers():
    mode("two io and two workers", 2, 2, 2, lambda f: by_client(f) // 2 % 2)


run(one_worker, one_worker_again, two_workers, two_workers_wrong_queue, two_workers_one_queue_for_all,
    two_workers_rss, io_and_two_workers, two_io_and_two_workers)
