#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# A policy that the control plane takes and one gateway cannot: the former one serves, what is taken away later is taken away
# at once, nothing is granted, both sides tell, and the transaction that mends it brings all that waited.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice bob carol
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
# this gateway takes fewer rules than the control plane
echo 'policy = { rules_per_role = 1; };' >>"$LAB_DIR/gateway.conf"
lab_gateway
add_peer alice 2
add_peer bob 3
lab_client alice 2
lab_client bob 3
reach alice 10.20.0.10
reach bob 10.20.0.10
lab_wait 5 served || fail "not served"
before=$(status serving_seq)

step "two rules of one role: refused here, the former policy serves"
policy=$(rest GET /policy | jq -c '(.document // .) | del(.version)')
two=$(jq -c '.rules += [{"id":2,"role":"eng","to":["srv"],"protocol":"udp","ports":[53],"action":"deny"}]' <<<"$policy")
rest PUT /policy "$two" >/dev/null
lab_wait 5 is refuses true || fail "not refused: $(rpc control.status)"
equal "the reason" "$(status refused.code)" limit_rules
equal "what serves" "$(status serving_seq)" "$before"
ping_all alice 10.20.0.10
gateway() { rest GET "/gateways/gw-1$1"; }
lab_wait 5 sh -c "ip netns exec $GW /usr/bin/python3 -S '$CONTROL_TESTS/rest.py' '$CP_DIR' '$CP_TOKEN' GET /replication | grep -q limit_rules" ||
	fail "the control plane does not tell: $(rest GET /replication)"

step "a new peer waits, one that is deleted goes at once"
add_peer carol 4
rest DELETE /peers/bob >/dev/null
lab_wait 3 sh -c "! '$LAB_CTL' -s '$LAB_RUN/mgmt.sock' peer.get interface=$LAB_ID peer=bob" || fail "bob is still there"
ping_none bob 10.20.0.10 1
rpc peer.get "{\"interface\":\"$LAB_ID\",\"peer\":\"carol\"}" >/dev/null 2>&1 && fail "carol is let in"
equal overlay "$(status overlay)" true
[[ $(rpc sys.health) == *limit_rules* ]] || fail "sys.health does not tell"

step "a role that is taken away from a peer counts at once"
rest PATCH /peers/alice '{"roles":[]}' >/dev/null
lab_wait 3 sh -c "! ip netns exec $LAB_ID-alice ping -c 1 -W 1 10.20.0.10" || fail "alice still reaches the server"

step "mended: all that waited comes, the gateway has what the control plane has"
rest PATCH /peers/alice '{"roles":["eng"]}' >/dev/null
sleep 0.5
ping_none alice 10.20.0.10 1
rest PUT /policy "$policy" >/dev/null
lab_wait 5 is refuses false || fail "still refused: $(rpc control.status)"
lab_wait 5 served || fail "not served"
reach alice 10.20.0.10
lab_client carol 4
reach carol 10.20.0.10
equal overlay "$(status overlay)" false
equal hash_ok "$(status hash_ok)" true
echo ok
