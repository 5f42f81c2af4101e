/* SPDX-License-Identifier: BSD-3-Clause */
/* Logins of tests: a token is "ROLE:NODE", and nothing else is asked. */
#ifndef SL_TEST_ROLE_LOGIN_H
#define SL_TEST_ROLE_LOGIN_H

#include "sl_rpc_server.h"

/** As sl_rpc_auth has it. @return 0, -EACCES */
int role_login(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out);

#endif
