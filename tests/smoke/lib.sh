# SPDX-License-Identifier: BSD-3-Clause
# What the smoke tests share, over the lab of tools/lib/lab.sh: steps, checks, traffic, questions to the gateway.
# A test ends with status 0, 1 with a line FAIL, or 77 with its reason as the last line.
set -uo pipefail
SMOKE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$SMOKE/../../tools/lib/lab.sh"

step() { printf -- '-- %s\n' "$*"; }
fail() {
	echo "FAIL: $*"
	[ -z "${LAB_GW_PID:-}" ] || ! kill -0 "$LAB_GW_PID" 2>/dev/null || show_drops
	exit 1
}
skip() {
	echo "skipped: $*"
	exit 77
}
# equal WHAT GOT WANTED
equal() { [ "$2" = "$3" ] || fail "$1: got \"$2\", wanted \"$3\""; }
# at_least WHAT GOT MINIMUM
at_least() { [ -n "$2" ] && [ "$2" -ge "$3" ] || fail "$1: got \"$2\", wanted at least $3"; }
at_most() { [ -n "$2" ] && [ "$2" -le "$3" ] || fail "$1: got \"$2\", wanted at most $3"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# smoke_start NAME...: a running gateway with these clients as peers 2, 3, ... and an iperf3 server.
smoke_start() {
	lab_start
	lab_keys "$@"
	lab_config "$(peers_text "$@")"
	lab_gateway
	local n=2 c
	for c in "$@"; do lab_client "$c" $((n++)); done
	iperf_server
}

# peers_text NAME...: the peers' list of a configuration, numbers from 2.
peers_text() {
	local n=2 c text=
	for c in "$@"; do
		text+="${text:+,$'\n'}$(lab_peer "$c" $n)"
		n=$((n + 1))
	done
	echo "$text"
}

# background COMMAND...: ends with the lab; its pid is in LAB_LAST.
background() {
	"$@" </dev/null &
	LAB_LAST=$!
	LAB_PIDS+=("$LAB_LAST")
}

# stop_pid PID: end one process and wait for it.
stop_pid() {
	kill "$1" 2>/dev/null
	local i
	for i in {1..100}; do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.02
	done
	wait "$1" 2>/dev/null
	return 0
}

# iperf_server [NS [PORT]]
iperf_server() {
	local ns=${1:-$SRV} port=${2:-5201}
	background ip netns exec "$ns" iperf3 -s -p "$port" >/dev/null 2>&1
	lab_wait 5 listens "$ns" "$port" || fail "iperf3 does not listen"
}
listens() { ip netns exec "$1" ss -Hltn "sport = :$2" | grep -q .; }

# --- questions to the gateway -----------------------------------------------------------------------------------

# rpc METHOD [PARAMS]: the result as JSON; an error on standard error, status 1.
rpc() { /usr/bin/python3 -S "$SMOKE/rpc.py" "${RPC_ADDRESS:-$LAB_RUN/mgmt.sock}" "$@"; }
drop() { rpc drops.get '{"all":true}' | jq "[.drops[] | select(.reason == \"$1\").packets] | add // 0"; }
show_drops() { rpc drops.get 2>/dev/null | jq -r '.drops[] | "  drop \(.reason) \(.packets)"'; }
# peer_of NAME FIELD [INTERFACE]
peer_of() { rpc peer.get "{\"interface\":\"${3:-$LAB_ID}\",\"peer\":\"$1\"}" | jq -r ".$2 // empty"; }
session_of() { rpc session.list | jq -r ".sessions[] | select(.peer == \"$1\").$2 // empty"; }
# stalled_ms: since the boot, for how long programs waited for a CPU, and this machine for one of its host's.
stalled_ms() { awk '$1 == "some" {ms += substr($5, 7) / 1000} $1 == "cpu" {ms += $9 * 10} END {printf "%d", ms}' /proc/pressure/cpu /proc/stat 2>/dev/null; }
STALLED_MS=$(stalled_ms)
# no_drops REASON...: none of these may have happened. A handshake message is stale when it waited for five seconds in the gateway:
# that is a fault, unless programs waited as long for a CPU since the test began.
no_drops() {
	local reasons=" $* " got stalled=$(($(stalled_ms) - STALLED_MS))
	if [[ $reasons == *" hs_stale "* ]] && [ $stalled -ge 5000 ] && [ "$(drop hs_stale)" != 0 ]; then
		echo "   $(drop hs_stale) packets dropped as hs_stale: programs waited $stalled ms for a CPU"
		reasons=${reasons/ hs_stale / }
	fi
	got=$(rpc drops.get '{"all":true}' | jq -r --arg reasons "$reasons" '[.drops[] | select(.packets > 0 and (.reason | IN($reasons | splits(" +")))) |
		"\(.packets) packets dropped as \(.reason)"] | if . == [] then "none" else join(", ") end')
	[ "$got" = none ] || fail "${got:-the gateway does not tell its drops}"
}
# Reasons that show a mistake of the gateway's own wherever stock clients talk to it.
FATAL_DROPS="auth_fail replay wg_index wrong_interface wg_length hs_mac1 hs_invalid hs_unknown_peer hs_no_key hs_stale
	inner_version inner_length inner_header spoofed_source headroom no_mbuf steer_full chained l4_checksum ip_checksum
	ip_header ip_truncated park_timeout keypair_expired frag_outer"
# no_fatal_drops [BUT]: none of them, but this one: wg_index where the gateway was started anew, for what a client sends before
# they have shaken hands is of its session with the gateway before.
no_fatal_drops() {
	# shellcheck disable=SC2086
	no_drops ${FATAL_DROPS/${1:-nothing}/}
}

# --- traffic ----------------------------------------------------------------------------------------------------

# reach CLIENT ADDRESS [SECONDS]: wait until a ping is answered. A gateway that is short of CPU asks a client for a cookie,
# which comes with the next handshake, five seconds later: where it did so, they are added.
reach() {
	local before
	before=$(cookies_sent)
	lab_wait "${3:-20}" in_client "$1" ping -c 1 -W 1 "$2" ||
		{ [ "$(cookies_sent)" -gt "$before" ] && lab_wait 7 in_client "$1" ping -c 1 -W 1 "$2"; } ||
		fail "$1 does not reach $2 in ${3:-20} s"
}
cookies_sent() { rpc stats.get 2>/dev/null | jq -s '.[0].handshakes.cookies_tx // 0'; }
# shook CLIENT: it has shaken hands. What is not asked again until it is answered waits for that.
shook() { [ "$(peer_of "$1" handshakes)" -ge 1 ]; }
# ping_all CLIENT ADDRESS [COUNT [OPTIONS]]: every ping is answered. server_ping_all ADDRESS [COUNT [OPTIONS]]
ping_all() { pings "$LAB_ID-$1" "${@:2}"; }
server_ping_all() { pings "$SRV" "$@"; }
# What is lost or late because programs wait for a CPU (losses.py) is said; what is lost of that is asked again, more slowly.
pings() {
	local ns=$1 address=$2 count=${3:-5} out interval
	shift $(($# < 3 ? $# : 3))
	for interval in 0.05 0.4 0.4; do
		losses_from "$ns" "$LAB_DIR/losses"
		out=$(ip netns exec "$ns" ping -c "$count" -i $interval -W 2 "$@" "$address" 2>&1)
		grep -q " $count received" <<<"$out" && return
		loss_is_late "$ns" "$LAB_DIR/losses" "$count" $((count - $(grep -c '^[0-9]* bytes from.*icmp_seq=' <<<"$out"))) "ping $* $address from ${ns#*-}" && return
	done
	fail "ping $* $address from ${ns#*-}: $(tail -n 3 <<<"$out")"
}

# losses_from NS FILE: what counters say before a test of this namespace. loss_is_late NS FILE SENT LOST WHAT [ON_WAY]: of SENT echo
# requests since then LOST are not answered (SENT is 0: other packets). True if they came late, false if the machine lost them; else
# it fails.
losses() {
	local IFS=, sockets
	sockets=("$LAB_RUN"/mgmt.sock "$LAB_RUN"/gw*/mgmt.sock)
	ip netns exec "$1" /usr/bin/python3 -I -S "$SMOKE/losses.py" "$2" "${LAB_PIDS[*]}" "${sockets[*]}" "${@:3}"
}
losses_from() { losses "$1" look >"$2" || fail "no counters from which to tell a loss"; }
loss_is_late() {
	local said rc
	said=$(losses "$1" judge "$2" "$3" "$4" "${6:-0}")
	rc=$?
	[ $rc = 0 ] || [ $rc = 3 ] || fail "$5: $said"
	echo "   $5: $said"
	return $rc
}
# ping_none CLIENT ADDRESS [COUNT [OPTIONS]]: none is.
ping_none() {
	local name=$1 address=$2 count=${3:-3}
	shift $(($# < 3 ? $# : 3))
	in_client "$name" ping -c "$count" -i 0.1 -W 0.6 "$@" "$address" >/dev/null 2>&1 &&
		fail "$name reaches $address and must not"
	return 0
}
# ping_start CLIENT ADDRESS: pings in the background; ping_end CLIENT: stops them, all are answered but one that the machine lost.
ping_start() {
	losses_from "$LAB_ID-$1" "$LAB_DIR/losses-$1"
	ip netns exec "$LAB_ID-$1" ping -q -i 0.05 -W 2 "$2" >"$LAB_DIR/ping-$1" 2>&1 </dev/null &
	PING_PID=$!
	LAB_PIDS+=("$PING_PID")
}
ping_end() {
	local sent lost
	sleep 0.1
	kill -INT "$PING_PID"
	wait "$PING_PID"
	read -r sent lost < <(awk '/transmitted/ {print $1, $1 - $4}' "$LAB_DIR/ping-$1")
	at_least "pings of $1" "${sent:-}" 1
	# the last one may be on its way
	[ "$lost" = 0 ] || loss_is_late "$LAB_ID-$1" "$LAB_DIR/losses-$1" "$sent" "$lost" "ping from $1" 1 || at_most "lost pings of $1" "$lost" 1
	echo "   $1: $(grep transmitted "$LAB_DIR/ping-$1")"
}
# A client that nobody has seen yet may need a cookie before it connects (see reach): milliseconds.
CONNECT_MS=10000
# tcp_mbit CLIENT ADDRESS [IPERF OPTIONS]: Mbit/s that arrived of TCP_SIZE (16M bytes), 0 on failure; all that iperf3 says is in
# LAB_DIR/tcp-CLIENT.
tcp_mbit() {
	local name=$1 address=$2
	shift 2
	in_client "$name" timeout 40 iperf3 -c "$address" -J --connect-timeout $CONNECT_MS -n "${TCP_SIZE:-16M}" "$@" >"$LAB_DIR/tcp-$name"
	jq '(.end.sum_received.bits_per_second // 0) / 1e6 | floor' "$LAB_DIR/tcp-$name"
}
# tcp_ok CLIENT ADDRESS [IPERF OPTIONS]: at least TCP_MIN (20) Mbit/s.
tcp_ok() {
	local mbit
	mbit=$(tcp_mbit "$@")
	[ "${mbit:-0}" -ge "${TCP_MIN:-20}" ] || fail "TCP $*: ${mbit:-no} Mbit/s; $(jq -c '.error, .end.sum_received' "$LAB_DIR/tcp-$1")"
	echo "   TCP $*: $mbit Mbit/s"
}
# udp_ok CLIENT ADDRESS [IPERF OPTIONS]: 500 kB at 10 Mbit/s, none lost but by a busy machine, and at most UDP_LOSS (1) percent in
# one of five runs.
udp_ok() {
	local name=$1 address=$2 out lost percent try
	shift 2
	for try in 1 2 3 4 5; do
		losses_from "$LAB_ID-$name" "$LAB_DIR/losses"
		out=$(in_client "$name" timeout 40 iperf3 -c "$address" -J --connect-timeout $CONNECT_MS -u -b 10M -n 500K "$@")
		read -r lost percent < <(jq -r '.end.sum | if (.packets // 0) > 20 then "\(.lost_packets) \(.lost_percent | ceil)" else "1 100" end' <<<"$out" 2>/dev/null)
		[ "${lost:-1}" = 0 ] && break
		loss_is_late "$LAB_ID-$name" "$LAB_DIR/losses" 0 "${lost:-1}" "UDP $name $address $*: try $try, ${percent:-100} %"
		[ "${percent:-100}" -le "${UDP_LOSS:-1}" ] && break
	done
	[ "${percent:-100}" -le "${UDP_LOSS:-1}" ] || fail "UDP $name $address $*: ${percent:-100} % lost: $(jq -c '.end.sum, .error' <<<"$out")"
	echo "   UDP $name $address $*: $(jq '.end.sum.packets' <<<"$out") packets, $lost lost"
}
# basic_traffic CLIENT: all that a client does, over IPv4 and IPv6.
basic_traffic() {
	local a
	for a in 10.20.0.10 fd00:20::10; do
		reach "$1" $a
		ping_all "$1" $a 10
		ping_all "$1" $a 5 -s 1300
		tcp_ok "$1" $a
		tcp_ok "$1" $a -R
		udp_ok "$1" $a -l 1200
		udp_ok "$1" $a -l 1200 -R
	done
}

# client_forgets NAME N: the client drops its session and begins anew with its next packet.
client_forgets() {
	(umask 077 && wg genkey >"$LAB_DIR/other.key")
	wg set "$LAB_ID$2" private-key "$LAB_DIR/other.key"
	wg set "$LAB_ID$2" private-key "$LAB_DIR/$1.key"
}

# capture NS DEV FILTER: tcpdump in the background into CAPTURE; capture_stop prints its lines.
capture() {
	CAPTURE=$LAB_DIR/capture-$1-$2
	ip netns exec "$1" tcpdump -i "$2" --immediate-mode -n -U -s "${SNAP:-200}" -w "$CAPTURE" "$3" >/dev/null 2>"$CAPTURE.err" </dev/null &
	CAPTURE_PID=$!
	LAB_PIDS+=("$CAPTURE_PID")
	lab_wait 5 grep -q 'listening on' "$CAPTURE.err" || fail "tcpdump: $(cat "$CAPTURE.err")"
}
capture_stop() {
	local size=-1
	# what passed is in the file when that grows no more
	while sleep 0.3; [ "$size" != "$(stat -c %s "$CAPTURE")" ]; do size=$(stat -c %s "$CAPTURE"); done
	stop_pid "$CAPTURE_PID"
	tcpdump -n -v -r "$CAPTURE" 2>/dev/null
}

# ten_clients_traffic NAME...: pings of all at once, TCP of the first three beside them (servers at 5201 to 5203).
ten_clients_traffic() {
	local c pid=() i=0 n=20
	# the server's addresses are resolved: only a few packets wait for that
	reach "$1" 10.20.0.10
	reach "$1" fd00:20::10
	step "handshakes and first packets of $# clients at once"
	for c in "$@"; do
		in_client "$c" ping -c 1 -W 15 10.20.0.10 >/dev/null 2>&1 &
		pid+=($!)
	done
	for c in "$@"; do wait "${pid[i++]}" || fail "$c: its first packet is not answered"; done
	step "$n pings each and TCP"
	losses_from "$SRV" "$LAB_DIR/losses-ten"
	pid=() i=0
	for c in "$@"; do
		in_client "$c" ping -c $n -i 0.1 -W 3 10.20.0.10 >"$LAB_DIR/ping4-$c" 2>&1 &
		pid+=($!)
		in_client "$c" ping -c $n -i 0.1 -W 3 fd00:20::10 >"$LAB_DIR/ping6-$c" 2>&1 &
		pid+=($!)
	done
	# at a pace that leaves room: the rings of packet sockets overflow when a CPU is short
	local -x TCP_MIN=4 TCP_SIZE=1M
	tcp_ok "$1" 10.20.0.10 -p 5201 -b 10M & pid+=($!)
	tcp_ok "$2" 10.20.0.10 -p 5202 -b 10M -R & pid+=($!)
	tcp_ok "$3" fd00:20::10 -p 5203 -b 10M & pid+=($!)
	for ((i = 0; i < ${#pid[@]}; i++)); do wait "${pid[i]}" || fail "a transfer failed: $(grep -h received "$LAB_DIR"/ping?-*)"; done
	for c in "$@"; do
		answered "$c" 4 10.20.0.10 $n
		answered "$c" 6 fd00:20::10 $n
	done
}
# answered CLIENT VERSION ADDRESS COUNT: the pings of ten clients; what a busy machine lost of so many at once is asked again.
answered() {
	local lost=$(($4 - $(grep -c 'icmp_seq=.*time=' "$LAB_DIR/ping$2-$1")))
	[ $lost = 0 ] || loss_is_late "$LAB_ID-$1" "$LAB_DIR/losses-ten" "$4" $lost "IPv$2 pings of $1" || ping_all "$1" "$3" "$4"
}

# lab_nat_client NAME N: a client like lab_client's behind a masquerading router at 198.18.5.200 whose UDP state lasts 2 s.
lab_nat_client() {
	local name=$1 n=$2 nat=$LAB_ID-nat
	lab_netns "$nat"
	lab_veth "$nat" wan "$NET" nat
	ip -n "$NET" link set nat master br0
	lab_addr "$nat" wan 198.18.5.200/24
	lab_netns "$LAB_ID-$name"
	lab_veth "$LAB_ID-$name" eth0 "$nat" lan
	lab_addr "$nat" lan 192.168.77.1/24
	lab_addr "$LAB_ID-$name" eth0 192.168.77.10/24
	ip -n "$LAB_ID-$name" route add default via 192.168.77.1
	ip netns exec "$nat" nft -f - <<-EOF || skip "no NAT in this kernel"
		table ip nat {
			chain post {
				type nat hook postrouting priority 100
				oifname "wan" masquerade random
			}
		}
	EOF
	ip netns exec "$nat" sysctl -q -w net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_udp_timeout=2 \
		net.netfilter.nf_conntrack_udp_timeout_stream=2
	lab_client_start "$name" "$n"
	lab_client_up "$name" "$n"
}

# in_gateway_rpc METHOD [PARAMS]: over TCP at 127.0.0.1:5190 in the gateway's namespace.
in_gateway_rpc() { ip netns exec "$GW" /usr/bin/python3 -S "$SMOKE/rpc.py" 127.0.0.1:5190 "$@"; }
