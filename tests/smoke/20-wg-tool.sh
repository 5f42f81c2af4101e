#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The wg tool on a Sluice interface: show, set, addconf, syncconf, showconf, setconf. What is done to one peer leaves the
# session, the counters and the packets of another alone.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob carol dave
lab_config "$(peers_text alice bob)"
lab_gateway
lab_client alice 2
lab_client bob 3
lab_client carol 4
dev=$LAB_ID
alice=$(lab_pub alice) bob=$(lab_pub bob) carol=$(lab_pub carol) dave=$(lab_pub dave)
reach alice 10.20.0.10
reach bob 10.20.0.10

step "wg show"
shown=$(wg show "$dev")
for text in "interface: $dev" "public key: $(lab_pub gateway)" "private key: (hidden)" "listening port: 51820" "peer: $alice" \
	"endpoint: 198.18.5.12:" "allowed ips: 10.7.0.2/32, fd00:7::2/128" "latest handshake: " "transfer: "; do
	grep -qF "$text" <<<"$shown" || fail "wg show does not say \"$text\": $shown"
done
equal "wg show private-key" "$(wg show "$dev" private-key)" "$(cat "$LAB_DIR/gateway.key")"
equal "wg show public-key" "$(wg show "$dev" public-key)" "$(lab_pub gateway)"
equal "wg show listen-port" "$(wg show "$dev" listen-port)" 51820
equal "wg show peers" "$(wg show "$dev" peers | sort)" "$(printf '%s\n' "$alice" "$bob" | sort)"
equal "wg show dump fields" "$(wg show "$dev" dump | awk 'NR == 2 {print NF}')" 8
wg show interfaces | grep -qw "$dev" || fail "wg show interfaces does not name $dev"

alice_index=$(session_of alice local_index)
alice_rx=$(peer_of alice rx_bytes)
ping_start alice 10.20.0.10
alice_unmoved() { equal "keys of alice after $1" "$(session_of alice local_index)" "$alice_index"; }

step "wg set: a new peer works at once"
wg set "$dev" peer "$carol" allowed-ips 10.7.0.4/32,fd00:7::4/128 || fail "wg set"
reach carol 10.20.0.10
ping_all carol fd00:20::10
alice_unmoved "adding a peer"

step "wg set: keepalive, preshared key and removal of others"
(umask 077 && wg genpsk >"$LAB_DIR/carol.psk")
wg set "$dev" peer "$bob" persistent-keepalive 5 peer "$carol" preshared-key "$LAB_DIR/carol.psk" || fail "wg set two peers"
wg show "$dev" persistent-keepalive | grep -q "^$bob.5$" || fail "keepalive is not shown"
wg show "$dev" preshared-keys | grep -qF "$(cat "$LAB_DIR/carol.psk")" || fail "preshared key is not shown to root"
wg set "${LAB_ID}4" peer "$(lab_pub gateway)" preshared-key "$LAB_DIR/carol.psk"
wg set "$dev" peer "$bob" remove || fail "wg set remove"
ping_none bob 10.20.0.10 2
alice_unmoved "removing a peer"

step "wg showconf, syncconf: only what differs changes"
wg showconf "$dev" >"$LAB_DIR/conf" || fail "wg showconf"
grep -q '^ListenPort = 51820' "$LAB_DIR/conf" && grep -qF "PublicKey = $alice" "$LAB_DIR/conf" || fail "wg showconf: $(cat "$LAB_DIR/conf")"
cp "$LAB_DIR/conf" "$LAB_DIR/sync"
printf '\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.3/32, fd00:7::3/128\n' "$bob" >>"$LAB_DIR/sync"
wg syncconf "$dev" "$LAB_DIR/sync" || fail "wg syncconf"
client_forgets bob 3
reach bob 10.20.0.10
wg syncconf "$dev" "$LAB_DIR/conf" || fail "wg syncconf back"
! wg show "$dev" peers | grep -qF "$bob" || fail "syncconf left the peer that is not in the file"
alice_unmoved "syncconf"

step "wg addconf"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.3/32, fd00:7::3/128\n' "$bob" >"$LAB_DIR/add"
wg addconf "$dev" "$LAB_DIR/add" || fail "wg addconf"
client_forgets bob 3
reach bob 10.20.0.10
alice_unmoved "addconf"

step "a prefix moves to the peer that claims it last, as in WireGuard"
wg set "$dev" peer "$dave" allowed-ips 10.7.0.3/32 || fail "wg set with a prefix of another peer"
wg show "$dev" allowed-ips | grep -qF "$bob	fd00:7::3/128" || fail "bob should keep fd00:7::3/128 alone: $(wg show "$dev" allowed-ips)"
ping_none bob 10.20.0.10 2
ping_all bob fd00:20::10
wg set "$dev" peer "$bob" allowed-ips 10.7.0.3/32,fd00:7::3/128
reach bob 10.20.0.10

step "the interface's own public key as a peer is ignored"
wg set "$dev" peer "$(lab_pub gateway)" allowed-ips 10.7.0.250/32
! wg show "$dev" peers | grep -qF "$(lab_pub gateway)" || fail "the gateway is its own peer"

step "errors"
wg set "$dev" listen-port 443 2>/dev/null && fail "port 443 is accepted"
equal "listen port" "$(wg show "$dev" listen-port)" 51820
wg set "${dev}no" listen-port 5555 2>/dev/null && fail "an interface that does not exist is accepted"

ping_end alice
[ "$(peer_of alice rx_bytes)" -gt "$alice_rx" ] || fail "alice's counters were reset"
alice_unmoved "all of it"

step "another listen port, another key, back again"
wg set "$dev" listen-port 51999 || fail "wg set listen-port"
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" endpoint 198.18.5.2:51999
reach alice 10.20.0.10
lab_keys second
wg set "$dev" private-key "$LAB_DIR/second.key" || fail "wg set private-key"
equal "public key" "$(wg show "$dev" public-key)" "$(lab_pub second)"
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" remove peer "$(lab_pub second)" endpoint 198.18.5.2:51999 \
	allowed-ips 10.20.0.0/16,fd00:20::/64
reach alice 10.20.0.10
ping_all alice fd00:20::10

step "wg setconf replaces everything"
wg setconf "$dev" "$LAB_DIR/conf" || fail "wg setconf"
equal "listen port" "$(wg show "$dev" listen-port)" 51820
equal "peers" "$(wg show "$dev" peers | sort)" "$(printf '%s\n' "$alice" "$carol" | sort)"
wg set "${LAB_ID}2" peer "$(lab_pub second)" remove peer "$(lab_pub gateway)" endpoint 198.18.5.2:51820 \
	allowed-ips 10.20.0.0/16,fd00:20::/64
reach alice 10.20.0.10

step "each set is recorded, without the private key"
records() { lab_ctl -j audit.recent action=wg-set limit=100 | tr -d ' \n'; }
recorded() { records | grep -qF "$1"; }
lab_wait 5 recorded '"replace_peers":true' || fail "no record of setconf: $(records)"
recorded '"private_key":true' || fail "no record of the key's change: $(records)"
! recorded "$(cat "$LAB_DIR/second.key")" || fail "a private key in a record"
