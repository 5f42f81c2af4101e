#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gateways under faults. A primary, a follower and two gateways, all of them the programs themselves; connections through proxies
that cut, delay, truncate, stall and flip bits; processes are killed at any time, in the middle of a snapshot, between the
acknowledgement and the boot cache; backups are restored, older files put back by hand, disks are full or flip a bit, clocks jump, policies are refused.
After any of it what each
gateway serves (peers, roles, rules, as its RPC tells, and verdicts of its tables) equals the control plane's state at some seq less
what has been revoked since, told by a model that shares no code with it; it never goes back within an epoch, and all end equal.

    gwfaults.py SECONDS [SEED]

SL_BUILD names the build directory of the programs; under build-asan what a sanitizer finds ends a run.
"""

import asyncio
import base64
import collections
import http.client
import ipaddress
import json
import os
import random
import shutil
import signal
import ssl
import struct
import subprocess
import tempfile
import time
import urllib.parse

import faultrun
import gwmodel
from faultrun import Failed, free_port, together, until
from replproxy import Link, LinkFaults

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("SL_BUILD", "build"))
SLUICED, CONTROL, CTL = (os.path.join(BUILD, *p) for p in (("app", "sluiced", "sluiced"), ("app", "control", "sluice-control"),
                                                          ("tools", "sluicectl", "sluicectl")))
SHIFT = os.path.join(BUILD, "tests", "control", "libclock_shift.so")
IFACE = "wg0"
GATEWAYS = ["gw-a", "gw-b"]
ROLES = ["eng", "guest", "ops"]
RULES_MAX = 3  # of a role at the gateways; the control plane takes more
PEERS = 60
STATE_MIB = 6
LINK_FAULTS = ["f_cut", "f_truncate", "f_flip", "f_stall", "f_delay", "f_refuse"]
CONTROL_FAULTS = ["f_kill_primary", "f_kill_in_commit", "f_kill_follower", "f_compact", "f_backup", "f_backup", "f_restore", "f_restore", "f_refused",
                  "f_refused", "f_gateway_out", "f_many", "f_clock", "f_put_back"]
GATEWAY_FAULTS = ["g_kill", "g_stop", "g_slow", "g_resync", "g_kill_in_snapshot", "g_kill_at_cache", "g_alone", "g_alone", "g_disk_full", "g_clock", "g_harmed"]


class Gone(Exception):
    """A process did not answer: it was killed."""


class Proc:
    """A program with a wall clock of its own; killed and started again at will."""

    def __init__(self, test, name, argv, ready):
        self.name, self.argv, self.ready = name, argv, ready
        self.proc, self.runs = None, 0
        self.lock = asyncio.Lock()
        self.log_path = os.path.join(test.dir, name + ".log")
        self.log = open(self.log_path, "ab")
        self.clock = os.path.join(test.dir, name + ".clock")
        self.shift(0)

    def shift(self, seconds):
        self.offset = seconds
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as f:  # in place: it is mapped
            f.write(struct.pack("q", seconds * 10**9))

    def begins(self):
        """Another run: what is known of the one before does not count."""

    def alive(self):
        return self.proc is not None and self.proc.returncode is None

    def no_crash(self):
        if self.proc is not None and self.proc.returncode not in (None, 0, -signal.SIGKILL, -signal.SIGTERM):
            raise Failed(f"{self.name} ended with {self.proc.returncode}: {self.tail()}")

    async def start(self):
        self.no_crash()
        env = dict(os.environ, LD_PRELOAD=SHIFT, CLOCK_SHIFT=self.clock, ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0", UBSAN_OPTIONS="halt_on_error=1")
        self.proc = await asyncio.create_subprocess_exec(*self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        self.runs += 1
        self.begins()
        end = time.monotonic() + 30
        while not await self.ready():
            if self.proc.returncode is not None or time.monotonic() > end:
                raise Failed(f"{self.name} does not start: {self.tail()}")
            await asyncio.sleep(0.02)

    async def kill(self, sig=signal.SIGKILL):
        if self.alive():
            try:
                os.kill(self.proc.pid, sig)
            except ProcessLookupError:
                pass
            await self.proc.wait()

    async def restart(self, pause=0.0):
        async with self.lock:
            await self.kill()
            await asyncio.sleep(pause)
            await self.start()

    def tail(self):
        with open(self.log_path, errors="replace") as f:
            text = f.read()
            return text[text.rfind("==ERROR: "):][:3000] if "==ERROR: " in text else text[-1500:]


class Gateway(Proc):
    def __init__(self, test, name, links):
        self.test, self.links = test, links
        self.state = os.path.join(test.dir, "state-" + name)
        self.run = os.path.join(test.shm, name)
        self.conf = os.path.join(test.dir, name + ".conf")
        self.seen = None  # of this run: the newest position
        self.forget()
        super().__init__(test, name, [SLUICED, "-c", self.conf], self.answers)

    def forget(self):
        """What it cannot be blamed for any more: its disk was full when it died."""
        self.promised = (0, 0)  # (epoch number, seq) that it acknowledged
        self.served = None  # (epoch id, seq) that it was seen to serve last
        self.dead = {}  # object -> (epoch number, epoch id, seq, rev): it saw that it was deleted

    def furnish(self, ca, token):
        os.makedirs(self.run)
        os.mkdir(self.state, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STATE_MIB}m,mode=0700", "none", self.state], check=True)
        os.umask(0o077)
        for file, text in ((f"{self.conf}.token", token), (f"{self.conf}.key", subprocess.run(["wg", "genkey"], check=True, capture_output=True,
                                                                                             text=True).stdout)):
            with open(file, "w", encoding="utf-8") as f:
                f.write(text)
        k = GATEWAYS.index(self.name) + 1
        sources = ", ".join(f'{{ host = "127.0.0.1"; port = {l.port}; }}' for l in self.links)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f'''instance = "gwf{os.getpid()}-{k}";
                system = {{ workers = 1; idle = "sleep"; hugepages = "off"; state_dir = "{self.state}"; run_dir = "{self.run}"; }};
                ports = ( {{ name = "wan"; device = "net_null0,no-rx=1"; addresses = [ "198.18.5.{k + 1}/24" ]; }},
                    {{ name = "lan"; device = "net_null1,no-rx=1"; addresses = [ "10.20.0.{k}/16" ]; }} );
                control = {{ uapi = false; }};
                policy = {{ rules_per_role = {RULES_MAX}; }};
                interfaces = ( {{ name = "{IFACE}"; listen_port = 51820; private_key_file = "{self.conf}.key";
                    addresses = [ "10.7.255.{k}/16" ]; inside = {{ port = "lan"; }}; peers = (); }} );
                control_plane = {{ name = "{self.name}"; sources = ( {sources} ); ca_file = "{ca}"; token_file = "{self.conf}.token";
                    interfaces = [ "{IFACE}" ]; stats_s = 1; boot_wait_s = 1; }};
                authz = {{ mode = "enforce"; }};''')

    def begins(self):
        self.seen = None

    async def answers(self):
        try:
            await self.batch(("rpc.ping", {}))
            return True
        except Gone:
            return False

    async def batch(self, *calls):
        """The results of calls that are made at a time."""
        writer = None
        try:
            reader, writer = await asyncio.open_unix_connection(os.path.join(self.run, "mgmt.sock"), limit=1 << 26)
            text = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(calls)]
            writer.write(json.dumps(text).encode() + b"\n")
            line = await asyncio.wait_for(reader.readline(), 20)
            if not line:
                raise Gone()
            answers = {a["id"]: a for a in json.loads(line)}
            return [answers[i].get("result") for i in range(len(calls))]
        except (OSError, ValueError) as e:
            raise Gone() from e
        finally:
            if writer:
                writer.close()

    async def status(self):
        return (await self.batch(("control.status", {})))[0]

    async def until(self, what, seconds=20):
        """Wait until its status is so. @return the status, None: it never was"""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                s = await self.status()
                if what(s):
                    return s
            except Gone:
                pass
            await asyncio.sleep(0.02)
        return None


class Rest:
    """Calls of an admin, over several tokens, so that the limit of requests a second is none."""

    def __init__(self, port, ca, token):
        self.port, self.n = port, 0
        self.tls = ssl.create_default_context(cafile=ca)
        self.tokens = [token]
        self.conn = None

    def once(self, method, path, body, headers):
        if self.conn is None:
            self.conn = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=10)
        self.n += 1
        h = {"Authorization": "Bearer " + self.tokens[self.n % len(self.tokens)], "Content-Type": "application/json", **headers}
        self.conn.request(method, "/api/v1" + path, None if body is None else json.dumps(body), h)
        r = self.conn.getresponse()
        return r.status, r.read()

    def call(self, method, path, body=None, **headers):
        """@return (status, body), None: nobody answers"""
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        while True:
            try:
                status, data = self.once(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                self.conn = None
                return None
            if status != 429:
                return status, json.loads(data) if data else None
            time.sleep(0.2)


class Changes:
    """Random changes that the API takes, and those that gateways refuse."""

    def __init__(self, rng):
        self.rng, self.n, self.refused = rng, 0, False

    def key(self):
        self.n += 1
        return base64.b64encode(bytes([0x40, self.n % 256, self.n // 256 % 256, self.n // 65536] + [9] * 28)).decode()

    def ends(self):
        return f"20{self.rng.randrange(60, 99)}-01-01T00:00:00Z"

    def peer(self, n):
        r = self.rng
        body = {"interface": IFACE, "public_key": self.key(), "allowed_ips": [f"10.7.{n // 200}.{n % 200 + 1}/32"],
                "roles": r.sample(ROLES, r.randrange(3)), "keepalive_s": r.randrange(50), "enabled": r.random() < 0.9}
        if r.random() < 0.3:
            body["addresses"] = {r.choice(GATEWAYS): [f"10.8.{n // 200}.{n % 200 + 1}/32"]}
        if r.random() < 0.3:
            body["expires_at"] = self.ends()
        return body

    def policy(self, refused=False):
        r = self.rng
        rules = []
        for role in ROLES:
            for i in range(1, 1 + (RULES_MAX + 1 if refused and role == "eng" else r.randrange(RULES_MAX + 1))):
                rule = {"id": i, "role": role, "to": [r.choice(["db", "web"])], "protocol": "tcp", "ports": [r.choice([22, 80, 443])],
                        "action": r.choice(["allow", "allow", "deny"]), "priority": r.choice([100, 128])}
                if r.random() < 0.2:
                    rule["enabled"] = False
                if r.random() < 0.2:
                    rule["expires"] = self.ends()
                rules.append(rule)
        members = {role: sorted({f"peer:p-{r.randrange(PEERS)}" for _ in range(r.randrange(3))}) for role in ROLES}
        if r.random() < 0.5:
            members["guest"].append(f"10.7.0.0/{r.choice([24, 25, 26])}@{IFACE}")
        return {"zones": {"in": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16"], "default_policy": r.choice(["deny", "deny", "allow"])}},
                "targets": {"db": {"addresses": [f"10.20.0.{r.randrange(10, 20)}/32"]}, "web": {"addresses": ["10.20.1.0/24"]}},
                "roles": {role: {"id": i + 1, "members": members[role]} for i, role in enumerate(ROLES)}, "rules": rules}

    def role_map(self, peers):
        r = self.rng
        member = f"peer:{r.choice(peers)}" if peers and r.random() < 0.7 else f"10.7.0.{r.choice([0, 16, 32])}/28@{IFACE}"
        body = {"interface": IFACE, "role": r.choice(ROLES), "member": member, "source": {"type": "dynamic", "reason": "test"}}
        if r.random() < 0.5:
            body["expires_at"] = self.ends()
        return body

    def one(self, state):
        """@return (method, path, body)"""
        r = self.rng
        peers = [n for k, n in state if k == "peer" and n.startswith("p-")]
        maps = [n for k, n in state if k == "role_map"]
        x = r.random()
        if x < 0.30:
            n = r.randrange(PEERS)
            return "PUT", f"/peers/p-{n}", self.peer(n)
        if x < 0.42 and peers:
            return "DELETE", "/peers/" + r.choice(peers), None
        if x < 0.50 and peers:
            return "PUT", f"/peers/{r.choice(peers)}/enabled", {"enabled": r.random() < 0.4}
        if x < 0.62 and peers:
            change = r.choice([{"roles": r.sample(ROLES, r.randrange(3))}, {"expires_at": self.ends()}, {"keepalive_s": r.randrange(50)},
                               {"public_key": self.key()}])
            return "PATCH", "/peers/" + r.choice(peers), change
        if x < 0.74:
            body = self.role_map(peers)
            return "PUT", "/role-maps/" + urllib.parse.quote(f"{body['role']}:{body['member']}", safe=""), body
        if x < 0.82 and maps:
            return "DELETE", "/role-maps/" + urllib.parse.quote(r.choice(maps), safe=""), None
        if x < 0.92:
            return "PUT", "/policy", self.policy(self.refused)
        if x < 0.95:
            return "PATCH", f"/interfaces/{IFACE}", {"mtu": r.choice([1380, 1400, 1420])}
        if x < 0.98:
            return "PUT", "/gateways/" + r.choice(GATEWAYS), {"interfaces": [IFACE] if r.random() < 0.8 else [], "enabled": r.random() < 0.9}
        return "PUT", "/providers/corp", {"state": r.choice(["up", "down"])}


class Test(LinkFaults):
    def __init__(self, seconds, seed):
        self.rng = random.Random(seed)
        self.seconds = seconds
        self.dir = tempfile.mkdtemp(prefix="sl-gwfaults-")
        self.shm = tempfile.mkdtemp(prefix="sl-gwfaults-", dir="/dev/shm")
        self.changes = Changes(self.rng)
        self.links, self.gateways = {}, {}
        self.done = collections.Counter()
        self.lock = asyncio.Lock()  # of the primary: commits, restarts
        self.backups = []
        self.bad = []
        self.restored_at = 0.0
        self.put_back_at = None

    # --- the primary ------------------------------------------------------------------------------------------------

    async def call(self, method, path, body=None, **headers):
        return await asyncio.to_thread(self.rest.call, method, path, body, **headers)

    async def want(self, *args, **headers):
        answer = await self.call(*args, **headers)
        if answer is None or answer[0] >= 300:
            raise Failed(f"{args}: {answer}")
        return answer[1]

    async def change(self, method, path, body=None):
        """With the lock."""
        headers = {}
        if method == "PUT" and path.startswith("/policy") or method in ("PUT", "PATCH", "DELETE") and path.startswith("/peers/"):
            headers = {"If_Match": "*"}
        answer = await self.call(method, path, body, **headers)
        if answer and answer[0] in (404, 412) and method == "PUT":
            answer = await self.call(method, path, body, If_None_Match="*")
        if answer is None:
            self.done["answers lost"] += 1
            await self.primary_back()
        elif answer[0] >= 500:
            raise Failed(f"{method} {path} {body}: {answer}")
        elif answer[0] >= 300:
            self.done["refused " + answer[1]["type"].rsplit(":", 1)[1]] += 1
        before = self.history.head
        self.history.read()
        self.done["transactions"] += self.history.head - before
        return answer

    def state(self):
        return self.history.states[self.history.epoch, self.history.head]

    async def commit(self):
        async with self.lock:
            await self.change(*self.changes.one(self.state()))

    async def primary_back(self):
        await self.primary.restart()
        self.history.read()

    async def primary_ready(self):
        answer = await self.call("GET", "/readyz")
        return answer is not None and answer[0] == 200

    # --- looking ----------------------------------------------------------------------------------------------------

    async def look(self, g):
        """What it serves now, and whether that may be. @return True: it was looked at, False: it was busy or not there"""
        run, promised = g.runs, g.promised
        try:
            names = [n for k, n in self.state() if k == "peer"]
            asked = [(self.rng.choice(names), f"10.20.{self.rng.choice(['0.1', '1.'])}{self.rng.randrange(10)}", self.rng.choice([22, 80, 443]))
                     for _ in range(3)] if names else []
            calls = [("control.status", {}), ("peer.list", {"limit": 1000}), ("role.members", {"limit": 1000}),
                     ("policy.show", {"part": "document", "limit": 1000}), ("interface.list", {}), ("control.tombstones", {"limit": 1000})]
            calls += [("policy.explain", {"interface": IFACE, "peer": p, "dst": d, "protocol": "tcp", "dport": n}) for p, d, n in asked]
            before, peers, members, document, interfaces, tombs, *told, after = await g.batch(*calls, ("control.status", {}))
        except Gone:
            self.done["looks: not there"] += 1
            return False
        same = ("epoch_id", "seq", "serving_epoch", "serving_seq", "overlay", "refuses", "applying", "stale_config", "hash", "blocked")
        if run != g.runs or before is None or after is None or any(before[k] != after[k] for k in same) or before["applying"]:
            self.done["looks: it was at work"] += 1
            return False
        for _ in range(100):  # the log may be read a moment later
            if before["epoch"] == 0 or (before["epoch_id"], before["seq"]) in self.history.states:
                break
            await asyncio.sleep(0.1)
        else:
            self.bad.append(f"{g.name} has {before['epoch']} {before['epoch_id']} {before['seq']}, which nobody made")
            return True
        if run != g.runs:
            return False
        text = "".join(document["text"]) if document and "text" in document else None
        seen = gwmodel.Seen(peers["peers"], members["members"], json.loads(text) if text else None, interfaces["interfaces"], IFACE)
        wrong = self.judge(g, before, promised, seen, tombs["tombstones"], list(zip(asked, told)))
        if wrong:
            self.bad.append(f"{g.name} at {before['epoch']}/{before['seq']} serving {before['serving_seq']}: {wrong}; {json.dumps(before)}")
        self.done["looks"] += 1
        return True

    def went_back(self, g, s):
        now = (s["epoch"], s["epoch_id"], s["seq"], s["serving_epoch"], s["serving_seq"])
        last, g.seen = g.seen, now
        if last and (now[0] < last[0] or now[1] == last[1] and now[2] < last[2] or now[3:] < last[3:]):
            return f"it went back from {last} to {now}"
        if last and now[0] == last[0] and now[1] != last[1]:
            return f"it took another epoch of the same number: {last} {now}"
        return None

    def judge(self, g, s, promised, seen, tombs, explained):
        wrong = self.went_back(g, s)
        if wrong:
            return wrong
        if s["serving_seq"] == 0:
            self.done["looks: nothing served"] += 1
            return f"it serves {len(seen.peers)} peers of nobody" if seen.peers else None
        epoch, seq, serving = s["epoch_id"], s["seq"], s["serving_seq"]
        blocked = {(t["kind"], t["id"]) for t in tombs if t["blocks"]}
        wrong = self.blocks(g, s, blocked)
        if wrong:
            return wrong
        view = lambda state: gwmodel.View(state, g.name, IFACE, blocked)
        promised = promised[1] if promised[0] == s["epoch"] else 0
        if seq < promised and view(self.history.states[epoch, seq]).differs(view(self.history.states[epoch, promised])):
            return f"it acknowledged {promised}"
        if s["refuses"]:
            self.done["looks: refusing"] += 1
            return gwmodel.less_than([view(v) for v in self.since(s)], seen)
        if serving != seq:
            return f"it refuses nothing, and serves {serving} instead of {seq}"
        state = self.history.states[epoch, seq]
        self.buries(g, s)
        wanted = view(state)
        return wanted.differs(seen) or self.explains(wanted, explained)

    def since(self, s):
        """States from what it serves to what it received, perhaps of another epoch."""
        if s["serving_epoch"] == s["epoch"]:
            return self.history.between(s["epoch_id"], s["serving_seq"], s["seq"])
        was = next(i for i, e in self.history.epochs.items() if e["number"] == s["serving_epoch"])
        self.done["looks: refusing a new epoch"] += 1
        return self.history.between(was, s["serving_seq"], 1 << 60) + self.history.between(s["epoch_id"], 0, s["seq"])

    def blocks(self, g, s, blocked):
        """Only who was deleted is blocked, and whoever this gateway saw deleted is."""
        number, state = s["epoch"], self.history.states[s["epoch_id"], s["seq"]]
        self.done["looks: with blocked objects"] += bool(blocked)
        for key in blocked:
            if not any(n <= number for n, _, _ in self.history.deaths[key]):
                return f"{key} is blocked, but was never deleted"
        for key, (died, _, q, last_rev) in g.dead.items():
            if died < number and key in state and state[key][0] <= last_rev and key not in blocked and \
               gwmodel.in_scope(state, g.name, IFACE, key[0], state[key][1]) and \
               (key[0] != "rule" or state[key][1]["action"] == "allow") and \
               not self.history.put_since(key, died, q, last_rev, number):
                return f"{key} of rev {state[key][0]} came back, though it was deleted at {died}/{q}"
        return None

    def buries(self, g, s):
        """From what it served last to what it serves now: who was deleted while it was this gateway's?"""
        epoch, seq, number = s["epoch_id"], s["seq"], s["epoch"]
        before, g.served = g.served, (epoch, seq)
        now = self.history.states[epoch, seq]
        for key in [k for k, d in g.dead.items() if d[1] == epoch and k in now]:
            del g.dead[key]
        if before is None or before[0] != epoch:
            return
        states = self.history.between(epoch, before[1], seq)
        for key, (_, body) in states[0].items():
            if key[0] not in gwmodel.BURIED or key in now or not all(gwmodel.in_scope(v, g.name, IFACE, key[0], body) for v in states):
                continue
            deaths = [(q, r) for n, q, r in self.history.deaths[key] if n == number and before[1] < q <= seq]
            last = self.history.states[epoch, deaths[-1][0] - 1][key][1]
            if key[0] != "rule" or last["action"] == "allow":
                g.dead[key] = (number, epoch, *deaths[-1])

    def explains(self, view, explained):
        for (peer, dst, port), answer in explained:
            if peer not in view.peers or view.policy is None:
                continue
            want = gwmodel.verdict(view, peer, ipaddress.ip_address(dst), port)
            if answer is None or answer["verdict"] != want:
                return f"{peer} to {dst}:{port} is {answer}, wanted {want}"
            self.done["verdicts " + want] += 1
        return None

    async def promises(self, g):
        """What the primary heard that it acknowledged."""
        answer = await self.call("GET", f"/gateways/{g.name}/status")
        if answer and answer[0] == 200 and "acked_seq" in answer[1]:
            g.promised = max(g.promised, (self.history.epochs[self.history.epoch]["number"], answer[1]["acked_seq"]))

    async def looker(self, g, over):
        while not over():
            await self.look(g)
            if self.bad:
                raise Failed("; ".join(self.bad[:3]))
            await asyncio.sleep(self.rng.choice([0.02, 0.05, 0.2]))

    # --- faults of the control plane --------------------------------------------------------------------------------

    async def f_kill_primary(self):
        async with self.lock:
            await self.primary.kill()
            await asyncio.sleep(self.rng.uniform(0, 0.5))
            await self.primary_back()

    async def f_kill_in_commit(self):
        async with self.lock:
            timer = asyncio.get_running_loop().call_later(self.rng.uniform(0, 0.01), os.kill, self.primary.proc.pid, signal.SIGKILL)
            await self.change(*self.changes.one(self.state()))
            timer.cancel()
            await self.primary_back()

    async def f_kill_follower(self):
        await self.follower.restart(self.rng.uniform(0, 0.5))

    async def run_control(self, *words):
        """@return what it says"""
        p = await asyncio.create_subprocess_exec(CONTROL, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = await p.communicate()
        if p.returncode:
            raise Failed(f"{words}: {out}")
        return out.decode()

    async def f_compact(self):
        async with self.lock:
            await self.run_control("compact", "--state-dir", self.primary_dir, "--rows", str(self.rng.randrange(30)))

    async def f_backup(self):
        async with self.lock:
            to = os.path.join(self.dir, f"backup-{len(self.backups)}.db")
            await self.run_control("backup", to, "--state-dir", self.primary_dir)
            self.backups.append(to)

    async def f_restore(self):
        """A backup of some time ago; perhaps the store that it replaces is lost, and its memory of deletions with it."""
        if not self.backups or time.monotonic() - self.restored_at < 6:
            return
        async with self.lock:
            await self.primary.kill()
            self.history.read()  # a gateway may have registered since
            if self.rng.random() < 0.6:
                for f in os.listdir(self.primary_dir):
                    if f.startswith("store.db"):
                        os.unlink(os.path.join(self.primary_dir, f))
                self.done["restored without the former store"] += 1
            await self.run_control("restore", self.rng.choice(self.backups), "--state-dir", self.primary_dir)
            self.history.read()
            await self.primary.start()
            self.restored_at = time.monotonic()
            self.done["restored"] += 1

    async def f_put_back(self):
        """An older store file is put back by hand: a subscriber that has seen more shows it, and the primary begins a new epoch by itself. It does so once an
        hour because of the same subscriber, and once a minute."""
        if self.done["put back"] >= 3 or self.put_back_at and time.monotonic() - self.put_back_at < 90:
            return
        async with self.lock:
            older, store = os.path.join(self.dir, "older.db"), os.path.join(self.primary_dir, "store.db")
            await self.run_control("backup", older, "--state-dir", self.primary_dir)
            self.history.read()
            backed_up = self.history.head
            for _ in range(self.rng.choice([1, 5, 20])):
                await self.change(*self.changes.one(self.state()))
            lost = self.history.head > backed_up  # a change may be refused, or change nothing
            seen = [await self.call("GET", f"/wait?seq={self.history.head}&gateways={g}&timeout=3") for g in GATEWAYS]
            await self.primary.kill()
            self.history.read()  # a gateway may have registered since
            if not lost or not any(a and a[0] == 200 and a[1]["all"] for a in seen):
                os.unlink(older)
                await self.primary.start()
                return
            for f in os.listdir(self.primary_dir):
                if f.startswith("store.db"):
                    os.unlink(os.path.join(self.primary_dir, f))
            os.rename(older, store)
            await self.primary.start()
            self.put_back_at = time.monotonic()
            self.done["put back"] += 1
            for l in self.links.values():
                l.heal()
            while gwmodel.epoch_of(store) == self.history.epoch:
                if time.monotonic() - self.put_back_at > 60:
                    raise Failed(f"no new epoch though an older file was put back: {self.primary.tail()}")
                await asyncio.sleep(0.05)
            self.history.read()

    async def f_refused(self):
        """Gateways refuse a policy, and what is revoked meanwhile is revoked at once."""
        self.changes.refused = True
        async with self.lock:
            await self.change("PUT", "/policy", self.changes.policy(True))
        await asyncio.sleep(self.rng.uniform(0.5, 2.5))
        self.changes.refused = False
        if self.rng.random() < 0.7:
            async with self.lock:
                await self.change("PUT", "/policy", self.changes.policy())

    async def f_gateway_out(self):
        """A gateway has nothing to serve for a while."""
        name = self.rng.choice(GATEWAYS)
        async with self.lock:
            await self.change("PUT", "/gateways/" + name, self.rng.choice([{"interfaces": [IFACE], "enabled": False}, {"interfaces": []}]))
        await asyncio.sleep(self.rng.uniform(0.2, 1))
        async with self.lock:
            await self.change("PUT", "/gateways/" + name, {"interfaces": [IFACE]})

    async def f_many(self):
        """More peers than a part of a snapshot holds, for a while."""
        async with self.lock:
            for n in range(1000, 1250):
                await self.change("PUT", f"/peers/q-{n}", self.changes.peer(n))

    async def f_clock(self):
        async with self.lock:
            await self.jump(self.primary)

    # --- faults of gateways -----------------------------------------------------------------------------------------

    async def g_kill(self, g):
        await g.restart(self.rng.choice([0, 0.1, 1]))

    async def g_stop(self, g):
        """In order, with its last words to the disk."""
        async with g.lock:
            await g.kill(signal.SIGTERM)
            await g.start()

    async def g_slow(self, g):
        async with g.lock:
            os.kill(g.proc.pid, signal.SIGSTOP)
            await asyncio.sleep(self.rng.uniform(0.2, 3))
            os.kill(g.proc.pid, signal.SIGCONT)

    async def g_resync(self, g):
        try:
            await g.batch(("control.resync", {}))
        except Gone:
            pass

    async def g_kill_in_snapshot(self, g):
        """So many bytes of a snapshot went through, then it dies."""
        async with g.lock:
            before = sum(l.bytes for l in g.links)
            at = self.rng.randrange(500, 60000)
            try:
                await g.batch(("control.resync", {}))
            except Gone:
                return
            end = time.monotonic() + 1
            while time.monotonic() < end and sum(l.bytes for l in g.links) - before < at:
                await asyncio.sleep(0.001)
            await g.kill()
            await g.start()

    async def g_kill_at_cache(self, g):
        """While the boot cache is written, or just after."""
        cache = os.path.join(g.state, "control-cache")
        stamp = lambda f: os.stat(f).st_mtime_ns if os.path.exists(f) else 0
        async with g.lock:
            was, end = stamp(cache), time.monotonic() + 2
            while time.monotonic() < end and not os.path.exists(cache + ".new") and stamp(cache) == was:
                await asyncio.sleep(0.0005)
            await g.kill()
            await g.start()

    async def g_alone(self, g):
        """It dies just after it acknowledged, no source is there when it starts: the cache serves, and nothing that was revoked."""
        async with g.lock:
            async with self.lock:
                for _ in range(self.rng.choice([1, 3, 8])):
                    await self.change(*self.changes.one(self.state()))
                head = self.history.head
                await self.call("GET", f"/wait?seq={head}&gateways={g.name}&timeout=2")
                await self.promises(g)
            await asyncio.sleep(self.rng.choice([0, 0, 0.1, 0.6]))
            await g.kill()
            for l in g.links:
                l.refuse = True
                l.cut()
            await g.start()
            s = await g.until(lambda s: s["stale_config"] and not s["applying"] or s["cache_error"] if "cache_error" in s else s["stale_config"], 6)
            self.done["alone: " + ("served by the cache" if s and s["stale_config"] else "closed")] += 1
            await self.look(g)
            for l in g.links:
                l.refuse = False

    async def g_disk_full(self, g):
        """No room in the state directory; perhaps it dies meanwhile."""
        filler = os.path.join(g.state, "filler")
        try:
            with open(filler, "ab", buffering=0) as f:
                while f.write(b"x" * 4096) == 4096:
                    pass
        except OSError:
            pass
        if self.rng.random() < 0.5:  # a little room: for a part of a line
            with open(filler, "r+b") as f:
                f.truncate(max(0, os.path.getsize(filler) - 4096))
        await asyncio.sleep(self.rng.uniform(0.5, 2.5))
        if self.rng.random() < 0.3:
            async with g.lock:
                await g.kill()
                g.forget()
                await g.start()
        os.unlink(filler)
        await asyncio.sleep(2)  # what it still owes the disk

    async def g_harmed(self, g):
        """While it is down a bit of its journal flips: it is not known then what else it had acknowledged."""
        journal = os.path.join(g.state, "control-journal")
        async with g.lock:
            await g.kill()
            size = os.path.getsize(journal) if os.path.exists(journal) else 0
            if size:
                with open(journal, "r+b") as f:
                    at = self.rng.randrange(size)
                    f.seek(at)
                    byte = f.read(1)[0] ^ 1 << self.rng.randrange(8)
                    f.seek(at)
                    f.write(bytes([byte]))
                self.done["journals harmed"] += 1
                g.served = None
            await g.start()

    async def jump(self, p):
        p.shift(self.rng.choice([-86400, -3600, 3600, 86400 * 3, 86400 * 30]))
        await asyncio.sleep(self.rng.uniform(0.2, 2))
        if self.rng.random() < 0.3:
            await p.restart()
        p.shift(0)

    async def g_clock(self, g):
        await self.jump(g)

    # --- the whole --------------------------------------------------------------------------------------------------

    async def link(self, name, port):
        self.links[name] = Link(name, port, self.rng)
        await self.links[name].start()
        return self.links[name]

    async def set_up(self):
        self.primary_dir, follower_dir = os.path.join(self.dir, "primary"), os.path.join(self.dir, "follower")
        text = await self.run_control("init", "--state-dir", self.primary_dir)
        token = next(w for w in text.split() if w.startswith("slt_"))
        ca = os.path.join(self.primary_dir, "tls", "ca.pem")
        rest, repl, rest2, repl2 = (free_port() for _ in range(4))
        self.rest = Rest(rest, ca, token)
        run = lambda d, name, a, b, *more: [CONTROL, "run", "--state-dir", d, "--name", name, "--rest", f"127.0.0.1:{a}", "--repl", f"127.0.0.1:{b}",
                                            "--heartbeat", "1", *more]
        self.primary = Proc(self, "primary", run(self.primary_dir, "cp1", rest, repl), self.primary_ready)
        await self.primary.start()
        self.history = gwmodel.History(os.path.join(self.primary_dir, "store.db"))
        self.history.read()
        await self.furnish()
        await self.run_control("init", "--follower", "--primary", "https://cp.example.net:7443", "--pepper", os.path.join(self.primary_dir, "pepper"),
                        "--state-dir", follower_dir)
        shutil.copy(ca, os.path.join(follower_dir, "tls", "ca.pem"))
        subprocess.run([CTL, "ca", "issue", os.path.join(self.primary_dir, "ca"), "--kind", "control", "--name", "cp2", "--host", "127.0.0.1", "--out",
                        os.path.join(follower_dir, "tls", "control")], check=True, capture_output=True)
        up = await self.link("follower-primary", repl)
        self.follower = Proc(self, "follower", run(follower_dir, "cp2", rest2, repl2, "--mode", "follower", "--source", f"127.0.0.1:{up.port}"),
                             lambda: self.listens(repl2))
        await self.follower.start()
        for name, order in zip(GATEWAYS, ([repl, repl2], [repl2, repl])):
            links = [await self.link(f"{name}-{i}", port) for i, port in enumerate(order)]
            g = self.gateways[name] = Gateway(self, name, links)
            answer = await self.want("POST", "/tokens", {"roles": ["gateway"], "bound": name})
            g.furnish(ca, answer["token"])
        self.history.read()
        for g in self.gateways.values():
            await g.start()

    async def listens(self, port):
        try:
            _, w = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        w.close()
        return True

    async def furnish(self):
        tokens = [(await self.want("POST", "/tokens", {"roles": ["admin"]}))["token"] for _ in range(10)]
        self.rest.tokens = tokens
        await self.want("POST", "/interfaces", {"name": IFACE, "listen_port": 51820})
        for k, g in enumerate(GATEWAYS, 1):
            await self.want("POST", "/gateways", {"name": g, "interfaces": [IFACE]})
            await self.want("POST", "/gateway-interfaces", {"gateway": g, "interface": IFACE, "index": k, "endpoint": f"192.0.2.{k}:51820",
                                                            "addresses": [f"10.7.255.{k}/16"], "client_pool": [f"10.7.{100 + k}.0/24"]})
        policy = self.changes.policy()
        for role in policy["roles"].values():
            del role["members"]
        await self.want("PUT", "/policy", policy, If_None_Match="*")
        for n in range(PEERS // 2):
            await self.want("PUT", f"/peers/p-{n}", self.changes.peer(n), If_None_Match="*")

    async def committer(self, over):
        while not over():
            for _ in range(self.rng.choice([1, 1, 5, 30])):
                await self.commit()
            await asyncio.sleep(self.rng.choice([0, 0.05, 0.3, 1]))

    async def faults(self, over, names, *args):
        while not over():
            name = self.rng.choice(names)
            self.done[name] += 1
            await getattr(self, name)(*args)
            await asyncio.sleep(self.rng.uniform(0.02, 0.5))

    def different(self, g, s):
        if (s["epoch_id"], s["serving_seq"]) != (self.history.epoch, s["seq"]) or s["seq"] > self.history.head or s["refuses"] or not s["hash_ok"]:
            return f"{g.name}: {s}"
        a, b = (self.history.states[self.history.epoch, n] for n in (s["seq"], self.history.head))
        wrong = gwmodel.View(a, g.name, IFACE).differs(gwmodel.View(b, g.name, IFACE))
        return f"{g.name} is at {s['seq']} of {self.history.head}: {wrong}" if wrong else None

    async def settle(self):
        """No more faults: all are equal within a while."""
        for l in self.links.values():
            l.heal()
        for p in (self.primary, self.follower, *self.gateways.values()):
            p.shift(0)
        self.changes.refused = False
        async with self.lock:
            for g in GATEWAYS:
                await self.change("PUT", "/gateways/" + g, {"interfaces": [IFACE]})
            await self.change("PUT", "/policy", self.changes.policy())
        end, who = time.monotonic() + 60, "nobody looked"
        while time.monotonic() < end and who:
            who = None
            for g in self.gateways.values():
                try:
                    who = who or self.different(g, await g.status())
                except Gone:
                    who = f"{g.name} is not there"
            await asyncio.sleep(0.1)
        if who:
            raise Failed(f"not equal: {who}")
        for g in self.gateways.values():
            for _ in range(20):
                if await self.look(g):
                    break
                await asyncio.sleep(0.1)
            else:
                raise Failed(f"{g.name} is always at work")
        if self.bad:
            raise Failed("; ".join(self.bad[:3]))
        for p in (self.primary, self.follower, *self.gateways.values()):
            p.no_crash()

    def enough(self):
        return self.done["looks"] >= 50 and self.done["transactions"] >= 50

    async def run(self):
        await self.set_up()
        over = until(self.seconds, self.enough)
        await together(self.committer(over), self.faults(over, LINK_FAULTS), self.faults(over, CONTROL_FAULTS),
                       *(self.faults(over, GATEWAY_FAULTS, g) for g in self.gateways.values()),
                       *(self.looker(g, over) for g in self.gateways.values()))
        begun = time.monotonic()
        await self.settle()
        print(f"all equal {time.monotonic() - begun:.1f} s after the last fault")
        print(f"{self.done['transactions']} transactions, {self.done['looks']} looks at what gateways serve, {len(self.history.epochs)} epochs, "
              f"{sum(l.flips for l in self.links.values())} flipped bits, {sum(g.runs for g in self.gateways.values())} runs of gateways")
        print(", ".join(f"{k} {v}" for k, v in sorted(self.done.items())))
        if not self.enough():
            raise Failed("too little happened to mean anything")

    async def stop(self, ok):
        for p in [getattr(self, "primary", None), getattr(self, "follower", None), *self.gateways.values()]:
            if p and p.alive():
                os.kill(p.proc.pid, signal.SIGCONT)
                await p.kill()
        for l in self.links.values():
            await l.stop()
        for g in self.gateways.values():
            if not ok:
                shutil.copytree(g.state, os.path.join(self.dir, "last-" + g.name))
            subprocess.run(["umount", g.state], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.shm, ignore_errors=True)


faultrun.main(Test)
