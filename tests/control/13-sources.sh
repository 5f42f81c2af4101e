#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# Several sources: one that swallows everything does not hold up a start, and another takes over where one ends.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice
control_init
control_start
control_furnish gw-1
ip netns exec "$GW" nft 'add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in ip daddr 127.0.0.9 drop' ||
	skip "no nft here"
SOURCES='{ host = "127.0.0.9"; port = 7444; }, { host = "localhost"; port = 7444; }, { host = "127.0.0.1"; port = 7445; }'
LAB_MODE=enforce control_config gw-1
add_peer alice 2
lab_client alice 2

step "a token that others may read is refused"
chmod 0644 "$LAB_DIR/gw-1.token"
ip netns exec "$GW" "$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" >"$LAB_DIR/refused.txt" 2>&1 && fail "it starts"
grep -q 'token_mode' "$LAB_DIR/refused.txt" || fail "$(tail -n 3 "$LAB_DIR/refused.txt")"
grep -q 'slt_' "$LAB_DIR/refused.txt" && fail "the token is in the message"
chmod 0600 "$LAB_DIR/gw-1.token"

step "the first source is silent: the second serves at once"
begin=$(now_ms)
lab_gateway
lab_wait 5 is connected true || fail "not connected: $(rpc control.status)"
lab_wait 5 served || fail "not served"
took=$(($(now_ms) - begin))
echo "   $took ms from the start until it serves"
at_most "time until it serves" "$took" 4000
equal source "$(status source)" localhost:7444
equal stale_config "$(status stale_config)" false
reach alice 10.20.0.10 20

step "it ends and comes back elsewhere"
stop_pid "$CP_PID"
lab_wait 5 is connected false || fail "it still thinks that it is connected"
ip netns exec "$GW" "$SLUICE_CONTROL" run --state-dir "$CP_DIR" --rest 127.0.0.1:7443 --repl 127.0.0.1:7445 --name cp1 \
	>>"$LAB_DIR/control.log" 2>&1 </dev/null &
CP_PID=$!
LAB_PIDS+=("$CP_PID")
ping_start alice 10.20.0.10
lab_wait 40 is connected true || fail "not connected: $(rpc control.status)"
equal source "$(status source)" 127.0.0.1:7445
ping_end alice
echo ok
