#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A policy with real clients: roles, rules, targets; DENY over ALLOW across roles; ports; ICMP; IPv6; zones; an empty policy;
# one enforced target beside an observed one; a policy that does not load leaves the old one in force.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob carol
LAB_SYSTEM=
lab_config "$(peers_text alice bob carol)"
lab_addr "$SRV" eth0 10.20.0.11/24 fd00:20::11/64
lab_gateway
for c in alice:2 bob:3 carol:4; do lab_client ${c%:*} ${c#*:}; done
iperf_server
iperf_server "$SRV" 5202
mode() { rpc authz.mode.set "$1" >/dev/null || fail "authz.mode.set $1"; }
# load DOCUMENT: from standard input.
load() { sed "s/@IFACE/@$LAB_ID/" >"$LAB_DIR/policy.json" && lab_ctl policy load "$LAB_DIR/policy.json" >"$LAB_DIR/load.out" 2>&1 || fail "policy load: $(cat "$LAB_DIR/load.out")"; }
# tcp CLIENT ADDRESS PORT: a connection opens.
tcp() { in_client "$1" timeout 0.9 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; }
open() { lab_wait 10 tcp "$@" || fail "$* is closed"; }
closed() { ! tcp "$@" || fail "$* is open"; }
# decision CLIENT TO PROTOCOL PORT: what explain says of the same packet.
decision() { rpc policy.explain "{\"interface\":\"$LAB_ID\",\"peer\":\"$1\",\"dst\":\"$2\",\"protocol\":\"$3\",\"dport\":${4:-0}}" | jq -r .verdict; }

step "observe without a policy forwards everything"
for c in alice bob carol; do reach $c 10.20.0.10; done
step "enforce with an empty policy denies everything"
load <<<'{"version":1}'
mode '{"default":"enforce","force":true}'
for c in alice bob; do ping_none $c 10.20.0.10 2; closed $c 10.20.0.10 5201; done
ping_none alice fd00:20::10 2

step "roles and rules"
load <<-'EOF'
	{ // comments are allowed
	  "version": 2,
	  "zones": { "servers": { "id": 1, "type": "internal", "networks": ["10.20.0.0/16", "fd00:20::/64"], "default_policy": "deny" } },
	  "targets": { "db": { "addresses": ["10.20.0.10/32", "fd00:20::10/128"] }, "web": { "addresses": ["10.20.0.11/32"] } },
	  "roles": {
	    "engineer":   { "id": 3, "members": ["peer:alice", "peer:bob"] },
	    "contractor": { "id": 7, "members": ["peer:bob"] },
	    "reader":     { "id": 9, "members": ["10.7.0.4/32@IFACE"] }
	  },
	  "rules": [
	    { "id": 1, "role": "engineer", "to": ["db"], "protocol": "tcp", "ports": [5201], "action": "allow" },
	    { "id": 2, "role": "engineer", "to": ["db"], "protocol": "icmp", "action": "allow" },
	    { "id": 3, "role": "engineer", "to": ["db"], "protocol": "icmpv6", "action": "allow" },
	    { "id": 1, "role": "contractor", "to": ["db"], "protocol": "tcp", "action": "deny" },
	    { "id": 1, "role": "reader", "to": ["web"], "protocol": "any", "action": "allow" },
	  ],
	  "tests": [
	    { "name": "engineers reach the database", "from": { "peer": "alice" }, "to": "db", "protocol": "tcp", "port": 5201, "expect": "allow", "rule": "engineer/1" },
	    { "name": "contractors do not", "from": { "roles": ["engineer", "contractor"] }, "to": "db", "protocol": "tcp", "port": 5201, "expect": "deny" },
	  ],
	}
EOF
equal "explain alice" "$(decision alice 10.20.0.10 tcp 5201)" allow
equal "explain bob" "$(decision bob 10.20.0.10 tcp 5201)" deny
open alice 10.20.0.10 5201
open alice fd00:20::10 5201
closed alice 10.20.0.10 5202
closed alice 10.20.0.11 5201
closed bob 10.20.0.10 5201
ping_all alice 10.20.0.10 3
ping_all alice fd00:20::10 3
ping_all bob 10.20.0.10 3
ping_none alice 10.20.0.11 2
ping_none carol 10.20.0.10 2
tcp_ok alice 10.20.0.10
tcp_ok alice 10.20.0.10 -R
in_server ping -c 2 -i 0.2 -W 1 10.7.0.2 >/dev/null && fail "a server reaches a client without a rule"

step "what does not load changes nothing"
for bad in '{"version":3' '{"version":3,"extra":1}' \
	'{"roles":{"a":{}},"rules":[{"id":1,"role":"b","to":["*"],"protocol":"any","action":"allow"}]}' \
	'{"roles":{"a":{"members":["peer:alice"]}},"rules":[{"id":1,"role":"a","to":["*"],"protocol":"any","action":"allow"}],"tests":[{"name":"t","from":{"peer":"alice"},"to":"10.20.0.10","protocol":"tcp","port":1,"expect":"deny"}]}'; do
	echo "$bad" >"$LAB_DIR/bad.json"
	lab_ctl policy load "$LAB_DIR/bad.json" >"$LAB_DIR/bad.out" 2>&1 && fail "loaded: $bad"
	grep -qE '/|line [0-9]+ column' "$LAB_DIR/bad.out" || fail "no place named: $(cat "$LAB_DIR/bad.out")"
done
equal "version in force" "$(rpc policy.status | jq .version)" 2
open alice 10.20.0.10 5201
closed bob 10.20.0.10 5201

step "an enforced target beside an observed one: each has its own mode"
mode '{"default":"observe"}'
mode '{"targets":["web"],"mode":"enforce","force":true}'
open bob 10.20.0.10 5201
closed alice 10.20.0.11 5201
mode '{"targets":["web"],"mode":"default"}'
mode '{"targets":["db"],"mode":"enforce","force":true}'
open alice 10.20.0.11 5201
closed bob 10.20.0.10 5201
step "back to observe in one command"
lab_ctl mode panic on >/dev/null || fail "panic"
open bob 10.20.0.10 5201
lab_ctl mode panic off >/dev/null || fail "panic off"
closed bob 10.20.0.10 5201

step "a bidirectional rule lets the server begin, from its port only"
load <<-'EOF'
	{ "version": 4, "roles": { "engineer": { "id": 3, "members": ["peer:alice"] } },
	  "rules": [ { "id": 1, "role": "engineer", "to": ["10.20.0.0/16"], "protocol": "icmp", "action": "allow", "bidirectional": true },
	             { "id": 2, "role": "engineer", "to": ["10.20.0.11"], "protocol": "udp", "action": "allow", "log": "sample:1/4" } ] }
EOF
mode '{"default":"enforce","force":true}'
server_ping_all 10.7.0.2 3
in_server ping -c 2 -i 0.2 -W 1 10.7.0.3 >/dev/null && fail "the server reaches bob"

step "a rule that samples: one flow in four is recorded, and the evidence has all"
counted() { rpc audit.status | jq "[.lcores[].types[] | select(.type == \"allow\").$1] | add"; }
was=$(counted seen)
in_client alice /usr/bin/python3 -c '
import socket, time
for i in range(200):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.7.0.2", 20000 + i))
        s.sendto(b"x", ("10.20.0.11", 7000))
    time.sleep(0.002)'
lab_wait 10 eval '[ $(($(counted seen) - was)) -ge 200 ]' || fail "$(($(counted seen) - was)) flows of 200"
at_least "flows that are not selected" "$(counted not_selected)" 120
at_least "records of samples" "$((200 - $(counted not_selected)))" 20
equal "explain" "$(rpc policy.explain "{\"interface\":\"$LAB_ID\",\"peer\":\"alice\",\"dst\":\"10.20.0.11\",\"protocol\":\"udp\",\"dport\":7000}" | jq -r .log)" sample:1/4
evidence() { rpc evidence.list '{"target":"10.20.0.11/32","peer":"alice"}' | jq '[.rows[] | select(.port == 7000).flows] | add // 0'; }
lab_wait 10 eval '[ $(evidence) = 200 ]' || fail "the evidence has $(evidence) flows of 200"
lab_wait 10 eval 'rpc audit.recent "{\"limit\":1024,\"action\":\"policy-allow\"}" | jq -e "[.records[] | select(.destination.port == 7000 and .sluice.sample == 4)] | length > 0"' ||
	fail "no record says that it is a sample"

step "kept over a restart"
lab_gateway_stop
lab_gateway
equal "version after the restart" "$(rpc policy.status | jq .version)" 4
lab_wait 10 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "alice does not reach the server after the restart"
ping_none bob 10.20.0.10 2
no_fatal_drops wg_index
