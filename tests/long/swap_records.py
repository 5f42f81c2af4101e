# SPDX-License-Identifier: BSD-3-Clause
"""Was each record made by one policy alone? Two versions take turns whose every rule differs; a record's generation says
which one it must belong to: the verdict, the rule and its order must be those of that version.

    swap_records.py AUDIT.json GENERATIONS

GENERATIONS has lines "GENERATION VERSION" of the loads, as their answers told. Prints what was compared; exits 1 at a mixture.
A record may wait while more policies are loaded (repeated denials of a flow are counted for a while): it has its rule's name all the same.
"""
import collections
import json
import sys

# version -> destination port -> verdict and rule
WANT = {
    1: {7000: ("policy-allow", "swapper/11"), 7001: ("policy-deny", "swapper/12")},
    2: {7000: ("policy-deny", "swapper/22"), 7001: ("policy-allow", "swapper/21")},
}


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        version = dict(tuple(map(int, line.split())) for line in f)
    seen, generations, wrong = collections.Counter(), set(), []
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            action = r["event"]["action"]
            port = r.get("destination", {}).get("port")
            if port not in (7000, 7001) or action not in ("policy-allow", "policy-deny"):
                continue
            generation = r["sluice"]["policy"]["generation"]
            made = action, r.get("rule", {}).get("name")
            seen[version.get(generation)] += 1
            generations.add(generation)
            if generation not in version or WANT[version[generation]][port] != made:
                wrong.append((generation, version.get(generation), port, made))
    print(f"   {sum(seen.values())} records of {len(generations)} generations, {dict(seen)} by version, {len(wrong)} of a mixture")
    if wrong or min(seen[1], seen[2]) < 100 or len(generations) < len(version) // 2:
        sys.exit(f"wrong: {wrong[:5]}")


main()
