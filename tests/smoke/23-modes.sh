#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# observe, enforce, modes of prefixes and the panic switch with real traffic; kept over a restart; local only.
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
