# SPDX-License-Identifier: BSD-3-Clause
"""What a control plane's state must be, told without its code: objects, whom they go to, sums of hashes."""

import base64
import hashlib
import json

STORES, GATEWAYS = object(), object()
SCOPES = {"provider": GATEWAYS, "crl": GATEWAYS, "target": GATEWAYS, "setting": STORES, "pool": STORES, "migration": STORES}


def canon(body):
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def object_hash(kind, name, body):
    h = hashlib.blake2b(digest_size=32)
    for part in (kind.encode(), name.encode(), canon(body)):
        h.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(h.digest(), "little")


def sum_text(total):
    return "b2b:" + (total % 2**256).to_bytes(32, "little").hex()


class Model:
    """Objects with their hashes; `sums()` of every scope. `older` gateways read schema 1."""

    def __init__(self, gateways, older=()):
        self.objects, self.gateways, self.older = {}, gateways, older

    def copy(self):
        m = Model(self.gateways, self.older)
        m.objects = dict(self.objects)
        return m

    def apply(self, ops):
        for op in ops:
            key = (op["kind"], op["id"])
            if "obj" in op:
                self.objects[key] = (op["obj"], object_hash(*key, op["obj"]))
            else:
                del self.objects[key]
            if op["kind"] == "migration":
                self.mark(op["id"].partition(":")[2], op["obj"]["state"] == "vpn")

    def mark(self, target, withdrawn):
        """A target says what the ledger says of it."""
        body = {k: v for k, v in self.objects["target", target][0].items() if k != "withdrawn"}
        body |= {"withdrawn": True} if withdrawn else {}
        self.objects["target", target] = (body, object_hash("target", target, body))

    def goes_to(self, gateway, kind, name, body):
        if kind == "gateway":
            return name == gateway
        if kind == "gateway_interface":
            return body["gateway"] == gateway
        record = self.objects.get(("gateway", gateway), (None,))[0]
        if record is None or record.get("enabled") is False or SCOPES.get(kind) is STORES:
            return False
        if SCOPES.get(kind) is GATEWAYS:
            return True
        return (name if kind == "interface" else body["interface"]) in record["interfaces"]

    def hash_for(self, gateway, key, value):
        """Of the form that it is sent: schema 1 has no `withdrawn`."""
        if gateway not in self.older or "withdrawn" not in value[0]:
            return value[1]
        return object_hash(*key, {k: v for k, v in value[0].items() if k != "withdrawn"})

    def sums(self):
        out = {"all": sum_text(sum(h for _, h in self.objects.values()))}
        for g in self.gateways:
            out[g] = sum_text(sum(self.hash_for(g, *item) for item in self.objects.items() if self.goes_to(g, *item[0], item[1][0])))
        return out


class Changes:
    """Random transactions that a store takes."""

    INTERFACES = ["wg0", "wg1", "wg2"]
    TARGETS = ["db", "web"]

    def __init__(self, rng, gateways, peers=80):
        self.rng, self.gateways, self.peers = rng, gateways, peers

    def begin(self):
        ops = [{"kind": "interface", "id": i, "obj": {"listen_port": 51820 + n}} for n, i in enumerate(self.INTERFACES)]
        ops += [{"kind": "target", "id": t, "obj": {"addresses": [f"10.20.0.{n}/32"]}} for n, t in enumerate(self.TARGETS)]
        return ops + [self.gateway(g) for g in self.gateways]

    @staticmethod
    def peer_of(n, interface, keepalive=0):
        key = base64.b64encode(bytes([0x40, n % 256, n // 256 % 256, n // 65536] + [7] * 28)).decode()
        return {"kind": "peer", "id": f"p-{n}", "obj": {"interface": interface, "public_key": key, "keepalive_s": keepalive,
                "allowed_ips": [f"10.{64 + n // 65536}.{n // 256 % 256}.{n % 256}/32"]}}

    def peer(self, n):
        return self.peer_of(n, self.rng.choice(self.INTERFACES), self.rng.randrange(100))

    def gateway(self, name):
        chosen = [i for i in self.INTERFACES if self.rng.random() < 0.6]
        return {"kind": "gateway", "id": name, "obj": {"interfaces": chosen, "enabled": self.rng.random() < 0.9}}

    def one(self, model):
        r = self.rng.random()
        if r < 0.50:
            return self.peer(self.rng.randrange(self.peers))
        if r < 0.80:
            there = [n for k, n in model.objects if k == "peer"]
            return {"kind": "peer", "id": self.rng.choice(there)} if there else self.peer(1)
        if r < 0.88:
            return self.gateway(self.rng.choice(self.gateways))
        if r < 0.92:
            return {"kind": "provider", "id": "corp", "obj": {"state": self.rng.choice(["up", "down"])}}
        if r < 0.94:
            return {"kind": "migration", "id": "target:" + self.rng.choice(self.TARGETS),
                    "obj": {"state": self.rng.choice(["vpn", "pilot"]), "since": "2026-11-20T09:00:00Z"}}
        if r < 0.97:
            return {"kind": "setting", "id": f"s{self.rng.randrange(5)}", "obj": {"value": self.rng.randrange(1000)}}
        return {"kind": "crl", "id": f"cert:{self.rng.randrange(4096, 65536):04x}", "obj": {"reason": "Übung №1"}}

    def transaction(self, model):
        """Ops of which no two touch the same object."""
        if self.rng.random() < 0.03:  # larger than one part
            return [self.peer(n) for n in range(1000, 1000 + self.rng.randrange(300, 900))]
        ops = {}
        for _ in range(self.rng.choice([1, 1, 1, 2, 3, 6])):
            op = self.one(model)
            ops[op["kind"], op["id"]] = op
        return list(ops.values())
