#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# Large operations against small requests and heartbeats: how long do the others wait?
cd "$(dirname "$0")" || exit 1
exec /usr/bin/python3 loop.py "${PEERS:-4000}" "${RULES:-4000}"
