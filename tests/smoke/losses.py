# SPDX-License-Identifier: BSD-3-Clause
"""Who lost a packet: the gateway, or a machine that is short of CPU?

losses.py look PIDS SOCKETS                             print what all counters say now
losses.py judge PIDS SOCKETS BEFORE SENT LOST ON_WAY    judge a loss of LOST packets since `look` wrote the file BEFORE; SENT: the
                    echo requests sent from this network namespace, 0 if they were none; ON_WAY: how many may come late at any time

PIDS: processes in the namespaces to look at; SOCKETS: of gateways; both separated by commas. A loss is the machine's if nothing
was dropped in a gateway for another reason than that a queue was full, and if as many packets ended in full queues: in sockets and
devices of the kernel, or, while programs waited for a CPU, in a gateway's. An answer that came after ping had ended is late; that
too is the machine's only while programs waited for a CPU.
Prints what it saw. Status 0: all came, late; 3: lost, the machine's; 1: the gateway's, or nobody's.
"""

import contextlib
import json
import os
import re
import socket
import struct
import sys
import time

# of what is for nobody behind the gateway; frag_outer: of what was lost before
ORDINARY = {"local_consumed", "l2_not_mine", "hs_cookie_sent", "frag_outer"}
FULL = {"tx_full", "steer_full", "hs_lane_full", "no_mbuf"}
STALL_MS = 20  # programs that wait less for a CPU make no ring full and no answer late
LATE_S = 2
COOKIE_S = 10  # a client that must come again with a cookie does so after five seconds


def ask(s, f, method, params=None):
    s.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}) + "\n").encode())
    return json.loads(f.readline())["result"]


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def devices(net):
    """Device -> (received, dropped)."""
    out = {}
    for line in read(net + "/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        n = [int(x) for x in rest.split()]
        out[name.strip()] = (n[1], n[3] + n[11])
    return out


def snmp(net):
    """Protocol and counter -> number, of IPv4 and IPv6."""
    out = {}
    lines = read(net + "/snmp").splitlines()
    for names, numbers in zip(lines[::2], lines[1::2]):
        what, names = names.split(":")
        out.update(zip([what + n for n in names.split()], map(int, numbers.split(":")[1].split())))
    out.update((k, int(v)) for k, v in (line.split() for line in read(net + "/snmp6").splitlines()))
    return out


def gateway(path):
    """Counters of one gateway: drops by reason, what rings of ports lost, cookies sent."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        pid = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        f = s.makefile()
        ports = {p["name"]: re.search(r"iface=([^,]+)", p["device"]) for p in ask(s, f, "port.list")["ports"]}
        kernel = devices(f"/proc/{pid}/net")
        stats = ask(s, f, "port.stats")["ports"]
        drops = {d["reason"]: d["packets"] for d in ask(s, f, "drops.get", {"all": True})["drops"]}
        cookies = ask(s, f, "stats.get")["handshakes"]["cookies_tx"]
    full = {"port " + p["name"]: p["rx_missed"] + p["rx_nombuf"] for p in stats}
    for p in stats:
        # the ring of a packet socket, whose drops the driver does not count
        if ports[p["name"]] and ports[p["name"]][1] in kernel:
            full["port " + p["name"]] += kernel[ports[p["name"]][1]][0] - p["rx_packets"]
    full.update({r: drops.pop(r) for r in FULL})
    for r in ORDINARY:
        drops.pop(r)
    return {"drops": drops, "full": full, "cookies": cookies}


def names():
    """Network namespaces: inode -> name without the lab's id."""
    with contextlib.suppress(FileNotFoundError):
        return {os.stat(e.path).st_ino: e.name.split("-", 1)[-1] for e in os.scandir("/run/netns")}
    return {}


def stalled_ms():
    """Milliseconds in which programs waited for a CPU, and this machine for one of its host's, since the boot."""
    with contextlib.suppress(OSError):
        some = int(re.search(r"some .*total=(\d+)", read("/proc/pressure/cpu"))[1]) // 1000
        return some + int(read("/proc/stat").split(None, 9)[8]) * 10
    return 0


def look(pids, sockets):
    known, now = names(), {"drops": {}, "full": {}, "kernel": {}, "echo": {}, "cookies": 0, "stalled_ms": stalled_ms()}
    for pid in ["self", *pids]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            inode = os.stat(f"/proc/{pid}/ns/net").st_ino
            name = known.get(inode, str(inode))
            if name in now["echo"]:
                continue
            c = snmp(f"/proc/{pid}/net")
            now["echo"][name] = [c["IcmpOutEchos"] + c["Icmp6OutEchos"], c["IcmpInEchoReps"] + c["Icmp6InEchoReplies"]]
            for k in ("UdpRcvbufErrors", "UdpSndbufErrors", "Udp6RcvbufErrors", "Udp6SndbufErrors"):
                now["kernel"][f"{name} {k}"] = c[k]
            for d, (_, dropped) in devices(f"/proc/{pid}/net").items():
                now["kernel"][f"{name} device {d}"] = dropped
    now["self"] = known.get(os.stat("/proc/self/ns/net").st_ino)
    now["kernel"]["backlog"] = sum(int(line.split()[1], 16) for line in read("/proc/net/softnet_stat").splitlines())
    for i, path in enumerate(sockets):
        with contextlib.suppress(OSError, ValueError, KeyError):  # it does not run: then it explains nothing
            g = gateway(path)
            now["cookies"] += g["cookies"]
            for what in ("drops", "full"):
                now[what].update({f"gateway {i + 1} {k}" if len(sockets) > 1 else k: v for k, v in g[what].items()})
    return now


def grown(before, now, what):
    """What is larger; the counters of what came since are not known from before."""
    return {k: v - before[what][k] for k, v in now[what].items() if v > before[what].get(k, v)}


def tell(counters):
    return ", ".join(f"{k} {v}" for k, v in counters.items())


def all_came(before, now, sent):
    name = now["self"]
    if not sent or name not in before["echo"]:
        return False
    out, back = [now["echo"][name][i] - before["echo"][name][i] for i in (0, 1)]
    return out >= sent and back >= out


def judge(before, pids, sockets, sent, lost, on_way):
    began = time.monotonic()
    while True:
        now = look(pids, sockets)
        cookies = now["cookies"] - before["cookies"]
        came = all_came(before, now, sent)
        if came or not sent or time.monotonic() - began > (COOKIE_S if cookies > 0 else LATE_S):
            break
        time.sleep(0.05)
    stalled = now["stalled_ms"] - before["stalled_ms"]
    drops, full, kernel = [grown(before, now, w) for w in ("drops", "full", "kernel")]
    seen = [f"programs waited {stalled} ms for a CPU"]
    seen += [f"dropped in the gateway: {tell(drops)}"] * bool(drops) + [f"full in the gateway: {tell(full)}"] * bool(full)
    seen += [f"lost in the kernel: {tell(kernel)}"] * bool(kernel) + [f"{cookies} cookies sent"] * bool(cookies)
    busy = stalled >= STALL_MS
    explained = sum(kernel.values()) + (sum(full.values()) if busy else 0)
    if came:
        print(f"{lost} came late; {'; '.join(seen)}")
        return 0 if busy or lost <= on_way else 1
    print(f"{lost} lost, {explained} of them in queues of a busy machine; {'; '.join(seen)}")
    return 3 if not drops and explained >= lost else 1


def main(how, pids, sockets, *rest):
    pids, sockets = [[x for x in a.split(",") if x] for a in (pids, sockets)]
    if how == "look":
        print(json.dumps(look(pids, sockets)))
        return 0
    with open(rest[0], encoding="ascii") as f:
        return judge(json.load(f), pids, sockets, *map(int, rest[1:]))


sys.exit(main(*sys.argv[1:]))
