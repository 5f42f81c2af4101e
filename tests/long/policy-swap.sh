#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 500
# 1,000 swaps of the policy under full load: TCP at full speed and pings in enforce, every version of the policy allows them.
# Nothing may be lost to a swap: no packet denied, no ping lost. Beside them new flows that each version judges the other way
# round, by rules of other numbers in another order: no record may be a mixture of two versions.
. "$(dirname "$0")/../smoke/lib.sh"
SWAPS=${SWAPS:-1000}

lab_start
lab_keys alice bob carol
lab_config "$(peers_text alice bob carol)" "audit = { sinks = ( { type = \"file\"; name = \"file\"; path = \"$LAB_DIR/audit.json\"; rotate_mb = 0; } ); };"
lab_gateway
for c in alice:2 bob:3 carol:4; do lab_client ${c%:*} ${c#*:}; done
iperf_server
rule() { echo "{\"id\":$1,\"role\":\"swapper\",\"to\":[\"10.20.0.10\"],\"protocol\":\"udp\",\"ports\":[$2],\"action\":\"$3\"}"; }
rules1="[$(rule 11 7000 allow), $(rule 12 7001 deny)]"
rules2="[$(rule 21 7001 allow), $(rule 22 7000 deny)]"
for v in 1 2; do
	r=rules$v
	/usr/bin/python3 "$SMOKE/policy_gen.py" 3 32 100 alice allow $v |
		jq --argjson r "${!r}" '.roles.tester.members += ["peer:bob"] | .roles.swapper = {"id": 90, "members": ["peer:carol"]} | .rules = $r + .rules' >"$LAB_DIR/policy$v.json"
done
# swap VERSION: and note which generation it became.
swap() {
	rpc policy.load "{\"file\":\"$LAB_DIR/policy$1.json\"}" >"$LAB_DIR/out" 2>&1 || fail "load: $(cat "$LAB_DIR/out")"
	jq -r '"\(.generation) \(.version)"' "$LAB_DIR/out" >>"$LAB_DIR/generations"
}
swap 1
reach alice 10.20.0.10
reach bob 10.20.0.10
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "enforce"
in_client alice timeout 450 iperf3 -c 10.20.0.10 -t 400 --forceflush >"$LAB_DIR/iperf" 2>&1 </dev/null &
IPERF=$!
LAB_PIDS+=("$IPERF")
sleep 1
ping_start bob 10.20.0.10
# a flow each, 300 a second: the rate of a role's records is not reached
background ip netns exec "$LAB_ID-carol" /usr/bin/python3 -c '
import socket, time
while True:
    for port in 7000, 7001:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", ("10.20.0.10", port))
        time.sleep(0.0033)'
SENDER=$LAB_LAST
start=$(now_ms)
for ((i = 0; i < SWAPS; i++)); do swap $((i % 2 + 1)); done
took=$(($(now_ms) - start))
kill -0 "$IPERF" 2>/dev/null || fail "the transfer ended: $(tail -n 3 "$LAB_DIR/iperf")"
ping_end bob
stop_pid "$IPERF"
stop_pid "$SENDER"
no_drops no_role
lab_gateway_stop
denied=$(jq -r 'select(.event.action == "policy-deny" and .sluice.peer.name != "carol") | .event.id' "$LAB_DIR/audit.json" | wc -l)
equal "denied packets of alice and bob" "$denied" 0
/usr/bin/python3 "$(dirname "$0")/swap_records.py" "$LAB_DIR/audit.json" "$LAB_DIR/generations" || fail "records of two policies at once"
seconds=$(grep -c 'bits/sec' "$LAB_DIR/iperf")
at_least "seconds of TCP beside the swaps" "$seconds" $((took / 2000))
echo "   $SWAPS swaps in $took ms, generation $(tail -n 1 "$LAB_DIR/generations" | cut -d' ' -f1); $seconds seconds of TCP beside them"
