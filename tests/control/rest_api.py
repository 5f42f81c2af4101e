# SPDX-License-Identifier: BSD-3-Clause
"""The REST API of a real server: every operation, every role, conditions, keys, pages, problems. Every answer is checked against
control/server/openapi.json on the way."""

import concurrent.futures
import os
import json
import re
import sqlite3
import ssl
import subprocess
import sys
import time

import restlib
import seals
from restlib import POLICY, equal, fail, furnish, key, step

ROLES = ["admin", "operator", "approver", "auditor", "viewer", "follower", "gateway", "agent", "peer"]
# words of x-roles, written down here again: what the table must mean
ABOVE = {"viewer": {"viewer", "auditor", "approver", "operator", "admin"}, "operator": {"operator", "admin"}}

# Some rows of the matrix by hand: who may. All others: who may not.
BY_HAND = {
    "listPeers": "admin operator approver auditor viewer", "createPeer": "admin operator", "deletePeer": "admin operator",
    "putPolicy": "admin", "rollbackPolicy": "admin", "getPolicy": "admin operator approver auditor viewer",
    "createToken": "admin operator", "listTokens": "admin auditor", "deleteToken": "admin",
    "createBackup": "admin", "listAudit": "admin auditor", "exportAudit": "admin auditor", "putSetting": "admin", "decommissionGateway": "admin", "putRevocation": "admin",
    "listGateways": "admin operator approver auditor viewer gateway", "getPeerConfig": "admin operator approver auditor viewer peer",
    "putPeerPublicKey": "admin operator peer", "createGateway": "admin", "createRoleMap": "admin operator",
    "getMe": " ".join(ROLES), "getHealth": " ".join(ROLES),
}
# what nobody but an admin may do, whatever the page says of it
ADMINS = set(f"{verb}{kind}" for verb in ("create", "put", "patch", "delete") for kind in
             ("Gateway", "GatewayInterface", "Interface", "Pool", "Provider", "Policy", "Setting", "Revocation", "Token")) - {"createToken"}
ADMINS |= {"rollbackPolicy", "decommissionGateway", "createBackup", "confirmBlocked"}
# who changes nothing, but that a peer replaces its own key
READERS = {"auditor", "viewer", "approver", "follower", "gateway", "agent", "peer"}


def allowed(words):
    out = set()
    for w in words.split():
        out |= set(ROLES) if w in ("any", "open") else ABOVE.get(w, {w})
    return out


# --- a valid call of each operation ----------------------------------------------------------------------------------

def valid_calls(c):
    """operationId -> (method, path, body, headers); those that change run in an order in which each can."""
    def gi(g):
        return {"gateway": g, "interface": "wg0", "index": 9}
    any_ = {"If-Match": "*"}
    rm = "engineer:peer:bob"
    token = c.make_token("viewer").split("_")[1]
    return {
        "getHealth": ("GET", "/healthz"), "getReady": ("GET", "/readyz"), "getOpenapi": ("GET", "/openapi.json"), "getVersion": ("GET", "/version"),
        "getMe": ("GET", "/auth/me"),
        "listBlocked": ("GET", "/blocked"), "confirmBlocked": ("POST", "/blocked/confirm", {"all": True}),
        "createInterface": ("POST", "/interfaces", {"name": "wg9"}), "listInterfaces": ("GET", "/interfaces"), "getInterface": ("GET", "/interfaces/wg9"),
        "putInterface": ("PUT", "/interfaces/wg9", {"mtu": 1400}), "patchInterface": ("PATCH", "/interfaces/wg9", {"mtu": None}),
        "deleteInterface": ("DELETE", "/interfaces/wg9"),
        "createGateway": ("POST", "/gateways", {"name": "gw-m", "interfaces": ["wg0"]}), "listGateways": ("GET", "/gateways"),
        "getGateway": ("GET", "/gateways/gw-m"), "putGateway": ("PUT", "/gateways/gw-m", {"interfaces": ["wg0"], "region": "x"}),
        "patchGateway": ("PATCH", "/gateways/gw-m", {"region": None}), "getGatewayStatus": ("GET", "/gateways/gw-m/status"),
        "createGatewayInterface": ("POST", "/gateway-interfaces", gi("gw-m")), "listGatewayInterfaces": ("GET", "/gateway-interfaces"),
        "getGatewayInterface": ("GET", "/gateway-interfaces/gw-m:wg0"), "putGatewayInterface": ("PUT", "/gateway-interfaces/gw-m:wg0", gi("gw-m")),
        "patchGatewayInterface": ("PATCH", "/gateway-interfaces/gw-m:wg0", {"client_pool": ["10.7.99.0/24"]}),
        "createPeer": ("POST", "/peers", {"name": "matrix", "interface": "wg0", "public_key": key(500)}), "listPeers": ("GET", "/peers"),
        "getPeer": ("GET", "/peers/matrix"), "putPeer": ("PUT", "/peers/matrix", {"interface": "wg0", "public_key": key(501)}, any_),
        "patchPeer": ("PATCH", "/peers/matrix", {"keepalive_s": 25}, any_), "getPeerConfig": ("GET", "/peers/matrix/config"),
        "putPeerPublicKey": ("PUT", "/peers/matrix/public-key", {"public_key": key(502), "overlap_s": 60}),
        "putPeerEnabled": ("PUT", "/peers/matrix/enabled", {"enabled": False}),
        "createAllocation": ("POST", "/allocations", {"peer": "matrix"}), "listAllocations": ("GET", "/allocations"),
        "deleteAllocation": ("DELETE", "/allocations/gw-m:wg0:10.7.99.1"),
        "deleteGatewayInterface": ("DELETE", "/gateway-interfaces/gw-m:wg0"), "decommissionGateway": ("POST", "/gateways/gw-m/decommission", {"reason": "test"}),
        "deletePeer": ("DELETE", "/peers/matrix", None, any_),
        "listZones": ("GET", "/zones"), "listTargets": ("GET", "/targets"), "getTarget": ("GET", "/targets/db"), "listRoles": ("GET", "/roles"),
        "getRole": ("GET", "/roles/engineer"), "listRules": ("GET", "/rules"), "getRule": ("GET", "/rules/engineer/101"),
        "createProvider": ("POST", "/providers", {"name": "corp", "state": "up"}), "listProviders": ("GET", "/providers"), "getProvider": ("GET", "/providers/corp"),
        "putProvider": ("PUT", "/providers/corp", {"state": "down", "since": "2026-01-01T00:00:00Z"}),
        "createRoleMap": ("POST", "/role-maps", {"role": "engineer", "member": "peer:bob", "interface": "wg0", "source": {"type": "dynamic", "reason": "t"}}),
        "listRoleMaps": ("GET", "/role-maps"), "getRoleMap": ("GET", "/role-maps/" + rm),
        "putRoleMap": ("PUT", "/role-maps/" + rm, {"role": "engineer", "member": "peer:bob", "interface": "wg0", "expires_at": "2030-01-01T00:00:00Z",
                                                    "source": {"type": "dynamic", "reason": "t"}}),
        "deleteRoleMap": ("DELETE", "/role-maps/" + rm), "deleteProvider": ("DELETE", "/providers/corp"),
        "createPool": ("POST", "/pools", {"name": "agents", "prefixes": ["10.96.0.0/16"], "prefix_len": 24}), "listPools": ("GET", "/pools"),
        "getPool": ("GET", "/pools/agents"), "putPool": ("PUT", "/pools/agents", {"prefixes": ["10.96.0.0/15"], "prefix_len": 24}),
        "deletePool": ("DELETE", "/pools/agents"),
        "listTokens": ("GET", "/tokens"), "createToken": ("POST", "/tokens", {"roles": ["viewer"]}), "getToken": ("GET", "/tokens/" + token),
        "deleteToken": ("DELETE", "/tokens/" + token),
        "getPolicy": ("GET", "/policy"), "putPolicy": ("PUT", "/policy", POLICY, any_), "validatePolicy": ("POST", "/policy/validate", POLICY),
        "testPolicy": ("POST", "/policy/test"), "simulatePolicy": ("POST", "/policy/simulate", {"subject": {"peer": "alice"}, "dst": "10.20.0.10", "dport": 5432}),
        "listPolicyVersions": ("GET", "/policy/versions"), "getPolicyVersion": ("GET", "/policy/versions/1"),
        "rollbackPolicy": ("POST", "/policy/versions/1/rollback"),
        "streamEvents": ("GET", "/events"), "getReplication": ("GET", "/replication"), "waitApplied": ("GET", "/wait?seq=0&timeout=0"), "createBackup": ("POST", "/backup"), "listAudit": ("GET", "/audit"), "exportAudit": ("GET", "/audit/export?since=3&until=9"), "getAuditKey": ("GET", "/audit/key"),
        "putSetting": ("PUT", "/settings/flow_days", {"value": 30}), "listSettings": ("GET", "/settings"), "getSetting": ("GET", "/settings/flow_days"),
        "deleteSetting": ("DELETE", "/settings/flow_days"),
        "putRevocation": ("PUT", "/revocations/cert:1f09c3", {"reason": "laptop lost"}), "listRevocations": ("GET", "/revocations"),
        "getRevocation": ("GET", "/revocations/cert:1f09c3"),
        "listSessions": ("GET", "/sessions?open=true&limit=5"), "getPeerUsage": ("GET", "/peers/alice/usage?days=2"),
        "getPeerStats": ("GET", "/peers/alice/stats"), "listUnusedPeers": ("GET", "/unused-peers?days=30"), "listFlows": ("GET", "/flows?target=db&would=deny"), "getWouldDeny": ("GET", "/policy/would-deny?target=db&window_s=3600"),
        "replayPolicy": ("POST", "/policy/replay", {"policy": {**POLICY, "version": 99}}),
        "suggestPolicy": ("POST", "/policy/suggest", {"target": "10.20.0.0/16", "min_flows": 2}), "getMetrics": ("GET", "/metrics"),
        "getMigration": ("GET", "/migration"), "getMigrationTarget": ("GET", "/migration/targets/db"),
        "putMigrationDeployment": ("PUT", "/migration/deployment", {"phase": 1, "major": ["db"], "force": True}),
        "putMigrationDistribution": ("PUT", "/migration/targets/db/distribution", {"distribute": ["peer:alice"]}),
        "advanceMigration": ("POST", "/migration/targets/db/advance", {"to": "pilot", "force": True, "comment": "go"}),
        "withdrawMigration": ("POST", "/migration/targets/db/withdraw", {"comment": "back"}),
        "deleteGateway": ("DELETE", "/gateways/gw-x"),
    }


def do(c, call, **more):
    method, path, body, headers = (list(call) + [None, None])[:4]
    return c.call(method, path, body, headers=headers, **more)


def matrix(c):
    """Every operation with every role. Those that may not are refused, whatever they send; the admin's calls are carried out."""
    step("every operation x every role")
    tokens = {r: c.make_token(r, **({"bound": "gw-a"} if r == "gateway" else {"bound": "alice"} if r in ("peer", "agent") else
                                    {"bound": "cp9"} if r == "follower" else {})) for r in ROLES}
    calls = valid_calls(c)
    ops = {o[3]["operationId"]: o[3] for o in c.page.ops}
    missing = sorted(set(ops) - set(calls))
    equal("operations without a call here", missing, [])
    equal("operations for an admin alone are there", len(ADMINS & set(ops)) > 25, True)
    c.want(201, "POST", "/gateways", {"name": "gw-x", "interfaces": []})
    n = 0
    for oid, call in calls.items():
        may = allowed(ops[oid]["x-roles"])
        if oid in BY_HAND and may != set(BY_HAND[oid].split()):
            fail(f"{oid}: the page lets {sorted(may)} call it, wanted {BY_HAND[oid]}")
        if oid in ADMINS:
            equal(f"who may {oid}", may, {"admin"})
        if call[0] != "GET" and not ops[oid].get("x-reads") and oid != "putPeerPublicKey":
            equal(f"who reads and may {oid}", sorted(may & READERS), [])
        for role in ROLES:
            n += 1
            if role == "admin" or role in may:
                continue
            a = do(c, call, token=tokens[role])
            if a.status != 403 or a.reason != "forbidden":
                fail(f"{oid} as {role}: {a.status} {a.data[:200]}, wanted 403 forbidden")
        open_ = ops[oid]["x-roles"] == "open"
        a = do(c, call, token=None)
        equal(f"{oid} without a login", a.status in (401,), not open_)
        for role in ROLES[1:]:
            if role in may and (call[0] == "GET" or ops[oid].get("x-reads")):
                a = do(c, call, token=tokens[role])
                if a.status in (401, 403):
                    fail(f"{oid} as {role}: {a.status} {a.data[:200]}")
        a = do(c, call)
        if a.status >= 300:
            fail(f"{oid} as admin: {a.status} {a.data[:500]}")
        if oid in ("putInterface", "createInterface"):
            equal(f"{oid}: Location or not", bool(a.headers.get("Location")), a.status == 201)
    print(f"   {len(calls)} operations x {len(ROLES)} roles = {n}")


def limits(c):
    """What the page lets through must be what an object may hold: both are written down apart."""
    step("limits of bodies are those of objects")
    schemas = c.page.doc["components"]["schemas"]
    kinds = {"interface": "Interface", "gateway": "Gateway", "gateway_interface": "GatewayInterface", "peer": "Peer", "role_map": "RoleMap", "pool": "Pool"}
    with open(os.path.join(restlib.TOP, "docs", "objects.md"), encoding="utf-8") as f:
        sections = re.split(r"\n### ", f.read())[1:]
    n = 0
    for section in sections:
        kind = kinds.get(section.split("\n")[0])
        for m in re.finditer(r"^\| `(\w+)` \| (?:text|array of [^|,]+)?,? ?(\d+) to (\d+)(?: bytes)? \|", section, re.M) if kind else ():
            for suffix in ("Body", "New", "Patch"):
                p = schemas.get(kind + suffix, {}).get("properties", {}).get(m[1])
                p = p["anyOf"][0] if p and "anyOf" in p else p
                high = p and next((p[k] for k in ("maxItems", "maxLength", "maximum") if k in p), None)
                if p:
                    n += 1
                    equal(f"the most of {kind}{suffix}/{m[1]}", high, int(m[3]))
    equal("limits are compared", n > 30, True)


def scoping(c):
    step("a gateway sees itself, a peer its own config")
    g = c.make_token("gateway", bound="gw-a")
    equal("gateways of gw-a", [x["name"] for x in c.want(200, "GET", "/gateways", token=g).json()["items"]], ["gw-a"])
    c.want(200, "GET", "/gateways/gw-a", token=g)
    c.want(404, "GET", "/gateways/gw-b", token=g)
    c.want(404, "GET", "/gateways/gw-b/status", token=g)
    c.want(404, "GET", "/gateway-interfaces/gw-b:wg0", token=g)
    equal("its interfaces", [x["name"] for x in c.want(200, "GET", "/gateway-interfaces", token=g).json()["items"]], ["gw-a:wg0"])
    p = c.make_token("peer", bound="alice")
    text = c.want(200, "GET", "/peers/alice/config", token=p).json()["configs"][0]["text"]
    if "AllowedIPs = 10.20.0.10/32, 10.20.1.0/24" not in text or "\nPrivateKey" in text:
        fail("config: " + text)
    c.want(404, "GET", "/peers/bob/config", token=p)
    c.want(404, "PUT", "/peers/bob/public-key", {"public_key": key(700)}, token=p)
    a = c.want(200, "PUT", "/peers/alice/public-key", {"public_key": key(701), "overlap_s": 300, "address": "10.7.0.1"}, token=p).json()
    equal("old key", a["old_key"], key(1))
    c.want(409, "PUT", "/peers/alice/public-key", {"public_key": key(702), "address": "10.7.0.2"}, "address_mismatch", token=p)
    c.want(422, "PUT", "/peers/alice/public-key", {"public_key": key(702), "overlap_s": 301}, "field_range", token=p)
    a = c.want(200, "PUT", "/peers/alice/public-key", {"public_key": key(1)}, token=p).json()
    equal("no overlap", "old_key" in a, False)


def conditions(c):
    step("ETag and If-Match")
    a = c.want(200, "GET", "/peers/bob")
    body = {"interface": "wg0", "public_key": key(2), "allowed_ips": ["10.7.0.2/32"]}
    c.want(428, "PUT", "/peers/bob", body, "precondition_required")
    c.want(428, "PATCH", "/peers/bob", {"keepalive_s": 5}, "precondition_required")
    c.want(428, "DELETE", "/peers/bob", None, "precondition_required")
    c.want(428, "PUT", "/policy", POLICY, "precondition_required")
    c.want(412, "PUT", "/peers/bob", {**body, "keepalive_s": 5}, "rev_mismatch", headers={"If-Match": '"999"'})
    b = c.want(200, "PUT", "/peers/bob", {**body, "keepalive_s": 5}, headers={"If-Match": a.etag})
    c.want(412, "PATCH", "/peers/bob", {"keepalive_s": 6}, "rev_mismatch", headers={"If-Match": a.etag})
    d = c.want(200, "PATCH", "/peers/bob", {"keepalive_s": None}, headers={"If-Match": b.etag})
    equal("merged", "keepalive_s" in d.json(), False)
    c.want(409, "PUT", "/peers/bob", body, "exists", headers={"If-None-Match": "*"})
    c.want(404, "PUT", "/peers/nobody", {"interface": "wg0", "public_key": key(3000)}, "not_found", headers={"If-Match": "*"})
    c.want(404, "DELETE", "/peers/nobody", None, "not_found", headers={"If-Match": "*"})
    c.want(400, "PUT", "/peers/bob", body, "header_invalid", headers={"If-Match": "12"})
    v = c.want(200, "GET", "/policy").etag
    c.want(412, "PUT", "/policy", POLICY, "version_mismatch", headers={"If-Match": '"77"'})
    c.want(200, "PUT", "/policy", POLICY, headers={"If-Match": v})
    step("a race on one revision has one winner")
    etag = c.want(200, "GET", "/peers/carol").etag
    with concurrent.futures.ThreadPoolExecutor(16) as ex:
        got = list(ex.map(lambda i: c.call("PATCH", "/peers/carol", {"keepalive_s": 100 + i}, headers={"If-Match": etag}).status, range(16)))
    equal("winners", sorted(got), [200] + [412] * 15)


def keys_and_dry_runs(c):
    step("Idempotency-Key")
    body = {"name": "idem", "interface": "wg0", "public_key": key(800)}
    h = {"Idempotency-Key": "k-1"}
    a = c.want(201, "POST", "/peers", body, headers=h)
    b = c.want(201, "POST", "/peers", body, headers=h)
    equal("the same answer", (b.data, b.etag, b.headers["X-Sluice-Seq"], b.headers["Location"]),
          (a.data, a.etag, a.headers["X-Sluice-Seq"], a.headers["Location"]))
    c.want(422, "POST", "/peers", {**body, "public_key": key(801)}, "idempotency_key_reused", headers=h)
    c.want(409, "POST", "/peers", body, "exists", headers={"Idempotency-Key": "k-2"})
    other = c.make_token("operator")
    c.want(409, "POST", "/peers", body, "exists", headers=h, token=other)
    t = c.want(201, "POST", "/tokens", {"roles": ["viewer"]}, headers={"Idempotency-Key": "k-3"})
    c.want(409, "POST", "/tokens", {"roles": ["viewer"]}, "shown_once", headers={"Idempotency-Key": "k-3"})
    db = os.path.join(c.dir, "store.db")
    subprocess.run(["sqlite3", "-cmd", ".timeout 3000", db, "UPDATE rest_kept SET status = 0, body = NULL WHERE key = 'k-1'"], check=True)
    c.want(409, "POST", "/peers", body, "done_before", headers=h)  # as if it had been killed before the answer
    with open(os.path.join(c.dir, "store.db"), "rb") as f, open(os.path.join(c.dir, "store.db-wal"), "rb") as g:
        if t.json()["token"].split("_")[2].encode() in f.read() + g.read():
            fail("the secret of a token stands in the store")
    step("one backup for one key, at once and in a row")
    with concurrent.futures.ThreadPoolExecutor(4) as ex:
        got = list(ex.map(lambda i: c.want(201, "POST", "/backup", headers={"Idempotency-Key": "k-4"}).data, range(4)))
    got.append(c.want(201, "POST", "/backup", headers={"Idempotency-Key": "k-4"}).data)
    equal("answers", len(set(got)), 1)
    equal("files", [os.path.join(c.dir, "backup", f) for f in os.listdir(os.path.join(c.dir, "backup"))], [json.loads(got[0])["file"]])
    step("dry runs change nothing and tell whom it concerns")
    seq = c.seq()
    a = c.want(200, "POST", "/peers?dry_run=true", {"name": "dry", "interface": "wg0", "public_key": key(810)}).json()
    equal("dry run", (a["dry_run"], a["gateways"], a["diff"][0]["id"]), (True, ["gw-a", "gw-b"], "dry"))
    c.want(404, "GET", "/peers/dry")
    a = c.want(200, "DELETE", "/peers/idem?dry_run=true", headers={"If-Match": "*"}).json()
    equal("dry run of a deletion", [(o["op"], o["kind"], o["id"]) for o in a["diff"]], [("del", "peer", "idem")])
    a = c.want(200, "PUT", "/gateway-interfaces/gw-a:wg0?dry_run=true", {"gateway": "gw-a", "interface": "wg0", "index": 1}).json()
    equal("of one gateway", a["gateways"], ["gw-a"])
    p = json.loads(json.dumps(POLICY))
    p["rules"][0]["ports"] = [5433]
    a = c.want(200, "PUT", "/policy?dry_run=true", p, headers={"If-Match": "*"}).json()
    equal("kinds of a policy", {o["kind"] for o in a["diff"]}, {"policy", "rule", "policy_text"})
    equal("for all gateways", a["gateways"], ["gw-a", "gw-b"])
    c.want(422, "POST", "/peers?dry_run=true", {"name": "dry", "interface": "nope", "public_key": key(810)})
    equal("seq after dry runs", c.seq(), seq)
    c.want(204, "DELETE", "/peers/idem", headers={"If-Match": "*"})


def pages(c):
    step("pages")
    for i in range(25):
        c.want(201, "POST", "/peers", {"name": f"page-{i:02}", "interface": "wg0", "public_key": key(1000 + i)})
    names, after = [], ""
    for _ in range(100):
        a = c.want(200, "GET", f"/peers?limit=4{after}").json()
        names += [x["name"] for x in a["items"]]
        if "next" not in a:
            break
        equal("size of a page", len(a["items"]), 4)
        after = "&after=" + a["next"]
    equal("all of them, once, in order", names, sorted(set(names)))
    equal("how many", len(names), 28)
    c.want(400, "GET", "/peers?limit=0", reason="param_invalid")
    c.want(400, "GET", "/peers?limit=x", reason="param_invalid")
    c.want(400, "GET", "/peers?size=3", reason="param_unknown")
    c.want(400, "GET", "/wait", reason="param_missing")
    equal("none of that interface", c.want(200, "GET", "/peers?interface=wg7").json()["items"], [])
    for i in range(25):
        c.want(204, "DELETE", f"/peers/page-{i:02}", headers={"If-Match": "*"})
    a = c.want(200, "GET", "/audit?limit=3").json()
    b = c.want(200, "GET", f"/audit?limit=3&after={a['next']}").json()
    equal("audit goes on", b["items"][0]["n"], a["items"][2]["n"] + 1)


def problems(c):
    step("problems name the place and the remedy")
    a = c.want(422, "POST", "/peers", {"name": "x", "interface": "wg0", "public_key": key(1), "allowed_ips": ["10.7.0.5/24"]})
    p = a.json()
    equal("type", (p["type"], p["instance"], p["errors"][0]["path"]), ("urn:sluice:err:prefix_host_bits", "/api/v1/peers", "/allowed_ips/0"))
    equal("content type", a.headers["Content-Type"], "application/problem+json")
    equal("request id", a.headers["X-Request-Id"], p["request_id"])
    c.want(409, "POST", "/peers", {"name": "twice", "interface": "wg0", "public_key": c.want(200, "GET", "/peers/alice").json()["public_key"]})
    c.want(422, "POST", "/peers", {"name": "Bad Name", "interface": "wg0", "public_key": key(99)})
    c.want(422, "POST", "/peers", {"name": "x", "interface": "wg0"}, "field_missing")
    c.want(422, "POST", "/peers", {"name": "x", "interface": "wg0", "public_key": key(99), "colour": 1}, "field_unknown")
    c.want(422, "POST", "/peers", {"name": "x", "interface": 1, "public_key": key(99)}, "field_type")
    c.want(400, "POST", "/peers", text='{"name":"x","name":"y"}', reason="json_invalid")
    c.want(400, "POST", "/peers", text="{", reason="json_invalid")
    c.want(400, "POST", "/peers", reason="json_invalid")
    c.want(415, "POST", "/peers", text="a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}, reason="media_type")
    c.want(404, "GET", "/nothing", reason="not_found")
    c.want(401, "GET", "/nothing", token=None)
    a = c.want(405, "DELETE", "/policy", reason="method", check=False)
    equal("Allow", a.headers["Allow"], "GET, PUT")
    c.want(400, "GET", "/peers/%zz", reason="uri_invalid", check=False)
    c.want(400, "GET", "/peers/..", reason="uri_invalid", check=False)
    c.want(400, "GET", "/peers//x", reason="uri_invalid", check=False)
    c.want(404, "GET", "/peers/a%2Fb", reason="not_found", check=False)
    c.want(409, "DELETE", "/interfaces/wg0", reason="referenced")
    a = c.want(401, "GET", "/peers", token=None, reason="unauthenticated")
    if "Bearer" not in a.headers["WWW-Authenticate"]:
        fail("no challenge")
    c.want(503, "GET", "/peers?at_seq=999999", reason="behind")
    c.want(200, "GET", f"/peers?at_seq={c.seq()}")


def policy(c):
    step("a policy with a fault keeps the one in force")
    v = c.want(200, "GET", "/policy")
    for change, reason in ((lambda p: p["rules"][0].update(role="nobody"), "role_unknown"), (lambda p: p["rules"][0].update(ports=[[90, 80]]), None),
                           (lambda p: p["tests"][0].update(expect="deny"), "test_failed"), (lambda p: p.update(colour=1), "field_unknown")):
        p = json.loads(json.dumps(POLICY))
        change(p)
        c.want(422, "PUT", "/policy", p, reason, headers={"If-Match": v.etag})
        c.want(422, "POST", "/policy/validate", p, reason)
    c.want(422, "PUT", "/policy", text='{"zones": {,', headers={"If-Match": "*"})
    w = c.want(200, "GET", "/policy")
    equal("the one in force", (w.data, w.etag), (v.data, v.etag))
    step("comments stay in the text, versions and rollback")
    text = "// for tests\n" + json.dumps(POLICY)
    a = c.want(200, "PUT", "/policy?comment=by+hand", text=text, headers={"If-Match": v.etag})
    raw = c.want(200, "GET", "/policy?raw=true")
    equal("raw", raw.data.decode(), text)
    n = a.json()["version"]
    versions = c.want(200, "GET", "/policy/versions").json()["items"]
    equal("newest first", [x["version"] for x in versions], list(range(n, 0, -1)))
    if "by hand" not in versions[0]["comment"]:
        fail(f"comment: {versions[0]}")
    small = {"zones": {}, "targets": {}, "roles": {}, "rules": []}
    c.want(409, "PUT", "/policy", {**POLICY, "roles": {"guest": POLICY["roles"]["guest"]}, "rules": [POLICY["rules"][1]]} if False else small,
           "referenced", headers={"If-Match": "*"}) if c.call("POST", "/role-maps", {
               "role": "engineer", "member": "peer:carol", "interface": "wg0", "source": {"type": "dynamic", "reason": "t"}}).status == 201 else fail("role map")
    path = "/role-maps/engineer:peer:carol"
    a = c.want(200, "GET", path)
    equal("state", a.json()["state"], "active")
    back = {k: v for k, v in a.json().items() if k not in ("name", "rev")}
    equal("put back as it was answered", c.want(200, "PUT", path, {**back, "state": "expired"}, headers={"If-Match": a.etag}).etag, a.etag)
    equal("not stored", c.want(200, "GET", path).data, a.data)
    equal("changed", c.want(200, "PUT", path, {**back, "expires_at": "2020-01-01T00:00:00Z"}).json()["state"], "expired")
    equal("states", {x["name"]: x["state"] for x in c.want(200, "GET", "/role-maps").json()["items"]}["engineer:peer:carol"], "expired")
    c.want(422, "PUT", path, {**back, "status": "x"}, "field_unknown")
    c.want(204, "DELETE", path)
    c.want(200, "PUT", "/policy", small, headers={"If-Match": f'"{n}"'})
    equal("no rules", c.want(200, "GET", "/rules").json()["items"], [])
    c.want(200, "POST", f"/policy/versions/{n}/rollback")
    equal("rules again", len(c.want(200, "GET", "/rules").json()["items"]), 2)
    step("simulate: peers, roles, addresses, times, other documents")
    def sim(want, why, **q):
        a = c.want(200, "POST", "/policy/simulate", {"dst": "10.20.0.10", "dport": 5432, **q}).json()
        equal(f"simulate {q}", (a["verdict"], a["why"]), (want, why))
        return a
    equal("rule", sim("allow", "rule", subject={"peer": "alice"})["rule"], "engineer/101")
    sim("deny", "no_role", subject={"peer": "bob"})
    sim("deny", "zone_default", subject={"roles": ["guest"]})
    sim("allow", "rule", subject={"address": "10.7.9.4", "interface": "wg0"}, dst="10.20.1.9", dport=443)
    sim("deny", "no_role", subject={"address": "10.7.8.4", "interface": "wg0"}, dst="10.20.1.9", dport=443)
    c.want(201, "POST", "/role-maps", {"role": "engineer", "member": "peer:bob", "interface": "wg0", "expires_at": "2031-01-01T00:00:00Z",
                                        "source": {"type": "dynamic", "reason": "t"}})
    sim("allow", "rule", subject={"peer": "bob"})
    sim("deny", "no_role", subject={"peer": "bob"}, at="2031-06-01T00:00:00Z")
    step("simulate: flows that begin inside, providers that are down, whose address it is")
    def ask(want, why, **q):
        a = c.want(200, "POST", "/policy/simulate", {"dport": 5432, **q}).json()
        equal(f"simulate {q}", (a["verdict"], a["why"]), (want, why))
        return a
    a = ask("deny", "no_role", subject={"peer": "alice"}, **{"from": "inside"}, src="10.20.0.10")
    equal("ends", (a["src"], a["dst"]), ("10.20.0.10", c.want(200, "GET", "/peers/alice").json()["allowed_ips"][0].split("/")[0]))
    equal("its peer's", ask("allow", "rule", subject={"address": a["dst"], "interface": "wg0"}, dst="10.20.0.10")["rule"], "engineer/101")
    for q, where in (({"dst": "10.20.0.10", "src": "10.7.0.1"}, "/src"), ({"from": "inside", "src": "10.20.0.10", "dst": "10.7.0.1"}, "/dst")):
        b = c.want(422, "POST", "/policy/simulate", {"subject": {"peer": "alice"}, **q}, "field_unexpected")
        equal("where", b.json()["errors"][0]["path"], where)
    c.want(422, "POST", "/policy/simulate", {"subject": {"peer": "alice"}, "from": "inside"}, "field_missing")
    c.want(422, "POST", "/policy/simulate", {"subject": {"address": "10.7.0.99"}, "dst": "fd00::1"}, "family_mismatch")
    c.want(204, "DELETE", "/role-maps/engineer:peer:bob")
    c.want(201, "POST", "/role-maps", {"role": "engineer", "member": "peer:bob", "interface": "wg0", "expires_at": "2031-01-01T00:00:00Z",
                                        "source": {"type": "idp", "provider": "corp", "user": "bob"}})
    late, later, db = {"at": "2031-01-01T20:00:00Z"}, {"at": "2031-01-02T04:00:00Z"}, {"subject": {"peer": "bob"}, "dst": "10.20.0.10"}
    ask("deny", "no_role", **db, **late)
    c.want(201, "PUT", "/providers/corp", {"state": "down", "since": "2030-12-31T00:00:00Z"}, headers={"If-None-Match": "*"})
    ask("allow", "rule", **db, **late)
    ask("deny", "no_role", **db, **later)
    ask("allow", "rule", **db, **later, idp_grace_h=48)
    ask("allow", "rule", **db, **later, idp_grace_h=0)
    c.want(200, "PUT", "/providers/corp", {"state": "down", "since": "2031-01-01T10:00:00Z"}, headers={"If-Match": "*"})
    ask("deny", "no_role", **db, **late)  # it had answered when the mapping ended
    equal("version", sim("deny", "no_role", subject={"peer": "alice"}, policy=small)["policy_version"], 0)
    c.want(422, "POST", "/policy/simulate", {"subject": {"peer": "nobody"}, "dst": "10.20.0.10"}, "not_found")
    c.want(422, "POST", "/policy/simulate", {"subject": {"roles": ["x"]}, "dst": "10.20.0.10"}, "role_unknown")
    c.want(422, "POST", "/policy/simulate", {"subject": {}, "dst": "10.20.0.10"}, "field_missing")
    c.want(204, "DELETE", "/role-maps/engineer:peer:bob")
    c.want(204, "DELETE", "/providers/corp", headers={"If-Match": "*"})


def tokens(c):
    step("tokens: shown once, never stronger, revoked at once, Basic")
    op = c.make_token("operator", description="an operator")
    c.want(403, "POST", "/tokens", {"roles": ["admin"]}, "token_too_strong", token=op)
    c.want(403, "POST", "/tokens", {"roles": ["viewer", "gateway"]}, "token_too_strong", token=op)
    v = c.want(201, "POST", "/tokens", {"roles": ["viewer"], "expires_in_s": 3600}, token=op).json()
    c.want(200, "GET", "/peers", token=v["token"])
    c.want(200, "GET", "/peers", token=None, headers={"Authorization": "Basic " + __import__("base64").b64encode(
        f"{v['id']}:{v['token'].split('_')[2]}".encode()).decode()})
    a = c.want(200, "GET", f"/tokens/{v['id']}").json()
    equal("no secret", "hash" in a or "token" in a, False)
    for path in ("/tokens", "/audit?limit=1000"):
        d = c.want(200, "GET", path).data
        if v["token"].encode() in d or b'"hash"' in d:
            fail(f"{path} shows a secret")
    c.want(204, "DELETE", f"/tokens/{v['id']}")
    c.want(401, "GET", "/peers", token=v["token"], reason="token_refused")
    before = c.seq()
    for who in (c.token, op):
        d = c.want(200, "POST", "/tokens?dry_run=true", {"roles": ["viewer"]}, token=who)
        equal("dry run", (d.json()["dry_run"], [x["kind"] for x in d.json()["diff"]]), (True, ["token"]))
        if b"hash" in d.data or b"slt_" in d.data:
            fail(f"a dry run shows a secret: {d.data}")
    c.want(403, "POST", "/tokens?dry_run=true", {"roles": ["admin"]}, "token_too_strong", token=op)
    equal("a dry run of a backup", c.want(200, "POST", "/backup?dry_run=true").json()["diff"], [])
    equal("nothing was changed", c.seq(), before)
    for role, bound, what in (("gateway", "gw-new", "gateway"), ("peer", "nobody", "peer"), ("gateway", "gw-a", None), ("peer", "alice", None), ("follower", "cp9", None)):
        w = c.want(201, "POST", "/tokens", {"roles": [role], "bound": bound}).json().get("warnings")
        equal(f"warnings of {role} {bound}", w and [x.split(" yet")[0] for x in w], what and [f'there is no {what} "{bound}"'])
    far = c.make_token("viewer", source="192.0.2.0/24")
    c.want(401, "GET", "/peers", token=far, reason="token_refused")
    c.want(422, "POST", "/tokens", {"roles": []}, "field_range")
    c.want(422, "POST", "/tokens", {"roles": ["root"]}, "enum_invalid")


def allocations(c):
    step("addresses: at each gateway, the end of a pool, networks of agents")
    c.want(200, "PATCH", "/gateway-interfaces/gw-b:wg0", {"client_pool": ["10.7.77.0/30"]})
    def new(n, how="client"):
        return c.call("POST", f"/peers?allocate={how}", {"name": f"al-{n}", "interface": "wg0", "public_key": key(1200 + n)})
    a = new(1)
    equal("made", (a.status, a.json()["addresses"]["gw-b"]), (201, ["10.7.77.1/32"]))
    equal("and at the other", a.json()["addresses"]["gw-a"][0].split(".")[:3], ["10", "7", "1"])
    equal("second", new(2).json()["addresses"]["gw-b"], ["10.7.77.2/32"])
    a = new(3)
    equal("third", (a.status, a.reason), (409, "pool_exhausted"))
    c.want(404, "GET", "/peers/al-3")
    names = [x["name"] for x in c.want(200, "GET", "/allocations").json()["items"] if x["name"].startswith("gw-b")]
    equal("kept", names, ["gw-b:wg0:10.7.77.1", "gw-b:wg0:10.7.77.2"])
    c.want(204, "DELETE", "/allocations/" + names[0])
    equal("less", "gw-b" in c.want(200, "GET", "/peers/al-1").json()["addresses"], False)
    equal("again", c.want(201, "POST", "/allocations", {"peer": "al-1"}).json()["addresses"]["gw-b"], ["10.7.77.1/32"])
    c.want(422, "POST", "/allocations", {"peer": "nobody"}, "not_found")
    c.want(200, "PATCH", "/peers/al-2", {"addresses": None}, headers={"If-Match": "*"})
    equal("allocations follow a peer's addresses", [x for x in c.want(200, "GET", "/allocations").json()["items"] if x["peer"] == "al-2"], [])
    for n in (1, 2):
        c.want(204, "DELETE", f"/peers/al-{n}", headers={"If-Match": "*"})
    equal("none left", c.want(200, "GET", "/allocations").json()["items"], [])
    a = new(4, "agent")
    equal("an agent", (a.status, a.json()["allowed_ips"]), (201, ["10.1.0.100/32"]))
    equal("its gateways", [x["addresses"][-1] for x in c.want(200, "GET", "/gateway-interfaces").json()["items"]], ["10.1.0.1/24", "10.1.0.2/24"])
    c.want(400, "POST", "/peers?allocate=x", {"name": "y", "interface": "wg0", "public_key": key(1)}, "param_invalid")
    before = {x["name"]: x["addresses"] for x in c.want(200, "GET", "/gateway-interfaces").json()["items"]}
    c.want(409, "DELETE", "/allocations/gw-a:wg0:10.1.0.1", reason="referenced")
    c.want(204, "DELETE", "/peers/al-4", headers={"If-Match": "*"})
    after = {x["name"]: x["addresses"] for x in c.want(200, "GET", "/gateway-interfaces").json()["items"]}
    equal("its gateways without it", after, {k: v[:-1] for k, v in before.items()})
    a = new(5, "agent")
    equal("an agent anew", (a.status, a.json()["allowed_ips"]), (201, ["10.1.0.100/32"]))
    equal("its gateways anew", {x["name"]: x["addresses"] for x in c.want(200, "GET", "/gateway-interfaces").json()["items"]}, before)
    c.want(204, "DELETE", "/peers/al-5", headers={"If-Match": "*"})
    equal("no allocation left", c.want(200, "GET", "/allocations").json()["items"], [])


def audit(c):
    step("every change is audited, with its before and after")
    a = c.want(200, "PATCH", "/peers/bob", {"description": "audited"}, headers={"If-Match": "*"})
    viewer = c.make_token("viewer")
    for asked in "/peers/bob?dry_run=true", "/peers/" + "%22" * 400, "/tokens/" + viewer, "/peers/bob":
        c.want(403, "DELETE" if "/tokens" in asked else "PATCH", asked, {"description": "x"} if "peers" in asked else None, token=viewer, headers={"If-Match": "*"})
    rows, after = [], "0"
    while after:
        page = c.want(200, "GET", f"/audit?limit=1000&after={after}").json()
        rows += page["items"]
        after = page.get("next")
    row = [r for r in rows if r["operation"] == "patchPeer" and r["outcome"] == "done"][-1]
    equal("row", (row["seq"], row["source"], row["path"]), (int(a.headers["X-Sluice-Seq"]), "127.0.0.1", "/api/v1/peers/bob"))
    equal("diff", (row["diff"][0]["was"].get("description"), row["diff"][0]["obj"]["description"]), (None, "audited"))
    equal("refused", (rows[-1]["operation"], rows[-1]["outcome"]), ("patchPeer", "forbidden"))
    cut = ("/api/v1/peers/" + "%22" * 400)[:252] + "..."
    equal("what was asked", [r["path"] for r in rows[-4:]], ["/api/v1/peers/bob", cut, "/api/v1/tokens/" + viewer[:14], "/api/v1/peers/bob"])
    want = {r["seq"] for r in rows if r["outcome"] == "done" and r["diff"]}
    equal("a row for each change, also that of init", sorted(want), list(range(1, c.seq() + 1)))


def ctl(c, *words, status=0):
    env = {**os.environ, "SLUICE_CONTROL": f"https://127.0.0.1:{c.port}", "SLUICE_CA_FILE": c.ca(), "SLUICE_TOKEN_FILE": os.path.join(c.dir, "audit.token")}
    p = subprocess.run([restlib.SLUICECTL, *words], env=env, capture_output=True, text=True, check=False)
    equal(f"sluicectl {' '.join(words)}: {p.stdout}{p.stderr}", p.returncode, status)
    return p.stdout if status == 0 else p.stderr


def rows_of(c):
    rows, after = [], "0"
    while after:
        page = c.want(200, "GET", f"/audit?limit=1000&after={after}").json()
        rows += page["items"]
        after = page.get("next")
    return rows


def chain(c):
    step("the audit is a chain, each row signed; what was done to it is found")
    with open(os.open(os.path.join(c.dir, "audit.token"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
        f.write(c.token)
    rows = rows_of(c)
    equal("rows that are not signed", [r["n"] for r in rows if "signature" not in r], [])
    key = c.want(200, "GET", "/audit/key", token=c.make_token("viewer")).json()["key"]
    equal("its key", subprocess.run([restlib.CONTROL, "audit", "key", "--state-dir", c.dir], capture_output=True, text=True, check=True).stdout.strip(), key)
    equal("all rows, by another program", seals.check(rows, key, rows=True)[:2], (len(rows), len(rows)))
    mode = os.stat(os.path.join(c.dir, "audit.key")).st_mode & 0o777
    equal("mode of the secret key", mode, 0o600)
    if not ctl(c, "audit", "verify", "--key", key).startswith(f"whole: records 1 to {rows[-1]['n'] + 1}"):
        fail(ctl(c, "audit", "verify", "--key", key))
    kept = os.path.join(c.dir, "kept.json")
    with open(kept, "w", encoding="utf-8") as f:
        f.write(ctl(c, "-j", "audit", "key"))
    if "kept: 1 are here" not in ctl(c, "audit", "verify", "--key", key, "--kept", kept):
        fail("the checkpoint that was kept is not found")
    other = "A" * 42 + "E="
    if "row 1: the seal is of a foreign key" not in ctl(c, "audit", "verify", "--key", other, status=1):
        fail("a foreign key was taken")
    if "some.json: No such file" not in ctl(c, "audit", "verify", "some.json", status=2):  # files, though a control plane is named
        fail("no file is looked for")
    export(c, key, kept)
    by_hand(c, rows, key, kept)


def export(c, key, kept):
    """The rows as a file, and parts of them: verified by both."""
    out = os.path.join(c.dir, "audit.ndjson")
    def exported(*words):
        ctl(c, "audit", "export", "--out", out, *words)
        with open(out, encoding="utf-8") as f:
            return [json.loads(line) for line in f]
    rows = exported()
    equal("the rows of the pages", rows, rows_of(c))
    equal("nobody else's to read", os.stat(out).st_mode & 0o777, 0o600)
    equal("by another program", seals.check(rows, key, rows=True)[:2], (len(rows), len(rows)))
    last = rows[-1]["n"]
    said = ctl(c, "audit", "verify", out, "--key", key, "--kept", kept)
    if not said.startswith(f"whole: records 1 to {last}") or "kept: 1 are here" not in said or "is not here" in said:
        fail(f"the exported file: {said}")
    with open(out, encoding="utf-8") as f:
        equal("to standard output", ctl(c, "audit", "export"), f.read())
    mid = rows[len(rows) // 2]
    for words, first, end in (((f"since={mid['n']}",), mid["n"], last), ((f"until={mid['n']}",), 1, mid["n"]), ((f"since={last + 1}",), 0, -1), (("until=0",), 0, -1),
                              ((f"since={rows[3]['n']}", f"until={rows[9]['n']}"), rows[3]["n"], rows[9]["n"]),
                              ((f"since={mid['at']}", f"until={mid['at']}"), None, None), (("since=2000-01-01", "until=2001-01-01"), 0, -1),
                              (("since=2000-01-01",), 1, last), (("until=2999-01-01T00:00:00Z".replace("2999", "2200"),), 1, last)):
        part = exported(*words)
        if first is None:  # rows have nanoseconds, what is asked for milliseconds
            equal(f"{words}: that time", {r["at"] for r in part} <= {mid["at"]}, True)
            continue
        equal(f"{words}", [r["n"] for r in part], list(range(first, end + 1)))
        if part:
            seals.check(part, key, rows=True)
            said = ctl(c, "audit", "verify", out, "--key", key)
            if not said.startswith(f"whole: records {first} to {end}") or ("is not here" in said) != (first > 1):
                fail(f"{words}: {said}")
    exported()
    with open(out, encoding="utf-8") as f:
        lines = f.readlines()
    for what, text, want in (("a line less", lines[:5] + lines[6:], "are missing"), ("a byte", lines[:5] + [lines[5].replace('"actor":"', '"actor":"x')] + lines[6:], "does not fit"),
                             ("a cut line", lines[:-1] + [lines[-1][:-5]], "the line is cut"), ("the end", lines[:-1], None), ("nothing", [], "no record of a chain")):
        with open(out, "w", encoding="utf-8") as f:
            f.writelines(text)
        found = ctl(c, "audit", "verify", out, "--key", key, status=1 if want else 0)
        if want and want not in found:
            fail(f"{what}: {found}")
    equal("nothing, as often as it is asked", {c.want(200, "GET", f"/audit/export?since={last + 100}").data for _ in range(20)}, {b""})
    c.want(400, "GET", "/audit/export?since=x", reason="param_invalid")
    c.want(400, "GET", "/audit/export?until=-1", reason="param_invalid")
    c.want(403, "GET", "/audit/export", token=c.make_token("operator"), reason="forbidden")
    ctl(c, "audit", "export", "--out", os.path.join(c.dir, "none", "x"), status=1)
    ctl(c, "audit", "export", "--out", status=2)
    equal("no other files are left", [f for f in os.listdir(c.dir) if f.endswith(".part")], [])


def by_hand(c, rows, key, kept):
    """Somebody with the database and without the key."""
    db = sqlite3.connect(os.path.join(c.dir, "store.db"), timeout=30, isolation_level=None)
    mid = [r["n"] for r in rows if r.get("diff")][3]
    last = c.want(200, "GET", "/audit/key").json()["chain_n"]
    seal = [r["n"] for r in rows if "seal" in r and r["n"] > 3][-1]
    more = dict(rows_of(c)[-1], n=last + 1)
    before = bytes.fromhex(more["chain"])
    del more["seal"], more["signature"]
    cases = [
        ("a row more that fits", ["INSERT INTO rest_audit SELECT n + 1, at, actor, source, operation, path, request_id, outcome, seq, diff, "
                                  f"'{seals.link(before, more).hex()}', NULL, NULL, count FROM rest_audit WHERE n = {last}"],
         f"row {last + 1}: record {last + 1} is not signed"),
        ("a byte", [f"UPDATE rest_audit SET actor = actor || 'x' WHERE n = {mid}"], f"row {mid}: record {mid} does not fit"),
        ("a diff", [f"UPDATE rest_audit SET diff = '[]' WHERE n = {mid}"], f"row {mid}: record {mid} does not fit"),
        ("no JSON", [f"UPDATE rest_audit SET diff = 'x' WHERE n = {mid}"], f"row {mid}: "),
        ("a row less", [f"DELETE FROM rest_audit WHERE n = {mid}"], f"row {mid + 1}: records {mid} to {mid} are missing"),
        ("two rows in each other's place", [f"UPDATE rest_audit SET n = -1 WHERE n = {mid}", f"UPDATE rest_audit SET n = {mid} WHERE n = {mid + 1}",
                                            f"UPDATE rest_audit SET n = {mid + 1} WHERE n = -1"], f"row {mid}: the seal continues another record"),
        ("a chain less", [f"UPDATE rest_audit SET chain = NULL WHERE n = {mid}"], f"row {mid}: record {mid} has no chain"),
        ("a row more", ["INSERT INTO rest_audit(at, actor, source, operation, path, request_id, outcome, diff) VALUES(1, 'a', '-', 'x', '-', '-', 'done', '[]')"],
         f"row {last + 1}: record {last + 1} has no chain"),
        ("a signature", [f"UPDATE rest_audit SET signature = NULL WHERE n = {seal}"], f"row {seal}: the seal has no signature"),
        ("a checkpoint less", [f"DELETE FROM rest_audit WHERE n = {seal}"], f"records {seal} to {seal} are missing"),
        ("the front", [f"DELETE FROM rest_audit WHERE n < {seal}"], f"row {seal}: records before {seal} are missing"),
        ("the end, with what was kept", [f"DELETE FROM rest_audit WHERE n > {seal - 1}"], "the end is missing: a checkpoint of record"),
    ]
    for what, sql, want in cases:
        db.execute("CREATE TEMP TABLE was AS SELECT * FROM rest_audit")
        for text in sql:
            db.execute(text)
        found = ctl(c, "audit", "verify", "--key", key, "--kept", kept, status=1)
        if want not in found:
            fail(f"{what}: wanted {want!r}, found {found!r}")
        if "kept" not in what:
            try:
                seals.check(rows_of(c), key, rows=True)
                if what != "the front":
                    fail(f"{what}: the second verifier finds nothing")
            except (seals.Broken, KeyError):
                pass
        db.execute("BEGIN")
        db.execute("DELETE FROM rest_audit")
        db.execute("INSERT INTO rest_audit SELECT * FROM was")
        db.execute("UPDATE sqlite_sequence SET seq = (SELECT max(n) FROM rest_audit) WHERE name = 'rest_audit'")
        db.execute("COMMIT")
        db.execute("DROP TABLE was")
    db.close()
    ctl(c, "audit", "verify", "--key", key, "--kept", kept)


def settings(c):
    step("settings: known ones only, in their range")
    a = c.want(422, "PUT", "/settings/flow_dayz", {"value": 30}, reason="setting_unknown")
    for name in ("flow_days", "session_days", "session_idle_s", "log_days", "log_rows", "separate_interfaces"):
        if name not in a.data.decode():
            fail(f"the answer does not name {name}: {a.data}")
    c.want(422, "PUT", "/settings/flow_days", {"value": "30"}, reason="setting_type")
    c.want(422, "PUT", "/settings/flow_days", {"value": 0}, reason="setting_range")
    c.want(422, "PUT", "/settings/session_idle_s", {"value": 59}, reason="setting_range")
    c.want(422, "PUT", "/settings/separate_interfaces", {"value": 1}, reason="setting_type")
    step("settings: all are listed, whether they are set or not")
    path = "/settings/log_days"
    defaults = {"flow_days": 30, "log_days": 7, "log_rows": 100000, "separate_interfaces": False, "session_days": 400, "session_idle_s": 600}
    def listed():
        return {x["name"]: x for x in c.want(200, "GET", "/settings").json()["items"]}
    unset = {"name": "log_days", "rev": 0, "value": 7, "default": 7, "set": False}
    for n in c.want(200, "GET", "/settings").json()["items"]:
        if n["name"] in defaults and n["set"]:
            c.want(204, "DELETE", "/settings/" + n["name"])
    equal("by default", {k: (x["value"], x["default"], x["set"]) for k, x in listed().items() if k in defaults}, {k: (v, v, False) for k, v in defaults.items()})
    a = c.want(200, "GET", path)
    equal("not set", (a.json(), listed()["log_days"], a.headers["ETag"]), (unset, unset, None))
    c.want(404, "GET", "/settings/flow_dayz", reason="not_found")
    c.want(404, "DELETE", path, reason="not_found")
    c.want(404, "PUT", path, {"value": 14}, reason="not_found", headers={"If-Match": "*"})
    a = c.want(201, "PUT", path, {"value": 14}, headers={"If-None-Match": "*"})
    row = {**unset, "value": 14, "set": True, "rev": int(a.etag.strip('"'))}
    equal("set", (a.json(), c.want(200, "GET", path).json(), listed()["log_days"]), (row, row, row))
    back = {k: v for k, v in row.items() if k not in ("name", "rev")}
    equal("put back as it was answered", c.want(200, "PUT", path, back, headers={"If-Match": a.etag}).json(), row)
    c.want(422, "PUT", path, {**back, "set": 1}, reason="field_type")
    c.want(201, "PUT", "/settings/separate_interfaces", {"value": True})
    equal("true", [listed()["separate_interfaces"][k] for k in ("value", "default", "set")], [True, False, True])
    with sqlite3.connect(os.path.join(c.dir, "store.db")) as db:
        stored = dict(db.execute("SELECT id, rev FROM object WHERE kind = 'setting'"))
    whole = list(listed())
    equal("each once, in order", whole, sorted({*defaults, *stored}))
    equal("revisions", {k: x["rev"] for k, x in listed().items() if x["rev"]}, stored)
    for limit in range(1, len(whole) + 2):
        names, after = [], ""
        while after is not None:
            a = c.want(200, "GET", f"/settings?limit={limit}{after}").json()
            names += [x["name"] for x in a["items"]]
            after = "&after=" + a["next"] if "next" in a else None
            equal("size of a page", len(a["items"]) == limit or after is None, True)
        equal(f"pages of {limit}", names, whole)
    for at, name in enumerate(whole):
        equal(f"after {name}", [x["name"] for x in c.want(200, "GET", f"/settings?after={name}").json()["items"]], whole[at + 1:])
    equal("after a name that is none", [x["name"] for x in c.want(200, "GET", "/settings?after=log_e").json()["items"]], [x for x in whole if x > "log_e"])
    for name in ("log_days", "separate_interfaces"):
        c.want(204, "DELETE", "/settings/" + name)
    equal("back to the default", c.want(200, "GET", path).json(), unset)


def certificates(c):
    step("client certificates by --allow-cert")
    d = c.dir
    for kind, n in (("operator", "dora"), ("operator", "eve"), ("gateway", "gw-a"), ("gateway", "dora")):
        out = os.path.join(d, f"{kind}-{n}")
        subprocess.run([restlib.SLUICECTL, "ca", "issue", os.path.join(d, "ca"), "--kind", kind, "--name", n, "--out", out], check=True, capture_output=True)
    def tls(n):
        return c.context(os.path.join(d, n + ".pem"), os.path.join(d, n + ".key"))
    equal("dora", c.want(200, "GET", "/auth/me", token=None, tls=tls("operator-dora")).json(), {"principal": "cert:dora", "roles": ["operator"], "bound": "dora"})
    c.want(401, "GET", "/auth/me", token=None, tls=tls("operator-eve"), reason="cert_refused")
    equal("a gateway of that name", c.want(200, "GET", "/auth/me", token=None, tls=tls("gateway-dora")).json(), {"principal": "cert:gateway/dora", "roles": ["gateway"], "bound": "dora"})
    equal("gateways of gw-a", [x["name"] for x in c.want(200, "GET", "/gateways", token=None, tls=tls("gateway-gw-a")).json()["items"]], ["gw-a"])
    with open(os.path.join(d, "ca", "issued.jsonl"), encoding="utf-8") as f:
        serial = [x["serial"] for x in map(json.loads, f) if x["name"] == "gw-a"][0].lower()
    a = c.want(200, "POST", "/gateways/gw-a/decommission", {"certificates": [serial], "reason": "stolen"}).json()
    equal("taken out", (a["certificates"], a["interfaces"]), (1, 1))
    c.want(401, "GET", "/gateways", token=None, tls=tls("gateway-gw-a"), reason="cert_refused")
    other = os.path.join(d, "other")
    subprocess.run([restlib.SLUICECTL, "ca", "init", other], check=True, capture_output=True)
    subprocess.run([restlib.SLUICECTL, "ca", "issue", other, "--kind", "operator", "--name", "dora", "--out", os.path.join(d, "foreign")], check=True, capture_output=True)
    try:
        c.call("GET", "/auth/me", token=None, tls=tls("foreign"))
        fail("a certificate of another authority was taken")
    except (ssl.SSLError, ConnectionError, OSError):
        pass


def main():
    c = restlib.Control(restlib.Page())
    try:
        c.init()
        c.start("--allow-cert", "dora=operator", "--public-url", "https://control.example.net:7443")
        furnish(c)
        for part in (scoping, conditions, keys_and_dry_runs, pages, problems, policy, tokens, allocations, audit, chain, limits, matrix, settings, certificates):
            part(c)
        step("it ends cleanly")
        equal("status", c.stop(), 0)
        step("and the audit is signed to its end")
        whole = json.loads(subprocess.run([restlib.CONTROL, "audit", "verify", "--json", "--state-dir", c.dir], capture_output=True, text=True, check=True).stdout)
        equal("rows after the last seal", (whole["ok"], whole["vouched"], whole["unsigned"]), (True, True, 0))
        step("logins that were refused are in it: a row for a source and a minute")
        with sqlite3.connect(os.path.join(c.dir, "store.db")) as db:
            rows = db.execute("SELECT actor, source, outcome, count, signature IS NULL FROM rest_audit WHERE operation = 'login'").fetchall()
        equal("rows of one source", {r[:3] + r[4:] for r in rows}, {("-", "127.0.0.1", "refused", 0)})
        at_least = len([line for line in open(c.log, encoding="utf-8", errors="replace") if "login from 127.0.0.1 refused" in line])
        equal("two tokens at least", at_least >= 2, True)
        equal("they stand for as many as the log, and two certificates", sum(r[3] for r in rows), at_least + 2)
        equal("few of them", len(rows) <= 4, True)
    except BaseException:
        if os.path.exists(c.log):
            sys.stdout.write(open(c.log, encoding="utf-8", errors="replace").read()[-1500:])
        raise
    finally:
        c.clean()


main()
