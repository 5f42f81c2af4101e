#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Preshared keys: right and wrong; persistent keepalive from both ends; a client behind a NAT that forgets soon.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob carol
(umask 077 && wg genpsk >"$LAB_DIR/alice.psk" && wg genpsk >"$LAB_DIR/other.psk")
lab_config "$(lab_peer alice 2 "preshared_key_file = \"$LAB_DIR/alice.psk\";"),
	$(lab_peer bob 3 'persistent_keepalive = 1;'), $(lab_peer carol 4)"
lab_gateway
gateway=$(lab_pub gateway)

step "preshared key: none and a wrong one do not pass, the right one does"
lab_client alice 2
ping_none alice 10.20.0.10 2
wg set "${LAB_ID}2" peer "$gateway" preshared-key "$LAB_DIR/other.psk"
ping_none alice 10.20.0.10 2
wg set "${LAB_ID}2" peer "$gateway" preshared-key "$LAB_DIR/alice.psk"
reach alice 10.20.0.10 12
ping_all alice fd00:20::10
equal "peer has a preshared key" "$(peer_of alice preshared_key)" true

step "keepalives of the gateway reach a silent client"
lab_client bob 3
ping_all bob 10.20.0.10 1
before=$(wg show "${LAB_ID}3" transfer | cut -f2)
sleep 3.3
after=$(wg show "${LAB_ID}3" transfer | cut -f2)
at_least "keepalives in 3.3 s (32 bytes each)" $(((after - before) / 32)) 3
at_most "keepalives in 3.3 s (32 bytes each)" $(((after - before) / 32)) 4

step "a client behind a NAT that forgets after 2 s stays reachable by its own keepalive"
lab_nat_client carol 4
wg set "${LAB_ID}4" peer "$gateway" persistent-keepalive 1
reach carol 10.20.0.10
case $(peer_of carol endpoint) in
198.18.5.200:*) ;;
*) fail "endpoint behind the NAT is $(peer_of carol endpoint)" ;;
esac
sleep 4
server_ping_all 10.7.0.4 3
step "without it the NAT forgets, and the client's next packet opens it again"
wg set "${LAB_ID}4" peer "$gateway" persistent-keepalive 0
sleep 4
in_server ping -c 1 -W 1 10.7.0.4 >/dev/null && fail "the NAT should have forgotten"
ping_all carol 10.20.0.10 3
no_drops auth_fail replay wg_index spoofed_source
