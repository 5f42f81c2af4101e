#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# The REST API of sluice-control: roles, conditions, keys, pages, problems, against its OpenAPI page.
exec /usr/bin/python3 "$(dirname "$0")/rest_api.py"
