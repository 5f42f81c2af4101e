#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# Agents: their networks, their one file for all gateways byte by byte, gateways that come and go.
exec /usr/bin/python3 "$(dirname "$0")/agents.py"
