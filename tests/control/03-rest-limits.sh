#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# Strangers and clumsy clients at the REST API: framing, sizes, slowness, guesses.
exec /usr/bin/python3 "$(dirname "$0")/rest_limits.py"
