#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# A peer's key is changed with an overlap: the old key goes on, new handshakes too, until the new one shakes hands or the time
# is over; then it does neither pass nor shake hands. Without an overlap it ends at once.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys alice next third fourth
control_init
control_start
control_furnish gw-1
LAB_MODE=enforce control_config gw-1
lab_gateway
lab_client alice 2
add_peer alice 2
reach alice 10.20.0.10

# change KEY OVERLAP_S: at the control plane, until the gateway serves it.
change() {
	rest PUT /peers/alice/public-key "{\"public_key\":\"$(lab_pub "$1")\",\"overlap_s\":$2}" >/dev/null
	lab_wait 5 served || fail "not served: $(rpc control.status)"
}
# uses KEY: the client takes this key, and begins anew with its next packet.
uses() { wg set "${LAB_ID}2" private-key "$LAB_DIR/other.key" && wg set "${LAB_ID}2" private-key "$LAB_DIR/$1.key"; }
(umask 077 && wg genkey >"$LAB_DIR/other.key")
# shakes KEY: how many handshakes the gateway counts of this key, nothing where it does not know it.
shakes() {
	rpc peer.list "{\"interface\":\"$LAB_ID\"}" | jq -r ".peers[] | select(.public_key == \"$(lab_pub "$1")\").handshakes"
}
unknown() { [ -z "$(shakes "$1")" ]; }

step "overlap: the old key goes on without a lost packet, and shakes hands anew"
before=$(shakes alice)
ping_start alice 10.20.0.10
change next 60
sleep 1
ping_end alice
equal "handshakes of the old key" "$(shakes alice)" "$before"
equal "handshakes of the new key" "$(shakes next)" 0
uses alice
reach alice 10.20.0.10 6
ping_all alice 10.20.0.10
at_least "handshakes of the old key" "$(shakes alice)" $((before + 1))

step "the new key shakes hands: it takes over, the old one is worth nothing"
uses next
begin=$(now_ms)
reach alice 10.20.0.10 5
echo "   the new key passes after $(($(now_ms) - begin)) ms"
lab_wait 2 unknown alice || fail "the old key is still known"
ping_all alice 10.20.0.10
equal "handshakes of the new key" "$(shakes next)" 1
uses alice
ping_none alice 10.20.0.10 2
uses next
reach alice 10.20.0.10 6
ping_all alice 10.20.0.10

step "nobody uses the new key: the old one ends with the overlap"
begin=$(now_ms)
change third 4
uses next
lab_wait 3 in_client alice ping -c 1 -W 0.3 10.20.0.10 || fail "the old key does not shake hands within the overlap"
at_most "time since the change" $(($(now_ms) - begin)) 3900
lab_wait 5 unknown next || fail "the old key is still known"
at_least "time since the change" $(($(now_ms) - begin)) 3900
ping_none alice 10.20.0.10 2
uses next
ping_none alice 10.20.0.10 2
uses third
reach alice 10.20.0.10 6

step "no overlap: the old key ends at once"
change fourth 0
unknown third || fail "the old key is still known"
ping_none alice 10.20.0.10 2
uses fourth
reach alice 10.20.0.10 6

step "changed twice: the key between, which nobody used, is the old one now"
change alice 60
change next 60
unknown fourth || fail "a key of two changes ago is still known"
uses alice
reach alice 10.20.0.10 6
uses next
reach alice 10.20.0.10 6
lab_wait 2 unknown alice || fail "the old key is still known"
equal "name of the peer" "$(rpc peer.list "{\"interface\":\"$LAB_ID\"}" | jq -c '[.peers[].name]')" '["alice"]'
echo ok
