#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# The control plane goes back to a backup: the gateway takes the new epoch by itself, peers that both have keep their
# sessions, and who was deleted since does not come back before somebody says so.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice bob
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
echo 'metrics = { };' >>"$LAB_DIR/gateway.conf"
lab_gateway
add_peer alice 2
add_peer bob 3
lab_keys carol
add_peer carol 4
lab_keys dave
add_peer dave 5
lab_client alice 2
lab_client bob 3
reach alice 10.20.0.10
reach bob 10.20.0.10
"$SLUICE_CONTROL" backup "$LAB_DIR/backup.db" --state-dir "$CP_DIR" >/dev/null || fail "backup"
rest DELETE /peers/bob >/dev/null
rest DELETE /peers/carol >/dev/null
rest DELETE /peers/dave >/dev/null
lab_wait 5 served || fail "not served"
handshakes=$(peer_of alice handshakes "$LAB_ID")
epoch=$(status epoch)

step "restore: a new epoch, a snapshot, no handshake"
ping_start alice 10.20.0.10
stop_pid "$CP_PID"
# the store that is replaced is lost: its own memory of the deletion with it
rm -f "$CP_DIR"/store.db*
"$SLUICE_CONTROL" restore "$LAB_DIR/backup.db" --state-dir "$CP_DIR" >/dev/null || fail "restore"
control_start
lab_wait 20 is connected true || fail "not connected: $(rpc control.status)"
lab_wait 10 sh -c "[ \"\$('$LAB_CTL' -s '$LAB_RUN/mgmt.sock' -j control.status | jq .epoch)\" -gt $epoch ]" ||
	fail "the epoch is still $epoch: $(rpc control.status)"
lab_wait 5 served || fail "not served: $(rpc control.status)"
equal "snapshots that it was sent since" "$(rest GET /metrics | grep '^sluice_control_snapshots_total.* [1-9]')" \
	'sluice_control_snapshots_total{node="gw-1",kind="gateway",reason="epoch_changed"} 1'
ping_end alice
equal "handshakes of alice" "$(peer_of alice handshakes "$LAB_ID")" "$handshakes"

step "bob is there again, at the control plane; here he is blocked"
rest GET /peers/bob >/dev/null
ping_none bob 10.20.0.10 1
equal blocked "$(status blocked)" 3
equal tombstone "$(rpc control.tombstones | jq -r '.tombstones[] | select(.blocks) | .kind + "/" + .id' | sort | xargs)" "peer/bob peer/carol peer/dave"
[[ $(rpc sys.health) == *blocked* ]] || fail "sys.health does not tell"
equal hash_ok "$(status hash_ok)" true

step "the control plane, which knows nothing of it by itself, is told"
told() { [ "$(rest GET /blocked | jq -r '[.items[] | .object + "@" + .gateways[0]] | sort | join(" ")')" = "$1" ]; }
lab_wait 30 told "peer/bob@gw-1 peer/carol@gw-1 peer/dave@gw-1" || fail "blocked: $(rest GET /blocked)"
equal "in the metrics" "$(rest GET /metrics | grep '^sluice_control_blocked_objects')" 'sluice_control_blocked_objects{node="gw-1"} 3'
equal "in the gateway's" "$(ip netns exec "$GW" curl -sS -m 5 http://127.0.0.1:9586/metrics | grep '^sluice_repl_blocked_objects')" "sluice_repl_blocked_objects 3"

step "through a restart of the gateway too"
lab_gateway_stop
lab_gateway
lab_wait 10 is connected true || fail "not connected"
lab_wait 5 served || fail "not served"
equal blocked "$(status blocked)" 3
reach alice 10.20.0.10 20

step "an administrator puts one anew, as it is"
rest PUT /peers/carol "$(rest GET /peers/carol | jq -c 'del(.name, .rev)')" >/dev/null
lab_wait 5 served || fail "not served"
equal blocked "$(status blocked)" 2

step "or has one of the list put anew, and it is not on it any more"
lab_wait 30 told "peer/bob@gw-1 peer/dave@gw-1" || fail "blocked: $(rest GET /blocked)"
equal confirmed "$(rest POST /blocked/confirm '{"objects":["peer/dave"]}' | jq -r '.confirmed | join(" ")')" peer/dave
told "peer/bob@gw-1" || fail "blocked: $(rest GET /blocked)"
lab_wait 5 served || fail "not served"
equal blocked "$(status blocked)" 1

step "somebody says so of the other one at the gateway"
rpc control.tombstone.confirm '{"kind":"peer","id":"bob"}' >/dev/null
lab_wait 30 in_client bob ping -c 1 -W 1 10.20.0.10 || fail "bob does not pass"
equal blocked "$(status blocked)" 0
echo ok
