# SPDX-License-Identifier: BSD-3-Clause
"""A sluice-control of our own, and calls to its REST API, each checked against the OpenAPI page."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

import jsonschema

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CONTROL = os.path.join(TOP, os.environ.get("SL_BUILD", "build"), "app", "control", "sluice-control")
SLUICECTL = os.path.join(TOP, "build", "tools", "sluicectl", "sluicectl")
PAGE = os.path.join(TOP, "control", "server", "openapi.json")
PREFIX = "/api/v1"


def fail(text):
    print("FAIL:", text)
    sys.exit(1)


def step(text):
    print("--", text, flush=True)


def equal(what, got, want):
    if got != want:
        fail(f"{what}: got {got!r}, wanted {want!r}")


def key(n):
    """A public key: any 32 bytes."""
    return base64.b64encode(bytes([n % 256, n // 256 % 256]) + bytes(range(30))).decode()


class Answer:
    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data

    def json(self):
        return json.loads(self.data)

    @property
    def reason(self):
        return self.json()["type"].rsplit(":", 1)[1] if self.status >= 400 else ""

    @property
    def etag(self):
        return self.headers.get("ETag")


class Page:
    """openapi.json: which operation a path is, and whether an answer is as it says."""

    def __init__(self):
        with open(PAGE, encoding="utf-8") as f:
            self.doc = json.load(f)
        self.ops = []
        for path, item in self.doc["paths"].items():
            for method, op in item.items():
                rx = re.compile("^" + re.sub(r"\\?{\w+\\?}", "[^/]+", path) + "$")
                self.ops.append((method.upper(), rx, path, op))
        self.seen = set()

    def find(self, method, path):
        hits = [o for o in self.ops if o[0] == method and o[1].match(path)]
        return min(hits, key=lambda o: o[2].count("{")) if hits else None

    def fits(self, what, schema, value):
        schema = {**schema, "components": self.doc["components"]}
        try:
            jsonschema.Draft202012Validator(schema).validate(value)
        except jsonschema.ValidationError as e:
            fail(f"{what} does not fit the page: {e.message} at {list(e.absolute_path)}")

    def check(self, method, path, body, answer):
        """A body that was taken, and a response, must be as the operation says."""
        op = self.find(method, path)
        if op is None:
            return
        if answer.status < 400 and ("requestBody" in op[3]) != (body is not None):
            fail(f"{method} {path}: a body, or none, which the page does not say")
        if answer.status < 400 and body is not None and not op[3].get("x-body-text"):
            self.fits(f"{method} {path}: the body that was taken", op[3]["requestBody"]["content"]["application/json"]["schema"], json.loads(body))
        responses = op[3]["responses"]
        name = str(answer.status)
        if name not in responses:
            if answer.status < 400:
                fail(f"{method} {path}: status {name} is not in the page")
            name = "default"
        r = responses[name]
        if "$ref" in r:
            r = self.doc["components"]["responses"][r["$ref"].rsplit("/", 1)[1]]
        if "content" not in r:
            equal(f"{method} {path}: body", answer.data, b"")
            return
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        if kind in ("text/plain", "text/event-stream"):
            return
        if kind not in r["content"]:
            fail(f"{method} {path}: {answer.status} has type {kind}, not one of {list(r['content'])}: {answer.data[:300]}")
        for value in [json.loads(line) for line in answer.data.splitlines()] if kind == "application/x-ndjson" else [answer.json()]:
            self.fits(f"{method} {path}: {answer.status}", r["content"][kind]["schema"], value)
        self.seen.add((op[3]["operationId"], name))


class Control:
    """One server process in a state directory of its own."""

    patient = True  # what is refused because of the rate is asked again

    def __init__(self, page, name="cp1", follow=None, state=None):
        self.page, self.name = page, name
        self.dir = self.root = state or tempfile.mkdtemp(prefix="sl-control-")  # what is removed at the end, whatever `dir` becomes
        self.proc = self.token = None
        self.follow = follow
        self.port = self.repl = None
        self.log = os.path.join(self.dir, "log")

    def init(self):
        out = subprocess.run([CONTROL, "init", "--state-dir", self.dir], capture_output=True, text=True, check=False)
        if out.returncode:
            fail(f"init: {out.stdout}{out.stderr}")
        m = re.search(r"slt_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}", out.stdout)
        if not m:
            fail(f"init showed no token: {out.stdout!r}")
        self.token = m[0]

    def start(self, *options):
        self.repl = self.repl or free_port()
        args = [CONTROL, "run", "--state-dir", self.dir, "--rest", "127.0.0.1:0", "--repl", f"127.0.0.1:{self.repl}",
                "--name", self.name, "--log-level", "debug", *options]
        before = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as f:
            self.proc = subprocess.Popen(args, stdout=f, stderr=f, stdin=subprocess.DEVNULL)
        for _ in range(200):
            with open(self.log, "rb") as f:
                f.seek(before)
                text = f.read().decode(errors="replace")
            m = re.findall(r"is ready: REST at https://127\.0\.0\.1:(\d+)/", text)
            if m:
                self.port = int(m[-1])
                break
            if self.proc.poll() is not None:
                fail(f"{self.name} ended: {text[-2000:]}")
            time.sleep(0.05)
        else:
            fail(f"{self.name} is not ready: {open(self.log).read()[-2000:]}")
        self.tls = self.context()

    def ca(self):
        p = os.path.join(self.dir, "tls", "ca.pem")
        return p if os.path.exists(p) else os.path.join(self.dir, "ca", "ca.pem")

    def context(self, cert=None, keyfile=None):
        ctx = ssl.create_default_context(cafile=self.ca())
        if cert:
            ctx.load_cert_chain(cert, keyfile)
        return ctx

    def connect(self, tls=None, timeout=30):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=tls or self.tls, timeout=timeout)

    def call(self, method, path, body=None, token="", headers=None, tls=None, conn=None, text=None, check=True):
        """token "": the first admin's; None: none."""
        h = dict(headers or {})
        if token == "":
            token = self.token
        if token and "Authorization" not in h:
            h["Authorization"] = "Bearer " + token
        data = text
        if body is not None:
            data = json.dumps(body)
        if data is not None:
            h.setdefault("Content-Type", "application/json")
        c = conn or self.connect(tls)
        c.request(method, PREFIX + path, data, h)
        r = c.getresponse()
        endless = r.headers.get("Content-Type") == "text/event-stream"
        a = Answer(r.status, r.headers, b"" if endless else r.read())
        if not conn:
            c.close()
        if self.patient and a.status == 429 and a.reason == "rate_limited":  # a fast machine: as a client would, later again
            time.sleep(float(a.headers["Retry-After"]))
            return self.call(method, path, body, token, headers, tls, conn, text, check)
        if check:
            self.page.check(method, urllib.parse.urlsplit(path).path, data, a)
        return a

    def want(self, status, method, path, body=None, reason=None, **more):
        a = self.call(method, path, body, **more)
        if a.status != status:
            fail(f"{method} {path}: got {a.status}, wanted {status}: {a.data[:500].decode(errors='replace')}")
        if reason:
            equal(f"{method} {path}: reason", a.reason, reason)
        return a

    def make_token(self, *roles, **more):
        return self.want(201, "POST", "/tokens", {"roles": list(roles), **more}).json()["token"]

    def seq(self):
        return self.want(200, "GET", "/replication").json()["seq"]

    def stop(self, sig=signal.SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                fail(f"{self.name} did not end")
        code = self.proc.returncode if self.proc else 0
        self.proc = None
        return code

    def clean(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def rss_kib(self):
        with open(f"/proc/{self.proc.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def follower(page, primary, source, name):
    f = Control(page, name)
    state = os.path.join(f.dir, "state")
    f.dir = state
    out = subprocess.run([CONTROL, "init", "--follower", "--primary", "https://control.example.net:7443", "--pepper",
                          os.path.join(primary.dir, "pepper"), "--state-dir", state], capture_output=True, text=True, check=False)
    if out.returncode:
        fail(f"init of {name}: {out.stdout}{out.stderr}")
    shutil.copy(primary.ca(), os.path.join(state, "tls", "ca.pem"))
    subprocess.run([SLUICECTL, "ca", "issue", os.path.join(primary.dir, "ca"), "--kind", "control", "--name", name, "--host", "127.0.0.1",
                    "--out", os.path.join(state, "tls", "control")], check=True, capture_output=True)
    f.token = primary.token
    f.start("--mode", "follower", "--source", f"127.0.0.1:{source.repl}", "--heartbeat", "1")
    return f


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


POLICY = {
    "zones": {"vpn": {"id": 1, "type": "vpn", "networks": ["10.7.0.0/16"], "default_policy": "deny"},
              "inside": {"id": 2, "type": "internal", "networks": ["10.20.0.0/16"], "default_policy": "deny"}},
    "targets": {"db": {"addresses": ["10.20.0.10/32"]}, "web": {"addresses": ["10.20.1.0/24"]}},
    "roles": {"engineer": {"id": 3, "members": ["peer:alice"]}, "guest": {"id": 7, "members": ["10.7.9.0/24@wg0"]}},
    "rules": [
        {"id": 101, "role": "engineer", "to": ["db"], "protocol": "tcp", "ports": [5432], "action": "allow"},
        {"id": 102, "role": "guest", "to": ["web"], "protocol": "tcp", "ports": [443], "action": "allow"}],
    "tests": [{"name": "guests reach web", "from": {"roles": ["guest"]}, "to": "web", "protocol": "tcp", "port": 443, "expect": "allow"},
              {"name": "guests do not reach db", "from": {"roles": ["guest"]}, "to": "db", "protocol": "tcp", "port": 5432, "expect": "deny"}],
}


def documented(c, text, missing):
    """Metrics are what docs/metrics.md lists of the control plane, but for the section `missing`, of which nothing is there."""
    smoke = os.path.join(TOP, "tests", "smoke")
    doc = os.path.join(TOP, "docs", "metrics.md")
    sections = ["", "/Gateways and followers", "/The source of a follower", "/Collected by a primary", "/Tokens that end", "/Identity providers"]
    names = ("-" * (s == "/" + missing) + "Control plane" + s for s in sections)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        run = subprocess.run(["/usr/bin/python3", os.path.join(smoke, "metrics_doc.py"), "scrape", doc, ",".join(names), f.name],
                             capture_output=True, text=True, check=False)
    equal(f"docs/metrics.md and the metrics of {c.name}", (run.returncode, run.stderr), (0, ""))


def ctl(c, *words):
    """sluicectl as an administrator."""
    token = os.path.join(c.dir, "ctl-token")
    with open(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
        f.write(c.token + "\n")
    return subprocess.run([SLUICECTL, "--control", f"https://127.0.0.1:{c.port}", "--ca", c.ca(), "--token-file", token, *words],
                          capture_output=True, text=True, check=False)


def furnish(c):
    """An interface, two gateways, three peers, a policy."""
    c.want(201, "POST", "/interfaces", {"name": "wg0", "listen_port": 51820})
    for i, g in enumerate(("gw-a", "gw-b"), 1):
        c.want(201, "POST", "/gateways", {"name": g, "interfaces": ["wg0"]})
        c.want(201, "POST", "/gateway-interfaces", {"gateway": g, "interface": "wg0", "index": i, "public_key": key(900 + i),
                                                     "endpoint": f"192.0.2.{i}:51820", "addresses": [f"10.7.{i}.1/24"],
                                                     "client_pool": [f"10.7.{i}.0/24"]})
    c.want(200, "PUT", "/policy", POLICY, headers={"If-None-Match": "*"})
    for n, p in enumerate(("alice", "bob", "carol"), 1):
        c.want(201, "POST", "/peers", {"name": p, "interface": "wg0", "public_key": key(n), "allowed_ips": [f"10.7.0.{n}/32"]})
