#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# Metrics of 100,000 peers and 5,000 rules, with all the series there are: however long an answer takes, it holds control's event
# loop up for less than 5 ms at a stretch.
. "$(dirname "$0")/../smoke/lib.sh"

lab_start
lab_config "" 'metrics = { peer_names = true; peer_limit = 20000; compat = "mindflavor"; }; policy = { rules_per_role = 64; };'
lab_gateway
PEERS=${PEERS:-100000}
/usr/bin/python3 - "$LAB_RUN/mgmt.sock" "$LAB_ID" "$PEERS" <<'PY' || fail "peers"
import base64, hashlib, json, socket, sys

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile()
for begin in range(0, int(sys.argv[3]), 100):
    calls = [{"jsonrpc": "2.0", "id": n, "method": "peer.add", "params": {
        "interface": sys.argv[2], "name": f"peer-{n}", "public_key": base64.b64encode(hashlib.sha256(str(n).encode()).digest()).decode(),
        "allowed_ips": [f"172.{16 + n // 65536}.{n // 256 % 256}.{n % 256}/32"]}} for n in range(begin, begin + 100)]
    s.sendall((json.dumps(calls) + "\n").encode())
    bad = [a for a in json.loads(f.readline()) if "error" in a]
    if bad:
        sys.exit(f"peer.add: {bad[0]}")
PY
/usr/bin/python3 "$SMOKE/policy_gen.py" 100 50 10000 peer-0 allow 1 >"$LAB_DIR/policy.json"
lab_ctl policy load "$LAB_DIR/policy.json" >"$LAB_DIR/out" 2>&1 || fail "policy: $(cat "$LAB_DIR/out")"
sleep 3
get() { ip netns exec "$GW" curl -sS -m 60 -o "$LAB_DIR/$1" -w '%{time_total} s, %{size_download} bytes' http://127.0.0.1:9586/metrics || fail "no metrics"; }
# long FILE: turns of the loop that took more than 5 ms
long() { awk '$1 == "sluice_loop_turn_seconds_count" {n = $2} $1 == "sluice_loop_turn_seconds_bucket{le=\"0.005\"}" {n5 = $2} END {print n - n5}' "$LAB_DIR/$1"; }
get before >/dev/null
for i in 1 2 3 4 5; do
	sleep 1.5
	echo "   $(get after)"
done
grep '^sluice_loop_turn_longest' "$LAB_DIR/after"
echo "   turns above 5 ms: $(long before) before, $(long after) after"
equal "series of peers" "$(grep -c '^sluice_peer_info{' "$LAB_DIR/after")" 20000
equal "omitted" "$(awk '$1 == "sluice_metrics_peers_omitted" {print $2}' "$LAB_DIR/after")" $((PEERS - 20000))
at_least "series of rules" "$(grep -c '^sluice_rule_matches_total{' "$LAB_DIR/after")" 4900
equal "turns above 5 ms" "$(long after)" "$(long before)"
