# SPDX-License-Identifier: BSD-3-Clause
"""rest.py STATE_DIR TOKEN METHOD PATH [BODY]: one call to the REST API at 127.0.0.1:7443, If-Match with what is there."""

import http.client
import json
import os
import ssl
import sys

state, token, method, path = sys.argv[1:5]
body = sys.argv[5] if len(sys.argv) > 5 else None
tls = ssl.create_default_context(cafile=os.path.join(state, "tls", "ca.pem"))
head = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}


def call(m, data=None, **more):
    c = http.client.HTTPSConnection("127.0.0.1", 7443, context=tls, timeout=20)
    c.request(m, "/api/v1" + path, data, {**head, **more})
    r = c.getresponse()
    return r.status, r.headers, r.read()


if method in ("PUT", "PATCH", "DELETE"):
    status, headers, _ = call("GET")
    if status != 405:  # a part of an object, which is written alone
        head["If-Match" if status == 200 else "If-None-Match"] = headers["ETag"] if status == 200 else "*"
if method == "PATCH":
    head["Content-Type"] = "application/merge-patch+json"
status, headers, data = call(method, body)
sys.stdout.write(data.decode())
if status >= 400:
    sys.exit(f"{method} {path}: {status} {data.decode()[:400]}")
