/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of JSON-RPC, as they come from a socket. Handlers are played: they read every parameter, so
 * that a wrong pointer of the decoder is found. What is answered must be JSON of the right form. */
#include <stdlib.h>

#include "../require.h"
#include "sl_log.h"
#include "sl_schema_gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum;

static void
read_bytes(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += ((const uint8_t *)p)[i];
}

static size_t
size_of(const struct sl_schema_field *f)
{
	static const size_t size[] = {
		[SL_T_INTEGER] = sizeof(int64_t),
		[SL_T_BOOLEAN] = sizeof(bool),
		[SL_T_ENUM] = sizeof(int),
		[SL_T_KEY] = sizeof(struct sl_pubkey),
		[SL_T_IP] = sizeof(struct sl_ip),
		[SL_T_PREFIX] = sizeof(struct sl_prefix),
		[SL_T_ENDPOINT] = sizeof(struct sl_endpoint),
		[SL_T_MAC] = 6,
	};

	return f->type < SL_ARRAY_SIZE(size) ? size[f->type] : 0;
}

static void
read_fields(const struct sl_schema_field *fields, unsigned n, const uint8_t *base)
{
	for (unsigned i = 0; i < n; i++) {
		const struct sl_schema_field *f = &fields[i];
		const struct sl_schema_array *a = (const void *)(base + f->offset);

		if (!*(const bool *)(base + f->has_offset))
			continue;
		if (f->type == SL_T_OBJECT)
			read_fields(f->fields, f->n_fields, base);
		else if (f->type == SL_T_ARRAY)
			read_bytes(a->v, a->n * f->size);
		else if (f->type == SL_T_STRING)
			read_bytes(*(const char *const *)(base + f->offset),
				   strlen(*(const char *const *)(base + f->offset)) + 1);
		else
			read_bytes(base + f->offset, size_of(f));
	}
}

static const struct sl_schema_method *now; /* set by the thunks */

static int
handler(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	struct sl_error *e)
{
	(void)user;
	if (now->n_params)
		read_fields(now->params, now->n_params, params);
	if (sum & 1)
		return sl_fail(e, -EEXIST, "exists", "/a", "by %s", caller->principal);
	*result = json_object();
	return 0;
}

/* A handler knows its method: one thunk for each place in the table. */
#define THUNK(n)                                                                                   \
	static int thunk##n(void *u, const struct sl_rpc_caller *c, const void *p, json_t **r,     \
			    struct sl_error *e)                                                    \
	{                                                                                          \
		now = &sl_schema_gateway[n];                                                       \
		return handler(u, c, p, r, e);                                                     \
	}
/* clang-format off */
#define THUNKS(d)                                                                                  \
	THUNK(d##0) THUNK(d##1) THUNK(d##2) THUNK(d##3) THUNK(d##4) THUNK(d##5) THUNK(d##6)        \
	THUNK(d##7) THUNK(d##8) THUNK(d##9)
#define NAMES(d)                                                                                   \
	thunk##d##0, thunk##d##1, thunk##d##2, thunk##d##3, thunk##d##4, thunk##d##5, thunk##d##6, \
		thunk##d##7, thunk##d##8, thunk##d##9
THUNKS() THUNKS(1) THUNKS(2) THUNKS(3) THUNKS(4) THUNKS(5) THUNKS(6) THUNKS(7) THUNKS(8) THUNKS(9) THUNKS(10) THUNKS(11) THUNKS(12) THUNKS(13) THUNKS(14) THUNKS(15)

static const sl_rpc_handler thunks[] = {
	NAMES(), NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6), NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12), NAMES(13), NAMES(14), NAMES(15),
};
/* clang-format on */

static void
check_answer(const json_t *a)
{
	require(json_is_object(a) && json_object_get(a, "jsonrpc") && json_object_get(a, "id") &&
		!json_object_get(a, "result") != !json_object_get(a, "error"));
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	(void)ctx;
	(void)level;
	(void)topic;
	(void)text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sl_rpc_caller callers[] = {{SL_RPC_VIA_UNIX, "uid:0",
							&sl_service_local},
						       {SL_RPC_VIA_TCP, "tcp:loopback",
							&sl_service_local}};
	static struct sl_rpc *rpc;
	json_t *answer, *item;
	char *out;
	size_t i;

	if (!rpc) {
		sl_log_set_sink(quiet, NULL);
		rpc = sl_rpc_new(&sl_gateway_schema, NULL);
		require(sl_schema_gateway_n <= SL_ARRAY_SIZE(thunks));
		for (i = 0; i < sl_schema_gateway_n; i++)
			sl_rpc_bind(rpc, sl_schema_gateway[i].name, thunks[i]);
		sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	}
	for (unsigned c = 0; c < 2; c++) {
		out = sl_rpc_line(rpc, &callers[c], (const char *)data, size);
		if (!out)
			continue;
		answer = json_loads(out, 0, NULL);
		require(strchr(out, '\n') == NULL);
		if (json_is_array(answer)) {
			json_array_foreach (answer, i, item)
				check_answer(item);
		} else {
			check_answer(answer);
		}
		json_decref(answer);
		free(out);
	}
	return 0;
}
