#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 90
# A gateway whose token is revoked loses the connection that it has, within seconds, and gets no other; it serves on what it
# knows. With a new token it is back.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
lab_gateway
lab_wait 5 served || fail "not served: $(rpc control.status)"
lab_client alice 2
add_peer alice 2
reach alice 10.20.0.10

has_bob() { rpc peer.get "{\"interface\":\"$LAB_ID\",\"peer\":\"bob\"}"; }

step "revoked: the connection ends"
id=$(cut -c5-14 "$LAB_DIR/gw-1.token")
begin=$(now_ms)
rest DELETE "/tokens/$id" >/dev/null
lab_wait 5 is connected false || fail "the gateway is still connected: $(rpc control.status)"
echo "   $(($(now_ms) - begin)) ms"
grep -qE "control_lost .*(credential_changed|revoked)" "$LAB_DIR/gateway.log" || fail "the gateway's log does not tell why"
sleep 3
grep -q "login of tls:127.0.0.1 refused" "$LAB_DIR/control.log" || fail "the gateway does not try again, or the log does not tell"
equal connected "$(status connected)" false
ping_all alice 10.20.0.10

step "what is put there meanwhile does not come here"
lab_keys bob
add_peer bob 3
sleep 1
has_bob >/dev/null 2>&1 && fail "bob came to a gateway that is revoked"

step "with a new token it is back"
(umask 077 && rest POST /tokens '{"roles":["gateway"],"bound":"gw-1"}' | jq -r .token >"$LAB_DIR/gw-1.token")
lab_gateway_stop
lab_gateway
lab_wait 10 is connected true || fail "not connected: $(rpc control.status)"
lab_wait 10 has_bob || fail "bob did not come: $(rpc control.status)"
! grep -qF "$(cut -c16- "$LAB_DIR/gw-1.token")" "$LAB_DIR"/*.log || fail "the token is in a log"
