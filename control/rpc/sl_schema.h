/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The tables that gen.py makes from schema/NAME.json, and the decoder that they drive: JSON
 * parameters in, a C struct out; unknown, missing, mistyped and out-of-range parameters are errors
 * with their path.
 *
 * Decoded strings and arrays belong to the decoder's arena and are freed with sl_schema_free().
 */
#ifndef SL_SCHEMA_H
#define SL_SCHEMA_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_error.h"
#include "sl_rpc.h"
#include "sl_secret.h"

enum sl_schema_type {
	SL_T_STRING,   /* const char * */
	SL_T_INTEGER,  /* int64_t */
	SL_T_BOOLEAN,  /* bool */
	SL_T_ENUM,     /* int: place in `values` */
	SL_T_KEY,      /* struct sl_pubkey */
	SL_T_IP,       /* struct sl_ip */
	SL_T_PREFIX,   /* struct sl_prefix, host bits as given */
	SL_T_ENDPOINT, /* struct sl_endpoint; "" gives family 0 */
	SL_T_MAC,      /* uint8_t[6] */
	SL_T_ARRAY,    /* struct sl_schema_array */
	SL_T_OBJECT,   /* the nested struct */
	SL_T_NUMBER,   /* results only: integer or fraction */
	SL_T_JSON,     /* json_t *: anything, borrowed from the parameters */
};

struct sl_schema_array {
	void *v; /* n items of the item type */
	unsigned n;
};

struct sl_schema_field {
	const char *name;
	enum sl_schema_type type;
	bool required;
	bool local_only; /* refused on TCP */
	bool optional;	 /* results: may be absent */
	size_t offset;
	size_t has_offset;	   /* bool that tells whether it was given */
	int64_t min, max;	   /* integer: value; string: length; array: items */
	const char *const *values; /* ENUM, NULL-terminated */
	/* OBJECT: members (none: any); ARRAY: one item description */
	const struct sl_schema_field *fields;
	unsigned n_fields;
	size_t size; /* OBJECT: of the struct; ARRAY: of an item */
	const char *doc;
};

typedef int (*sl_rpc_handler)(void *user, const struct sl_rpc_caller *caller, const void *params,
			      json_t **result, struct sl_error *e);

struct sl_schema_method {
	const char *name;
	const char *summary;
	const char *role; /* words of sl_service_roles_parse() */
	uint16_t roles;	  /* SL_SR_BIT() of those who may */
	bool open;	  /* even who is not logged in may */
	unsigned states;  /* enum sl_rpc_state bits */
	bool local_only;
	bool record;  /* a change: the trail is told (sl_rpc_set_trail()) */
	bool unrated; /* as often as the caller likes: answers to what we sent */
	const struct sl_schema_field *params;
	unsigned n_params;
	size_t params_size;
	const struct sl_schema_field *result;
	unsigned n_result;
	const char *example; /* JSON text of example params */
	bool example_runs;
};

/** A surface: the methods of schema/ID.json and common.json, sorted by name. */
struct sl_schema {
	const char *id, *version;
	const struct sl_schema_method *methods;
	unsigned n;
};

/* generated: sluiced; sluice-control's stream of replication */
extern const struct sl_schema sl_gateway_schema, sl_control_schema;
extern const struct sl_schema_method sl_schema_gateway[], sl_schema_control[];
extern const unsigned sl_schema_gateway_n, sl_schema_control_n;
extern const char sl_schema_gateway_version[], sl_schema_control_version[];

const struct sl_schema_method *sl_schema_find(const struct sl_schema_method *m, unsigned n,
					      const char *name);

struct sl_schema_arena;

/**
 * Decode an object into `out` (zeroed here, params_size bytes).
 * @param arena where strings' and arrays' memory goes; *arena is NULL at first
 * @return 0, or -EINVAL with reason param_unknown, param_missing, param_type, param_range,
 * key_invalid, ip_invalid, prefix_invalid, endpoint_invalid, mac_invalid, enum_invalid; -EPERM
 * local_only_setting
 */
int sl_schema_decode(const struct sl_schema_method *m, json_t *params,
		     const struct sl_rpc_caller *caller, void *out, struct sl_schema_arena **arena,
		     struct sl_error *e);
void sl_schema_free(struct sl_schema_arena *arena);

/** Attach the handler of a method; it gets what sl_rpc_new() was given. The methods of common.json
 * have one already, which may be replaced. @return 0, -ENOENT (no such method), -EEXIST. */
int sl_rpc_bind(struct sl_rpc *rpc, const char *method, sl_rpc_handler fn);
/** As sl_rpc_bind(), for a handler that gets `user`. */
int sl_rpc_bind_to(struct sl_rpc *rpc, const char *method, sl_rpc_handler fn, void *user);

#endif
