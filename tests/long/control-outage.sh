#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1200
# Ten minutes without a primary: pings through three gateways' fleet, new keys every two minutes, a gateway that restarts from
# a follower; then the primary is back, and all go on without a snapshot.
FLEET_OUTAGE=${FLEET_OUTAGE:-600} exec "$(dirname "$0")/../control/20-fleet.sh"
