/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the document parser share. One call, one thread. */
#ifndef SL_POLICY_DOC_INT_H
#define SL_POLICY_DOC_INT_H

#include "sl_json_at.h"
#include "sl_policy_doc.h"

#define DOC_VALUES_MAX                                                                             \
	(1U << 20)	  /* a document of 80,000 prefixes and 32,000 rules has half of it */
#define DOC_TEXT_MAX 1024 /* characters of a description */

struct doc {
	struct sl_json_at at;
	const char *name; /* key of the object doc_map() is at */
};

/** Read one value into `out`, whatever that is to the function. @return 0 or a negative errno */
typedef int (*doc_fn)(struct doc *d, json_t *v, void *out);

struct doc_field {
	const char *name;
	doc_fn read;   /* into the object */
	size_t offset; /* of what it gets in the object */
	bool required;
};

int doc_no_memory(struct sl_error *e);

/* --- shapes ------------------------------------------------------------------------------------
 */

/** All keys by a table; field_unknown, field_missing, field_type. */
int doc_object(struct doc *d, json_t *v, const struct doc_field *f, size_t n, void *out);
/** An array into a fresh C array at *array (a pointer to anything), counting up *n. */
int doc_list(struct doc *d, json_t *v, size_t size, doc_fn fn, void *array, unsigned *n);
/** An object of named things, likewise; the key is in d->name. */
int doc_map(struct doc *d, json_t *v, size_t size, doc_fn fn, void *array, unsigned *n);

/* --- values ------------------------------------------------------------------------------------
 */

int doc_int(struct doc *d, json_t *v, int64_t min, int64_t max, const char *reason, int64_t *out);
/** A string that is not longer than max. */
int doc_string(struct doc *d, json_t *v, size_t max, const char **out);
/** One of n words. @return 0 with its place */
int doc_word(struct doc *d, json_t *v, const char *const words[], unsigned n, unsigned *out);
/** "PREFIX", "PREFIX@INTERFACE" or "PREFIX@*" (any). @param had_iface set if there was an '@' */
int doc_place_text(struct doc *d, const char *text, struct sl_pol_place *out, bool *had_iface);
/** A name into an array of SL_POL_NAME; name_invalid if too long (the rest is checked later). */
int doc_name_text(struct doc *d, const char *text, char out[SL_POL_NAME]);
/** An interface into an array of SL_POL_IFACE; "*" is "". */
int doc_iface_text(struct doc *d, const char *text, char out[SL_POL_IFACE]);

/* doc_fn of one field each; what they fill */
int doc_read_name(struct doc *d, json_t *v, void *out);	 /* char [SL_POL_NAME] */
int doc_read_iface(struct doc *d, json_t *v, void *out); /* char [SL_POL_IFACE] */
int doc_read_text(struct doc *d, json_t *v, void *out);	 /* char *, a copy */
int doc_read_bool(struct doc *d, json_t *v, void *out);
int doc_read_time(struct doc *d, json_t *v, void *out);	  /* uint64_t */
int doc_read_action(struct doc *d, json_t *v, void *out); /* bool: allow */
int doc_read_prefix(struct doc *d, json_t *v, void *out); /* struct sl_prefix */
int doc_read_place(struct doc *d, json_t *v, void *out);  /* struct sl_pol_place */
int doc_read_proto(struct doc *d, json_t *v, void *out);  /* uint16_t */

int doc_read_member(struct doc *d, json_t *v, void *out); /* struct sl_pol_member */
int doc_read_rules(struct doc *d, json_t *v, void *out);  /* struct sl_policy */
int doc_read_tests(struct doc *d, json_t *v, void *out);  /* struct sl_policy */

#endif
