#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# Gateways under faults, at random: see gwfaults.py. SECONDS_FAULTS and SL_SEED repeat a run.
cd "$(dirname "$0")" || exit 1
exec /usr/bin/python3 gwfaults.py "${SECONDS_FAULTS:-25}" ${SL_SEED:+"$SL_SEED"}
