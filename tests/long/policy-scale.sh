#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 600
# 10,000 prefixes with 320, 3,200 and 32,000 rules: how long a load takes to compile, and the time from the call to the first
# packet that the new policy lets through, and to the last one that the next policy cuts. Numbers are printed; what fails is a
# load that does not come into force.
. "$(dirname "$0")/../smoke/lib.sh"
BEAT="/usr/bin/python3 -u $SMOKE/beat.py"

lab_start
lab_keys alice
lab_config "$(lab_peer alice 2)" 'policy = { rules_per_role = 64; };'
lab_gateway
lab_client alice 2
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "enforce"
background in_server $BEAT hear 10.20.0.10 7000 "$LAB_DIR/arrivals"
background in_client alice $BEAT send 10.20.0.10 7000 500
version=1
# load ROLES RULES allow|deny: prints "NS ANSWER"
load() {
	/usr/bin/python3 "$SMOKE/policy_gen.py" "$1" "$2" 10000 alice "$3" $((version++)) >"$LAB_DIR/policy.json"
	$BEAT load "$LAB_RUN/mgmt.sock" "$LAB_DIR/policy.json" >"$LAB_DIR/answer" || fail "policy.load: $(cat "$LAB_DIR/answer")"
}
echo "   rules  compile ms  publish ms  first packet under it ms  last packet cut ms"
for size in 10:32 100:32 500:64; do
	load "${size%:*}" "${size#*:}" allow
	sleep 1
	in=$($BEAT first "$LAB_DIR/arrivals" "$(cut -d' ' -f1 "$LAB_DIR/answer")")
	[ "$in" != none ] || fail "$size: nothing passes under the policy that allows it"
	timing=$(cut -d' ' -f2- "$LAB_DIR/answer" | jq -r '"\(.compile_ms | round)  \(.publish_ms | round)"')
	load "${size%:*}" "${size#*:}" deny
	sleep 1
	out=$($BEAT last "$LAB_DIR/arrivals" "$(cut -d' ' -f1 "$LAB_DIR/answer")")
	printf '   %6d  %s  %s  %s\n' $((${size%:*} * ${size#*:})) "$timing" "$in" "$out"
	at_most "ms to the cut, whole" "${out%.*}" 20000
done
echo "   $(rpc policy.status | jq -c '{entries_v4, tables_bytes, limits}')"
