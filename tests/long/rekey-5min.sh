#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 500
# Five minutes of numbered datagrams, 20 a second, over at least two changes of keys, with every role of the gateway:
#	alice	asks and is answered; she is the initiator of every handshake
#	site	is asked by the server and answers; the gateway is the initiator
#	talker	only sends, the server never answers
#	hearer	only receives
# Not one datagram may be lost, doubled or out of order.
. "$(dirname "$0")/../smoke/lib.sh"
export WG_THREADS=1
N=${REKEY_PACKETS:-6400} # 320 s
NUMBERED="/usr/bin/python3 -u $SMOKE/numbered.py"

lab_start
lab_keys alice site talker hearer
lab_config "$(lab_peer alice 2), $(lab_peer site 3 'endpoint = "198.18.5.13:51821";'), $(lab_peer talker 4),
	$(lab_peer hearer 5 'endpoint = "198.18.5.15:51822";')"
lab_gateway
lab_client alice 2
lab_client site 3
lab_client talker 4
lab_client hearer 5
for c in 3:51821 5:51822; do # these two know no endpoint of the gateway
	wg set "$LAB_ID${c%:*}" listen-port "${c#*:}" peer "$(lab_pub gateway)" remove
	wg set "$LAB_ID${c%:*}" peer "$(lab_pub gateway)" allowed-ips 10.20.0.0/16,fd00:20::/64
done

background in_server $NUMBERED echo 10.20.0.10 7000 >"$LAB_DIR/echo-srv" 2>&1
background in_client site $NUMBERED echo 10.7.0.3 7000 >"$LAB_DIR/echo-site" 2>&1
background in_server $NUMBERED sink 10.20.0.10 7001 >"$LAB_DIR/sink-talker" 2>&1
background in_client hearer $NUMBERED sink 10.7.0.5 7001 >"$LAB_DIR/sink-hearer" 2>&1
sleep 1
pid=()
in_client alice $NUMBERED ask 10.20.0.10 7000 "$N" >"$LAB_DIR/ask-alice" 2>&1 & pid+=($!)
in_server $NUMBERED ask 10.7.0.3 7000 "$N" >"$LAB_DIR/ask-site" 2>&1 & pid+=($!)
in_client talker $NUMBERED send 10.20.0.10 7001 "$N" >"$LAB_DIR/send-talker" 2>&1 & pid+=($!)
in_server $NUMBERED send 10.7.0.5 7001 "$N" >"$LAB_DIR/send-hearer" 2>&1 & pid+=($!)
LAB_PIDS+=("${pid[@]}")
start=$SECONDS
while kill -0 "${pid[0]}" 2>/dev/null; do
	sleep 20
	echo "   $((SECONDS - start)) s: handshakes $(rpc peer.list | jq -c '[.peers[] | "\(.name) \(.handshakes)"]')"
done
wait "${pid[@]}"
sleep 2
for who in ask-alice ask-site; do
	echo "   $who: $(tail -n 1 "$LAB_DIR/$who")"
	equal "$who" "$(tail -n 1 "$LAB_DIR/$who")" "sent $N received $N lost 0 doubled 0 late 0"
done
for who in sink-talker sink-hearer; do
	echo "   $who: $(tail -n 1 "$LAB_DIR/$who")"
	equal "$who" "$(tail -n 1 "$LAB_DIR/$who")" "received $N next $N lost 0 doubled 0 late 0"
done
if [ "$N" -ge 6000 ]; then
	# more of them would mean that one side did not hear the other
	for who in alice site talker hearer; do
		at_least "handshakes of $who" "$(peer_of $who handshakes)" 3
		at_most "handshakes of $who" "$(peer_of $who handshakes)" 4
	done
fi
equal "began by the gateway" "$(rpc peer.list | jq '[.peers[] | select(.name == "site" or .name == "hearer").handshakes] | add')" \
	"$(rpc stats.get | jq .handshakes.sessions_initiator)"
no_fatal_drops
show_drops
