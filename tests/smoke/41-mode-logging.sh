#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# observe and enforce, logging on and off: all four combinations and the ways between them, under traffic, with what the audit
# file says of it. No record names a client's outer address.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
AUDIT=$LAB_DIR/audit.json
lab_config "$(peers_text alice bob)" "control = { tcp = \"127.0.0.1:5190\"; insecure_tcp = true; };
	audit = { sinks = ( { type = \"file\"; name = \"main\"; path = \"$AUDIT\"; flush_ms = 100; } ); };"
lab_gateway
lab_client alice 2
lab_client bob 3
cat >"$LAB_DIR/policy.json" <<-'EOF'
	{ "version": 1, "roles": { "engineer": { "id": 3, "members": ["peer:alice"] } },
	  "rules": [ { "id": 1, "role": "engineer", "to": ["10.20.0.10/32"], "protocol": "icmp", "action": "allow", "log": true } ] }
EOF
lab_ctl policy load "$LAB_DIR/policy.json" >/dev/null || fail "policy load"
reach alice 10.20.0.10
reach bob 10.20.0.10
mode() { rpc authz.mode.set "{\"default\":\"$1\",\"force\":true}" >/dev/null || fail "mode $1"; }
logging() { rpc log.enabled.set "{\"enabled\":$1}" >/dev/null || fail "logging $1"; }
# records ACTION PEER SINCE: how many lines since line SINCE.
records() { tail -n +$(($3 + 1)) "$AUDIT" | jq -c "select(.event.action == \"$1\" and .sluice.peer.name == \"$2\")" | wc -l; }
lines() { wc -l <"$AUDIT"; }
settle() { sleep 0.7; }
# wait_record ACTION PEER SINCE
some() { [ "$(records "$@")" -gt 0 ]; }

for m in observe enforce observe; do
	for l in true false; do
		step "$m, logging $l"
		mode $m
		logging $l
		settle
		from=$(lines)
		ping_all alice 10.20.0.10 3
		if [ $m = observe ]; then ping_all bob 10.20.0.10 3; else ping_none bob 10.20.0.10 2; fi
		if [ $m = observe ]; then what=policy-would-deny; else what=policy-deny; fi
		if [ $l = true ]; then
			lab_wait 5 some policy-allow alice "$from" || fail "no record of what alice may"
			lab_wait 5 some $what bob "$from" || fail "no record $what of bob"
		else
			settle
			equal "records of alice" "$(records policy-allow alice "$from")" 0
			equal "records of bob" "$(records $what bob "$from")" 0
		fi
	done
done
step "each switch stands in the audit file, with what was and what is"
logging true
settle
at_least "mode changes" "$(jq -c 'select(.event.action == "authz-mode-set")' "$AUDIT" | wc -l)" 2
at_least "logging changes" "$(jq -c 'select(.event.action == "logging-set")' "$AUDIT" | wc -l)" 5
step "no outer address, no key"
grep -q '198\.18\.5\.1[0-9]' "$AUDIT" && fail "an outer address of a client is in the audit file"
grep -qF "$(cat "$LAB_DIR/gateway.key")" "$AUDIT" && fail "a private key is in the audit file"
jq -e . "$AUDIT" >/dev/null || fail "the audit file holds something that is no JSON"
step "both are local: refused over TCP, told in the audit file"
for call in 'authz.mode.set {"default":"observe"}' 'log.enabled.set {"enabled":false}'; do
	# shellcheck disable=SC2086
	error=$(in_gateway_rpc $call 2>&1) && fail "${call%% *} works over TCP"
	equal "reason" "$(jq -r .data.reason <<<"$error")" local_only_setting
done
refused() { [ "$(grep -c local_only_setting "$AUDIT")" -ge 2 ]; }
lab_wait 5 refused || fail "the audit file does not tell of the refusals"
no_fatal_drops
