# SPDX-License-Identifier: BSD-3-Clause
"""Access to the replication stream of a real server, over its life: certificates that are renewed while connections stay, ones that
are revoked, tokens that are deleted, a gateway that is taken out, and the alarms before something ends. The gateways are sockets."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

from restlib import CONTROL, SLUICECTL, Control, Page, equal, fail, furnish, step


def ca(c, *words):
    r = subprocess.run([SLUICECTL, "ca", words[0], os.path.join(c.dir, "ca"), *words[1:]], capture_output=True, text=True, check=False)
    if r.returncode:
        fail(f"sluicectl ca {words}: {r.stderr}")


def issue(c, name):
    out = os.path.join(c.dir, name)
    ca(c, "issue", "--kind", "gateway", "--name", name, "--out", out)
    return out


def serial(cert):
    r = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-serial"], capture_output=True, text=True, check=True)
    s = r.stdout.strip().split("=")[1].lower()
    return s if len(s) % 2 == 0 else "0" + s


def not_after(cert):
    r = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-enddate"], capture_output=True, text=True, check=True)
    return ssl.cert_time_to_seconds(r.stdout.strip().split("=")[1])


SHIFT = os.path.join(os.path.dirname(CONTROL), "..", "..", "tests", "control", "libclock_shift.so")
ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def other_signature(cert, out):
    """The same certificate with the other signature that ECDSA has for it, (r, n - s): valid, and of another fingerprint."""
    text = open(cert + ".pem", encoding="ascii").read()
    der = ssl.PEM_cert_to_DER_cert(text[:text.index("-----END") + 25] + "\n")
    def number(v):
        b = v.to_bytes(33, "big").lstrip(b"\0")
        b = b"\0" + b if b[0] & 0x80 else b
        return bytes([2, len(b)]) + b
    head = 4  # of the outer sequence: 30 82 .. ..
    inner = der[head:]
    tbs = 4 + int.from_bytes(inner[2:4], "big")
    algorithm = 2 + inner[tbs + 1]
    sig = inner[tbs + algorithm:]
    if der[:2] != b"\x30\x82" or inner[:2] != b"\x30\x82" or sig[0] != 3:
        fail("the certificate is laid out otherwise")
    rs = sig[3:]  # 03 len 00
    n_r = rs[3]
    r, s = int.from_bytes(rs[4:4 + n_r], "big"), int.from_bytes(rs[6 + n_r:], "big")
    pair = number(r) + number(ORDER_P256 - s)
    pair = bytes([0x30, len(pair)]) + pair
    body = inner[:tbs + algorithm] + bytes([3, len(pair) + 1, 0]) + pair
    with open(out + ".pem", "w", encoding="ascii") as f:
        f.write(ssl.DER_cert_to_PEM_cert(b"\x30\x82" + len(body).to_bytes(2, "big") + body))
    shutil.copyfile(cert + ".key", out + ".key")
    os.chmod(out + ".key", 0o600)
    if ssl.PEM_cert_to_DER_cert(open(out + ".pem", encoding="ascii").read()) == der:
        fail("it is the same certificate")
    return out


class Gateway:
    """A connection of a gateway, by certificate (a prefix of files) or token."""

    def __init__(self, c, cert=None, token=None):
        ctx = c.context(cert and cert + ".pem", cert and cert + ".key")
        ctx.set_alpn_protocols(["sluice-repl/1"])
        self.n = 0
        self.s = ctx.wrap_socket(socket.create_connection(("127.0.0.1", c.repl), timeout=15), server_hostname="127.0.0.1")
        self.f = self.s.makefile("r")
        self.login = self.ask("auth.login", {"token": token}) if token else None

    def server_cert(self):
        return "%x" % int(self.s.getpeercert()["serialNumber"], 16)

    def ask(self, method, params):
        """Its answer; what closed the connection instead: {"closed": reason or ""}."""
        self.n += 1
        try:
            self.s.sendall((json.dumps({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params}) + "\n").encode())
        except OSError:
            pass
        return self.until(lambda a: a.get("id") == self.n)

    def until(self, wanted):
        why = ""
        while True:
            try:
                line = self.f.readline()
            except (ssl.SSLError, ConnectionError):
                line = ""
            if not line:
                return {"closed": why}
            a = json.loads(line)
            if wanted(a):
                return a
            if "error" in a:
                why = a["error"]["data"]["reason"]

    def subscribe(self, name):
        return self.ask("repl.subscribe", {"node": name, "scope": "gateway", "schema": [1]})

    def in_use(self, name):
        a = self.subscribe(name)
        if "result" not in a:
            fail(f"{name} is not subscribed: {a}")
        return self

    def ends(self, reason="credential_changed", within_s=5):
        begin = time.monotonic()
        equal("the connection", self.until(lambda a: False), {"closed": reason})
        took = time.monotonic() - begin
        if took > within_s:
            fail(f"the connection ended after {took:.1f} s")
        print(f"   ended after {took:.1f} s")


def refused(c, name, reason, **login):
    g = Gateway(c, **login)
    a = g.login if g.login and "error" in g.login else g.subscribe(name)
    got = a["error"]["data"]["reason"] if "error" in a else a.get("closed", a)
    equal(f"{name} comes again", got, reason)


def log_has(c, text, since=0, seconds=5):
    for _ in range(int(seconds * 20)):
        with open(c.log, encoding="utf-8", errors="replace") as f:
            f.seek(since)
            if text in f.read():
                return
        time.sleep(0.05)
    fail(f"the log does not say {text!r}")


def metric(c, name):
    text = c.want(200, "GET", "/metrics").data.decode()
    m = re.findall(rf"^{name} (\S+)$", text, re.M)
    if len(m) != 1:
        fail(f"metric {name}: {m}")
    return float(m[0])


def ended(c, name):
    """A certificate that ended days ago."""
    shift, out = os.path.join(c.dir, "shift"), os.path.join(c.dir, name)
    with open(shift, "wb") as f:
        f.write((-30 * 86400 * 10**9).to_bytes(8, "little", signed=True))
    r = subprocess.run([SLUICECTL, "ca", "issue", os.path.join(c.dir, "ca"), "--kind", "gateway", "--name", name, "--days", "2", "--out", out],
                       env=dict(os.environ, LD_PRELOAD=SHIFT, CLOCK_SHIFT=shift), capture_output=True, text=True, check=False)
    if r.returncode or not_after(out + ".pem") > time.time():
        fail(f"ca issue, 30 days ago: {r.stderr}")
    return out


def shake(port, ctx):
    s = socket.create_connection(("127.0.0.1", port), timeout=15)
    try:
        s = ctx.wrap_socket(s, server_hostname="127.0.0.1")
        s.recv(1)  # the client's own handshake is done before the server looked at its certificate
    except (ssl.SSLError, ConnectionError):
        pass
    s.close()


def handshakes(c):
    step("handshakes that fail are counted by why, and told: with whose certificate has ended")
    old, foreign = ended(c, "gw-old"), os.path.join(c.dir, "foreign")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=gw-a",
                    "-keyout", foreign + ".key", "-out", foreign + ".pem"], capture_output=True, check=True)
    why = ("expired", "certificate", "client", "protocol", "silent")
    for listener, port in (("rest", c.port), ("stream", c.repl)):
        count = {w: metric(c, rf'sluice_control_tls_failed_total\{{listener="{listener}",reason="{w}"\}}') for w in why}
        size = os.path.getsize(c.log)
        time.sleep(1.1)  # one line a second
        for ctx in (c.context(old + ".pem", old + ".key"), c.context(foreign + ".pem", foreign + ".key"), ssl.create_default_context()):
            ctx.set_alpn_protocols(["http/1.1" if listener == "rest" else "sluice-repl/1"])
            shake(port, ctx)
            log_has(c, f"certificate has expired: cert:{serial(old + '.pem')} of gateway gw-old", size)
        with socket.create_connection(("127.0.0.1", port), timeout=15) as s, contextlib.suppress(ConnectionError):
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            s.recv(100)
        socket.create_connection(("127.0.0.1", port), timeout=15).close()
        for w in why:
            for _ in range(200):
                n = metric(c, rf'sluice_control_tls_failed_total\{{listener="{listener}",reason="{w}"\}}') - count[w]
                if n:
                    break
                time.sleep(0.05)
            equal(f"{listener}: {w}", n, 1)


def revocation(c):
    step("a revoked certificate: its connection ends, it does not come back; others stay")
    a, b = issue(c, "gw-a"), issue(c, "gw-b")
    ga, gb, idle = Gateway(c, a).in_use("gw-a"), Gateway(c, b).in_use("gw-b"), Gateway(c, a)
    equal("idle", idle.ask("auth.whoami", {})["result"]["bound"], "gw-a")
    twin = other_signature(a, os.path.join(c.dir, "twin"))
    gt = Gateway(c, twin)
    equal("with its other signature", gt.ask("auth.whoami", {})["result"]["bound"], "gw-a")
    c.want(422, "PUT", "/revocations/cert:0x12", {"reason": "no serial"})
    c.want(422, "PUT", "/revocations/token:0123456789", {}, reason="delete_token")
    c.want(201, "PUT", "/revocations/cert:" + serial(a + ".pem"), {"reason": "stolen"})
    ga.ends()
    idle.ends("revoked")
    gt.ends("revoked")
    refused(c, "gw-a", "certificate_refused", cert=a)
    refused(c, "gw-a", "certificate_refused", cert=twin)
    equal("gw-b", "result" in gb.ask("rpc.ping", {}), True)
    step("its next certificate is taken")
    ca(c, "renew", a + ".pem")
    Gateway(c, a).in_use("gw-a")

    step("a deleted token")
    text = c.make_token("gateway", bound="gw-b")
    gt = Gateway(c, token=text).in_use("gw-b")
    c.want(204, "DELETE", "/tokens/" + text.split("_")[1])
    gt.ends()
    refused(c, "gw-b", "unauthenticated", token=text)

    step("a token that ends while its connection is open")
    r = subprocess.run([CONTROL, "token", "create", "--role", "gateway", "--bound", "gw-b", "--expires", "3s", "--state-dir", c.dir],
                       capture_output=True, text=True, check=True)
    gs = Gateway(c, token=r.stdout.strip()).in_use("gw-b")
    begin = time.monotonic()
    equal("closed", "closed" in gs.until(lambda a: False), True)
    equal("in time", 1 <= time.monotonic() - begin < 8, True)
    return a, b


def configs(c):
    return sorted(x["gateway"] for x in c.want(200, "GET", "/peers/alice/config").json()["configs"])


def routes(c):
    """What sluicectl tells the private servers' routers."""
    token = os.path.join(c.dir, "admin.token")
    with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(c.token)
    r = subprocess.run([SLUICECTL, "--control", f"https://127.0.0.1:{c.port}", "--ca", c.ca(), "--token-file", token, "routes"],
                       capture_output=True, text=True, check=False)
    if r.returncode:
        fail(f"sluicectl routes: {r.stderr}")
    return [g for g in ("gw-a", "gw-b") if g in r.stdout]


def decommission(c, b):
    step("a gateway that nobody knows")
    refused(c, "gw-x", "unauthenticated", cert=issue(c, "gw-x"))
    log_has(c, 'there is no gateway "gw-x"')
    step("a gateway that is taken out: connections by certificate and by token end")
    text = c.make_token("gateway", bound="gw-b")
    gb, gt = Gateway(c, b).in_use("gw-b"), Gateway(c, token=text)
    c.want(201, "POST", "/gateways", {"name": "gw-c", "interfaces": ["wg0"]})
    gc = Gateway(c, issue(c, "gw-c")).in_use("gw-c")
    c.want(201, "POST", "/allocations", {"peer": "alice"})
    equal("a config for each gateway", configs(c), ["gw-a", "gw-b"])
    equal("routes to each gateway", routes(c), ["gw-a", "gw-b"])
    c.want(200, "POST", "/gateways/gw-b/decommission", {"certificates": [serial(b + ".pem")], "reason": "sold"})
    gb.ends()
    gt.ends("revoked")
    refused(c, "gw-b", "certificate_refused", cert=b)
    refused(c, "gw-b", "unauthenticated", token=text)
    step("nothing of it is left: its interface, its addresses, its clients' configurations")
    equal("interfaces", [x["gateway"] for x in c.want(200, "GET", "/gateway-interfaces").json()["items"]], ["gw-a"])
    c.want(404, "GET", "/gateways/gw-b")
    equal("a config for who is left", configs(c), ["gw-a"])
    equal("routes to who is left", routes(c), ["gw-a"])
    equal("addresses", [x["name"].split(":")[0] for x in c.want(200, "GET", "/allocations").json()["items"]], ["gw-a"])
    step("without a list of certificates they are not revoked, but nobody is let in with them")
    c.want(200, "POST", "/gateways/gw-c/decommission", {"reason": "sold too"})
    gc.ends("revoked")
    refused(c, "gw-c", "unauthenticated", cert=os.path.join(c.dir, "gw-c"))


def renewal(c, a):
    step("a renewed certificate: open connections stay, the next one sees it")
    mine = os.path.join(c.dir, "tls", "control.pem")
    g = Gateway(c, a).in_use("gw-a")
    old = serial(mine).lstrip("0")
    equal("before", g.server_cert(), old)
    ca(c, "renew", mine)
    equal("without SIGHUP", Gateway(c, a).server_cert(), old)
    c.proc.send_signal(1)
    log_has(c, "certificates are read anew")
    equal("after", Gateway(c, a).server_cert(), serial(mine).lstrip("0"))
    equal("the open one", "result" in g.ask("rpc.ping", {}), True)
    equal("metric", metric(c, "sluice_control_certificate_expiry_timestamp_seconds"), not_after(mine))
    step("a file that is none: the former stays")
    with open(mine, "rb") as f:
        good = f.read()
    size = os.path.getsize(c.log)
    with open(mine, "wb") as f:
        f.write(good[:200])
    c.proc.send_signal(1)
    log_has(c, "the former certificate stays", size)
    Gateway(c, a).in_use("gw-a")
    with open(mine, "wb") as f:
        f.write(good)
    step("one that ends in 2 days is told")
    size = os.path.getsize(c.log)
    ca(c, "renew", mine, "--days", "2")
    c.proc.send_signal(1)
    log_has(c, "certificate_expires", size)
    equal("metric", metric(c, "sluice_control_certificate_expiry_timestamp_seconds"), not_after(mine))
    step("tokens that end soon are counted, by no name")
    n = metric(c, "sluice_control_tokens_expiring")
    text = c.make_token("viewer", expires_in_s=86400)
    c.make_token("viewer", expires_in_s=20 * 86400)
    equal("tokens that end soon", metric(c, "sluice_control_tokens_expiring"), n + 1)
    end = metric(c, r'sluice_control_token_expiry_timestamp_seconds\{kind="viewer"\}')
    if not 86300 <= end - time.time() <= 86400:
        fail(f"the next token ends at {end}")
    if text.split("_")[1] in c.want(200, "GET", "/metrics").data.decode():
        fail("a token's id is in the metrics")


def main():
    c = Control(Page())
    try:
        c.init()
        c.start()
        furnish(c)
        handshakes(c)
        a, b = revocation(c)
        renewal(c, a)
        decommission(c, b)
        equal("end", c.stop(), 0)
    finally:
        c.clean()


main()
