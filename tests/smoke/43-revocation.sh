#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A transfer that runs is cut within a second when its role, its rule or its peer goes; the record says why. Other peers'
# transfers do not notice.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
AUDIT=$LAB_DIR/audit.json
lab_config "$(peers_text alice bob)" "audit = { sinks = ( { type = \"file\"; name = \"main\"; path = \"$AUDIT\"; flush_ms = 100; } ); };"
lab_gateway
lab_client alice 2
lab_client bob 3
iperf_server
iperf_server "$SRV" 5202
# policy MEMBERS RULES
policy() {
	echo "{ \"version\": 1, \"roles\": { \"engineer\": { \"id\": 3, \"members\": [$1] } }, \"rules\": [$2] }" >"$LAB_DIR/policy.json"
	lab_ctl policy load "$LAB_DIR/policy.json" >"$LAB_DIR/out" 2>&1 || fail "policy load: $(cat "$LAB_DIR/out")"
}
rule='{ "id": 1, "role": "engineer", "to": ["10.20.0.10/32"], "protocol": "tcp", "action": "allow" }'
ping_rule='{ "id": 2, "role": "engineer", "to": ["10.20.0.10/32"], "protocol": "icmp", "action": "allow" }'
both='"peer:alice", "peer:bob"'
policy "$both" "$rule, $ping_rule"
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "enforce"
reach alice 10.20.0.10
reach bob 10.20.0.10
received() { cat "/sys/class/net/eth0/statistics/rx_bytes"; }
server_bytes() { in_server cat /sys/class/net/eth0/statistics/rx_bytes; }

# transfer NAME PORT: iperf3 in the background, until it flows. transfer_end: end what is left of it.
transfer() {
	# at a pace, so that what still comes after the cut is plain to see
	in_client "$1" timeout 60 iperf3 -c 10.20.0.10 -p "$2" -t 50 -b 20M --connect-timeout 3000 >"$LAB_DIR/iperf-$1" 2>&1 </dev/null &
	TRANSFER=$!
	LAB_PIDS+=("$TRANSFER")
	local before
	before=$(server_bytes)
	lab_wait 10 flows "$before" || fail "the transfer of $1 does not start: $(cat "$LAB_DIR/iperf-$1")"
}
flows() { [ $(($(server_bytes) - $1)) -gt 1000000 ]; }
# stopped_after WHAT: within a second nothing but a few retransmissions reaches the server.
stopped_after() {
	local before after
	sleep 1
	before=$(server_bytes)
	sleep 1
	after=$(server_bytes)
	at_most "bytes a second after $1" $((after - before)) 60000
	stop_pid "$TRANSFER"
}
revoked() { jq -c 'select(.event.action == "flow-end" and .event.reason == "'"$1"'" and .sluice.peer.name == "alice")' "$AUDIT" | grep -q .; }

for what in role rule; do
	step "the $what goes"
	transfer alice 5201
	if [ $what = role ]; then policy '"peer:bob"' "$rule, $ping_rule"; else policy "$both" "$ping_rule"; fi
	stopped_after "the $what went"
	lab_wait 5 revoked revoked || fail "no record says revoked: $(tail -n 3 "$AUDIT")"
	ping_all bob 10.20.0.10 2
	policy "$both" "$rule, $ping_rule"
	: >"$AUDIT"
done
step "a member that expires"
policy '"peer:bob", { "peer": "alice", "expires": "'"$(date -u -d '+6 seconds' +%Y-%m-%dT%H:%M:%SZ)"'" }' "$rule, $ping_rule"
transfer alice 5201
sleep 5
stopped_after "the member expired"
lab_wait 5 revoked revoked || fail "no record says revoked"
policy "$both" "$rule, $ping_rule"
: >"$AUDIT"
step "the peer goes"
transfer alice 5201
rpc peer.remove "{\"interface\":\"$LAB_ID\",\"peer\":\"alice\"}" >/dev/null || fail "peer.remove"
stopped_after "the peer went"
lab_wait 5 revoked peer_gone || fail "no record says peer_gone: $(tail -n 3 "$AUDIT")"
ping_all bob 10.20.0.10 2
no_drops auth_fail replay wg_length headroom no_mbuf
