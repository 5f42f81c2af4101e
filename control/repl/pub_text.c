/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions as text: ops, and lines that hold as many of them as fit. */
#include <stdlib.h>

#include "pub_int.h"

char *
pub_op_text(enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len, bool left)
{
	struct wire_text t = {0};

	wire_addf(&t, "{\"op\":\"%s\",\"kind\":\"%s\",\"id\":", text ? "put" : "del",
		  sl_kind_name(k));
	wire_string(&t, id);
	wire_addf(&t, ",\"rev\":%llu%s", (unsigned long long)rev, left ? ",\"left\":true" : "");
	if (text) {
		wire_add(&t, ",\"obj\":", 7);
		wire_add(&t, text, len);
	}
	wire_add(&t, "}", 1);
	if (t.failed) {
		wire_free(&t);
		return NULL;
	}
	return t.p;
}

/** What stands before the ops: who, when, why; `part` 0: the only one. */
static void
lines_head(struct wire_text *t, const struct sl_publisher *p, json_t *txn, unsigned part)
{
	json_t *epoch = wire_epoch_json(&p->epoch), *v;
	const char *key;

	wire_add(t, "\"epoch\":", 8);
	wire_json(t, epoch);
	json_decref(epoch);
	json_object_foreach (txn, key, v) {
		if (strcmp(key, "ops") == 0 || strcmp(key, "prev") == 0 ||
		    strcmp(key, "epoch") == 0)
			continue;
		wire_add(t, ",", 1);
		wire_string(t, key);
		wire_add(t, ":", 1);
		wire_json(t, v);
	}
	if (!json_object_get(txn, "seq"))
		t->failed = true;
	if (part)
		wire_addf(t, ",\"part\":%u", part);
	wire_add(t, ",\"ops\":[", 8);
}

static struct wire_text *
lines_more(struct pub_lines *l)
{
	struct wire_text *v = realloc(l->v, (l->n + 1) * sizeof(*v));

	if (!v)
		return NULL;
	l->v = v;
	memset(&v[l->n], 0, sizeof(*v));
	return &v[l->n++];
}

int
pub_lines_make(struct pub_lines *l, const struct sl_publisher *p, json_t *txn, char *const *ops,
	       unsigned n_ops)
{
	size_t all = 0;
	unsigned i = 0;
	bool parts;

	for (unsigned j = 0; j < n_ops; j++)
		all += strlen(ops[j]) + 1;
	parts = all > PUB_PART_BYTES;
	do {
		struct wire_text *t = lines_more(l);
		size_t start;

		if (!t)
			goto no_memory;
		lines_head(t, p, txn, parts ? l->n : 0);
		start = t->len;
		for (; i < n_ops; i++) {
			size_t len = strlen(ops[i]);

			if (parts && t->len > start && t->len - start + len > PUB_PART_BYTES)
				break;
			if (t->len > start)
				wire_add(t, ",", 1);
			wire_add(t, ops[i], len);
		}
		wire_add(t, "]", 1);
		if (parts)
			wire_addf(t, ",\"last\":%s", i == n_ops ? "true" : "false");
		wire_add(t, "}}", 2);
		if (t->failed)
			goto no_memory;
	} while (i < n_ops);
	return 0;
no_memory:
	pub_lines_free(l);
	return -ENOMEM;
}

void
pub_lines_free(struct pub_lines *l)
{
	for (unsigned i = 0; i < l->n; i++)
		wire_free(&l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = 0;
}
