#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# observe, enforce, modes of prefixes and the panic switch with real traffic; kept over a restart; local only. No clock that is
# earlier than the program begins to enforce.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
lab_config "$(lab_peer alice 2)" "control = { tcp = \"127.0.0.1:5190\"; insecure_tcp = true; };"
lab_addr "$SRV" eth0 10.20.0.11/24 fd00:20::11/64
lab_gateway
lab_client alice 2
mode() { rpc authz.mode.set "$1" >/dev/null || fail "authz.mode.set $1"; }
open() { local a; for a in "$@"; do reach alice "$a" 5; ping_all alice "$a" 2; done; }
closed() { local a; for a in "$@"; do ping_none alice "$a" 2; done; }

step "observe"
open 10.20.0.10 fd00:20::10
step "enforce without a policy denies everything, both ways"
mode '{"default":"enforce","force":true}'
before=$(drop no_role)
closed 10.20.0.10 fd00:20::10
at_least "denied packets" $(($(drop no_role) - before)) 4
in_server ping -c 2 -i 0.2 -W 1 10.7.0.2 >/dev/null && fail "the server reaches the client under enforce"
step "the panic switch opens and closes again"
mode '{"panic":"observe"}'
open 10.20.0.10
mode '{"panic":"off"}'
closed 10.20.0.10
step "kept over a restart, before what the file says"
lab_gateway_stop
lab_gateway
equal "mode" "$(rpc authz.mode.get | jq -r .default)" enforce
equal "from the kept state" "$(rpc authz.mode.get | jq -r .from_state)" true
sleep 1
closed 10.20.0.10
step "a target of its own mode, longest prefix"
mode '{"prefixes":["10.20.0.10/32"],"mode":"observe"}'
open 10.20.0.10
closed 10.20.0.11
mode '{"prefixes":["10.20.0.10/32"],"mode":"default","force":true}'
mode '{"default":"observe"}'
mode '{"prefixes":["10.20.0.0/24","fd00:20::10/128"],"mode":"enforce","force":true}'
mode '{"prefixes":["10.20.0.11/32"],"mode":"observe"}'
closed 10.20.0.10 fd00:20::10
open 10.20.0.11 fd00:20::11
step "the gateway's own inner address follows the mode too, and no mode opens isolation"
open 10.7.0.1
step "refused over TCP"
error=$(in_gateway_rpc authz.mode.set '{"default":"observe"}' 2>&1) && fail "the mode is set over TCP"
equal "reason" "$(jq -r .data.reason <<<"$error")" local_only_setting
equal "read over TCP" "$(in_gateway_rpc authz.mode.get | jq -r .default)" observe
no_fatal_drops wg_index
step "a clock earlier than the program: a start that enforces ends, with the reason and the remedy"
cat >"$LAB_DIR/sluiced" <<-EOF
	#!/bin/sh
	LD_PRELOAD=$LAB_BUILD/tests/control/libclock_shift.so CLOCK_SHIFT=$LAB_DIR/shift exec "$LAB_SLUICED" "\$@"
EOF
chmod +x "$LAB_DIR/sluiced"
LAB_SLUICED=$LAB_DIR/sluiced
# the file is mapped: written in place
clock_back() { /usr/bin/python3 -c 'import struct, sys; sys.stdout.buffer.write(struct.pack("q", -int(sys.argv[1]) * 10**9))' "$1" 1<>"$LAB_DIR/shift"; }
clock_back $((20 * 365 * 86400))
lab_gateway_stop
ip netns exec "$GW" timeout 20 "$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" >"$LAB_DIR/said" 2>&1 && fail "it starts"
grep -q 'error: the clock says 20.*\[clock_before_build\]' "$LAB_DIR/said" || fail "it does not say why: $(cat "$LAB_DIR/said")"
grep -q 'remedy: set the clock' "$LAB_DIR/said" || fail "no remedy: $(cat "$LAB_DIR/said")"
step "the clock is set: it enforces again"
clock_back 0
lab_gateway
reach alice 10.20.0.11
closed 10.20.0.10
step "one that observes starts, tells it, and enforces once the clock is right"
mode '{"prefixes":["10.20.0.0/24","fd00:20::10/128"],"mode":"default"}'
lab_gateway_stop
clock_back $((20 * 365 * 86400))
lab_gateway
lab_ctl health | grep -q 'the clock says' || fail "health does not tell: $(lab_ctl health)"
lab_ctl mode enforce 10.20.0.10/32 force=yes >"$LAB_DIR/said" 2>&1 && fail "enforce by a wrong clock"
grep -q clock_before_build "$LAB_DIR/said" || fail "another reason: $(cat "$LAB_DIR/said")"
reach alice 10.20.0.10
clock_back 0
mode '{"prefixes":["10.20.0.10/32"],"mode":"enforce","force":true}'
closed 10.20.0.10
