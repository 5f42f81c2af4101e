#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1500
# Ten minutes of gateways under faults, or SECONDS_FAULTS.
cd "$(dirname "$0")/../control" || exit 1
exec /usr/bin/python3 gwfaults.py "${SECONDS_FAULTS:-600}" ${SL_SEED:+"$SL_SEED"}
