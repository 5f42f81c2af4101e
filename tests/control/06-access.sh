#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# Who may stay: revoked certificates and tokens, gateways taken out, renewed certificates, what ends soon.
exec /usr/bin/python3 "$(dirname "$0")/access.py"
