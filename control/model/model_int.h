/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the object checks share: the table of kinds and where a check is. */
#ifndef SL_MODEL_INT_H
#define SL_MODEL_INT_H

#include "sl_json_at.h"
#include "sl_object.h"

enum model_type {
	MODEL_TEXT,	/* one line; max: bytes */
	MODEL_DOCUMENT, /* text of many lines; max: bytes */
	MODEL_BOOL,
	MODEL_INT,	 /* min to max */
	MODEL_WORD,	 /* one of `words` */
	MODEL_NODE,	 /* name of a gateway or peer */
	MODEL_NAME,	 /* name as the policy document has them */
	MODEL_INTERFACE, /* name of an interface */
	MODEL_KEY,	 /* public key, base64 */
	MODEL_HASH,	 /* 64 hex digits */
	MODEL_TIME,	 /* RFC 3339 UTC */
	MODEL_IP,	 /* address */
	MODEL_PREFIX,	 /* without host bits */
	MODEL_ADDRESS,	 /* an address with the length of its network */
	MODEL_ENDPOINT,	 /* ADDRESS:PORT */
	MODEL_HOST_PORT, /* ADDRESS:PORT or NAME:PORT */
	MODEL_LIST,	 /* of `item`, each once; min to max of them */
	MODEL_PREFIXES,	 /* object: name of a gateway to a list of prefixes; max of both */
	MODEL_OBJECT,	 /* of `fields` */
	MODEL_MEMBER,	 /* a role's member as the policy document writes it */
	MODEL_FREE,	 /* any JSON with whole numbers, of some depth */
	MODEL_FREE_LIST,
	MODEL_FREE_OBJECT,
};

struct model_field {
	const char *name;
	enum model_type type;
	bool required;
	int64_t min, max;
	const char *const *words; /* ends with NULL */
	enum model_type item;
	const struct model_field *fields; /* end with a NULL name */
	const char *doc;
	unsigned since; /* schema that brought it; 0: the first */
	/** Schema that brought texts as its value; 0: the first. Who does not know them is sent the
	 * object without the field. */
	unsigned text_since;
	/** Whoever ignores it would give more than the object says: who does not know it is not
	 * sent the object. Only where an object's absence gives nobody anything and no other object
	 * refers to it: peer, role_map. */
	bool restricts;
};

struct model_check {
	struct sl_json_at at;
	json_t *unknown; /* NULL: an unknown field is an error */
};

struct model_kind {
	const char *name;
	enum sl_scope scope;
	bool strict, policy;
	unsigned since; /* schema that brought it; 0: the first */
	const char *doc, *id_doc, *example_id, *example;
	const struct model_field *fields;		  /* end with a NULL name */
	int (*id)(struct model_check *c, const char *id); /* form of the id */
	/** What its fields and the id say of each other; may be NULL. */
	int (*also)(struct model_check *c, const char *id, json_t *body);
};

/** sl_object_older() by a kind's table. */
enum sl_older model_older(const struct model_kind *kind, const json_t *body, unsigned schema,
			  json_t **out);
/** @return NULL: there is no such kind */
const struct model_kind *model_kind(enum sl_kind k);
const struct model_field *model_field(const struct model_field *fields, const char *name);
/** "string", "integer", ... */
const char *model_json_type(enum model_type t);

/** sl_json_wrong_type(), and what to do about a null. */
int model_wrong_type(struct model_check *c, const char *want, const json_t *v);

/* --- checks ------------------------------------------------------------------------------------
 */

/** The fields of an object by their table. */
int model_check_fields(struct model_check *c, const struct model_field *fields, json_t *v);
int model_check_value(struct model_check *c, const struct model_field *f, enum model_type t,
		      json_t *v);
/** Only whole numbers, not too deep, not too many. */
int model_check_free(struct model_check *c, json_t *v);
/** -EPERM for fields that no object may have. */
int model_check_forbidden(struct model_check *c, const struct model_kind *k, json_t *body);
/** -EPERM for a name that no field and no setting may have. */
int model_check_forbidden_name(struct model_check *c, const char *name);
/** A zone, target, role or rule, by the parser of documents. Unknown fields are out already. */
int model_check_policy(struct model_check *c, enum sl_kind k, const char *id, json_t *body);
/** A role_map as a member of its role, likewise. */
int model_check_member(struct model_check *c, json_t *body);

bool model_is_node(const char *s);
bool model_is_name(const char *s);
bool model_is_interface(const char *s);

/* forms of ids */
int model_id_node(struct model_check *c, const char *id);
int model_id_name(struct model_check *c, const char *id);
int model_id_interface(struct model_check *c, const char *id);
int model_id_policy(struct model_check *c, const char *id);
int model_id_version(struct model_check *c, const char *id);
int model_id_rule(struct model_check *c, const char *id);
int model_id_gateway_interface(struct model_check *c, const char *id);
int model_id_role_map(struct model_check *c, const char *id);
int model_id_crl(struct model_check *c, const char *id);
int model_id_token(struct model_check *c, const char *id);
int model_id_allocation(struct model_check *c, const char *id);
int model_id_migration(struct model_check *c, const char *id);
int model_id_setting(struct model_check *c, const char *id);

/* what fields and id say of each other */
int model_also_interface(struct model_check *c, const char *id, json_t *body);
int model_also_gateway_interface(struct model_check *c, const char *id, json_t *body);
int model_also_peer(struct model_check *c, const char *id, json_t *body);
int model_also_rule(struct model_check *c, const char *id, json_t *body);
int model_also_role_map(struct model_check *c, const char *id, json_t *body);
int model_also_pool(struct model_check *c, const char *id, json_t *body);
int model_also_migration(struct model_check *c, const char *id, json_t *body);

#endif
