#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# sluicectl and the console through a pipe show and change the same gateway.
. "$(dirname "$0")/lib.sh"

smoke_start alice
lab_keys bob
reach alice 10.20.0.10
ping_all alice 10.20.0.10

# says WHAT TEXT...: the last OUT holds each text.
says() {
	local what=$1 text
	shift
	for text in "$@"; do grep -qE -- "$text" <<<"$OUT" || fail "$what does not say \"$text\": $OUT"; done
}
ctl() { OUT=$(lab_ctl "$@" 2>&1) || fail "sluicectl $*: $OUT"; }
ctl_fails() {
	OUT=$(lab_ctl "$@" 2>&1) && fail "sluicectl $* should fail: $OUT"
	return 0
}

step "sluicectl shows"
ctl version; says version 'DPDK'
ctl health; says health 'ok'
ctl peers; says peers alice established 10.7.0.2/32 198.18.5.12
ctl ports; says ports wan lan af_packet
ctl interfaces; says interfaces "$LAB_ID" 51820 10.7.0.1
ctl sessions; says sessions alice established
grep -q 'local index' <<<"$OUT" && fail "a column of a wide table: $OUT"
ctl --wide sessions; says sessions alice 'local index'
ctl routes; says routes 10.20.0.0/24 connected
ctl neighbours; says neighbours 10.20.0.10 reachable
ctl lcores; says lcores control worker
ctl stats; says stats rx_early post_decrypt pre_encrypt
ctl drops
ctl mode; says mode observe
ctl help; says help peer.add drops

step "methods by their names"
ctl peer.add interface="$LAB_ID" name=bob public_key="$(lab_pub bob)" allowed_ips=10.7.0.3/32
lab_client bob 3
reach bob 10.20.0.10
ctl peer set "$LAB_ID" "$(lab_pub bob)" enabled=false
ping_none bob 10.20.0.10 2
ctl peer set "$LAB_ID" "$(lab_pub bob)" enabled=true
client_forgets bob 3
reach bob 10.20.0.10
ctl peer remove "$LAB_ID" bob
ping_none bob 10.20.0.10 2
ctl route.add prefix=10.60.0.0/16 via=10.20.0.10 interface="$LAB_ID"
ctl routes; says routes 10.60.0.0/16
ctl route.remove prefix=10.60.0.0/16 interface="$LAB_ID"

step "errors name the parameter, the reason and the remedy"
ctl_fails peer.add interface="$LAB_ID" name=x public_key=short; says "bad key" public_key
ctl_fails peer.add interface="$LAB_ID" name=x public_key="$(lab_pub bob)" allowed_ips=10.7.0.2/32; says "taken prefix" 10.7.0.2/32 alice
ctl_fails peer.get interface="$LAB_ID" peer=nobody; says "unknown peer" nobody
ctl_fails no.such.method; says "unknown method" no.such
ctl_fails policy lod x; says "unknown command" 'there are: .*policy load'
ctl_fails mode enfrce db; says "unknown command of a family" 'no command or method "mode enfrce"' 'there are: .*mode enforce'
ctl_fails audit export; says "a control plane's command" 'no command or method "audit export"' 'control plane: --control'
ctl_fails peers "$LAB_ID" more; says "a word too many" '"more" is not of the form' 'sluicectl peers .INTERFACE.'
ctl_fails policy load /dev/null; says "empty document" '/dev/null is empty'
ctl_fails drops.get what=1; says "unknown parameter" what

step "config.show rebuilds; config.save and config.load"
ctl config.save file="$LAB_DIR/saved.json"
equal "mode of the saved file" "$(stat -c %a "$LAB_DIR/saved.json")" 600
ctl peer.remove interface="$LAB_ID" peer=alice
ping_none alice 10.20.0.10 2
ctl config.load file="$LAB_DIR/saved.json"
client_forgets alice 2
reach alice 10.20.0.10

step "the console, with the same answers, through a pipe"
lab_gateway_stop
coproc CONSOLE { exec ip netns exec "$GW" "$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" -i 2>>"$LAB_DIR/gateway.log" >"$LAB_DIR/console"; }
LAB_GW_PID=$CONSOLE_PID
LAB_PIDS+=("$CONSOLE_PID")
lab_wait 15 lab_ctl rpc.ping || fail "the gateway with console does not start"
reach alice 10.20.0.10
for c in "show port" "show lcore" "show peer" "show session" "show route" "show neigh" "show drops" "show stats" \
	"peer add $LAB_ID $(lab_pub bob) name bob allowed 10.7.0.3/32" "show peer" "help" "nonsense"; do
	echo "$c" >&"${CONSOLE[1]}"
done
lab_wait 5 grep -q bob "$LAB_DIR/console" || fail "the console does not show the new peer: $(cat "$LAB_DIR/console")"
client_forgets bob 3
reach bob 10.20.0.10
echo "peer del $LAB_ID bob" >&"${CONSOLE[1]}"
lab_wait 5 eval '! lab_ctl peer.get interface=$LAB_ID peer=bob' || fail "peer del on the console"
echo "mode force" >&"${CONSOLE[1]}"
lab_wait 5 eval 'lab_ctl mode | grep -q enforce' || fail "mode on the console"
ping_none alice 10.20.0.10 2
echo "mode observe" >&"${CONSOLE[1]}"
reach alice 10.20.0.10
OUT=$(cat "$LAB_DIR/console")
says console wan established 10.20.0.0/24 control rx_early
echo quit >&"${CONSOLE[1]}"
wait "$CONSOLE_PID"
equal "status after quit" $? 0
[ ! -e "$LAB_RUN/mgmt.sock" ] || fail "the socket is left"
