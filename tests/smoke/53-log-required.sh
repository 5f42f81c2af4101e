#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Targets that require their records, on a gateway whose only sink is a file on a disk that fills up: while records are lost
# nobody reaches these, flows under way end too, others go on; with room on the disk all pass again.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
mkdir "$LAB_DIR/small"
mount -t tmpfs -o size=256k none "$LAB_DIR/small" 2>/dev/null || skip "no tmpfs can be mounted here"
trap 'rc=$?; umount "$LAB_DIR/small" || umount -l "$LAB_DIR/small"; (exit $rc); lab_stop' EXIT
LAB_MODE=enforce lab_config "$(peers_text alice)" "metrics = { listen = \"127.0.0.1:9586\"; };
	audit = { sinks = ( { type = \"file\"; name = \"small\"; path = \"$LAB_DIR/small/audit.json\"; rotate_mb = 0; flush_ms = 200; } ); };"
lab_addr "$SRV" eth0 10.20.0.11/24
lab_gateway
lab_client alice 2
cat >"$LAB_DIR/policy.json" <<-'EOF'
	{ "version": 1, "targets": { "db": { "addresses": ["10.20.0.10/32", "fd00:20::10/128"] } },
	  "roles": { "engineer": { "id": 3, "members": ["peer:alice"] } },
	  "rules": [ { "id": 1, "role": "engineer", "to": ["*"], "protocol": "any", "action": "allow", "log": true } ] }
EOF
lab_ctl policy load "$LAB_DIR/policy.json" >/dev/null || fail "policy load"
reach alice 10.20.0.10
reach alice 10.20.0.11
reach alice fd00:20::10
losing() { rpc log.required.get | jq -e "$1"; }
gauge() { ip netns exec "$GW" curl -s http://127.0.0.1:9586/metrics | sed -n "s/^$1 //p"; }
ill() { lab_ctl health | grep -q "log_required: records are being lost"; }
fill() { dd if=/dev/zero of="$LAB_DIR/small/filler" bs=1k 2>/dev/null; }
# lose: until the gateway knows that records are lost; each ping to the other target asks for one.
lose() {
	fill
	in_client alice ping -q -c1 -W1 10.20.0.11 >/dev/null
	losing .losing
}

step "nothing is required: a full disk cuts nobody off"
lab_wait 20 lose || fail "records are not lost: $(rpc audit.status | jq -c .sinks)"
reach alice 10.20.0.10
equal "dropped" "$(drop log_lost)" 0
equal "metric" "$(gauge sluice_log_losing) $(gauge sluice_log_required_prefixes)" "1 0"
ill && fail "health minds a loss that nobody minds"

step "with its records required, a target is cut off, flows under way too"
background ip netns exec "$LAB_ID-alice" ping -q -i 0.2 10.20.0.10 >"$LAB_DIR/ping" 2>&1
PING=$LAB_LAST
lab_ctl log require 2>/dev/null && fail "log require without a target"
lab_ctl log require db >"$LAB_DIR/out" || fail "log require"
grep -q 10.20.0.10/32 "$LAB_DIR/out" || fail "log require shows: $(cat "$LAB_DIR/out")"
lab_ctl log off 2>"$LAB_DIR/out" && fail "logging can be turned off"
grep -q "log require-none" "$LAB_DIR/out" || fail "no remedy: $(cat "$LAB_DIR/out")"
ping_none alice 10.20.0.10 2
ping_none alice fd00:20::10 2
ping_all alice 10.20.0.11 2
was=$(drop log_lost)
at_least "dropped" "$was" 4
lab_wait 5 eval "[ \$(drop log_lost) -gt $was ]" || fail "the flow under way goes on"
equal "metric" "$(gauge sluice_log_losing) $(gauge sluice_log_required_prefixes)" "1 2"
ill || fail "health says nothing: $(lab_ctl health)"
rpc audit.recent '{"limit":1024,"action":"policy-deny"}' | jq -e 'any(.records[]; .event.reason == "log_lost"
	and .destination.ip == "10.20.0.10" and .sluice.peer.name == "alice")' >/dev/null || fail "no record of what was denied: $(rpc audit.recent | jq -c ".records[-3:]")"

step "under observe it passes"
lab_ctl mode observe >/dev/null || fail "mode observe"
reach alice 10.20.0.10
lab_ctl mode enforce force=yes >/dev/null || fail "mode enforce"
ping_none alice 10.20.0.10 2

step "room on the disk: all is as before"
rm "$LAB_DIR/small/filler"
lab_wait 20 losing '.losing | not' || fail "records stay lost: $(rpc audit.status | jq -c .sinks)"
ping_all alice 10.20.0.10 2
ping_all alice fd00:20::10 2
kill -INT $PING
wait $PING
grep -q ' 0% packet loss' "$LAB_DIR/ping" && fail "the flow under way lost nothing"
ill && fail "health: $(lab_ctl health)"
jq -e . "$LAB_DIR/small/audit.json" >/dev/null || fail "a part of a line is in the file"

step "it survives a restart, and is let go of"
lab_gateway_stop
lab_gateway
lab_ctl log required | grep -q 10.20.0.10/32 || fail "forgotten: $(lab_ctl log required)"
lab_ctl log require-none >/dev/null || fail "log require-none"
equal "required" "$(rpc log.required.get | jq '.prefixes | length')" 0
lab_gateway_stop
jq -es 'any(.[]; .event.action == "log-required-set" and (.sluice.old | index("10.20.0.10/32")) and .sluice.new == [])' \
	"$LAB_DIR/small/audit.json" >/dev/null || fail "no record of the change"

step "asked for in the file without a sink: in force, and said so"
rm -r "$LAB_DIR/state"
LAB_MODE=enforce lab_config "$(peers_text alice)" ""
sed -i 's|authz = { |&log_required = [ "10.20.0.10/32" ]; |' "$LAB_DIR/gateway.conf"
lab_gateway
lab_ctl health | grep -q "log_required: no audit sink" || fail "health: $(lab_ctl health)"
lab_ctl log require 10.20.0.11/32 2>"$LAB_DIR/out" && fail "required without a sink"
grep -q "audit, sinks" "$LAB_DIR/out" || fail "no remedy: $(cat "$LAB_DIR/out")"
lab_ctl log require-none >/dev/null || fail "log require-none"
lab_ctl health | grep -q log_required && fail "health: $(lab_ctl health)"
lab_gateway_stop
lab_gateway
equal "none, whatever the file says" "$(rpc log.required.get | jq '.prefixes | length')" 0
