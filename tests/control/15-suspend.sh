#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 90
# A peer that is suspended: cut within a second with its running flows, no handshake, nobody else disturbed, also after a restart
# of the gateway without its control plane; let in again, it passes with the same key and configuration.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice bob
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
lab_gateway
lab_client alice 2
lab_client bob 3
add_peer alice 2
add_peer bob 3
iperf_server
reach alice 10.20.0.10
reach bob 10.20.0.10
sessions() { rpc session.list | jq "[.sessions[] | select(.peer == \"$1\" and .state == \"established\")] | length"; }
# arrives: a packet of alice's comes to the server within 3 s
arrives() { ip netns exec "$SRV" timeout 3 tcpdump -i eth0 -n -c 1 'src host 10.7.0.2' >"$LAB_DIR/seen" 2>/dev/null; }
# suspend true|false
suspend() { rest PATCH /peers/alice "{\"enabled\":$1}" >/dev/null; }

step "suspended: her running transfer ends, bob's pings go on"
ping_start bob 10.20.0.10
background ip netns exec "$LAB_ID-alice" iperf3 -c 10.20.0.10 -t 30 -b 2M --connect-timeout 3000 --snd-timeout 1500 >"$LAB_DIR/transfer" 2>&1
transfer=$LAB_LAST
sleep 1
arrives || fail "the transfer does not run"
equal "sessions of alice" "$(sessions alice)" 1
begin=$(now_ms)
suspend false
lab_wait 3 served || fail "not served: $(rpc control.status)"
took=$(($(now_ms) - begin))
echo "   served after $took ms"
at_most "time until it is served" "$took" 1500
arrives && fail "her packets reach the server: $(cat "$LAB_DIR/seen")"
ping_none alice 10.20.0.10
kill "$transfer" 2>/dev/null
ping_end bob

step "no handshake either, and nothing was lost of her"
client_forgets alice 2
ping_none alice 10.20.0.10 2
equal "sessions of alice" "$(sessions alice)" 0
equal "her record" "$(rest GET /peers/alice | jq -c '[.enabled, .public_key]')" "[false,\"$(lab_pub alice)\"]"
lab_gateway_stop
kill -9 "$CP_PID"
wait "$CP_PID" 2>/dev/null
lab_gateway
lab_wait 10 is stale_config true || fail "the cache does not serve: $(rpc control.status)"
lab_wait 20 in_client bob ping -c 1 -W 1 10.20.0.10 || fail "bob does not pass from the boot cache"
ping_none alice 10.20.0.10 2

step "let in again"
control_start
lab_wait 20 is connected true || fail "not connected"
suspend true
lab_wait 20 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "alice does not pass: $(rpc control.status)"
ping_all alice 10.20.0.10
