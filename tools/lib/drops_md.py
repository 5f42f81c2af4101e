# SPDX-License-Identifier: BSD-3-Clause
"""The reference page of drop reasons, from the one list in lib/base/sl_drop.h."""

import re

text = open("lib/base/sl_drop.h", encoding="utf-8").read()
print("# Drop reasons\n")
print("Every packet that ends in the gateway ends under one of these reasons: `sluicectl drops`, `show drops` in the")
print("console, `drops.get` over JSON-RPC. This page is generated from `lib/base/sl_drop.h` by `tools/gen-docs`.\n")
print("| reason | meaning |\n|---|---|")
body = text[text.index("#define SL_DROP_LIST"):text.index("enum sl_drop {")]
for part in re.split(r"/\* (.*?) \*/", body):
    for name, why in re.findall(r'X\(\w+,\s*"(\w+)",\s*"([^"]+)"\)', part):
        if name != "none":
            print(f"| `{name}` | {why} |")
