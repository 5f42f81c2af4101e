#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# A target that the ledger withdraws: a stock client whose configuration still has the route is told so by the gateway, in every
# mode; when the target enters pilot again, it passes.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice
control_init
control_start
control_furnish gw-1
rest PUT /policy "{\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.20.0.0/24\",\"fd00:20::/64\"]}},
	\"targets\":{\"srv\":{\"addresses\":[\"10.20.0.10/32\",\"fd00:20::10/128\"]},\"other\":{\"addresses\":[\"10.20.0.1/32\"]}},
	\"roles\":{\"eng\":{\"id\":1},\"guest\":{\"id\":2}},
	\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"*\"],\"protocol\":\"any\",\"action\":\"allow\"}]}" >/dev/null
LAB_MODE=observe control_config gw-1
lab_gateway
lab_client alice 2
add_peer alice 2
lab_wait 5 served || fail "not served: $(rpc control.status)"
reach alice 10.20.0.10 5
reach alice fd00:20::10 5

move() { rest POST "/migration/targets/srv/$1" "${2:-{\}}" >/dev/null; }
# filtered ADDRESS: pings are answered as prohibited, and by nothing else.
filtered() {
	local out
	out=$(in_client alice ping -c 3 -i 0.3 -W 1 "$1" 2>&1)
	[[ $out == *"0 received"* && ($out == *"Packet filtered"* || $out == *"prohibited"*) ]] || fail "ping of $1: $out"
}
withdrawn() { [ "$(rpc target.list | jq -r '.targets[] | select(.target == "srv") | .withdrawn // false')" = "$1" ]; }

step "a target that never moved is not withdrawn; nor is one in pilot"
withdrawn false || fail "srv is withdrawn before it ever moved"
rest PUT /migration/targets/srv/distribution '{"distribute":["peer:alice"]}' >/dev/null
move advance '{"to":"pilot","force":true}'
sleep 1
withdrawn false || fail "srv is withdrawn in pilot"
ping_all alice 10.20.0.10 3

step "withdrawn: within a second her pings are answered as prohibited, those under way too"
in_client alice ping -i 0.2 -w 20 10.20.0.10 >"$LAB_DIR/running" 2>&1 &
running=$!
LAB_PIDS+=("$running")
sleep 1
move withdraw '{"comment":"printer lost"}'
lab_wait 2 withdrawn true || fail "the gateway does not know: $(rpc control.status)"
filtered 10.20.0.10
filtered fd00:20::10
lab_wait 2 grep -q "Packet filtered" "$LAB_DIR/running" || fail "the ping that was under way: $(tail -n 3 "$LAB_DIR/running")"
ping_all alice 10.20.0.1 3 # the other target
at_least "drops" "$(drop target_withdrawn)" 7
in_client alice timeout 3 bash -c 'exec 3<>/dev/tcp/10.20.0.10/5201' 2>"$LAB_DIR/tcp" && fail "TCP passes"
grep -qi "no route\|prohibited\|unreachable" "$LAB_DIR/tcp" || fail "TCP is not told: $(cat "$LAB_DIR/tcp")"
equal explained "$(rpc policy.explain "{\"interface\":\"$LAB_ID\",\"peer\":\"alice\",\"dst\":\"10.20.0.10\",\"protocol\":\"icmp\"}" |
	jq -r '.mode + " " + .effective + " " + .why')" "observe dropped withdrawn"
equal flows "$(rpc flow.list '{"peer":"alice","target":"srv"}' | jq -r '.flows[] | select(.outdated | not) | .verdict + " " + .why' | sort -u)" "deny withdrawn"
equal "hash" "$(status hash_ok)" true

step "the control plane judges alike, and a new document changes nothing about it"
simulated() {
	rest POST /policy/simulate '{"subject":{"peer":"alice"},"dst":"10.20.0.10","dport":5432}' | jq -r '.verdict + " " + .why + " " + .target'
}
equal simulated "$(simulated)" "deny withdrawn srv"
rest PUT /policy "{\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.20.0.0/24\",\"fd00:20::/64\"]}},
	\"targets\":{\"srv\":{\"addresses\":[\"10.20.0.10/32\",\"fd00:20::10/128\"],\"description\":\"the same\"}},
	\"roles\":{\"eng\":{\"id\":1},\"guest\":{\"id\":2}},
	\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"*\"],\"protocol\":\"any\",\"action\":\"allow\"}]}" >/dev/null
lab_wait 5 served || fail "not served"
withdrawn true || fail "a new document lost it"
filtered 10.20.0.10

step "enforce makes no difference; nor does a restart of the gateway without the control plane"
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "authz.mode.set"
filtered 10.20.0.10
sleep 1 # the boot cache
kill -9 "$CP_PID"
wait "$CP_PID" 2>/dev/null
lab_gateway_stop
lab_gateway
lab_wait 10 is stale_config true || fail "the cache does not serve"
lab_wait 10 withdrawn true || fail "the cache does not know"
lab_wait 10 in_client alice ping -c 1 -W 1 10.20.0.1 || fail "alice does not pass after the restart"
filtered 10.20.0.10

step "in pilot again: it passes"
control_start
lab_wait 20 is connected true || fail "not connected again: $(status last_error)"
move advance '{"to":"pilot","force":true}'
lab_wait 5 withdrawn false || fail "still withdrawn: $(rpc control.status)"
lab_wait 2 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "alice does not reach the server again"
ping_all alice 10.20.0.10 3
in_client alice ping -c 1 -W 1 fd00:20::10 >/dev/null || fail "nor by IPv6"
equal "hash" "$(status hash_ok)" true
no_drops ${FATAL_DROPS/wg_index/}
echo ok
