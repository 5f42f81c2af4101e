# SPDX-License-Identifier: BSD-3-Clause
"""One JSON-RPC call, by a client that shares no code with the gateway: rpc.py SOCKET|HOST:PORT METHOD [PARAMS]."""

import json
import socket
import sys

address, method, params = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "{}"
if address.startswith("/"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(address)
else:
    host, port = address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), 10)
s.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": json.loads(params)}) + "\n").encode())
answer = json.loads(s.makefile().readline())
if "error" in answer:
    print(json.dumps(answer["error"]), file=sys.stderr)
    sys.exit(1)
print(json.dumps(answer["result"]))
