#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# A hundred subscribers, and a snapshot of many peers: times, bytes and memory.
cd "$(dirname "$0")" || exit 1
exec /usr/bin/python3 replscale.py "${PEERS:-20000}"
