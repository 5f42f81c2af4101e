#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# A gateway's certificate over its life: it ends soon and the gateway tells, it is renewed while traffic flows, it is revoked with
# the gateway that is taken out.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice
control_init
control_start
control_furnish gw-1
ca() { "$LAB_CTL" ca "$1" "$CP_DIR/ca" "${@:2}" >/dev/null || fail "ca $*"; }
serial() { openssl x509 -in "$LAB_DIR/gw-1.pem" -noout -serial | cut -d= -f2 | tr A-F a-f; }
health() { rpc sys.health | jq -r '.problems[]'; }
logins() { grep -c 'login of .*certificate' "$LAB_DIR/control.log"; }
ca issue --kind gateway --name gw-1 --days 2 --out "$LAB_DIR/gw-1"
LAB_MODE=enforce lab_config "" "control_plane = {
	name = \"gw-1\"; sources = ( { host = \"127.0.0.1\"; port = 7444; } ); ca_file = \"$CP_DIR/tls/ca.pem\";
	cert_file = \"$LAB_DIR/gw-1.pem\"; key_file = \"$LAB_DIR/gw-1.key\"; interfaces = [ \"$LAB_ID\" ]; stats_s = 1;
}; metrics = { };"
lab_gateway
lab_client alice 2
add_peer alice 2
reach alice 10.20.0.10
lab_wait 5 served || fail "not served: $(rpc control.status)"

step "it ends in 2 days: log and health tell"
health | grep -q "certificate_expires: $LAB_DIR/gw-1.pem for the control plane ends in" || fail "health: $(health)"
grep -q 'certificate_expires: the certificate of .*gw-1.pem ends in' "$LAB_DIR/gateway.log" || fail "the log does not tell"
metric() { ip netns exec "$GW" curl -sS -m 5 http://127.0.0.1:9586/metrics | awk '$1 == "sluice_certificate_expiry_timestamp_seconds{use=\"control_plane\"}" {print $2}'; }
equal "its end in the metrics" "$(metric)" "$(date +%s -d "$(openssl x509 -in "$LAB_DIR/gw-1.pem" -noout -enddate | cut -d= -f2)")"

step "renewed, SIGHUP: nothing is interrupted, the next connection uses it"
equal "logins" "$(logins)" 1
grep -q "certificate $(serial)" "$LAB_DIR/control.log" || fail "the first certificate is not in the server's log"
ping_start alice 10.20.0.10
ca renew "$LAB_DIR/gw-1.pem"
kill -HUP "$LAB_GW_PID"
quiet() { ! health | grep -q certificate_expires; }
lab_wait 5 quiet || fail "health still tells: $(health)"
equal connected "$(status connected)" true
equal "logins" "$(logins)" 1
kill -9 "$CP_PID"
wait "$CP_PID" 2>/dev/null
control_start
lab_wait 20 is connected true || fail "not connected again: $(status last_error)"
grep -q "certificate $(serial)" "$LAB_DIR/control.log" || fail "the renewed certificate is not used: $(tail -n 3 "$LAB_DIR/control.log")"
ping_end alice

step "a broken file: the certificate stays"
cp "$LAB_DIR/gw-1.pem" "$LAB_DIR/good.pem"
head -c 100 "$LAB_DIR/good.pem" >"$LAB_DIR/gw-1.pem"
kill -HUP "$LAB_GW_PID"
lab_wait 5 grep -q 'certificates stay as they are' "$LAB_DIR/gateway.log" || fail "the log does not tell"
rpc control.resync >/dev/null
lab_wait 5 is connected true || fail "not connected"
cp "$LAB_DIR/good.pem" "$LAB_DIR/gw-1.pem"

step "the server's own certificate is renewed: the gateway stays, the next connection sees it"
ca renew "$CP_DIR/tls/control.pem"
kill -HUP "$CP_PID"
lab_wait 5 grep -q 'certificates are read anew' "$LAB_DIR/control.log" || fail "SIGHUP"
equal connected "$(status connected)" true
shown=$(ip netns exec "$GW" openssl s_client -connect 127.0.0.1:7444 -alpn sluice-repl/1 -CAfile "$CP_DIR/tls/ca.pem" </dev/null 2>/dev/null | openssl x509 -noout -serial)
equal "what the server shows" "$shown" "$(openssl x509 -in "$CP_DIR/tls/control.pem" -noout -serial)"

step "taken out: the connection ends, it is not let in, its clients pass no more"
begin=$(now_ms)
rest POST /gateways/gw-1/decommission "{\"reason\":\"sold\",\"certificates\":[\"$(serial)\"]}" | jq -c .
lab_wait 5 is connected false || fail "still connected: $(rpc control.status)"
echo "   $(($(now_ms) - begin)) ms until the connection is gone"
sleep 2
equal connected "$(status connected)" false
grep -q 'login of .* refused: the certificate is not accepted here' "$LAB_DIR/control.log" || fail "it does not try, or the log does not tell"
[[ $(status last_error) == *certificate_refused* ]] || fail "the gateway does not know why: $(rpc control.status)"
health | grep -q 'does not let this gateway in (certificate_refused' || fail "health: $(health)"
equal "interfaces" "$(rest GET /gateway-interfaces | jq -c '[.items[].gateway]')" '[]'
equal "clients' configurations" "$(rest GET /peers/alice/config | jq -c .configs)" '[]'
rpc control.status | jq -c '{objects, seq, serving_seq, last_error}'
ping_none alice 10.20.0.10
