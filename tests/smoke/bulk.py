# SPDX-License-Identifier: BSD-3-Clause
"""A receiver of Elasticsearch's _bulk: bulk.py PORT OUTPUT MODE_FILE. MODE_FILE holds take, slow (1.5 s a request) or busy
(429). What is taken is appended to OUTPUT, each id once."""

import http.server
import json
import sys
import time

port, output, mode_file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
try:
    with open(output, encoding="utf-8") as f:
        seen = {json.loads(line)["event"]["id"] for line in f}
except FileNotFoundError:
    seen = set()


class Bulk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        with open(mode_file, encoding="utf-8") as f:
            mode = f.read().strip()
        if mode == "busy":
            self.answer(429, {"error": "busy"})
            return
        if mode == "slow":
            time.sleep(1.5)
        items = []
        with open(output, "a", encoding="utf-8") as out:
            for action, doc in zip(lines[::2], lines[1::2]):
                key = json.loads(action)["create"]["_id"]
                assert json.loads(doc)["event"]["id"] == key
                items.append({"create": {"status": 409 if key in seen else 201}})
                if key not in seen:
                    seen.add(key)
                    out.write(doc.decode() + "\n")
        self.answer(200, {"errors": any(i["create"]["status"] != 201 for i in items), "items": items})

    def log_message(self, *args):
        pass


http.server.HTTPServer(("127.0.0.1", port), Bulk).serve_forever()
