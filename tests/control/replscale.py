#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replication at scale: the time from a commit until 100 subscribers have acked it, and what a snapshot of many peers takes.

    replscale.py PEERS
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from replmodel import Changes
from replproxy import Link

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NODE, SUB = (os.path.join(TOP, "build", "tests", "control", p) for p in ("repl_node", "repl_sub"))
SUBSCRIBERS, COMMITS = 100, 60


class Proc:
    def __init__(self, *argv):
        self.argv = argv

    async def start(self):
        self.p = await asyncio.create_subprocess_exec(*self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                      stderr=subprocess.DEVNULL, limit=1 << 26, env={**os.environ, "QUIET": "1"})
        return self

    async def line(self, timeout=120):
        return json.loads(await asyncio.wait_for(self.p.stdout.readline(), timeout))

    async def ask(self, **cmd):
        self.p.stdin.write((json.dumps(cmd) + "\n").encode())
        await self.p.stdin.drain()
        return await self.line()

    async def stop(self):
        if self.p.returncode is None:
            self.p.send_signal(signal.SIGTERM)
            await self.p.wait()


def peer(n, keepalive=0):
    return Changes.peer_of(n, "wg0", keepalive)


async def commit(node, ops):
    answer = await node.ask(do="commit", ops=ops)
    if "seq" not in answer:
        sys.exit(f"FAIL: {answer}")


def spread(us):
    us = sorted(us)
    at = lambda q: us[min(len(us) - 1, int(q * len(us)))] / 1000
    return f"min {us[0] / 1000:.1f}, p50 {at(.5):.1f}, p90 {at(.9):.1f}, p99 {at(.99):.1f}, max {us[-1] / 1000:.1f} ms"


async def hundred(node, sub_argv):
    names = [f"gw-{i}" for i in range(SUBSCRIBERS)]
    await commit(node, [{"kind": "interface", "id": "wg0", "obj": {"listen_port": 51820}}] +
                 [{"kind": "gateway", "id": n, "obj": {"interfaces": ["wg0"]}} for n in names])
    subs = await Proc(*sub_argv(",".join(names))).start()
    begun = time.monotonic()
    while True:
        table = (await node.ask(do="table"))["table"]
        if sum(r["connected"] and r["acked"] > 0 for r in table) == SUBSCRIBERS:
            break
        if time.monotonic() - begun > 30:
            sys.exit("FAIL: they do not all subscribe")
        await asyncio.sleep(0.05)
    print(f"{SUBSCRIBERS} subscribers connected over TLS and equal after {time.monotonic() - begun:.2f} s")
    us = []
    for i in range(COMMITS):
        answer = await node.ask(do="commit_wait", ops=[peer(i)])
        if not answer["all"]:
            sys.exit(f"FAIL: not acked by all: {answer}")
        us.append(answer["us"])
        await asyncio.sleep(0.02)
    print(f"commit until acked by all {SUBSCRIBERS}: {spread(us)} of {COMMITS} commits")
    await subs.stop()
    if sorted(us)[int(.9 * len(us))] > 1_000_000:
        sys.exit("FAIL: more than a second")


async def many(node, sub_argv, port, peers):
    print(f"-- {peers} peers")
    begun = time.monotonic()
    for n in range(1000, 1000 + peers, 1000):
        await commit(node, [peer(i) for i in range(n, min(n + 1000, 1000 + peers))])
    print(f"put in transactions of 1,000: {time.monotonic() - begun:.1f} s")
    memory = await node.ask(do="memory")
    print(f"data store with its publisher: {memory['VmRSS'] / 1024:.0f} MiB resident, {memory['RssAnon'] / 1024:.0f} MiB of its own")
    async def late():
        return f"{(await node.ask(do='late'))['us'] / 1000:.1f} ms"

    link = Link("many", port, None)
    await link.start()
    await late()
    sub = await Proc(*sub_argv("gw-1", str(link.port))).start()
    before = link.bytes
    while True:
        info = await sub.ask(do="info")
        if info["snapshots"]:
            break
        await asyncio.sleep(0.02)
    memory = await sub.ask(do="memory")
    held = await late()
    print(f"snapshot: {(link.bytes - before) / 1e6:.1f} MB on the wire, {info['snapshot_us'] / 1e6:.2f} s from the dial to a replica "
          f"of {info['count']} objects; {info['bytes'] / 1e6:.1f} MB of replica, {memory['RssAnon'] / 1024:.0f} MiB of the subscriber; "
          f"the publisher's loop was held for {held} at most")
    if info["wrong"] or info["count"] < peers:
        sys.exit(f"FAIL: {info}")
    us = []
    for i in range(20):
        begun = time.monotonic()
        answer = await node.ask(do="commit", ops=[peer(1000 + i, 25)])
        while (await sub.ask(do="info"))["seq"] < answer["seq"]:
            await asyncio.sleep(0.001)
        us.append((time.monotonic() - begun) * 1e6)
    print(f"one change among them, commit until received: {spread(us)}")
    await late()
    await commit(node, [{"kind": "gateway", "id": "gw-1", "obj": {"interfaces": []}}])
    while (await sub.ask(do="info"))["count"] > 10:
        await asyncio.sleep(0.02)
    print(f"all of them leave the scope with the gateway's record: held {await late()}")
    await sub.stop()
    await link.stop()


async def follower(node, argv):
    """A data store of its own fetches everything."""
    begun = time.monotonic()
    f = await Proc(*argv).start()
    await f.line()
    await f.ask(do="late")
    want = await node.ask(do="state")
    while (await f.ask(do="state"))["sum"] != want["sum"]:
        if time.monotonic() - begun > 120:
            sys.exit("FAIL: the follower does not become equal")
        await asyncio.sleep(0.05)
    held, memory = await f.ask(do="late"), await f.ask(do="memory")
    print(f"a follower is equal after {time.monotonic() - begun:.2f} s; its loop was held for {held['us'] / 1000:.0f} ms at most, "
          f"{memory['RssAnon'] / 1024:.0f} MiB of its own")
    await f.stop()


async def main():
    directory = tempfile.mkdtemp(prefix="sl-replscale-")
    ctl = os.path.join(TOP, "build", "tools", "sluicectl", "sluicectl")
    ca, cert, store = (os.path.join(directory, n) for n in ("ca", "cp", "p.db"))
    run = lambda *a: subprocess.run(a, check=True, stdout=subprocess.DEVNULL)
    node = None
    try:
        run(ctl, "ca", "init", ca)
        run(ctl, "ca", "issue", ca, "--kind", "control", "--name", "cp", "--host", "127.0.0.1", "--out", cert)
        run(NODE, "init", store, "primary")
        link = Link("", 0, None)  # for a free port
        await link.start()
        port = link.port
        await link.stop()
        node = await Proc(NODE, "serve", store, str(port), cert + ".pem", cert + ".key", os.path.join(ca, "ca.pem"), "cp").start()
        await node.line()
        argv = lambda names, at=str(port): (SUB, os.path.join(ca, "ca.pem"), "gateway", names, at)
        await hundred(node, argv)
        await many(node, argv, port, int(sys.argv[1]))
        copy = os.path.join(directory, "f.db")
        link = Link("", 0, None)
        await link.start()
        own = str(link.port)
        await link.stop()
        run(NODE, "init", copy, "follower")
        await follower(node, (NODE, "serve", copy, own, cert + ".pem", cert + ".key", os.path.join(ca, "ca.pem"), "ds-1", str(port)))
    finally:
        if node:
            await node.stop()
        shutil.rmtree(directory)


asyncio.run(main())
