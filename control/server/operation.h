/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * An operation of the REST API as the table made from openapi.json has it. Whatever has no row is
 * not reachable; a row without handler does not link.
 */
#ifndef SL_REST_OPERATION_H
#define SL_REST_OPERATION_H

#include "sl_base.h"
#include "sl_error.h"

struct sl_call;

enum sl_rest_method {
	SL_METHOD_GET,
	SL_METHOD_PUT,
	SL_METHOD_POST,
	SL_METHOD_PATCH,
	SL_METHOD_DELETE,
	SL_METHOD_N
};

/** Where a handler works: what takes long, or waits for the store's write lock, not on the loop. */
enum sl_rest_place {
	SL_RUNS_LOOP,
	SL_RUNS_WRITER, /* the thread that changes the store, one request after the other */
	SL_RUNS_HELPER, /* a thread that reads */
};

enum sl_param_type { SL_PARAM_STRING, SL_PARAM_INTEGER, SL_PARAM_BOOLEAN };

/** A parameter of the query. */
struct sl_rest_param {
	unsigned which; /* enum sl_query */
	enum sl_param_type type;
	bool required;
	int64_t min, max;
	size_t len_max; /* of a string; 0: no limit of its own */
};

struct sl_rest_op {
	const char *id, *path;
	const char *roles; /* as sl_service_roles_parse() takes them */
	const char *body;  /* schema of the body, NULL: none */
	enum sl_rest_method method;
	enum sl_rest_place runs;
	bool if_match;	/* If-Match (or If-None-Match) must be there */
	bool reads;	/* a POST that changes nothing */
	bool body_text; /* the handler takes the text itself (comments) */
	size_t body_max;
	const struct sl_rest_param *params;
	unsigned n_params;
	int (*handler)(struct sl_call *c, struct sl_error *e);
};

static inline bool
sl_rest_op_changes(const struct sl_rest_op *op)
{
	return op->method != SL_METHOD_GET && !op->reads;
}

#endif
