#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# What a token of a gateway, follower, agent or peer may not: speak for others, read what is another's, outlive its end.
exec /usr/bin/python3 "$(dirname "$0")/stream_tokens.py"
