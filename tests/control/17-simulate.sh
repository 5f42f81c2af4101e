#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 150
# The control plane and a gateway say the same of random flows in both directions, under random policies, peers, role mappings and
# providers that are down.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
control_init
control_start
control_furnish gw-1
control_config gw-1
lab_gateway
lab_wait 5 served || fail "not served: $(rpc control.status)"

step "random flows: policy.explain and policy.simulate at the gateway, simulate at the control plane"
ip netns exec "$GW" /usr/bin/python3 -S "$CONTROL_TESTS/simulate.py" "$CP_DIR" "$CP_TOKEN" "$LAB_RUN/mgmt.sock" "$LAB_ID" "${1:-1}" || exit 1
