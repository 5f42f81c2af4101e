#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# What gateways report, through the REST API: sessions, usage, evidence of all gateways, the migration ledger, metrics.
exec /usr/bin/python3 "$(dirname "$0")/collect.py"
