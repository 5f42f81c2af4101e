#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A policy from the command line with real clients: load, refuse, explain, revoke a running stream, keep over a restart.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
lab_config "$(peers_text alice bob)"
lab_gateway
lab_client alice 2
lab_client bob 3
iperf_server
doc=$LAB_DIR/policy.json
# policy VERSION MEMBERS RULES [MORE]
policy() {
	cat >"$doc" <<-END
		{ "version": $1, // written by a test
		  "zones": { "inside": { "id": 1, "type": "internal", "networks": ["10.20.0.0/24", "fd00:20::/64"] } },
		  "targets": { "server": { "addresses": ["10.20.0.10/32", "fd00:20::10/128"] } },
		  "roles": { "staff": { "members": [$2] } },
		  "rules": [$3]${4:+, $4} }
	END
}
load() { lab_ctl policy load "$doc" >"$LAB_DIR/load" || fail "policy load: $(cat "$LAB_DIR/load")"; }
ICMP='{"id":1,"role":"staff","to":["server"],"protocol":"icmp","action":"allow"}, {"id":2,"role":"staff","to":["server"],"protocol":"icmpv6","action":"allow"}'
TCP='{"id":3,"role":"staff","to":["server"],"protocol":"tcp","ports":[5201],"action":"allow"}'

reach alice 10.20.0.10
reach bob 10.20.0.10
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null 2>&1 || rpc authz.mode.set '{"default":"enforce"}' >/dev/null
step "a role for alice alone"
policy 1 '"peer:alice"' "$ICMP, $TCP"
load
ping_all alice 10.20.0.10
ping_all alice fd00:20::10
ping_none bob 10.20.0.10
lab_ctl role add staff peer=bob || fail "role add"
ping_all bob 10.20.0.10
lab_ctl role remove staff peer=bob || fail "role remove"
ping_none bob 10.20.0.10
step "explain says what happens"
lab_ctl policy explain alice 10.20.0.10 5201 | grep -q '^verdict  *allow' || fail "explain alice"
lab_ctl policy explain bob 10.20.0.10 5201 | grep -q '^why  *no_role' || fail "explain bob"
lab_ctl policy explain alice 10.20.0.10 22 | grep -q 'but for the port' || fail "explain the port"
step "simulate asks of a document that is not in force, or of another time"
policy 2 '"peer:bob"' "$TCP"
simulated() { lab_ctl --json policy simulate "$@" | jq -r '"\(.verdict) \(.why) \(.policy_version)"'; }
equal "bob, by the document" "$(simulated "$doc" peer=bob dst=10.20.0.10 dport=5201)" "allow rule 0"
equal "bob, now" "$(simulated peer=bob dst=10.20.0.10 dport=5201)" "deny no_role 1"
equal "who has the role" "$(simulated roles=staff dst=10.20.0.10 dport=5201)" "allow rule 1"
lab_ctl policy simulate roles=nobody dst=10.20.0.10 >"$LAB_DIR/said" 2>&1 && fail "simulate an unknown role"
grep -q 'role_unknown) at /roles/0' "$LAB_DIR/said" || fail "an unknown role: $(cat "$LAB_DIR/said")"
equal "version" "$(rpc policy.status | jq .version)" 1
step "a document with a fault changes nothing"
policy 2 '"peer:alice"' "$ICMP" '"tests": [{"name":"iperf","from":{"peer":"alice"},"to":"server","protocol":"tcp","port":5201,"expect":"allow"}]'
lab_ctl policy load "$doc" 2>"$LAB_DIR/load" && fail "a failing test is loaded"
grep -q 'test_failed) at /tests/0' "$LAB_DIR/load" || fail "what the refusal says: $(cat "$LAB_DIR/load")"
equal "version" "$(rpc policy.status | jq .version)" 1
step "a running stream ends within a second of its rule"
ip netns exec "$LAB_ID-alice" iperf3 -c 10.20.0.10 -t 20 -i 0.5 --forceflush >"$LAB_DIR/iperf" 2>&1 </dev/null &
iperf=$!
LAB_PIDS+=("$iperf")
sent() { in_server cat /sys/class/net/eth0/statistics/rx_bytes; }
before=$(sent)
flows() { [ $(($(sent) - before)) -gt 1000000 ]; }
lab_wait 15 flows || fail "the stream does not begin: $(cat "$LAB_DIR/iperf")"
policy 3 '"peer:alice"' "$ICMP"
load
sleep 1
before=$(sent)
sleep 1
at_most "bytes in a second after it" $(($(sent) - before)) 60000
stop_pid "$iperf"
ping_all alice 10.20.0.10
step "kept over a restart, comments and all"
lab_gateway_stop
lab_gateway
reach alice 10.20.0.10
ping_none bob 10.20.0.10
lab_ctl policy show text | cmp -s - "$doc" || fail "the text is not what was loaded"
step "a kept document that cannot be read: closed, told, mended"
lab_gateway_stop
echo '{' >"$LAB_DIR/state/policy.json"
lab_gateway
sleep 1
ping_none alice 10.20.0.10
lab_ctl health | grep -q 'policy of the last run is not in force' || fail "health does not tell"
load
reach alice 10.20.0.10
step "cleared: nothing is allowed any more, over a restart too"
lab_ctl policy clear 2>"$LAB_DIR/clear" && fail "cleared under enforce without force"
grep -q 'mode_enforced' "$LAB_DIR/clear" || fail "what the refusal says: $(cat "$LAB_DIR/clear")"
ping_all alice 10.20.0.10
lab_ctl policy clear force=yes >"$LAB_DIR/clear" || fail "policy clear"
grep -q '^loaded  *no' "$LAB_DIR/clear" || fail "what policy clear says: $(cat "$LAB_DIR/clear")"
ping_none alice 10.20.0.10
lab_gateway_stop
lab_gateway
sleep 1
ping_none alice 10.20.0.10
equal "loaded" "$(rpc policy.status | jq .loaded)" false
load
reach alice 10.20.0.10
step "10,000 prefixes and 3,200 rules"
/usr/bin/python3 - "$doc" <<-'END'
	import json, sys
	roles = {"r%d" % i: {"members": ["10.%d.%d.0/24@*" % (100 + i, k) for k in range(99)]} for i in range(100)}
	roles["r0"]["members"].append("peer:alice")
	rules = [{"id": k + 1, "role": "r%d" % i, "to": ["10.20.0.10/32"], "protocol": "tcp", "ports": [1000 + k], "action": "allow"}
	         for i in range(100) for k in range(31)]
	rules += [{"id": 99, "role": "r%d" % i, "to": ["10.20.0.10/32"], "protocol": "icmp", "action": "allow"} for i in range(100)]
	json.dump({"version": 9, "roles": roles, "rules": rules}, open(sys.argv[1], "w"))
END
load
cat "$LAB_DIR/load"
ping_all alice 10.20.0.10
no_fatal_drops wg_index
