#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# One primary, two followers in a chain, three gateways, a real client: a peer added over REST passes everywhere within a
# second; the primary dies, and traffic, rekeys and a restart of a gateway from a follower go on; it comes back, and all go on
# by seq without a snapshot; a peer that is removed stops everywhere. FLEET_OUTAGE: seconds without a primary (default 15).
. "$(dirname "$0")/fleet.sh"
OUTAGE=${FLEET_OUTAGE:-15}
ALLOW="cp1=follower;cp2=follower;cp3=follower;gw1=gateway;gw2=gateway;gw3=gateway"

step "a primary, followers in a chain, gateways that dial different ones"
fleet_start 3
control_primary
api 1 interface add wg0 mtu=1420 >/dev/null || fail "interface add"
for k in 1 2 3; do
	api 1 gateway add "gw$k" interfaces=wg0 >/dev/null || fail "gateway add gw$k"
	api 1 endpoint add "gw$k:wg0" "gw$k" wg0 "endpoint=198.18.5.$((k + 1)):51820" "client_pool=10.7.$k.0/24" "addresses=10.7.$k.1/24" \
		"index=$k" >/dev/null || fail "endpoint add gw$k"
done
cat >"$LAB_DIR/policy.json" <<-EOF
	{ "version": 1, "zones": { "servers": { "id": 1, "type": "internal", "networks": ["10.20.0.0/24"] } },
	  "targets": { "lan": { "addresses": ["10.20.0.0/24"] } }, "roles": { "staff": { "id": 1, "members": ["peer:alice"] } },
	  "rules": [ { "id": 1, "role": "staff", "to": ["lan"], "protocol": "any", "action": "allow" } ] }
EOF
api 1 policy put "$LAB_DIR/policy.json" >/dev/null || fail "policy put"
control_follower 2 1
control_follower 3 2
gateway_config 1 1 3
gateway_config 2 2
gateway_config 3 3
follows() { [ "$(gw_status "$1" connected)" = true ]; }
for k in 1 2 3; do gateway_run $k; done
for k in 1 2 3; do
	lab_wait 15 follows $k || fail "gw$k does not follow: $(gw $k control.status)"
done

step "gateways told their public keys"
key_known() { [ "$(api_json 1 endpoint show "gw$1:wg0" | jq -r .public_key)" = "$(lab_pub "wg$1")" ]; }
for k in 1 2 3; do lab_wait 5 key_known $k || fail "the key of gw$k is not in the control plane: $(api 1 endpoint show "gw$k:wg0")"; done

step "a peer over REST passes through each gateway in less than a second"
fleet_client alice 2
t0=$(now_ms)
api 1 peer add alice wg0 allocate=client --new-key --out "$LAB_DIR/alice.conf" >"$LAB_DIR/add.out" || fail "peer add"
t1=$(now_ms)
for k in 1 2 3; do
	lab_wait 5 gw $k peer show wg0 alice || fail "gw$k does not know alice"
	t=$(($(now_ms) - t1))
	echo "   gw$k knows the peer $t ms after the answer ($((t1 - t0)) ms for the command)"
	at_most "ms until gw$k knows the peer" "$t" 1000
done
for k in 1 2 3; do
	client_use alice 2 "$LAB_DIR/alice-gw$k.conf"
	t=$(now_ms)
	lab_wait 20 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "alice does not pass through gw$k: $(gw $k drops)"
	t=$(($(now_ms) - t))
	echo "   first ping through gw$k after $t ms"
	# a gateway that is short of CPU asks her for a cookie first, which takes her five seconds
	test "$(gw $k -j stats.get | jq .handshakes.cookies_tx)" -gt 0 || at_most "ms until the first ping through gw$k" "$t" 1000
done
grep -rlF "$(sed -n 's/^PrivateKey = //p' "$LAB_DIR/alice-gw1.conf")" "$LAB_DIR"/state-* "$LAB_DIR"/*.log "$LAB_DIR/add.out" &&
	fail "the private key got out"

step "the primary dies: traffic, new keys and a restarted gateway go on for $OUTAGE s"
client_use alice 2 "$LAB_DIR/alice-gw3.conf"
reach alice 10.20.0.10
handshakes_of() { gw 3 -j peer.list interface=wg0 | jq '.peers[] | select(.name == "alice").handshakes'; }
handshakes=$(handshakes_of)
ping_start alice 10.20.0.10
kill -9 "${CP_PID[1]}"
wait "${CP_PID[1]}" 2>/dev/null
sleep "$OUTAGE"
ping_end alice
# keys are new every 120 s, without the primary too
at_least "handshakes meanwhile" "$(($(handshakes_of) - handshakes))" $((OUTAGE / 130))
gateway_kill 2
gateway_run 2
lab_wait 15 follows 2 || fail "gw2 does not follow after its restart: $(gw 2 control.status)"
client_use alice 2 "$LAB_DIR/alice-gw2.conf"
reach alice 10.20.0.10 15
api 2 peer set alice description=x >/dev/null 2>"$LAB_DIR/refused" && fail "a follower took a change"
grep -q "192.0.2.101:7443" "$LAB_DIR/refused" || fail "the refusal does not name the primary: $(cat "$LAB_DIR/refused")"

step "the primary is back: by seq, without a snapshot"
before=$(for k in 1 3; do gw_status $k snapshots; done)
control_run 1
api 1 peer set alice description=back >/dev/null || fail "peer set"
seq=$(api_json 1 replication | jq .seq)
api 1 wait "$seq" all 20 >/dev/null || fail "not applied everywhere: $(api 1 replication)"
equal "snapshots of gw1 and gw3" "$(for k in 1 3; do gw_status $k snapshots; done)" "$before"

step "gateways tell which time they have counted, with and without clients, the outage too"
covers() { [ "$(api_json 1 would-deny window_s=3600 | jq '[.gaps[] | select(.covered_s >= 20 and .silent_s <= 20)] | length')" = 3 ]; }
lab_wait 40 covers || fail "not covered: $(api 1 would-deny window_s=3600)"
covered=$(api_json 1 would-deny window_s=3600 | jq '.gaps[] | select(.gateway == "gw1").covered_s')
at_least "seconds that gw1 covers" "$covered" "$OUTAGE"

step "a peer that is removed stops at each gateway within a second"
ping_none_after() { ! in_client alice ping -c 1 -W 1 10.20.0.10 >/dev/null 2>&1; }
reach alice 10.20.0.10
api 1 peer remove alice >/dev/null || fail "peer remove"
lab_wait 2 ping_none_after || fail "alice still passes"
for k in 1 2 3; do gw $k peer show wg0 alice >/dev/null 2>&1 && fail "gw$k still knows alice"; done
echo "fleet: passed"
