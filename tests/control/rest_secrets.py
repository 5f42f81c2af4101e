# SPDX-License-Identifier: BSD-3-Clause
"""Private keys that somebody sends are refused wherever they stand, and are found nowhere afterwards: not in answers, logs, files or
the memory of the process. Tokens are wiped after their requests."""

import base64
import json
import os
import subprocess
import sys
import time

import restlib
from restlib import POLICY, equal, fail, furnish, key, step

MEMSCAN = os.path.join(restlib.TOP, "tests", "smoke", "memscan.py")


class Plants:
    """A new key for each place, kept in files for the scan."""

    def __init__(self, directory):
        self.dir, self.files, self.answers = directory, [], b""

    def key(self):
        raw = os.urandom(32)
        f = os.path.join(self.dir, f"plant-{len(self.files)}")
        with open(f, "w", encoding="ascii") as out:
            out.write(base64.b64encode(raw).decode())
        self.files.append(f)
        return base64.b64encode(raw).decode()


def plant_all(c, p):
    peer = {"name": "mallory", "interface": "wg0", "public_key": key(77)}
    any_ = {"If-Match": "*"}
    def refused(method, path, body=None, **more):
        a = c.call(method, path, body, **more)
        p.answers += a.data + str(a.headers).encode()
        if a.status < 400:
            fail(f"{method} {path} with a planted key: {a.status}")
        return a
    for field in ("private_key", "PrivateKey", "privateKey", "private-key", "preshared_key", "psk", "secret_key"):
        a = refused("POST", "/peers", {**peer, field: p.key()})
        equal(f"{field}: reason", (a.status, a.reason), (422, "secret_field"))
    for body in ({**peer, "addresses": {"gw-a": [{"deep": {"private_key": p.key()}}]}},
                 {**peer, "description": f"[Interface]\nPrivateKey = {p.key()}\nAddress = 10.7.0.9/32"},
                 {**peer, "description": f"privatekey={p.key()}"}):
        equal("reason", refused("POST", "/peers", body).reason, "secret_field")
    equal("reason", refused("PATCH", "/peers/alice", {"psk": p.key()}, headers=any_).reason, "secret_field")
    equal("reason", refused("PUT", "/peers/alice/public-key", {"public_key": key(5), "private_key": p.key()}).reason, "secret_field")
    equal("reason", refused("PUT", "/interfaces/wg0", {"private_key": p.key()}).reason, "secret_field")
    equal("reason", refused("PUT", "/settings/x", {"value": {"a": [{"private_key": p.key()}]}}).reason, "secret_field")
    equal("reason", refused("POST", "/gateways", {"name": "gw-x", "interfaces": [], "private_key": p.key()}).reason, "secret_field")
    text = json.dumps(POLICY)
    equal("reason", refused("PUT", "/policy", text=f"// PrivateKey = {p.key()}\n" + text, headers=any_).reason, "secret_field")
    equal("reason", refused("PUT", "/policy", text=text[:-1] + f', "private_key": "{p.key()}"' + "}", headers=any_).reason, "secret_field")
    equal("reason", refused("POST", "/policy/validate", text=f"/* private_key: {p.key()} */" + text).reason, "secret_field")
    equal("escaped", refused("POST", "/peers", text='{"private\\u005fkey": "%s"}' % p.key()).reason, "secret_field")
    # where nobody looks for one: it is no JSON, not asked for, not logged in, not found
    refused("POST", "/peers", text='{"private_key": "%s"' % p.key())
    refused("POST", "/peers", text='"%s' % p.key())
    refused("POST", "/peers", {**peer, "colour": p.key()})
    refused("POST", "/peers", {**peer, "public_key": p.key() + "x"})
    refused("POST", "/peers", {**peer, "private_key": p.key()}, token=None)
    refused("GET", "/peers?private_key=" + p.key().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"))
    c.call("GET", "/peers/" + p.key().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D") + "?x=1")
    refused("PUT", "/nothing", {"private_key": p.key()})
    refused("GET", "/peers", headers={"Authorization": "Bearer " + p.key()})
    # a large one, in pieces
    refused("PUT", "/policy", text="//" + "y" * 700000 + f"\n// private_key = {p.key()}\n" + text, headers=any_)


def search(c, p):
    step(f"{len(p.files)} planted keys are found nowhere")
    for f in p.files:
        text = open(f, encoding="ascii").read()
        for form in (text[:43].encode(), base64.b64decode(text), base64.b64decode(text).hex().encode()):
            if form in p.answers:
                at = p.answers.find(form)
                fail(f"an answer holds a key that was sent: {p.answers[max(0, at - 200):at + 80]}")
    for root, _, names in os.walk(c.dir):
        for n in names:
            path = os.path.join(root, n)
            if path in p.files:
                continue
            out = subprocess.run([sys.executable, "-S", MEMSCAN, "file", path, *p.files], capture_output=True, text=True, check=False)
            if out.returncode:
                fail(f"{n}: {out.stdout}{out.stderr}")
    scan = [sys.executable, "-S", MEMSCAN, "gone", str(c.proc.pid)]
    out = subprocess.run(scan + p.files, capture_output=True, text=True, check=False)
    if out.returncode:
        fail("memory of the process:\n" + out.stdout + out.stderr)
    # the scan sees what is there: a public key of a peer that the replica holds
    known = os.path.join(p.dir, "known")
    with open(known, "w", encoding="ascii") as f:
        f.write(key(1))
    if subprocess.run(scan + [known], capture_output=True, check=False).returncode == 0:
        fail("the scan finds not even what is there")


def tokens_are_wiped(c, p):
    step("tokens are wiped after their requests; the process is not dumpable")
    secrets = []
    for i in range(20):
        t = c.make_token("viewer")
        c.want(200, "GET", "/peers", token=t)
        secrets.append(t)
    with open(f"/proc/{c.proc.pid}/maps", encoding="ascii") as f:
        maps = [m.split()[0].split("-") for m in f if m.split()[1].startswith("rw")]
    found = 0
    with open(f"/proc/{c.proc.pid}/mem", "rb", buffering=0) as mem:
        for a, b in maps:
            try:
                mem.seek(int(a, 16))
                data = mem.read(int(b, 16) - int(a, 16))
            except OSError:
                continue
            found += sum(t.split("_")[2].encode() in data for t in secrets)
    equal("secrets of tokens in memory", found, 0)
    equal("dumpable", subprocess.run([sys.executable, "-S", MEMSCAN, "dumpable", str(c.proc.pid)], check=False).returncode, 0)
    log = open(c.log, encoding="utf-8", errors="replace").read()
    if any(t.split("_")[2] in log for t in secrets) or c.token in log:
        fail("the log holds a token")


def main():
    c = restlib.Control(restlib.Page())
    try:
        c.init()
        c.start()
        furnish(c)
        p = Plants(os.path.join(c.dir))
        step("keys are planted")
        plant_all(c, p)
        c.want(201, "POST", "/backup")
        time.sleep(0.3)
        search(c, p)
        tokens_are_wiped(c, p)
        equal("status", c.stop(), 0)
    except BaseException:
        if os.path.exists(c.log):
            sys.stdout.write(open(c.log, encoding="utf-8", errors="replace").read()[-1000:])
        raise
    finally:
        c.clean()


main()
