/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Operations of the control plane's REST API, as gen_ops.py finds them in its OpenAPI page.
 */
#ifndef SLUICECTL_OPS_H
#define SLUICECTL_OPS_H

#include <stdbool.h>

enum op_where { OP_IN_PATH, OP_IN_QUERY, OP_IN_BODY };
enum op_type { OP_TEXT, OP_NUMBER, OP_FLAG, OP_LIST, OP_JSON };

struct op_field {
	const char *name;
	enum op_where where;
	enum op_type type;
	bool required;
	const char *doc;
};

struct op {
	const char *id;	    /* operationId */
	const char *method; /* "GET", ... */
	const char *path;   /* "/peers/{name}" */
	const char *summary, *roles;
	const struct op_field *fields;
	unsigned n_fields;
	bool if_match; /* wants If-Match: the revision that it changes */
	bool once;     /* takes an Idempotency-Key */
	bool has_body;
};

/** In the order of their ids. */
extern const struct op ops[];
extern const unsigned n_ops;

#endif
