#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1500
# Ten minutes of replication under faults, then a snapshot of 100,000 peers.
cd "$(dirname "$0")/../control" || exit 1
/usr/bin/python3 replfaults.py "${SECONDS_FAULTS:-600}" ${SL_SEED:+"$SL_SEED"} || exit 1
exec /usr/bin/python3 replscale.py "${PEERS:-100000}"
