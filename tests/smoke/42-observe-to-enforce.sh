#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a security engineer does: observe, ask what policy would deny, let it suggest the missing rule, replay the candidate,
# load it, enforce, and see that traffic passes; then back to observe in one command.
. "$(dirname "$0")/lib.sh"

smoke_start alice bob
cat >"$LAB_DIR/policy.json" <<-'EOF'
	{ "version": 1,
	  "targets": { "db": { "addresses": ["10.20.0.10/32"] } },
	  "roles": { "engineer": { "id": 3, "members": ["peer:alice"] } },
	  "rules": [ { "id": 1, "role": "engineer", "to": ["db"], "protocol": "icmp", "action": "allow" } ] }
EOF
lab_ctl policy load "$LAB_DIR/policy.json" >/dev/null || fail "policy load"
step "observe: all passes, what policy would deny is kept"
ping_all alice 10.20.0.10 3
tcp_ok alice 10.20.0.10
tcp_ok bob 10.20.0.10
step "live flows: whose, what policy says of them, how much went by"
flows() { lab_ctl --json flow list "$@" | jq -c '.flows[]'; }
flows peer=alice target=db | jq -es 'any(.[]; .protocol == "icmp" and .verdict == "allow" and .rule == "engineer/1" and
	.packets >= 3 and .reply_packets >= 3 and .target == "db" and .from == "tunnel")' >/dev/null ||
	fail "alice's ping is not shown: $(flows)"
flows bob | jq -es 'any(.[]; .protocol == "tcp" and .verdict == "would_deny" and .why == "no_role" and .mode == "observe")' >/dev/null ||
	fail "bob's TCP is not shown: $(flows)"
lab_ctl flow list verdict=would_deny | grep -Eq 'bob +10\.[0-9.]+ +10\.20\.0\.10 ' || fail "no table: $(lab_ctl flow list)"
lab_ctl --wide flow list verdict=would_deny | grep -Eq 'bob +tunnel +10\.[0-9.]+ +[0-9]+ +10\.20\.0\.10 ' || fail "no wide table: $(lab_ctl --wide flow list)"
outer=$(peer_of bob endpoint)
{ flows; lab_ctl --wide flow list; } | grep -F "${outer%:*}" && fail "an outer address is shown"
before=$(flows | wc -l) count=$(lab_ctl --json flow count | jq .flows)
at_most "flows by their count" "$count" "$before" # none begins, some may end
at_least "flows by their count" "$count" "$(flows | wc -l)"
lab_ctl flow list carol >"$LAB_DIR/out" 2>&1 && fail "a peer that is not there"
grep -q peer_unknown "$LAB_DIR/out" || fail "the refusal does not say why: $(cat "$LAB_DIR/out")"
rows() { [ "$(rpc policy.would_deny '{"target":"db","window_s":3600}' | jq '.flows')" -ge "$1" ]; }
lab_wait 15 rows 4 || fail "would_deny does not show the flows: $(rpc policy.would_deny '{"target":"db","window_s":3600}')"
lab_ctl would-deny db || fail "would-deny"
step "enforce is refused on this evidence"
lab_ctl mode enforce 10.20.0.10/32 >"$LAB_DIR/out" 2>&1 && fail "enforce without force in spite of would-denies"
grep -qi force "$LAB_DIR/out" || fail "the refusal does not say what to do: $(cat "$LAB_DIR/out")"
step "suggest, replay, load"
rpc policy.suggest '{"target":"db","window_s":3600}' >"$LAB_DIR/suggest.json" || fail "suggest"
jq '.rules' "$LAB_DIR/suggest.json"
jq -r '.candidate | if type == "string" then . else tojson end' "$LAB_DIR/suggest.json" >"$LAB_DIR/candidate.json"
lab_ctl policy replay "$LAB_DIR/candidate.json" || fail "policy replay"
replay=$(jq -n --rawfile t "$LAB_DIR/candidate.json" '{text: $t, window_s: 3600}' | xargs -0 -I{} /usr/bin/python3 -S "$SMOKE/rpc.py" "$LAB_RUN/mgmt.sock" policy.replay {})
equal "newly denied" "$(jq '.newly_denied.flows' <<<"$replay")" 0
at_least "newly allowed" "$(jq ".newly_allowed.flows" <<<"$replay")" 4
lab_ctl policy load "$LAB_DIR/candidate.json" || fail "the candidate does not load"
equal "would be denied now" "$(rpc policy.would_deny '{"target":"db","window_s":3600}' | jq .flows)" 0
step "enforce, as long as there is evidence for it"
enforce() { rpc authz.mode.set '{"targets":["db"],"mode":"enforce","window_s":5}' >"$LAB_DIR/out" 2>&1; }
lab_wait 15 enforce || fail "enforce is refused though nothing would be denied: $(cat "$LAB_DIR/out")"
tcp_ok alice 10.20.0.10
tcp_ok bob 10.20.0.10
ping_all alice 10.20.0.10 3
ping_none bob 10.20.0.10 2
in_client bob timeout 3 bash -c 'exec 3<>/dev/tcp/10.20.0.10/22' 2>/dev/null && fail "bob reaches a port that was never seen"
step "back to observe in one command"
lab_ctl mode observe 10.20.0.10/32 >/dev/null || fail "mode observe"
ping_all bob 10.20.0.10 2
step "enforce with a time to confirm falls back by itself"
rpc authz.mode.set '{"targets":["db"],"mode":"enforce","force":true,"confirm_within_s":10}' >/dev/null || fail "confirm_within_s"
ping_none bob 10.20.0.10 2
sleep 9
reach bob 10.20.0.10 5
no_fatal_drops
step "and at the next start, if the gateway was killed meanwhile; what was confirmed stays"
enforce_ten() { rpc authz.mode.set '{"targets":["db"],"mode":"enforce","force":true,"confirm_within_s":600}' | jq -r .confirm_id; }
restart_killed() {
	kill -KILL "$LAB_GW_PID"
	wait "$LAB_GW_PID" 2>/dev/null
	lab_gateway
}
enforce_ten >/dev/null
ping_none bob 10.20.0.10 2
restart_killed
reach bob 10.20.0.10
equal "mode of the target" "$(rpc authz.mode.get | jq -c '.prefixes[0].mode')" '"observe"'
equal "record of the way back" "$(rpc audit.recent '{"action":"authz-mode-reverted"}' | jq -c '[.records[].sluice.changes[]]')" \
	'[{"prefix":"10.20.0.10/32","old":"enforce","new":"observe"}]'
lab_ctl mode confirm "$(enforce_ten)" >/dev/null || fail "mode confirm"
restart_killed
reach alice 10.20.0.10
ping_none bob 10.20.0.10 2
step "what was seen does not cover 30 days: no rule is named, and the reason is told"
lab_ctl policy lint >"$LAB_DIR/lint" || fail "policy lint"
grep -q 'the evidence covers 0.0 of the last 30 days' "$LAB_DIR/lint" || fail "policy lint: $(cat "$LAB_DIR/lint")"
grep -q rule_never_matched "$LAB_DIR/lint" && fail "a rule was named: $(cat "$LAB_DIR/lint")"
step "documents that come later give no flow another role"
roles_are() {
	jq -n --arg r "$1" '{rules: [{id: 1, role: "staff", to: ["*"], protocol: "icmp", action: "allow"}],
		roles: ($r / " " | map({(.): {members: ["peer:alice"]}}) | add)}' >"$LAB_DIR/roles.json"
	lab_ctl policy load "$LAB_DIR/roles.json" >"$LAB_DIR/out" 2>&1 || fail "roles $1: $(cat "$LAB_DIR/out")"
}
roles_are "staff guest"
ping_all alice 10.20.0.10 2
roles_are "admin guest staff"
role_of() { flows peer=alice | jq -r 'select(.protocol == "icmp" and .outdated) | "\(.role) \(.rule)"' | sort -u; }
equal "role of the ping of before" "$(role_of | grep staff)" "staff staff/1"
equal "no other role of a rule" "$(role_of | grep -c '\(admin\|guest\) ')" 0
