#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# A primary and two followers in a chain over REST; a played gateway at either end.
exec /usr/bin/python3 "$(dirname "$0")/rest_follower.py"
