#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# One gateway under one control plane: what is put there is served here within a second, what is taken away ends, and the
# gateway goes on without it, through a restart too.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice bob
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
echo 'metrics = { };' >>"$LAB_DIR/gateway.conf"
lab_gateway
# metric NAME: of the gateway, for a Prometheus server
metric() { ip netns exec "$GW" curl -sS -m 5 http://127.0.0.1:9586/metrics | awk -v n="$1" '$1 == n {print $2}'; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
iperf_server

step "the gateway serves what the control plane has, and tells its key"
lab_wait 5 served || fail "not served: $(rpc control.status)"
equal connected "$(status connected)" true
lab_wait 3 metric_is sluice_repl_connected 1 || fail "the metrics say it is not connected"
lab_wait 3 metric_is sluice_repl_serving_seq "$(status serving_seq)" || fail "seq in the metrics: $(metric sluice_repl_serving_seq)"
equal "head in the metrics" "$(metric sluice_repl_head_seq)" "$(status head)"
equal "hash in the metrics" "$(metric sluice_repl_hash_ok)" 1
equal "snapshots in the metrics" "$(metric 'sluice_repl_snapshots_total{reason="new"}')" 1
ip netns exec "$GW" curl -sS -m 5 http://127.0.0.1:9586/metrics >"$LAB_DIR/scrape" || fail "no metrics"
/usr/bin/python3 "$SMOKE/metrics_doc.py" scrape "$SMOKE/../../docs/metrics.md" "Gateway,Gateway/Peers,Gateway/Under a control plane" "$LAB_DIR/scrape" ||
	fail "docs/metrics.md and the metrics differ"
heard=$(metric sluice_repl_last_heartbeat_timestamp_seconds)
at_most "seconds since it was heard" $(($(date +%s) - heard)) 15
lab_wait 5 is registered true || fail "not registered"
equal "its key" "$(rest GET "/gateway-interfaces/gw-1:$LAB_ID" | jq -r '.public_key // .object.public_key')" "$(lab_pub gateway)"

step "a peer passes within a second after it is added"
lab_client alice 2
begin=$(now_ms)
add_peer alice 2
lab_wait 5 rpc peer.get "{\"interface\":\"$LAB_ID\",\"peer\":\"alice\"}" || fail "the gateway does not know alice"
took=$(($(now_ms) - begin))
at_most "milliseconds until the gateway knows alice" "$took" 1000
reach alice 10.20.0.10
all=$(($(now_ms) - begin)) cookies=$(rpc stats.get | jq .handshakes.cookies_tx)
echo "   $took ms from the call until she is known, $all ms to the first answer (with the handshake), $cookies cookies sent"
# a gateway that is short of CPU asks her for a cookie first, which takes her five seconds
[ "$cookies" -gt 0 ] || at_most "milliseconds until the first answer" "$all" 1000
handshakes=$(peer_of alice handshakes "$LAB_ID")

step "changes elsewhere do not touch her session"
lab_client bob 3
ping_start alice 10.20.0.10
add_peer bob 3 '["guest"]'
rest PATCH "/interfaces/$LAB_ID" '{"mtu":1400}' >/dev/null
rpc control.resync >/dev/null
sleep 1
lab_wait 5 served || fail "not served"
ping_end alice
equal "handshakes of alice" "$(peer_of alice handshakes "$LAB_ID")" "$handshakes"

step "roles come with the peer, and a new one counts at once"
ping_none bob 10.20.0.10
lab_wait 20 shook bob || fail "bob has no handshake"
lab_client carl 4
add_peer carl 4 '[]'
ping_none carl 10.20.0.10
lab_wait 20 shook carl || fail "carl has no handshake"
# reasons: of what the control plane knows to be denied, by peer
reasons() { rest GET /policy/would-deny | jq -c '[.rows[] | [.peer, .then, .why, .reason]] | unique'; }
denied() { [ "$(reasons)" = '[["bob","deny","zone_default","zone_default"],["carl","deny","no_role","no_role"]]' ]; }
begin=$(now_ms)
lab_wait 20 denied || fail "what is denied, and why: $(reasons)"
echo "   the control plane knows what is denied after $(($(now_ms) - begin)) ms"
rest PATCH /peers/bob '{"roles":["eng"]}' >/dev/null
lab_wait 5 in_client bob ping -c 1 -W 1 10.20.0.10 || fail "bob does not reach the server with his new role"

step "nothing of it can be changed here; the mode can"
managed() {
	local answer
	answer=$(rpc "$@" 2>&1) && fail "$1 is possible"
	[[ $answer == *-32004* && $answer == *managed_by_control* ]] || fail "$1: $answer"
}
managed peer.remove "{\"interface\":\"$LAB_ID\",\"peer\":\"alice\"}"
managed policy.load '{"text":"{}"}'
ip netns exec "$GW" wg set "$LAB_ID" peer "$(lab_pub alice)" remove 2>/dev/null && fail "wg removes a peer"
rpc authz.mode.set '{"default":"observe"}' >/dev/null || fail "authz.mode.set"
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "authz.mode.set"

step "a peer that is deleted is cut at once, with its flows"
ping_start bob 10.20.0.10
sleep 0.3
begin=$(now_ms)
rest DELETE /peers/bob >/dev/null
lab_wait 5 sh -c "! '$LAB_CTL' -s '$LAB_RUN/mgmt.sock' peer.get interface=$LAB_ID peer=bob" || fail "bob is still there"
took=$(($(now_ms) - begin))
echo "   $took ms from the call until bob is gone"
kill "$PING_PID"
ping_none bob 10.20.0.10

step "kill -9 of the control plane: traffic goes on"
kill -9 "$CP_PID"
wait "$CP_PID" 2>/dev/null
lab_wait 5 is connected false || fail "it still thinks that it is connected"
lab_wait 3 metric_is sluice_repl_connected 0 || fail "the metrics say it is connected"
ping_all alice 10.20.0.10 20
equal "handshakes of alice" "$(peer_of alice handshakes "$LAB_ID")" "$handshakes"

step "a restart of the gateway without it: the boot cache serves"
lab_gateway_stop
ls "$LAB_DIR/state/control-cache" >/dev/null || fail "there is no boot cache"
grep -aq alice "$LAB_DIR/state/control-cache" && fail "the boot cache is readable"
begin=$(now_ms)
lab_gateway
lab_wait 10 is stale_config true || fail "the cache does not serve: $(rpc control.status)"
lab_wait 20 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "alice does not pass after the restart"
echo "   $(($(now_ms) - begin)) ms from the start to the first answer"
ping_none bob 10.20.0.10 1
[[ $(rpc sys.health) == *stale_config* ]] || fail "sys.health does not tell"

step "it comes back: what changed meanwhile is served, nobody is disturbed"
handshakes=$(peer_of alice handshakes "$LAB_ID")
ping_start alice 10.20.0.10
control_start
lab_wait 20 is connected true || fail "not connected again: $(status last_error)"
add_peer bob 3
lab_wait 30 in_client bob ping -c 1 -W 1 10.20.0.10 || fail "bob does not pass" # his client still has its old session
lab_wait 5 served || fail "not served"
equal stale_config "$(status stale_config)" false
ping_end alice
equal "handshakes of alice" "$(peer_of alice handshakes "$LAB_ID")" "$handshakes"

step "what it said of its peers came in, without their addresses"
lab_wait 5 sh -c "ip netns exec $GW /usr/bin/python3 -S '$CONTROL_TESTS/rest.py' '$CP_DIR' '$CP_TOKEN' GET /gateways/gw-1 >/dev/null" ||
	fail "GET /gateways/gw-1"
grep -aq '198\.18\.5\.1[0-9]' "$LAB_DIR/control.log" "$CP_DIR"/store.db* && fail "an outer address of a client is in the control plane"
rpc control.status | jq -c '{seq, serving_seq, head, hash_ok, objects, longest_turn_us, registered}'
equal hash_ok "$(status hash_ok)" true
dropped=${FATAL_DROPS/wg_index/} # of sessions that ended with their peer or the restart
no_drops ${dropped/hs_unknown_peer/} # bob begins anew while he is deleted
echo ok
