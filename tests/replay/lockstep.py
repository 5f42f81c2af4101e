# SPDX-License-Identifier: BSD-3-Clause
"""Driver of a gateway in lockstep (lockstep.c): starts it with a generated configuration, hands it
frames, lets its virtual clock go on, and plays the network around it: routers and servers answer
ARP and ND at once, WireGuard clients are wgpeer.Peer objects behind addresses.

Nothing happens between two calls: what the gateway sends is the answer to what a test did.
"""
import atexit
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import packets as pk
import wgpeer as wg
from check import Failed, check, equal

# Every script runs with other lcores, too: MODE=w2 is two workers with two queues and frames spread by
# flow, MODE=io2 one io lcore and two workers.
MODES = {"w1": (1, 0, 1), "w2": (2, 0, 2), "io2": (2, 1, 1)}
MODE = os.environ.get("MODE", "w1")
BINARY = os.environ.get("LOCKSTEP") or (sys.argv[1] if len(sys.argv) > 1 else "")

MS, S = 10**6, 10**9
WALL0 = 1_800_000_000 * S  # START_WALL_NS of lockstep.c
PEER_WALL0 = WALL0 - 1000 * S

WAN, LAN = 0, 1
WAN4, WAN6 = "198.18.5.2", "2001:db8:5::2"
ROUTER4, ROUTER6 = "198.18.5.1", "2001:db8:5::1"
INNER4, INNER6 = "10.7.0.1", "fd00:7::1"
LAN4, LAN6 = "10.20.0.1", "fd00:20::1"
SERVER4, SERVER6 = "10.20.0.10", "fd00:20::10"
LISTEN = 51820
PADDING = b"\0" * 16


def b64(b):
    import base64
    return base64.b64encode(b).decode()


def cpus(n):
    """CPU numbers for control and n data lcores; a CPU may be named several times."""
    have = sorted(os.sched_getaffinity(0))
    return [have[0]] + [have[-1]] * n


def lcores(workers, io):
    """Settings of "system" for so many lcores."""
    return {"workers": workers, "io": io, "cpus": cpus(workers + io)}


def rss(frame):
    """What a NIC does: the same outer or inner flow, the same queue."""
    f = pk.Frame(0, 0, frame)
    if f.ip is None:
        return 0
    key = f.ip.src + f.ip.dst
    if f.ip.proto == pk.UDP and not f.ip.off and not f.ip.mf and len(f.ip.payload) >= 8:
        key += "%d %d" % (f.ip.sport, f.ip.dport)
    return wg.blake2s(key.encode())[0]


def spread(frame, queues):
    try:
        return rss(frame) % queues
    except (ValueError, IndexError, struct.error, OSError):
        return 0  # broken frames


def conf_text(v, depth=0):
    """A Python value in libconfig's notation."""
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, dict):
        pad = "\t" * (depth + 1)
        body = "".join("%s%s = %s;\n" % (pad, k, conf_text(x, depth + 1)) for k, x in v.items())
        return "{\n%s%s}" % (body, "\t" * depth)
    if v and isinstance(v[0], dict):
        return "( %s )" % ", ".join(conf_text(x, depth) for x in v)
    return "[ %s ]" % ", ".join(conf_text(x, depth) for x in v)


def base_config(**more):
    """Two ports, one interface "wg0" without peers. Change what a case needs."""
    c = {
        "instance": "lockstep-%d" % os.getpid(),
        "system": {"hugepages": "off", "allow_unlocked_keys": True, "mbufs": 32767, **lcores(*MODES[MODE][:2])},
        "control": {"uapi": False},
        "log": {"level": "err"},
        "ports": [
            {"name": "wan", "device": "net_ring_lock0", "addresses": [WAN4 + "/24", WAN6 + "/64"]},
            {"name": "lan", "device": "net_ring_lock1", "addresses": [LAN4 + "/24", LAN6 + "/64"]},
        ],
        "routes": [{"prefix": "0.0.0.0/0", "via": ROUTER4}, {"prefix": "::/0", "via": ROUTER6}],
        "interfaces": [interface()],
    }
    c.update(more)
    return c


def interface(name="wg0", port=LISTEN, addresses=(INNER4 + "/16", INNER6 + "/64"), **more):
    i = {"name": name, "listen_port": port, "addresses": list(addresses),
         "inside": {"port": "lan", "prefixes": ["10.20.0.0/16", "fd00:20::/64"]}}
    i.update(more)
    return i


class Gateway:
    """One lockstep process. Ends with close() or as a context manager."""

    def __init__(self, config=None, queues=None, seed=1, route=None, keep=None):
        check(BINARY and os.path.exists(BINARY), "name the lockstep program (argument or LOCKSTEP)")
        self.config = json.loads(json.dumps(config or base_config()))
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = keep or tempfile.mkdtemp(prefix="sluice-replay-", dir=shm)  # keep: of a former run
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.keys = {}     # interface name -> public key
        self.listen = {}   # UDP port -> interface name
        self.hosts = {}    # (port, vlan, address) -> MAC of who answers ARP and ND
        self.clients = []
        self.neigh_frames = []
        self.before = {}
        self.queues = MODES[MODE][2] if queues is None else queues
        if route is None and self.queues > 1:
            route = lambda frame: spread(frame, self.queues)  # noqa: E731
        self.route = route  # frame -> queue, for runs with several
        self.trace = None   # list that gets every frame sent
        self._serial = 1
        self._start(seed)

    # --- the process
    def _start(self, seed):
        c = self.config
        c["system"].setdefault("state_dir", self.dir + "/state")
        c["system"].setdefault("run_dir", self.dir + "/run")
        for d in ("state", "run"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        for i in c["interfaces"]:
            self.listen[i["listen_port"]] = i["name"]
            if "key_store" not in i:
                i["private_key_file"] = self.add_key(i["name"])
        path = os.path.join(self.dir, "sluice.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join("%s = %s;\n" % (k, conf_text(v)) for k, v in c.items()))
        self.proc = subprocess.Popen(
            [BINARY, "--config", path, "--queues", str(self.queues), "--seed", str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self._line()
        if line != "ready":
            self._end()
            raise Failed("lockstep did not start: %s" % line)
        self.now = self._now()
        self.mac = {n: pk.mac(p["mac"]) for n, p in enumerate(self.call("port.list")["ports"])}
        for ip in (ROUTER4, ROUTER6):
            self.host(WAN, ip)
        for ip in (SERVER4, SERVER6):
            self.host(LAN, ip)
        self.new_drops()

    def add_key(self, name):
        """A private key file for an interface, whose public key we know."""
        priv = wg.key_of("interface " + name)
        self.keys[name] = wg.public(priv)
        return self.secret_file(name + ".key", priv)

    def secret_file(self, name, secret):
        path = os.path.join(self.dir, name)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.write(fd, (b64(secret) + "\n").encode())
        os.close(fd)
        return path

    def check_leaks(self):
        """When all timers have run, every packet buffer is back in the pool."""
        self.advance(8000, 100)
        equal(self.call("sys.mem")["mbufs_in_use"], 0, "packet buffers in use in the end")

    def close(self, leaks=True):
        try:
            if leaks and self.proc.poll() is None:
                self.check_leaks()
        finally:
            code = self._end()
        return code

    def _end(self):
        if self.proc.poll() is None:
            try:
                self.proc.stdin.write(b"quit\n")
                self.proc.stdin.close()
                self.proc.wait(20)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.proc.kill()
                self.proc.wait()
        self.proc.stdout.close()
        return self.proc.returncode

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        rc = self.close(exc[0] is None)
        if exc[0] is None:
            equal(rc, 0, "exit code of lockstep")

    def _line(self):
        line = self.proc.stdout.readline()
        if not line:
            raise Failed("lockstep died with exit code %s" % self.proc.wait())
        return line.decode().rstrip("\n")

    def _say(self, text):
        self.proc.stdin.write(text.encode() + b"\n")

    def _answer(self):
        """Lines up to "ok"; frames become Frame objects."""
        self.proc.stdin.flush()
        frames, lines, at = [], [], None
        while True:
            line = self._line()
            if line == "ok":
                break
            if line.startswith("bad "):
                raise Failed("lockstep: " + line)
            if line.startswith("tx "):
                _, port, queue, data = line.split()
                frames.append(self._frame(int(port), int(queue), bytes.fromhex(data), at))
            elif line.startswith("at "):
                at = int(line[3:])
            else:
                lines.append(line)
        return frames, lines

    def _frame(self, port, queue, data, at):
        f = pk.Frame(port, queue, data, self.now if at is None else at)
        if f.ip and f.ip.proto == pk.UDP and not (f.ip.off or f.ip.mf) and f.ip.sport in self.listen \
                and len(f.ip.data) >= 32 and f.ip.data[0] in (1, 2, 3, 4):
            f.kind = "wg%d" % f.ip.data[0]
        return f

    def _command(self, text):
        self._say(text)
        return self._answer()

    def _now(self):
        return int(self._command("now")[1][0].split()[1])

    # --- frames and time
    def rx(self, port, frame, queue=None):
        """A frame arrives; nothing happens before the next run() or advance()."""
        if queue is None:
            queue = self.route(frame) if self.route else 0
        frames, _ = self._command("rx %d %d %s" % (port, queue, frame.hex()))
        check(not frames, "a frame came out of rx")

    def rx_many(self, port, frames, queue=None):
        """The same for many, at the speed of a pipe."""
        for at in range(0, len(frames), 256):
            part = frames[at:at + 256]
            for f in part:
                q = queue if queue is not None else self.route(f) if self.route else 0
                self._say("rx %d %d %s" % (port, q, f.hex()))
            for f in part:
                self._answer()

    def rx_chain(self, port, frame, seg, queue=0):
        """A frame in a chain of buffers of `seg` bytes."""
        self._command("seg %d %d %d %s" % (seg, port, queue, frame.hex()))

    def set_wall(self, ms):
        """Somebody sets the wall clock forward or back."""
        self._command("wall %d" % ms)

    def run(self):
        """Poll until idle. @return what was sent, without ARP and ND (which are answered)"""
        out, (frames, _) = [], self._command("run")
        while frames:
            out += frames
            frames = self._command("run")[0] if self._network(frames) else []
        return self._visible(out)

    def advance(self, ms, step_ms=10):
        """Let the clock go on; neighbours are answered in time, and so is what clients answer."""
        out, left = [], ms
        while left > 0:
            frames, lines = self._command("until %d %d" % (left, step_ms))
            word, value = lines[-1].split()
            equal(word, "left", "answer of until")
            self.now += (left - int(value)) * MS
            left = int(value)
            while frames:
                out += frames
                frames = self._command("run")[0] if self._network(frames) else []
        return self._visible(out)

    def _visible(self, frames):
        if self.trace is not None:
            self.trace += frames
        return [f for f in frames if f.kind not in ("arp", "ns", "na")]

    def _network(self, frames):
        """Answer ARP and ND, let clients react. @return true if anything was handed in"""
        any_in = False
        for f in frames:
            any_in |= self._neighbour(f)
            for c in self.clients:
                if c.auto and f.kind[:2] == "wg" and c.is_for(f):
                    any_in |= c.react(f)
        return any_in

    def _neighbour(self, f):
        if f.kind not in ("arp", "ns"):
            return False
        self.neigh_frames.append(f)
        if f.kind == "arp" and f.op != 1:
            return False
        m = self.hosts.get((f.port, f.vlan, f.target))
        if m is None:
            return False
        if f.kind == "arp":
            answer = pk.eth(f.src_mac, m, pk.ARP, pk.arp(2, m, f.target, f.src_mac, f.sender), f.vlan)
        else:
            answer = pk.ip_frame(f.src_mac, m, pk.nd(136, f.target, f.ip.src, f.target, m, 0x60000000), f.vlan)
        self.rx(f.port, answer, 0)
        return True

    def host(self, port, ip, mac=None, vlan=0):
        """Somebody on the link who answers for an address. @return MAC"""
        if mac is None:
            mac = b"\x02" + wg.blake2s(b"%d %d " % (port, vlan) + ip.encode())[:5]
        self.hosts[(port, vlan, ip)] = mac
        return mac

    # --- RPC
    def call(self, method, **params):
        _, lines = self._command("call %s %s" % (method, json.dumps(params)))
        kind, text = lines[-1].split(" ", 1)
        if kind != "result":
            raise Failed("%s: %s" % (method, text))
        return json.loads(text)

    def call_fails(self, reason, method, **params):
        _, lines = self._command("call %s %s" % (method, json.dumps(params)))
        kind, text = lines[-1].split(" ", 1)
        equal((kind, json.loads(text).get("reason")), ("error", reason), "answer of " + method)

    def drops(self):
        return {d["reason"]: d["packets"] for d in self.call("drops.get")["drops"] if d["packets"]}

    def new_drops(self):
        now = self.drops()
        new = {k: v - self.before.get(k, 0) for k, v in now.items() if v != self.before.get(k, 0)}
        self.before = now
        return new

    def expect_drops(self, what, consumed=None, **want):
        """Exactly these reasons since the last look; local_consumed only where `consumed` is given."""
        got = self.new_drops()
        ended = got.pop("local_consumed", 0)
        equal(got, want, what + ": drops")
        if consumed is not None:
            equal(ended, consumed, what + ": local_consumed")

    def found(self, secret):
        """How often these bytes stand in the memory of the gateway."""
        self.where = self._command("arena " + secret.hex())[1]
        return int(self.where[-1].split()[1])

    def peer_info(self, client):
        return self.call("peer.get", interface=client.iface, peer=b64(client.peer.pub))

    # --- clients
    def client(self, name, ip=None, port=5000, iface="wg0", psk=None, v6=False, add=True, allowed=None, **peer):
        """A WireGuard client with inner addresses of its own, made known to the gateway."""
        n = self._serial
        self._serial += 1
        if ip is None:
            ip = "2001:db8:99::%x" % n if v6 else "192.0.%d.%d" % (16 + n // 250, 1 + n % 250)
        c = Client(self, wg.Peer(name, self.keys[iface], psk or bytes(32), PEER_WALL0), iface, ip, port)
        c.in4, c.in6 = "10.7.%d.%d" % (1 + n // 200, 1 + n % 200), "fd00:7::%x" % (0x1000 + n)
        c.allowed = allowed if allowed is not None else [c.in4 + "/32", c.in6 + "/128"]
        if add:
            if psk:
                peer["preshared_key_file"] = self.secret_file(name + ".psk", psk)
            self.call("peer.set", interface=iface, public_key=b64(c.peer.pub), name=name,
                      allowed_ips=c.allowed, **peer)
            c.known = True
        self.clients.append(c)
        return c

    def forget_clients(self):
        """Remove all peers, so that none disturbs the next case."""
        for c in self.clients:
            if c.known:
                self.call("peer.remove", interface=c.iface, peer=b64(c.peer.pub))
        self.clients = []
        self.run()
        self.new_drops()

    def to_lan(self, packet, queue=None, vlan=0, src_mac=None, port=LAN):
        """A plaintext packet from the server side."""
        src = src_mac or self.hosts.get((port, vlan, SERVER4))
        self.rx(port, pk.ip_frame(self.mac[port], src, packet, vlan), queue)

    def send_lan(self, packet, **kw):
        self.to_lan(packet, **kw)
        return self.run()


class Client:
    """A wgpeer.Peer at an outer address on the WAN side, behind the router."""

    def __init__(self, gw, peer, iface, ip, port):
        self.gw, self.peer, self.iface = gw, peer, iface
        self.ip, self.port = ip, port
        self.wan_port, self.vlan = WAN, 0
        self.known = False      # to the gateway
        self.auto = False       # answer initiations, confirm responses, collect data by itself
        self.received = []      # auto: (time, keypair, counter, plaintext)
        self.to_ip = None       # default: the gateway's address of the family
        self.to_port = next(p for p, n in gw.listen.items() if n == iface)
        self.tos = 0
        self.last = None

    @property
    def v6(self):
        return ":" in self.ip

    def datagram(self, msg, tos=None, **kw):
        dst = self.to_ip or (WAN6 if self.v6 else WAN4)
        return pk.udp(self.ip, dst, self.port, self.to_port, msg, tos=self.tos if tos is None else tos, **kw)

    def frame(self, msg, tos=None, **kw):
        src = self.gw.hosts.get((self.wan_port, self.vlan, self.ip)) \
            or self.gw.hosts[(WAN, 0, ROUTER6 if self.v6 else ROUTER4)]
        return pk.ip_frame(self.gw.mac[self.wan_port], src, self.datagram(msg, tos, **kw), self.vlan)

    def put(self, msg, queue=None, tos=None, **kw):
        """Hand a WireGuard message in without running."""
        self.gw.rx(self.wan_port, self.frame(msg, tos, **kw), queue)

    def send(self, msg, queue=None, tos=None, **kw):
        self.put(msg, queue, tos, **kw)
        return self.gw.run()

    def is_for(self, f):
        return (f.port, f.ip.dst, f.ip.dport) == (self.wan_port, self.ip, self.port)

    # --- handshakes
    def initiate(self, **kw):
        """Send an initiation, take the response. @return keypair (not confirmed yet)"""
        frames = self.send(self.peer.initiation(**kw))
        return self.peer.on_response(self.one(frames, "wg2").wg)

    def handshake(self, **kw):
        """A whole handshake as initiator, confirmed by a keepalive. @return keypair"""
        kp = self.initiate(**kw)
        self.one(self.send(kp.seal()), None)
        return kp

    def answer(self, frame, **kw):
        """Answer an initiation of the gateway. @return (frames behind, keypair)"""
        msg, kp = self.peer.response(self.peer.on_initiation(frame.wg), **kw)
        return self.send(msg), kp

    def one(self, frames, kind):
        """Exactly one frame of a kind to this client and nothing else; kind None: nothing at all."""
        equal([f.kind for f in frames], [kind] if kind else [], "what was sent to %s" % self.peer.name)
        if not kind:
            return None
        check(self.is_for(frames[0]), "%r is not for %s:%d" % (frames[0], self.ip, self.port))
        check(frames[0].ip.ok, "checksums of %r" % frames[0])
        return frames[0]

    # --- data
    def open(self, frame):
        """Plaintext without padding; padding must be zero."""
        kp, counter, text = self.peer.open(frame.wg)
        self.last = (kp, counter)
        if not text:
            return b""
        ip = pk.Ip(text)
        check(not any(ip.padding), "padding is zero")
        check(ip.ok, "checksums inside")
        return text[:ip.total]

    def opened(self, frames):
        return [self.open(f) for f in frames if f.kind == "wg4" and self.is_for(f)]

    def data(self, inner, kp=None, tos=None, **kw):
        """Seal and send a packet. @return what the gateway sent"""
        return self.send((kp or self.peer.current).seal(inner, **kw), tos=tos)

    # --- by itself
    def react(self, f):
        kind = f.wg[0]
        if kind == wg.INITIATION:
            msg, kp = self.peer.response(self.peer.on_initiation(f.wg))
            self.put(msg)
            self.next = kp
            return True
        if kind == wg.RESPONSE:
            kp = self.peer.on_response(f.wg)
            self.put(kp.seal())
            return True
        if kind == wg.DATA:
            kp, counter, text = self.peer.open(f.wg)
            if self.peer.current is None or kp is not self.peer.current and not kp.initiator \
                    and kp is getattr(self, "next", None):
                self.peer.current = kp  # confirmed by the initiator's first packet
            self.received.append((f.at_ns, kp, counter, text))
        return False


def expect(frames, *kinds):
    """The kinds of all frames, in order. @return the frame, or the frames"""
    equal([f.kind for f in frames], list(kinds), "what was sent")
    return frames[0] if len(frames) == 1 else frames


def lan_packet(frames):
    """Exactly one plaintext packet to the inside. @return its Ip"""
    equal([(f.kind[:2], f.port) for f in frames], [("ip", LAN)], "what was sent")
    check(frames[0].ip.ok, "checksums of %r" % frames[0])
    return frames[0].ip


def server_mac(gw, v6=False):
    return gw.hosts[(LAN, 0, SERVER6 if v6 else SERVER4)]


def u32(b, at=4):
    return struct.unpack_from("<I", b, at)[0]
