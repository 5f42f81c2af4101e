#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Keys show up nowhere: answers, console, logs, state files; memory holds them in locked pages that no dump contains, and
# no longer when the process ends. Capabilities of every thread are the documented ones.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
(umask 077 && wg genpsk >"$LAB_DIR/alice.psk")
lab_config "$(lab_peer alice 2 "preshared_key_file = \"$LAB_DIR/alice.psk\";"), $(lab_peer bob 3)"
lab_gateway --log-level debug
lab_client alice 2
lab_client bob 3
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" preshared-key "$LAB_DIR/alice.psk"
reach alice 10.20.0.10
reach bob 10.20.0.10

step "a key that came over the wg socket, and a wrong one"
lab_keys planted
(umask 077 && wg genpsk >"$LAB_DIR/planted.psk")
wg set "$LAB_ID" peer "$(lab_pub bob)" preshared-key "$LAB_DIR/planted.psk"
wg set "${LAB_ID}3" peer "$(lab_pub gateway)" preshared-key "$LAB_DIR/planted.psk"
client_forgets bob 3
reach bob 10.20.0.10
lab_ctl peer add "$LAB_ID" "$(lab_pub planted)" preshared_key_file="$LAB_DIR/gateway.conf" >/dev/null 2>&1 &&
	fail "a configuration file is taken for a preshared key"

step "nothing shows them"
{
	for m in config.show interface.list peer.list session.list sys.health rpc.hello stats.get route.list port.list neighbour.list; do rpc $m; done
	rpc config.save "{\"file\":\"$LAB_DIR/saved.json\"}"
	cat "$LAB_DIR/saved.json" "$LAB_DIR/gateway.log"
	cat "$LAB_DIR"/state/* "$LAB_RUN"/* 2>/dev/null
	for c in "--wide peers" "--wide interfaces" "--wide sessions" "config show" health; do lab_ctl $c; done # shellcheck disable=SC2086
	wg show "$LAB_ID"
} >"$LAB_DIR/all-text" 2>&1
for k in gateway.key alice.psk planted.psk; do
	hex=$(base64 -d <"$LAB_DIR/$k" | od -An -tx1 | tr -d ' \n')
	! grep -qaF "$(cat "$LAB_DIR/$k")" "$LAB_DIR/all-text" || fail "$k in base64 in what the gateway tells"
	! grep -qaiF "$hex" "$LAB_DIR/all-text" || fail "$k in hex in what the gateway tells"
done
/usr/bin/python3 "$SMOKE/memscan.py" file "$LAB_DIR/all-text" "$LAB_DIR"/{gateway.key,alice.psk,planted.psk} || fail "a raw key in what the gateway tells"

step "no dumps, capabilities of every thread"
pid=$LAB_GW_PID
equal "core limit" "$(awk '/Max core file size/ {print $5 "," $6}' "/proc/$pid/limits")" 0,0
/usr/bin/python3 "$SMOKE/memscan.py" dumpable "$pid" || fail "the process can be dumped"
# CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER SETGID SETUID NET_ADMIN NET_RAW IPC_LOCK SYS_RAWIO SYS_ADMIN SYS_NICE
documented=$((1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21 | 1 << 23))
for t in /proc/"$pid"/task/*; do
	eff=$((16#$(awk '/^CapEff/ {print $2}' "$t/status")))
	[ $((eff & ~documented)) = 0 ] || fail "$(cat "$t/comm") has capabilities $(printf %x $((eff & ~documented))) beyond the documented"
	equal "no new privileges, $(cat "$t/comm")" "$(awk '/^NoNewPrivs/ {print $2}' "$t/status")" 1
done
equal "threads looked at" "$([ "$(ls "/proc/$pid/task" | wc -l)" -ge 3 ] && echo yes)" yes

step "memory: keys in locked pages only"
# the scan must be able to fail: a process that keeps a key carelessly
background /usr/bin/python3 -c "k = open('$LAB_DIR/alice.psk').read(); print('ready', flush=True); import time; time.sleep(60)" >"$LAB_DIR/careless"
lab_wait 5 grep -q ready "$LAB_DIR/careless"
/usr/bin/python3 "$SMOKE/memscan.py" process "$LAB_LAST" "$LAB_DIR/alice.psk" >/dev/null && fail "the scan does not find a key in plain memory"
stop_pid "$LAB_LAST"
/usr/bin/python3 "$SMOKE/memscan.py" process "$pid" "$LAB_DIR"/{gateway.key,alice.psk,planted.psk} || fail "a key outside locked memory"

step "keys are gone before the process ends"
ip netns exec "$GW" gdb -q -batch -p "$pid" -ex 'handle SIGTERM nostop noprint pass' -ex 'catch syscall exit_group' \
	-ex "shell touch $LAB_DIR/attached" -ex continue \
	-ex "shell /usr/bin/python3 $SMOKE/memscan.py gone $pid $LAB_DIR/gateway.key $LAB_DIR/alice.psk $LAB_DIR/planted.psk >$LAB_DIR/gone 2>&1; echo status \$? >>$LAB_DIR/gone" \
	-ex kill >"$LAB_DIR/gdb.out" 2>&1 </dev/null &
gdb=$!
LAB_PIDS+=("$gdb")
if lab_wait 20 test -e "$LAB_DIR/attached"; then
	sleep 0.5
	kill -TERM "$pid"
	wait "$gdb"
	grep -q 'status 0' "$LAB_DIR/gone" 2>/dev/null || fail "keys at the end: $(cat "$LAB_DIR/gone" 2>/dev/null; tail -n 3 "$LAB_DIR/gdb.out")"
	cat "$LAB_DIR/gone"
else
	fail "gdb does not attach: $(tail -n 3 "$LAB_DIR/gdb.out")"
fi
wait "$pid" 2>/dev/null

step "a key file that others may read: a warning"
chmod 644 "$LAB_DIR/gateway.key"
: >"$LAB_DIR/gateway.log"
lab_gateway
grep -q 'gateway.key.*\(chmod\|mode\|readable\)' "$LAB_DIR/gateway.log" || fail "no warning: $(cat "$LAB_DIR/gateway.log")"
lab_gateway_stop
chmod 600 "$LAB_DIR/gateway.key"

step "another user: no capability is left, and traffic flows"
LAB_SYSTEM='user = "nobody";' lab_config "$(lab_peer alice 2 "preshared_key_file = \"$LAB_DIR/alice.psk\";")"
lab_gateway
for t in /proc/"$LAB_GW_PID"/task/*; do
	equal "user of $(cat "$t/comm")" "$(awk '/^Uid/ {print $2 $3 $4 $5}' "$t/status")" 65534655346553465534
	equal "capabilities of $(cat "$t/comm")" "$(awk '/^CapEff/ {print $2}' "$t/status")" 0000000000000000
done
reach alice 10.20.0.10
ping_all alice fd00:20::10
lab_gateway_stop
