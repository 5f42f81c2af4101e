# SPDX-License-Identifier: BSD-3-Clause
"""What strangers and clumsy clients can do to the REST API: nothing that costs others."""

import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

import restlib
from restlib import POLICY, equal, fail, furnish, key, step


def raw(c, data, timeout=20, more=None):
    """Bytes over TLS, whatever they are; what comes back until the end."""
    s = c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), timeout), server_hostname="127.0.0.1")
    out = b""
    try:
        s.sendall(data)
        if more:
            more(s)
        while True:
            b = s.recv(65536)
            if not b:
                break
            out += b
    except (ssl.SSLError, OSError):
        pass
    finally:
        s.close()
    return out


def status(answer):
    m = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    if m and int(m[1]) >= 400 and not re.search(rb"\r\nContent-Type: application/problem\+json\r\n.*\r\n\r\n\{", answer, re.S):
        fail(f"no problem: {answer!r}")
    return int(m[1]) if m else 0


def head(method, path, *headers, host="127.0.0.1"):
    return (f"{method} /api/v1{path} HTTP/1.1\r\n" + (f"Host: {host}\r\n" if host else "") + "".join(h + "\r\n" for h in headers) + "\r\n").encode()


def alive(c, what):
    if c.proc.poll() is not None:
        fail(f"the server ended: {what}")
    c.want(200, "GET", "/healthz", token=None)


def hosts_and_framing(c):
    step("hosts, methods, framing")
    for host, want in (("127.0.0.1", 200), (f"localhost:{c.port}", 200), ("[::1]:1", 200), ("control.example.net", 200), ("CONTROL.example.net.", 200),
                       ("evil.example.com", 421), ("", 400), ("a b", 400), ("other-name", 421)):
        equal(f"Host {host!r}", status(raw(c, head("GET", "/healthz", "Connection: close", host=host))), want)
    bearer = "Authorization: Bearer " + c.token
    for name, data in {
        "two Hosts": head("GET", "/healthz", "Host: 127.0.0.1", "Connection: close"),
        "a body with GET": head("GET", "/peers", bearer, "Content-Length: 5") + b"GET /",
        "both framings": head("POST", "/peers", bearer, "Content-Type: application/json", "Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        "another coding": head("POST", "/peers", bearer, "Content-Type: application/json", "Content-Length: 2", "Transfer-Encoding: gzip") + b"{}",
        "two Authorizations": head("GET", "/peers", bearer, "Authorization: Bearer x", "Connection: close"),
        "an absolute target": b"GET https://127.0.0.1/api/v1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        "a fragment": head("GET", "/healthz#x", "Connection: close"),
        "a zero byte": head("GET", "/peers/a%00b", bearer, "Connection: close"),
    }.items():
        got = status(raw(c, data))
        if got != 400:
            fail(f"{name}: status {got}, wanted 400")
    for name, want, data in (
            ("a body in pieces", 411, head("POST", "/peers", bearer, "Content-Type: application/json", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"),
            ("a chunked DELETE", 411, head("DELETE", "/peers/alice", bearer, 'If-Match: *', "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
            ("no length", 400, head("POST", "/peers", bearer, "Content-Length: -1")),
            ("a length of hex", 400, head("POST", "/peers", bearer, "Content-Length: 0x10")),
            ("two lengths", 400, head("POST", "/peers", bearer, "Content-Length: 2", "Content-Length: 3") + b"{} "),
            ("a folded header", 400, head("GET", "/healthz", "X: a", " b")),
            ("a blank before a colon", 400, head("GET", "/healthz", "X : a")),
            ("a header without a colon", 400, head("GET", "/healthz", "X")),
            ("a control character", 400, head("GET", "/healthz", "X: a\x01")),
            ("a lone CR", 400, head("GET", "/healthz", "X: a\rY: b")),
            ("no version", 400, b"GET /api/v1/healthz\r\n\r\n"),
            ("another version", 505, b"GET /api/v1/healthz HTTP/2.0\r\n\r\n"),
            ("an unknown method", 501, head("PROPFIND", "/healthz")),
            ("a method in small letters", 501, head("get", "/healthz")),
            ("JSON without HTTP", 400, b'{"a": 1}\n'),
            ("a blank in the target", 400, head("GET", "/peers/a b")),
            ("a head in pieces", 411, [head("POST", "/peers", bearer)[:-2], b"Transfer-Encoding: chunk", b"ed\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]),
            ("a head of 20 KiB", 431, head("GET", "/healthz", *(f"X-{i}: {'y' * 1000}" for i in range(20)))),
            ("one that has no end", 431, head("GET", "/healthz", *(f"X-{i}: {'y' * 1000}" for i in range(20)))[:-2])):
        pieces = data if isinstance(data, list) else [data]
        def more(s):
            for p in pieces[1:]:
                time.sleep(0.2)
                s.sendall(p)
        got = status(raw(c, pieces[0], 5, more if pieces[1:] else None))
        if got != want:
            fail(f"{name}: status {got}, wanted {want}")
    whole, last = head("GET", "/healthz"), head("GET", "/healthz", "Connection: close")
    for cut in (5, last.index(b"Host:"), last.index(b"Connection:"), len(last) - 2, len(last) - 1):
        out = raw(c, whole + last[:cut], 10, lambda s: (time.sleep(0.2), s.sendall(last[cut:])))
        equal(f"the next request comes early, its byte {cut} later", re.findall(rb"HTTP/1\.1 (\d+)", out), [b"200", b"200"])
    # what looks like a head of its own is the rest of one that is refused
    sly = head("POST", "/peers", bearer, "Content-Type: application/json", "Transfer-Encoding: chunked")[:-2]
    rest = b"GET http://127.0.0.1/ HTTP/1.1\r\nX: y\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    out = raw(c, whole + sly, 10, lambda s: (time.sleep(0.2), s.sendall(rest)))
    equal("a head in a head", re.findall(rb"HTTP/1\.1 (\d+)", out), [b"200", b"400"])
    equal("a peer is still there", c.want(200, "GET", "/peers/alice").status, 200)
    for m in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"):
        got = status(raw(c, head(m, "/healthz", "Connection: close")))
        if got < 400:
            fail(f"method {m}: {got}")
    equal("a long address", status(raw(c, head("GET", "/peers/" + "x" * 9000, "Connection: close"))), 414)
    for junk in (b"\x00" * 100, b"\r\n" * 50, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"{}\n", os.urandom(500) + b"\r\n\r\n"):
        raw(c, junk, 0.5)
    alive(c, "junk")


def tls_alone(c):
    step("TLS 1.3 alone")
    ctx = c.context()
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        c.call("GET", "/healthz", token=None, tls=ctx)
        fail("TLS 1.2 was taken")
    except (ssl.SSLError, OSError):
        pass
    s = socket.create_connection(("127.0.0.1", c.port), 5)
    s.sendall(head("GET", "/healthz"))
    try:
        got = s.recv(1000)
    except OSError:
        got = b""
    s.close()
    if b"status" in got:
        fail("an answer in clear")
    alive(c, "plain HTTP")


def bodies(c):
    step("bodies: 64 KiB for strangers, 1 MiB after the login, 64 MiB for a policy")
    viewer, bearer = c.make_token("viewer"), "Authorization: Bearer " + c.token
    def post(path, size, *headers, method="POST"):
        """What is refused is refused before the body is sent."""
        send = b" " * size if size < 1 << 20 and size != 66000 else b""
        return status(raw(c, head(method, path, "Content-Type: application/json", f"Content-Length: {size}", *headers) + send, 5))
    equal("a stranger's 65 KiB", post("/peers", 66000), 413)
    a = c.call("POST", "/peers", text=" " * (3 << 20), check=False)
    equal("a body that is sent all the same gets its answer", (a.status, a.reason), (413, "body_too_large"))
    equal("a stranger's 60 KiB", post("/peers", 60000, "Connection: close"), 401)
    equal("900 KiB after the login", post("/peers", 900000, bearer, "Connection: close"), 400)
    equal("2 MiB after the login", post("/peers", 2 << 20, bearer), 413)
    equal("a viewer's 2 MiB for the policy", post("/policy", 2 << 20, "Authorization: Bearer " + viewer, "If-Match: *", method="PUT"), 413)
    text = "//" + "x" * (3 << 20) + "\n" + json.dumps(POLICY)
    c.want(200, "PUT", "/policy", text=text, headers={"If-Match": "*"})
    c.want(200, "PUT", "/policy", text=json.dumps(POLICY), headers={"If-Match": "*"})
    equal("65 MiB for the policy", post("/policy", 65 << 20, bearer, "If-Match: *", method="PUT"), 413)
    big = b"%x\r\n" % (2 << 20)
    equal("a chunk of 2 MiB", status(raw(c, head("POST", "/peers", bearer, "Content-Type: application/json", "Transfer-Encoding: chunked") + big)), 411)
    small = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    got = status(raw(c, head("POST", "/peers", bearer, "Content-Type: application/json", "Transfer-Encoding: chunked") + small))
    if got not in (0, 411):
        fail(f"1.25 MiB in chunks: {got}")
    alive(c, "bodies")


def gigabytes(c):
    step("100 parallel bodies of 1 GiB, and as many who never stop talking, cost no memory")
    before = c.rss_kib()
    stop = time.monotonic() + 8
    def pour(s):
        block = b"x" * 65536
        while time.monotonic() < stop:
            s.sendall(block)
    def one(data):
        try:
            raw(c, data, 12, pour)
        except OSError:
            pass
    kinds = [head("PUT", "/policy", "Content-Length: 1073741824"), head("POST", "/peers", "Transfer-Encoding: chunked") + b"40000000\r\n",
             head("GET", "/healthz"), head("GET", "/wait?seq=999999&timeout=7", "Authorization: Bearer " + c.token), b""]
    threads = [threading.Thread(target=one, args=(kinds[i % len(kinds)],)) for i in range(200)]
    for t in threads:
        t.start()
    peak = 0
    while time.monotonic() < stop:
        peak = max(peak, c.rss_kib())
        time.sleep(0.1)
    for t in threads:
        t.join()
    print(f"   {before} KiB before, {peak} KiB at most")
    if peak - before > 100 * 1024:
        fail("memory is not bounded")
    alive(c, "gigabytes")


def large_ones(c):
    step("large bodies have 256 MiB together, one principal a quarter of it, and must go on")
    socks = []
    def begin(token):
        """The head of 64 MiB and a little of it. @return the status of a refusal, 0: it is let in"""
        s = c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), 20), server_hostname="127.0.0.1")
        socks.append(s)
        s.sendall(head("POST", "/policy/validate", "Authorization: Bearer " + token, "Content-Type: application/json", f"Content-Length: {64 << 20}") + b" " * 1000)
        s.settimeout(1)
        try:
            answer = s.recv(65536)
        except TimeoutError:
            return 0
        if b"urn:sluice:err:bodies_busy" not in answer or b"\r\nRetry-After: 1\r\n" not in answer:
            fail(f"no refusal for its moment: {answer!r}")
        return status(answer)
    who = [c.make_token("viewer") for _ in range(5)]
    equal("one of each principal", [begin(who[0]), begin(who[0]), *(begin(t) for t in who[1:4])], [0, 503, 0, 0, 0])
    equal("then no more", begin(who[4]), 503)
    c.want(200, "POST", "/policy/validate", POLICY)
    for s in socks[:1] + socks[2:5]:  # of which nothing comes any more
        s.settimeout(60)
        answer = s.recv(65536)
        if status(answer) != 408 or b"urn:sluice:err:body_slow" not in answer:
            fail(f"a body that does not come: {answer!r}")
    for s in socks:
        s.close()
    c.want(200, "POST", "/policy/validate", text="//" + "x" * (2 << 20) + "\n" + json.dumps(POLICY))
    alive(c, "large bodies")


def slow(c):
    step("600 slow heads: others are served meanwhile, and each is cut in time")
    socks = []
    for _ in range(600):
        try:
            s = socket.create_connection(("127.0.0.1", c.port), 5)
            socks.append(c.tls.wrap_socket(s, server_hostname="127.0.0.1", do_handshake_on_connect=False))
        except OSError:
            pass
    for s in socks[:200]:
        s.settimeout(0.2)
        try:
            s.do_handshake()
            s.sendall(b"GET /api/v1/healthz HTTP/1.1\r\nX-Slow: ")
        except (ssl.SSLError, OSError):
            pass
    begun = time.monotonic()
    worst = 0
    while time.monotonic() - begun < 17:
        t = time.monotonic()
        alive(c, "slow heads")
        worst = max(worst, time.monotonic() - t)
        for s in socks[:200]:
            try:
                s.send(b"x")
            except (ssl.SSLError, OSError, ValueError):
                pass
        time.sleep(0.5)
    fds = len(os.listdir(f"/proc/{c.proc.pid}/fd"))
    for s in socks:
        s.close()
    print(f"   the slowest answer meanwhile took {worst * 1000:.0f} ms; {fds} descriptors are open after 17 s")
    if worst > 5:
        fail("others waited")
    if fds > 60:
        fail("slow connections were not cut")


def more_while_waiting(c):
    step("more bytes while an answer is still to come")
    ask = head("GET", "/wait?seq=999999&timeout=1", "Authorization: Bearer " + c.token)
    again = head("GET", "/healthz", "Connection: close")
    def later(s):
        time.sleep(0.3)
        s.sendall(again)
    got = raw(c, ask, 5, later)
    equal("both are answered in order", [int(x) for x in re.findall(rb"HTTP/1\.1 (\d+)", got)], [200, 200])
    got = raw(c, head("GET", "/healthz") + head("GET", "/version", "Authorization: Bearer " + c.token) + again, 5)
    equal("three at once", len(re.findall(rb"HTTP/1\.1 200", got)), 3)
    for _ in range(20):  # gone while its answer is still to come
        s = c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), 5), server_hostname="127.0.0.1")
        s.sendall(ask)
        s.close()
    time.sleep(1.5)
    alive(c, "closed while waiting")


class Reader:
    """A connection that asks for something that goes on, and reads when it wants to."""

    def __init__(self, c, path, token, *headers):
        raw_socket = socket.socket()
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        raw_socket.settimeout(30)
        raw_socket.connect(("127.0.0.1", c.port))
        self.s = c.tls.wrap_socket(raw_socket, server_hostname="127.0.0.1")
        self.s.sendall(head("GET", path, "Authorization: Bearer " + token, *headers))
        self.data = b""

    def until(self, text):
        """What comes up to there."""
        while text not in self.data:
            b = self.s.recv(16384)
            if not b:
                fail(f"it ended before {text!r}: {self.data[-500:]!r}")
            self.data += b
        out, self.data = self.data.split(text, 1)
        return out

    def rest(self):
        """How much comes until the end."""
        n = len(self.data)
        try:
            while b := self.s.recv(65536):
                n += len(b)
                self.data = (self.data + b)[-100:]
        except (ssl.SSLError, OSError):
            pass
        return n

    def close(self):
        self.s.close()


def exports(c):
    step("an export of 25 MB costs the memory of a piece, whoever reads slowly; two of one principal; it ends with its login")
    auditor = c.want(201, "POST", "/tokens", {"roles": ["auditor"]}).json()
    db = sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=30, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    diff = json.dumps([{"op": "put", "kind": "peer", "id": "x", "obj": {"description": "y" * 4900}}])
    top = db.execute("SELECT max(n) FROM rest_audit").fetchone()[0]
    db.execute("WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 5000) INSERT INTO rest_audit(at, actor, source, operation, path, "
               "request_id, outcome, diff) SELECT 1, 'a', '-', 'x', '-', '-', 'done', ? FROM k", (diff,))
    db.execute("COMMIT")
    before = c.rss_kib()
    slow_ones = [Reader(c, "/audit/export", auditor["token"]) for _ in range(2)]
    for r in slow_ones:
        equal("its begin", b"HTTP/1.1 200 OK" in r.until(b"\r\n\r\n"), True)
    a = c.call("GET", "/audit/export", token=auditor["token"])
    equal("a third one", (a.status, a.reason, a.headers["Retry-After"]), (429, "streams_busy", "1"))
    begin, worst = time.monotonic(), 0
    whole = Reader(c, "/audit/export", c.token)
    got = []
    t = threading.Thread(target=lambda: got.append(whole.rest()))
    t.start()
    while t.is_alive():
        at = time.monotonic()
        alive(c, "exports")
        worst = max(worst, time.monotonic() - at)
        for r in slow_ones:
            r.data += r.s.recv(1000)
        time.sleep(0.05)
    after = c.rss_kib()
    print(f"   {got[0] >> 20} MiB in {time.monotonic() - begin:.1f} s; {before} KiB before, {after} KiB after; the slowest other answer took {worst * 1000:.0f} ms")
    equal("all of it, to its end", (got[0] > 24 << 20, whole.data[-7:]), (True, b"\r\n0\r\n\r\n"))
    if after - before > 12 * 1024 or worst > 5:
        fail("an export is not made in pieces")
    slow_ones.pop().close()
    for _ in range(100):  # its place is free when its end is noticed
        again = Reader(c, "/audit/export?since=1&until=5", auditor["token"])
        first = again.until(b"\r\n")
        again.rest()
        again.close()
        if b" 200 " in first:
            break
        time.sleep(0.05)
    else:
        fail("who has gone keeps a place")
    c.want(204, "DELETE", "/tokens/" + auditor["token"].split("_")[1])
    equal("a revoked login's export ends, and is not whole", (slow_ones[0].rest() < 20 << 20, slow_ones[0].data[-5:] == b"0\r\n\r\n"), (True, False))
    equal("HTTP/1.0", status(raw(c, b"GET /api/v1/audit/export HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + c.token.encode() + b"\r\n\r\n")), 505)
    step("rows that go while they are given out: the export ends, and is not whole")
    r = Reader(c, "/audit/export", c.token)
    r.until(b"\r\n\r\n")
    db.execute("DELETE FROM rest_audit WHERE n <= ?", (top + 4990,))
    equal("it is cut", (r.rest() < 20 << 20, r.data[-5:] == b"0\r\n\r\n"), (True, False))
    db.execute("DELETE FROM rest_audit")
    db.close()
    alive(c, "exports")


class Listener(Reader):
    """Events: each as (id, what, data)."""

    def __init__(self, c, token, after=None):
        super().__init__(c, "/events", token, *([f"Last-Event-ID: {after}"] if after else []))
        self.head = self.until(b"\r\n\r\n")
        equal("its head", (b" 200 OK" in self.head, b"Content-Type: text/event-stream" in self.head, b"no-store" in self.head), (True, True, True))
        self.text = b""

    def next(self):
        """The next message that is not a comment."""
        while True:
            while b"\n\n" not in self.text:
                size = int(self.until(b"\r\n"), 16)  # of a chunk
                while len(self.data) < size + 2:
                    self.data += self.s.recv(16384)
                self.text += self.data[:size]
                self.data = self.data[size + 2:]
            message, self.text = self.text.split(b"\n\n", 1)
            equal("fit for a terminal", message.isascii(), True)
            fields = dict(line.split(": ", 1) for line in message.decode().split("\n"))
            if "" not in fields:
                return fields.get("id"), fields.get("event", fields.get("retry")), json.loads(fields.get("data", "null"))


def events(c):
    step("events: what changes, for whom it may see it")
    viewer, auditor = c.make_token("viewer"), c.make_token("auditor")
    v, a = Listener(c, viewer), Listener(c, auditor)
    seq = c.seq()
    equal("how to come again", v.next(), (None, "3000", None))
    begin = v.next()
    epoch = begin[2]["epoch"]
    equal("where it begins", begin, (f"{seq}.{epoch}", "start", {"seq": seq, "epoch": epoch}))
    equal("the same", [a.next() for _ in range(2)][1], begin)
    made = c.want(201, "POST", "/peers", {"name": "seen", "interface": "wg0", "public_key": key(77), "description": "\u009b31m\u202e"})
    equal("so is the audit", c.want(200, "GET", "/audit/export").data.isascii(), True)
    got = v.next()
    equal("made", (got[0], got[1], got[2]["seq"], got[2]["op"], got[2]["kind"], got[2]["id"]), (f"{seq + 1}.{epoch}", "change", seq + 1, "put", "peer", "seen"))
    equal("as it is", {"name": "seen", "rev": got[2]["rev"], **got[2]["obj"]}, made.json())
    equal("the same for another", a.next(), got)
    t = c.want(201, "POST", "/tokens", {"roles": ["viewer"]}).json()["token"]
    equal("a token is not for viewers", v.next(), (f"{seq + 2}.{epoch}", None, None))
    got = a.next()
    equal("but for auditors", (got[2]["kind"], got[2]["id"], "hash" in got[2]["obj"]), ("token", t.split("_")[1], False))
    for n in (5433, 5434):
        p = json.loads(json.dumps(POLICY))
        p["rules"][0]["ports"] = [n]
        c.want(200, "PUT", "/policy", p, headers={"If-Match": "*"})
    c.want(204, "DELETE", "/peers/seen", headers={"If-Match": "*"})
    live = []
    while not live or live[-1][2]["op"] != "del":
        live.append(v.next())
    equal("of several objects the last one has the id", [m[0] for m in live if m[0]], [f"{seq + k}.{epoch}" for k in (3, 4, 5)])
    equal("of which kinds", {m[2]["kind"] for m in live[:-1]} >= {"policy", "rule", "policy_text"}, True)
    equal("no texts", [m for m in live if "text" in m[2].get("obj", {})], [])
    step("a listener that comes again goes on; where it cannot it is told")
    for after in (f"{seq + 2}.{epoch}", str(seq + 2)):
        again = Listener(c, viewer, after)
        again.next()
        equal("what it missed", [again.next() for _ in live], live)
        again.close()
    head = c.seq()
    for after, why in ((f"{head + 1}.{epoch}", "seq_ahead"), (f"1.{epoch + 1}", "epoch_changed")):
        again = Listener(c, viewer, after)
        again.next()
        equal(after, again.next(), (f"{head}.{epoch}", "reset", {"seq": head, "epoch": epoch, "why": why}))
        again.close()
    for bad in ("x", "1.", "1.0", "1.2.3", "-1", "9" * 30, "1 2"):
        c.want(400, "GET", "/events", token=viewer, headers={"Last-Event-ID": bad}, reason="header_invalid")
    equal("twice", status(raw(c, head_of_events(viewer, "Last-Event-ID: 1", "Last-Event-ID: 2"))), 400)
    step("four of one principal; a login that ends takes them along")
    keep = []
    for _ in range(100):  # those that were closed free their place when it is noticed
        r = Reader(c, "/events", viewer)
        if b" 200 " not in r.until(b"\r\n"):
            break
        keep.append(r)
    equal("so many", len(keep) <= 3, True)
    c.want(429, "GET", "/events", token=viewer, reason="streams_busy")
    keep[0].s.sendall(b"x" * 60000)  # it is thrown away
    c.want(200, "GET", "/healthz", token=None)
    try:
        for _ in range(200):
            keep[0].s.sendall(b"x" * 60000)
        fail("it may send for ever")
    except (ssl.SSLError, OSError):
        pass
    for _ in range(100):
        keep[0] = Reader(c, "/events", viewer)
        if b" 200 " in keep[0].until(b"\r\n"):
            break
        time.sleep(0.05)
    else:
        fail("who was cut off keeps a place")
    c.want(204, "DELETE", "/tokens/" + viewer.split("_")[1])
    for r in keep + [v]:
        r.rest()
        equal("it is cut", r.data[-5:] == b"0\r\n\r\n", False)
    for k in range(40):  # several pieces, of which one begins within a transaction
        p["rules"] = [{"id": 1000 + i, "role": "guest", "to": ["web"], "protocol": "tcp", "ports": [1000 + i + k], "action": "allow", "description": "d" * 200} for i in range(30)]
        p["tests"] = []
        c.want(200, "PUT", "/policy", p, headers={"If-Match": "*"})
    a.close()
    a = Listener(c, auditor, f"{seq}.{epoch}")
    a.next()
    last, ops, end = None, [], f"{c.seq()}.{epoch}"
    while last != end and len(ops) < 5000:
        m = a.next()
        last = m[0] or last
        ops.append((m[2]["seq"], m[2]["kind"], m[2]["id"]))
    equal("each once, in order", (len(set(ops)), [o[0] for o in ops]), (len(ops), sorted(o[0] for o in ops)))
    db = sqlite3.connect(os.path.join(c.dir, "store.db"))
    want = [(s, o["kind"], o["id"]) for s, text in db.execute("SELECT seq, txn FROM log WHERE seq > ? ORDER BY seq", (seq,)) for o in json.loads(text)["ops"]]
    db.close()
    equal("as the log has them", (len(ops) > 1200, ops), (True, want))
    a.close()
    compacted(c, auditor, seq, epoch)


def head_of_events(token, *headers):
    return head("GET", "/events", "Authorization: Bearer " + token, *headers)


def compacted(c, token, seq, epoch):
    c.stop()
    subprocess.run([restlib.CONTROL, "compact", "--state-dir", c.dir, "--days", "0", "--rows", "2"], check=True, capture_output=True)
    c.start("--public-url", "https://control.example.net:7443")
    a = Listener(c, token, f"{seq}.{epoch}")
    a.next()
    equal("what is no longer in the log", a.next(), (f"{c.seq()}.{epoch}", "reset", {"seq": c.seq(), "epoch": epoch, "why": "compacted"}))
    a.close()


def idle(c):
    """Listeners that are looked at when others have taken their time: one to whom nothing happens, and those who do not read."""
    token = c.make_token("auditor")
    big = {"name": "big", "interface": "wg0", "public_key": key(78), "description": "z" * 250}
    c.want(201, "POST", "/peers", big)
    db = sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=30)
    seq = c.seq()
    chain, text = db.execute("SELECT chain, txn FROM log WHERE seq = ?", (seq,)).fetchone()
    txn = json.loads(text)
    txn["ops"] *= 40000  # 16 MB of events
    db.execute("UPDATE log SET txn = ? WHERE seq = ?", (json.dumps(txn), seq))
    db.commit()
    db.close()
    c.idle = Listener(c, token)
    c.idle.next()
    c.idle.next()
    c.before_kib = c.rss_kib()
    c.deaf = [Reader(c, "/events", c.token, f"Last-Event-ID: {seq - 1}") for _ in range(4)]
    for d in c.deaf:
        d.until(b"retry")
    for _ in range(20):
        alive(c, "deaf listeners")
        time.sleep(0.1)
    c.grown_kib = c.rss_kib() - c.before_kib


def idle_after(c):
    step("who takes nothing is cut off after 30 s, and has cost no more than a piece; who has nothing to hear is there still")
    equal("cut off", [d.rest() < 12 << 20 and d.data[-5:] != b"0\r\n\r\n" for d in c.deaf], [True] * 4)
    made = c.want(201, "POST", "/peers", {"name": "heard", "interface": "wg0", "public_key": key(79)}).json()
    while (m := c.idle.next())[2]["id"] != "heard":
        pass
    equal("the idle one hears it", m[2]["rev"], made["rev"])
    print(f"   {c.grown_kib} KiB for four of them at a transaction of 16 MiB")
    if c.grown_kib > 120 << 10:  # it is held once, as text and as values
        fail("it is held for each of them")


def renewal(c):
    step("SIGHUP takes a renewed certificate; a broken one leaves the former")
    def serial():
        s = c.tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port), 5), server_hostname="127.0.0.1")
        try:
            return s.getpeercert()["serialNumber"]
        finally:
            s.close()
    first = serial()
    cert, keyfile = os.path.join(c.dir, "tls", "control.pem"), os.path.join(c.dir, "tls", "control.key")
    old = open(keyfile, "rb").read()
    subprocess.run([restlib.SLUICECTL, "ca", "renew", os.path.join(c.dir, "ca"), cert, "--new-key", keyfile], check=True, capture_output=True)
    c.proc.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    second = serial()
    if first == second:
        fail("the renewed certificate is not in use")
    with open(keyfile, "wb") as f:
        f.write(old)
    c.proc.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    equal("serial", serial(), second)
    if "key_mismatch" not in open(c.log).read():
        fail("the mismatch is not told")


def rates(c):
    step("50 requests a second, 100 at once")
    t = c.make_token("viewer")
    conn = c.connect()
    got = []
    for _ in range(160):
        a = c.call("GET", "/auth/me", token=t, conn=conn)
        got.append(a.status)
        if a.status == 429:
            equal("reason", (a.reason, a.headers["Retry-After"]), ("rate_limited", "1"))
            conn.close()
            conn = c.connect()
    if got[:100] != [200] * 100 or 429 not in got[100:]:
        fail(f"rates: {got}")
    c.want(200, "GET", "/auth/me")
    step("large bodies count as many requests; values are counted before they are taken")
    big = c.make_token("viewer")
    c.want(200, "POST", "/policy/validate", text="//" + "y" * (16 << 20) + "\n" + json.dumps(POLICY), token=big)
    a = c.want(429, "GET", "/auth/me", token=big, reason="rate_limited")
    if not 2 <= int(a.headers["Retry-After"]) <= 5:
        fail(f"Retry-After: {a.headers['Retry-After']}")
    begin = time.monotonic()
    c.want(413, "POST", "/policy/replay", text='{"policy":{"rules":[' + ",".join(["{}"] * 2000000) + "]}}", token=c.make_token("operator"),
           reason="json_too_large")
    if time.monotonic() - begin > 2:
        fail(f"2,000,000 values: {time.monotonic() - begin:.1f} s")
    c.want(413, "POST", "/peers", text="[" + "[]," * 70000 + "[]]", reason="json_too_large")
    time.sleep(1.2)
    c.want(200, "GET", "/auth/me", token=t)
    step("failed logins: the source waits 1, 2, 4 ... seconds")
    bad = c.token[:-4] + "0000"
    for _ in range(5):
        c.want(401, "GET", "/peers", token=bad, reason="token_refused")
    a = c.want(429, "GET", "/peers", token=bad, reason="login_delayed")
    if not 1 <= int(a.headers["Retry-After"]) <= 2:
        fail("Retry-After: " + a.headers["Retry-After"])
    c.want(429, "GET", "/peers", reason="login_delayed")
    c.want(200, "GET", "/healthz", token=None)
    time.sleep(1.2)
    c.want(200, "GET", "/peers")
    c.want(401, "GET", "/peers", token=bad)
    a = c.want(429, "GET", "/peers", token=bad)
    if not 2 <= int(a.headers["Retry-After"]) <= 3:
        fail("the second wait: " + a.headers["Retry-After"])
    # guesses that ride in the head of a large body count as well, once
    time.sleep(2.2)
    equal("a guess before a body", status(raw(c, head("PUT", "/policy", "Authorization: Bearer " + bad, "Content-Length: 9000000"))), 413)
    c.want(429, "GET", "/peers", reason="login_delayed")


def main():
    c = restlib.Control(restlib.Page())
    c.patient = False  # the rates are what this is about
    try:
        c.init()
        c.start("--public-url", "https://control.example.net:7443")
        furnish(c)
        for part in (hosts_and_framing, tls_alone, exports, bodies, more_while_waiting, gigabytes, events, idle, large_ones, slow, idle_after, renewal, rates):
            part(c)
        equal("status", c.stop(), 0)
    except BaseException:
        if os.path.exists(c.log):
            sys.stdout.write(open(c.log, encoding="utf-8", errors="replace").read()[-1500:])
        raise
    finally:
        c.clean()


main()
