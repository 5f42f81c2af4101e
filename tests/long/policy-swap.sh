#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 500
# 1,000 swaps of the policy under full load: TCP at full speed and pings in enforce, every version of the policy allows them.
# Nothing may be lost to a swap: no packet denied, no ping lost.
. "$(dirname "$0")/../smoke/lib.sh"
SWAPS=${SWAPS:-1000}

smoke_start alice bob
for v in 1 2; do /usr/bin/python3 "$SMOKE/policy_gen.py" 3 32 100 alice allow $v |
	jq '.roles.tester.members += ["peer:bob"]' >"$LAB_DIR/policy$v.json"; done
lab_ctl policy load "$LAB_DIR/policy1.json" >/dev/null || fail "policy load"
reach alice 10.20.0.10
reach bob 10.20.0.10
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "enforce"
in_client alice timeout 450 iperf3 -c 10.20.0.10 -t 400 --forceflush >"$LAB_DIR/iperf" 2>&1 </dev/null &
IPERF=$!
LAB_PIDS+=("$IPERF")
sleep 1
ping_start bob 10.20.0.10
start=$(now_ms)
for ((i = 0; i < SWAPS; i++)); do
	lab_ctl policy load "$LAB_DIR/policy$((i % 2 + 1)).json" >"$LAB_DIR/out" 2>&1 || fail "load $i: $(cat "$LAB_DIR/out")"
done
took=$(($(now_ms) - start))
kill -0 "$IPERF" 2>/dev/null || fail "the transfer ended: $(tail -n 3 "$LAB_DIR/iperf")"
ping_end bob
stop_pid "$IPERF"
no_drops denied no_role
no_fatal_drops
seconds=$(grep -c 'bits/sec' "$LAB_DIR/iperf")
at_least "seconds of TCP beside the swaps" "$seconds" $((took / 2000))
echo "   $SWAPS swaps in $took ms, generation $(rpc policy.status | jq .generation); $seconds seconds of TCP beside them"
