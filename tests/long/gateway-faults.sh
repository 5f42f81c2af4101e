#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 2700
# Ten minutes of gateways under faults, or SECONDS_FAULTS; then a quarter of that with all programs under sanitizers.
cd "$(dirname "$0")/../control" || exit 1
seconds=${SECONDS_FAULTS:-600}
/usr/bin/python3 gwfaults.py "$seconds" ${SL_SEED:+"$SL_SEED"} || exit 1
../../tools/build asan app/sluiced/sluiced app/control/sluice-control tools/sluicectl/sluicectl tests/control/libclock_shift.so || exit 1
SL_BUILD=build-asan exec /usr/bin/python3 gwfaults.py "$((seconds / 4))" ${SL_SEED:+"$SL_SEED"}
