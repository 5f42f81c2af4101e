# SPDX-License-Identifier: BSD-3-Clause
"""A program beside the server that copies its WAL as Litestream does: a read transaction that lasts, checkpoints of its own (passive,
restart, truncate) and a table of its own that it writes to. No change fails, nothing is lost, and what it copies can be restored."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import restlib
from restlib import Control, Page, equal, fail, furnish, step

CHANGES = 150


class Copier(threading.Thread):
    """Holds a read transaction so that no checkpoint of others passes it; lets go of it only to checkpoint itself."""

    def __init__(self, path, out):
        super().__init__()
        self.path, self.out, self.ending, self.error = path, out, False, None
        self.gentle = False  # passive checkpoints alone
        self.done = {"PASSIVE": 0, "RESTART": 0, "TRUNCATE": 0}

    def connect(self):
        c = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
        c.execute("PRAGMA wal_autocheckpoint = 0")
        return c

    def hold(self):
        self.reader.execute("BEGIN")
        self.reader.execute("SELECT count(*) FROM _litestream_seq").fetchone()

    def run(self):
        try:
            self.reader, self.writer = self.connect(), self.connect()
            self.writer.execute("CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
            self.writer.execute("CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)")
            self.hold()
            n = 0
            while not self.ending:
                time.sleep(0.25)
                n += 1
                mode = "PASSIVE" if n % 3 or self.gentle else ("RESTART", "TRUNCATE")[n // 3 % 2]
                if mode != "PASSIVE":  # these wait for readers, its own too
                    self.reader.execute("ROLLBACK")
                busy = self.writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
                self.done[mode] += not busy
                self.writer.execute("INSERT INTO _litestream_seq VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET seq = seq + 1")
                if mode != "PASSIVE":
                    self.hold()
        except (sqlite3.Error, OSError) as e:
            self.error = e

    def copy(self):
        """Database and WAL as they stand, under the read transaction: nobody moves frames meanwhile."""
        for suffix in ("", "-wal"):
            shutil.copyfile(self.path + suffix, self.out + suffix)
            os.chmod(self.out + suffix, 0o600)


def write(c, n):
    slowest = 0
    for i in range(n):
        begin = time.monotonic()
        c.want(200, "PATCH", "/peers/alice", {"description": f"change {i}"}, headers={"If-Match": "*"})
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.02)
    return slowest


def tool(*args):
    r = subprocess.run([restlib.CONTROL, *args], capture_output=True, text=True, check=False)
    if r.returncode:
        fail(f"{args}: {r.stdout}{r.stderr}")
    return r.stdout


def main():
    c = Control(Page())
    copier = None
    try:
        c.init()
        c.start()
        furnish(c)
        store, copy = os.path.join(c.dir, "store.db"), os.path.join(c.dir, "copy.db")
        step(f"{CHANGES} changes while another holds a read transaction, checkpoints and writes")
        os.mkdir(os.path.join(c.dir, ".store.db-litestream"), 0o755)  # where it keeps its own
        copier = Copier(store, copy)
        copier.start()
        before = c.seq()
        slowest = write(c, CHANGES)
        equal("changes", c.seq() - before, CHANGES)
        print(f"   slowest change {slowest * 1000:.0f} ms; checkpoints of the other: {copier.done}; WAL {os.path.getsize(store + '-wal') >> 10} KiB")
        if copier.error or min(copier.done.values()) < 2:
            fail(f"the other does not get on: {copier.error or copier.done}")
        step("a read transaction that nobody ends: the WAL grows, changes go on")
        copier.gentle = True
        time.sleep(1)
        idle = copier.connect()
        idle.execute("BEGIN")
        seen = idle.execute("SELECT max(seq) FROM log").fetchone()[0]
        write(c, 60)
        equal("what it sees", idle.execute("SELECT max(seq) FROM log").fetchone()[0], seen)
        step("a checkpoint that waits for it keeps the write lock: changes wait or are refused, questions are answered")
        waiter = copier.connect()
        waiter.execute("PRAGMA busy_timeout = 2500")
        busy = []

        def checkpoint():
            until = time.monotonic() + 4
            while time.monotonic() < until:  # another checkpoint may be under way
                busy.append(waiter.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        said, slowest = [], 0

        def change():
            while t.is_alive():
                begin = time.monotonic()
                a = c.call("PATCH", "/peers/alice", {"description": "meanwhile"}, headers={"If-Match": "*"})
                said.append((a.status, a.reason, time.monotonic() - begin))
        t = threading.Thread(target=checkpoint)
        w = threading.Thread(target=change)
        t.start()
        w.start()
        while t.is_alive():
            begin = time.monotonic()
            c.want(200, "GET", "/peers/alice")
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.1)
        w.join()
        waiter.close()
        equal("the checkpoints", set(busy), {1})
        print(f"   changes meanwhile: {[(s, r, round(d, 1)) for s, r, d in said]}; slowest answer to a question {slowest * 1000:.0f} ms")
        if not {s[:2] for s in said} <= {(503, "store_busy"), (200, "")} or slowest > 1:
            fail("they wait, or hear why not, and questions are answered")
        write(c, 2)
        idle.execute("ROLLBACK")
        step("what it copied under its lock is restored, with every change until then")
        copier.ending = True
        copier.join()
        if not copier.reader.in_transaction:
            copier.hold()
        head = c.seq()
        copier.copy()
        write(c, 5)
        c.want(204, "DELETE", "/peers/bob", headers={"If-Match": "*"})
        policy = c.want(200, "GET", "/policy").json()
        kept = policy["rules"].pop(0)
        c.want(200, "PUT", "/policy", policy, headers={"If-Match": "*"})
        c.proc.kill()
        c.proc.wait()
        tool("verify", store)
        copied = sqlite3.connect(copy)
        equal("head of the copy", copied.execute("SELECT max(seq) FROM log").fetchone()[0], head)
        copied.execute("PRAGMA journal_mode = DELETE")
        copied.close()
        tool("verify", copy)
        os.chmod(copy, 0o644)
        copier.reader.close()
        copier.writer.close()
        deleted = ["peer/bob", f"rule/{kept['role']}/{kept['id']}"]
        said = tool("restore", "--state-dir", c.dir, copy)
        if not all(f"  {d}\n" in said for d in deleted) or "2 objects of the backup were deleted since" not in said:
            fail(f"restore does not tell what came back: {said}")
        c.start()
        equal("description", c.want(200, "GET", "/peers/alice").json()["description"], "change 1")
        c.want(200, "PATCH", "/peers/alice", {"description": "after"}, headers={"If-Match": "*"})
        equal("epoch", c.want(200, "GET", "/replication").json()["epoch"]["number"], 2)
        step("what was deleted since the copy is listed, until somebody confirms it: of more than is listed nothing is")
        blocked = c.want(200, "GET", "/blocked").json()
        equal("blocked", ([(b["object"], b["gateways"], "deleted_at" in b) for b in blocked["items"]], blocked["more"]),
              ([(d, [], True) for d in deleted], False))
        equal("another one", c.call("POST", "/blocked/confirm", {"objects": ["peer/bob", "peer/alice"]}).reason, "not_blocked")
        for unclear in ({}, {"all": False}, {"all": True, "objects": ["peer/bob"]}):
            c.want(422, "POST", "/blocked/confirm", unclear, reason="objects_or_all")
        equal("a dry run", len(c.want(200, "POST", "/blocked/confirm?dry_run=true", {"all": True}).json()["diff"]), 2)
        rev = c.want(200, "GET", "/peers/bob").json()["rev"]
        before = c.seq()
        equal("confirmed", c.want(200, "POST", "/blocked/confirm", {"all": True}).json()["confirmed"], deleted)
        equal("transactions", c.seq() - before, 1)
        if c.want(200, "GET", "/peers/bob").json()["rev"] <= rev:
            fail("bob is not put anew")
        equal("blocked then", c.want(200, "GET", "/blocked").json()["items"], [])
        equal("once more", c.want(200, "POST", "/blocked/confirm", {"all": True}).json()["confirmed"], [])
        equal("status", c.stop(), 0)
        if not os.path.exists(store + "-wal"):
            fail("the server ended the WAL")
    except BaseException:
        if os.path.exists(c.log):
            sys.stdout.write(open(c.log, encoding="utf-8", errors="replace").read()[-1500:])
        raise
    finally:
        if copier:
            copier.ending = True
        c.clean()


main()
