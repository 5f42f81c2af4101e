#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replication under faults. A primary, two followers in a chain and three gateways, connections through proxies that cut,
delay, truncate, stall and flip bits; processes are killed at any time and between the steps of a transaction; backups are
restored, a file is put back behind everybody's back, a disk is full, clocks jump. After any of it each subscriber's state
equals the primary's at some seq (told by a model that shares no code with it), it never goes back within an epoch, and all
end equal. One gateway reads the schema before, and is sent what that has.

    replfaults.py SECONDS [SEED]
"""

import asyncio
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import faultrun
from faultrun import Failed, free_port, together, until
from replmodel import Changes, Model
from replproxy import Link, LinkFaults

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NODE, SUB = (os.path.join(TOP, "build", "tests", "control", p) for p in ("repl_node", "repl_sub"))
GATEWAYS = ["gw-a", "gw-b", "gw-c"]
OLDER = ["gw-b"]  # of the schema before
STEPS = ["begin", "put", "log", "state", "commit"]


class Proc:
    """A program steered by lines; killed and started again at will."""

    def __init__(self, test, name, argv):
        self.test, self.name, self.argv = test, name, argv
        self.proc, self.answers, self.runs = None, asyncio.Queue(), 0
        self.lock = asyncio.Lock()
        self.log = open(os.path.join(test.dir, name + ".log"), "wb")
        self.out = open(os.path.join(test.dir, name + ".out"), "wb")  # what it was asked and what it said

    async def start(self):
        self.answers = asyncio.Queue()
        self.proc = await asyncio.create_subprocess_exec(*self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                                         limit=1 << 24)
        self.runs += 1
        self.reader = asyncio.create_task(self.read(self.proc, self.answers))

    async def read(self, proc, answers):
        while line := await proc.stdout.readline():
            self.out.write(line)
            try:
                o = json.loads(line)
            except ValueError:  # killed while it wrote
                continue
            if not self.test.heard(self, o):
                answers.put_nowait(o)
        answers.put_nowait(None)

    async def kill(self):
        if self.proc and self.proc.returncode is None:
            try:
                os.kill(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            await self.proc.wait()
            await self.reader

    async def restart(self, pause=0.0):
        async with self.lock:
            await self.kill()
            await asyncio.sleep(pause)
            await self.start()

    async def ask(self, cmd, timeout=30):
        """@return the answer, None: it died"""
        self.out.write(b"> " + json.dumps(cmd).encode() + b"\n")
        try:
            self.proc.stdin.write((json.dumps(cmd) + "\n").encode())
            await self.proc.stdin.drain()
        except (OSError, RuntimeError):
            return None
        return await asyncio.wait_for(self.answers.get(), timeout)

    def tell(self, cmd):
        if self.proc.returncode is not None:
            return
        try:
            self.proc.stdin.write((json.dumps(cmd) + "\n").encode())
        except (OSError, RuntimeError):
            pass


class Test(LinkFaults):
    def __init__(self, seconds, seed):
        self.rng = random.Random(seed)
        self.seconds = seconds
        self.dir = tempfile.mkdtemp(prefix="sl-replfaults-")
        self.model = Model(GATEWAYS, OLDER)
        self.changes = Changes(self.rng, GATEWAYS)
        self.table = collections.defaultdict(list)  # (epoch, seq) -> sums that it had
        self.epochs = {}
        self.epoch, self.head = "", 0
        self.backups = []  # (file, epoch, head, model)
        self.seen, self.last = [], {}
        self.links, self.subs = {}, {}
        self.done = collections.Counter()
        self.lock = asyncio.Lock()  # of the primary: commits, restarts
        self.rolled_back = False
        self.bad = []
        self.restored_at = 0.0

    # --- what is told --------------------------------------------------------------------------------------------

    def heard(self, proc, o):
        if "rewound" in o:
            self.done["rewound"] += 1
            self.learn_epoch(o["epoch"])
            return True
        if "ready" in o or "sum" not in o or "node" not in o:
            return "ready" in o
        key = (proc.name, proc.runs)
        if o["wrong"]:
            self.bad.append(f"{proc.name} was given what must not be: {o}")
        last = self.last.get(key)
        if last and (o["number"] < last["number"] or o["epoch"] == last["epoch"] and o["seq"] < last["seq"]):
            self.bad.append(f"{proc.name} went back from {last} to {o}")
        if last and o["number"] == last["number"] and o["epoch"] != last["epoch"]:
            self.bad.append(f"{proc.name} took another epoch of the same number: {last} {o}")
        self.last[key] = o
        self.seen.append(o)
        if o["why"] == "hash_mismatch":
            self.bad.append(f"{proc.name} was not equal before {o}")
        self.done["why " + o["why"]] += 1
        return True

    def learn_epoch(self, e):
        """Its first state is that of its parent where it was left."""
        if e["id"] in self.epochs:
            return
        self.epochs[e["id"]] = e
        for sums in self.table.get((e["parent_id"], e["parent_seq"]), []):
            self.table[e["id"], e["parent_seq"]].append(sums)

    def note(self):
        sums = self.model.sums()
        if sums not in self.table[self.epoch, self.head]:
            self.table[self.epoch, self.head].append(sums)

    # --- the primary -----------------------------------------------------------------------------------------------

    async def commit(self):
        """One transaction; where the answer is lost, the store's head tells whether it was made."""
        async with self.lock:
            ops = self.changes.transaction(self.model)
            answer = await self.primary.ask({"do": "commit", "ops": ops, "silent": self.rng.random() < 0.2})
            if answer is None:
                await self.primary_back(ops)
                return
            if "error" in answer:
                self.done["refused " + answer["error"]] += 1
                if answer["error"] not in ("store_busy",):
                    raise Failed(f"a transaction was refused: {answer} {ops}")
                return
            self.applied(ops, answer["epoch"], answer["seq"])

    def applied(self, ops, epoch, seq):
        self.model.apply(ops)
        self.done["transactions"] += 1
        self.epoch, self.head = epoch, seq
        self.note()

    async def primary_back(self, pending=None):
        """Start it again, and learn where it stands."""
        await self.primary.restart()
        state = await self.primary.ask({"do": "state"})
        if state is None:
            raise Failed("the primary does not start: " + self.tail("primary"))
        known = state["epoch"]["id"] in self.epochs
        self.learn_epoch(state["epoch"])
        if known and pending and state["head"] == self.head + 1:
            self.done["commits without an answer"] += 1
            self.applied(pending, state["epoch"]["id"], state["head"])
        elif state["head"] != self.head:
            raise Failed(f"head {state['head']} after {self.head}")
        self.epoch = state["epoch"]["id"]
        self.note()
        if state["sum"] != self.model.sums()["all"]:
            raise Failed("the primary's own sum is not the model's")

    def tail(self, name):
        with open(os.path.join(self.dir, name + ".log"), errors="replace") as f:
            return f.read()[-2000:]

    # --- faults ----------------------------------------------------------------------------------------------------

    async def f_kill_primary(self):
        async with self.lock:
            await self.primary.kill()
            await asyncio.sleep(self.rng.uniform(0, 0.5))
            await self.primary_back()

    async def f_die_at(self):
        async with self.lock:
            self.primary.tell({"do": "die_at", "step": self.rng.choice(STEPS)})

    async def f_kill_follower(self):
        await self.rng.choice(self.followers).restart(self.rng.uniform(0, 0.5))

    async def f_follower_dies_at(self):
        f = self.rng.choice(self.followers)
        f.tell({"do": "die_at", "step": self.rng.choice(["log", "load"])})
        await asyncio.sleep(0.5)
        await f.restart()

    async def f_kill_gateway(self):
        await self.rng.choice(list(self.subs.values())).restart()

    async def f_resync(self):
        self.rng.choice(list(self.subs.values())).tell({"do": "resync"})

    async def f_compact(self):
        async with self.lock:
            answer = await self.primary.ask({"do": "compact", "rows": self.rng.randrange(30)})
            if answer is None:
                await self.primary_back()

    async def f_clock(self):
        self.primary.tell({"do": "clock", "offset_s": self.rng.choice([-86400, -3600, 0, 3600, 86400 * 30])})

    async def f_backup(self):
        async with self.lock:
            to = os.path.join(self.dir, f"backup-{len(self.backups)}.db")
            answer = await self.primary.ask({"do": "backup", "to": to})
            if answer is None:
                await self.primary_back()
            elif "error" in answer:
                raise Failed(f"backup: {answer}")
            else:
                self.backups.append((to, self.epoch, self.head, self.model.copy()))

    def take_own_rows(self):
        """What a restore adds by itself: what was revoked after the backup."""
        with contextlib.closing(sqlite3.connect(self.store)) as db:
            for seq, text in db.execute("SELECT seq, txn FROM log WHERE seq > ? ORDER BY seq", (self.head,)).fetchall():
                self.model.apply(json.loads(text)["ops"])
                self.head = seq
                self.done["rows of a restore"] += 1

    async def f_restore(self):
        if not self.backups or time.monotonic() - self.restored_at < 5:
            return
        self.restored_at = time.monotonic()
        async with self.lock:
            file, epoch, head, model = self.rng.choice(self.backups)
            await self.primary.kill()
            p = await asyncio.create_subprocess_exec(NODE, "restore", self.store, file)
            if await p.wait():
                raise Failed("restore")
            self.model, self.head = model.copy(), head
            self.take_own_rows()
            await self.primary_back()
            self.done["restored"] += 1

    async def f_roll_back(self):
        """The file of another time, without a word: who has seen more tells the primary."""
        mine = [b for b in self.backups if b[1] == self.epoch and b[2] < self.head]
        if self.rolled_back or not mine:
            return
        self.rolled_back = True
        async with self.lock:
            mine = [b for b in self.backups if b[1] == self.epoch and b[2] < self.head]
            if not mine:
                return
            file, epoch, head, model = self.rng.choice(mine)
            await self.primary.kill()
            for end in ("-wal", "-shm"):
                if os.path.exists(self.store + end):
                    os.unlink(self.store + end)
            shutil.copy(file, self.store)
            self.model, self.head = model.copy(), head
            await self.primary_back()
            self.done["rolled back"] += 1

    async def f_disk_full(self):
        filler = os.path.join(self.small, "filler")
        try:
            with open(filler, "ab", buffering=0) as f:
                while True:
                    f.write(b"x" * 65536)
        except OSError:
            pass
        await asyncio.sleep(self.rng.uniform(0.5, 2))
        if os.path.exists(filler):
            os.unlink(filler)

    # --- the whole -------------------------------------------------------------------------------------------------

    async def link(self, name, target):
        self.links[name] = Link(name, target, self.rng)
        await self.links[name].start()
        return str(self.links[name].port)

    async def set_up(self):
        ctl = os.path.join(TOP, "build", "tools", "sluicectl", "sluicectl")
        run = lambda *a: subprocess.run(a, check=True, stdout=subprocess.DEVNULL)
        ca, cert = os.path.join(self.dir, "ca"), os.path.join(self.dir, "cp")
        run(ctl, "ca", "init", ca)
        run(ctl, "ca", "issue", ca, "--kind", "control", "--name", "cp", "--host", "127.0.0.1", "--out", cert)
        files = [cert + ".pem", cert + ".key", os.path.join(ca, "ca.pem")]
        self.small = os.path.join(self.dir, "small")
        os.mkdir(self.small)
        # a store of 5 MiB, which a long run makes, is put anew by a snapshot in one transaction: file and WAL
        run("mount", "-t", "tmpfs", "-o", "size=48m", "none", self.small)
        self.store = os.path.join(self.dir, "p.db")
        f1, f2 = os.path.join(self.dir, "f1.db"), os.path.join(self.small, "f2.db")
        run(NODE, "init", self.store, "primary")
        run(NODE, "init", f1, "follower")
        run(NODE, "init", f2, "follower")
        ports = [free_port() for _ in range(3)]
        self.primary = Proc(self, "primary", [NODE, "serve", self.store, str(ports[0]), *files, "cp"])
        self.followers = [
            Proc(self, "f1", [NODE, "serve", f1, str(ports[1]), *files, "ds-1", await self.link("f1-p", ports[0])]),
            Proc(self, "f2", [NODE, "serve", f2, str(ports[2]), *files, "ds-2", await self.link("f2-f1", ports[1])])]
        sources = {"gw-a": [("a-p", 0)], "gw-b": [("b-f2", 2), ("b-p", 0)], "gw-c": [("c-f1", 1), ("c-f2", 2)]}
        for g, names in sources.items():
            via = [await self.link(n, ports[i]) for n, i in names]
            reads = ["env", "SCHEMA=1"] if g in OLDER else []
            self.subs[g] = Proc(self, g, [*reads, SUB, files[2], "gateway", g, *via])
        await self.primary.start()
        state = await self.primary.ask({"do": "state"})
        self.epoch = state["epoch"]["id"]
        self.epochs[self.epoch] = state["epoch"]
        self.table[self.epoch, 0].append(Model(GATEWAYS, OLDER).sums())
        ops = self.changes.begin()
        answer = await self.primary.ask({"do": "commit", "ops": ops})
        if "seq" not in answer:
            raise Failed(str(answer))
        self.applied(ops, answer["epoch"], answer["seq"])
        for p in self.followers + list(self.subs.values()):
            await p.start()

    async def committer(self, over):
        while not over():
            for _ in range(self.rng.choice([1, 1, 5, 30])):
                await self.commit()
            await asyncio.sleep(self.rng.choice([0, 0.01, 0.05, 0.2]))

    async def one_fault(self, names):
        name = self.rng.choice(names)
        self.done["f_" + name] += 1
        await getattr(self, "f_" + name)()

    async def faults(self, over):
        often = ["cut", "truncate", "flip", "stall", "delay", "refuse"] * 2
        rarely = ["kill_primary", "die_at", "kill_follower", "follower_dies_at", "kill_gateway", "resync", "compact", "clock",
                  "backup", "backup", "restore", "roll_back", "disk_full"]
        while not over():
            await self.one_fault(often + rarely)
            await asyncio.sleep(self.rng.uniform(0.02, 0.4))

    def equal(self):
        sums = self.model.sums()
        for g, p in self.subs.items():
            o = self.last.get((g, p.runs))
            if not o or o["sum"] != sums[g] or o["epoch"] != self.epoch:
                return g
        return None

    async def settle(self):
        """No more faults: all are equal within a while."""
        for l in self.links.values():
            l.heal()
        async with self.lock:
            self.primary.tell({"do": "die_at", "step": ""})
            for f in self.followers:
                f.tell({"do": "die_at", "step": ""})
            if await self.primary.ask({"do": "state"}) is None:
                await self.primary_back()
        await self.commit()
        end = time.monotonic() + 40
        while time.monotonic() < end:
            state = await self.primary.ask({"do": "state"})
            self.learn_epoch(state["epoch"])
            self.epoch = state["epoch"]["id"]
            self.note()
            who = self.equal()
            for f in self.followers:
                s = await f.ask({"do": "state"})
                if s is None:
                    await f.restart()
                    who = who or f.name
                elif (s["epoch"]["id"], s["head"], s["sum"]) != (self.epoch, self.head, self.model.sums()["all"]):
                    who = who or f.name
            if who is None:
                return
            await asyncio.sleep(0.2)
        self.check_seen()
        raise Failed(f"{who} did not become equal: {self.last} {self.tail(who)}")

    def check_seen(self):
        for o in self.seen:
            sums = [s[o["node"]] for s in self.table.get((o["epoch"], o["seq"]), [])]
            if o["sum"] not in sums:
                self.bad.append(f"no state of the primary: {o}, {len(sums)} known of {o['epoch'][:6]} {o['seq']}")
        if self.bad:
            raise Failed(f"{len(self.bad)} times: " + "; ".join(self.bad[:3]))

    def enough(self):
        return len(self.seen) >= 100 and self.done["transactions"] >= 100

    async def run(self):
        await self.set_up()
        over = until(self.seconds, self.enough)
        await together(self.committer(over), self.faults(over), self.faults(over))
        begun = time.monotonic()
        await self.settle()
        print(f"all equal {time.monotonic() - begun:.1f} s after the last fault")
        table = await self.primary.ask({"do": "table"})
        self.check_seen()
        flips = sum(l.flips for l in self.links.values())
        print(f"{self.done['transactions']} transactions, {len(self.seen)} states of subscribers looked at, {len(self.epochs)} epochs, "
              f"{flips} flipped bits")
        print(", ".join(f"{k} {v}" for k, v in sorted(self.done.items())))
        if not self.enough():
            raise Failed("too little happened to mean anything")
        if not table["table"]:
            raise Failed("the primary knows no subscriber")

    async def stop(self, ok):
        for p in [getattr(self, "primary", None), *getattr(self, "followers", []), *self.subs.values()]:
            if p:
                await p.kill()
        for l in self.links.values():
            await l.stop()
        if hasattr(self, "small"):
            subprocess.run(["umount", self.small], check=False)
        if not ok:
            with open(os.path.join(self.dir, "table.json"), "w", encoding="utf-8") as f:
                json.dump([[*k, v] for k, v in self.table.items()], f, indent=1)


faultrun.main(Test)
