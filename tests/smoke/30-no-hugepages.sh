#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# alone: it asks for more hugepages than are free
# Without hugepages: a clear warning with its remedy, and the gateway works.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
free_mb=$(($(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages) * 2))
step "too few of them"
LAB_SYSTEM="memory_mb = $((free_mb + 300));" lab_config "$(lab_peer alice 2)"
lab_gateway
grep -q "warn.*hugepages are free.*remedy: .*nr_hugepages" "$LAB_DIR/gateway.log" || grep -q 'hugepages are free, .*remedy: .*nr_hugepages' "$LAB_DIR/gateway.log" ||
	fail "no warning: $(cat "$LAB_DIR/gateway.log")"
equal "hugepages" "$(rpc sys.mem | jq .hugepages)" false
rpc sys.health | jq -r '.problems[]' | grep -qi hugepages || fail "sys.health does not say it: $(rpc sys.health)"
lab_client alice 2
iperf_server
reach alice 10.20.0.10
ping_all alice fd00:20::10
tcp_ok alice 10.20.0.10
tcp_ok alice 10.20.0.10 -R
at_least "locked bytes of the key arena" "$(rpc sys.mem | jq .key_arena_locked_bytes)" "$(rpc sys.mem | jq .key_arena_bytes)"
no_fatal_drops
lab_gateway_stop
step "not wanted at all: no warning"
LAB_SYSTEM='hugepages = "off";' lab_config "$(lab_peer alice 2)"
: >"$LAB_DIR/gateway.log"
lab_gateway
! grep -q 'nr_hugepages' "$LAB_DIR/gateway.log" || fail "a warning where nothing is wrong"
reach alice 10.20.0.10
