# SPDX-License-Identifier: BSD-3-Clause
"""A big policy document on standard output: ROLES roles of RULES rules each, PREFIXES prefix members spread over them, and one
role "tester" of the peer named, which alone decides about 10.20.0.10.

    policy_gen.py ROLES RULES PREFIXES PEER allow|deny VERSION
"""
import json
import random
import sys

roles, rules, prefixes = (int(a) for a in sys.argv[1:4])
peer, action, version = sys.argv[4], sys.argv[5], int(sys.argv[6])
rnd = random.Random(7)

doc = {
    "version": version,
    "zones": {"servers": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16"], "default_policy": "deny"}},
    "targets": {"db": {"addresses": ["10.20.0.10/32"]}},
    "roles": {}, "rules": [],
}
for r in range(roles - 1):
    members = [f"10.{100 + i // 65536 % 100}.{i // 256 % 256}.{i % 256}/32@*" for i in range(r, prefixes, roles - 1)]
    doc["roles"][f"role{r}"] = {"id": r + 2, "members": members}
    for k in range(rules):
        port = rnd.randrange(1, 60000)
        doc["rules"].append({
            "id": k + 1, "role": f"role{r}", "to": [f"10.20.{rnd.randrange(1, 250)}.{rnd.randrange(256)}/32"], "protocol": rnd.choice(["tcp", "udp"]),
            "ports": [port, f"{port + 1}-{port + rnd.randrange(1, 5000)}"][:rnd.randrange(1, 3)], "action": rnd.choice(["allow", "deny"]),
            "priority": rnd.randrange(256)})
doc["roles"]["tester"] = {"id": 1, "members": [f"peer:{peer}"]}
doc["rules"].append({"id": 1, "role": "tester", "to": ["db"], "protocol": "any", "action": action})
json.dump(doc, sys.stdout)
