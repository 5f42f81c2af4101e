#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Edges of WireGuard: very many AllowedIPs, keys of low order, a tunnel in the tunnel, a source that belongs to another
# peer, packets to a peer without endpoint.
. "$(dirname "$0")/lib.sh"

smoke_start alice bob
reach alice 10.20.0.10
reach bob 10.20.0.10
ping_start alice 10.20.0.10

step "130,560 AllowedIPs at one peer; 40 peers with 52 each; 197 of IPv6"
lab_keys many
{
	printf '[Peer]\nPublicKey = %s\n' "$(lab_pub many)"
	awk 'BEGIN {for (i = 0; i < 255; i++) {s = "AllowedIPs = "; for (j = 0; j < 256; j++) s = s (j ? ", " : "") "11." i "." j ".0/32, 11." i "." j ".1/32"; print s}}'
} >"$LAB_DIR/many.conf"
start=$(now_ms)
wg addconf "$LAB_ID" "$LAB_DIR/many.conf" || fail "wg addconf"
echo "   added in $(($(now_ms) - start)) ms"
equal "AllowedIPs of the peer" "$(wg show "$LAB_ID" allowed-ips | awk -v k="$(lab_pub many)" '$1 == k {print NF - 1}')" 130560
start=$(now_ms)
wg set "$LAB_ID" peer "$(lab_pub many)" remove || fail "wg set remove"
echo "   removed in $(($(now_ms) - start)) ms"
for i in {1..40}; do
	key=$(wg genkey | wg pubkey)
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "$key" "$(seq -s, -f "12.$i.%.0f.0/24" 1 52)"
done >"$LAB_DIR/forty.conf"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "$(lab_pub many)" "$(awk 'BEGIN {for (i = 1; i <= 197; i++) printf "%sabcd:%x::/%d", (i > 1 ? "," : ""), i, 64 + i % 65}')" >>"$LAB_DIR/forty.conf"
wg addconf "$LAB_ID" "$LAB_DIR/forty.conf" || fail "wg addconf of forty"
equal "peers" "$(wg show "$LAB_ID" peers | wc -l)" 43
equal "AllowedIPs in all" "$(wg show "$LAB_ID" allowed-ips | awk '{n += NF - 1} END {print n}')" $((4 + 40 * 52 + 197))
wg syncconf "$LAB_ID" <(wg showconf "$LAB_ID" | awk 'BEGIN {RS = ""; ORS = "\n\n"} /Interface/ || /10\.7\.0\./') || fail "wg syncconf"
equal "peers" "$(wg show "$LAB_ID" peers | wc -l)" 2

step "public keys of low order: no packet is ever sent to them"
capture "$LAB_ID-alice" eth0 'udp dst port 9'
# u = 1, p - 1, p, and a point of order 8
for key in AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 7P///////////////////////////////////////38= \
	7f///////////////////////////////////////38= 4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=; do
	wg set "$LAB_ID" peer "$key" endpoint 198.18.5.12:9 persistent-keepalive 1 allowed-ips 10.7.0.77/32 2>/dev/null || true
	in_server ping -c 1 -W 1 10.7.0.77 >/dev/null && fail "an answer from $key"
	wg set "$LAB_ID" peer "$key" remove 2>/dev/null || true
done
equal "packets to such peers" "$(capture_stop | wc -l)" 0

step "a tunnel in the tunnel ends at the gateway"
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" allowed-ips 10.20.0.0/16,10.7.0.0/16,fd00:20::/64,fd00:7::/64,198.18.5.2/32
in_client alice /usr/bin/python3 -c "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'${LAB_ID}2')
for _ in range(3):
    s.sendto(struct.pack('<I', 4) + bytes(60), ('198.18.5.2', 51820))"
lab_wait 3 eval '[ "$(drop nested_tunnel)" = 3 ]' || fail "nested_tunnel is $(drop nested_tunnel), wanted 3"

step "a source of another peer is dropped"
lab_addr "$LAB_ID-bob" "${LAB_ID}3" 10.7.0.2/32
ping_none bob 10.20.0.10 3 -I 10.7.0.2
equal "spoofed packets" "$(drop spoofed_source)" 3
ip -n "$LAB_ID-bob" addr del 10.7.0.2/32 dev "${LAB_ID}3"

step "a peer without endpoint: the server is told"
lab_keys nowhere
wg set "$LAB_ID" peer "$(lab_pub nowhere)" allowed-ips 10.7.0.88/32
out=$(in_server ping -c 2 -i 0.2 -W 1 10.7.0.88 2>&1)
grep -q 'From 10.20.0.1.*Unreachable' <<<"$out" || fail "no 'unreachable': $out"
at_least "packets without an endpoint" "$(drop no_endpoint)" 1
out=$(in_server ping -c 2 -i 0.2 -W 1 10.7.0.99 2>&1)
grep -q 'From 10.20.0.1.*Unreachable' <<<"$out" || fail "no 'unreachable' for an address that no peer has: $out"
at_least "packets to nobody" "$(drop no_peer)" 1
ping_end alice
no_drops auth_fail replay wg_index hs_mac1 no_mbuf
