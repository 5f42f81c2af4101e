/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.load, policy.validate, policy.test, policy.clear: their answers come when the helper is
 * done. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_log.h"

#define UPLOADS_MAX 4
#define UPLOAD_IDLE_NS (120 * SL_NS_PER_S)

/* --- texts in parts -------------------------------------------------------------------------- */

struct upload {
	char id[33]; /* "": free */
	char *text;
	size_t len;
	int64_t next; /* part */
	uint64_t used_ns;
};

struct ctl_uploads {
	struct upload v[UPLOADS_MAX];
};

static void
upload_end(struct upload *u)
{
	free(u->text);
	*u = (struct upload){0};
}

void
ctl_uploads_free(struct sl_ctl *ctl)
{
	struct ctl_uploads *all = ctl->uploads;

	for (unsigned i = 0; all && i < UPLOADS_MAX; i++)
		upload_end(&all->v[i]);
	free(all);
	ctl->uploads = NULL;
}

/** Part 0: a place, or that of an upload which nobody goes on with. */
static struct upload *
upload_begin(struct sl_ctl *ctl, struct sl_error *e)
{
	struct ctl_uploads *all = ctl->uploads;
	uint64_t now = ctl->mono_ns(ctl->clock_ctx);
	struct sl_rng rng = sl_rng_system();
	uint8_t id[16];

	if (!all)
		all = ctl->uploads = calloc(1, sizeof(*all));
	if (!all) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	for (unsigned i = 0; i < UPLOADS_MAX; i++) {
		struct upload *u = &all->v[i];

		if (u->id[0] && now - u->used_ns < UPLOAD_IDLE_NS)
			continue;
		upload_end(u);
		sl_rng_fill(&rng, id, sizeof(id));
		for (unsigned k = 0; k < sizeof(id); k++)
			snprintf(u->id + 2 * k, 3, "%02x", id[k]);
		return u;
	}
	sl_fail(e, -EBUSY, "limit_uploads", "", "%u documents are being sent already", UPLOADS_MAX);
	sl_hint(e, "try again: one that stands still is forgotten after two minutes");
	return NULL;
}

static struct upload *
upload_find(struct sl_ctl *ctl, const char *id, int64_t part, struct sl_error *e)
{
	struct ctl_uploads *all = ctl->uploads;

	for (unsigned i = 0; all && id && id[0] && i < UPLOADS_MAX; i++) {
		struct upload *u = &all->v[i];

		if (strcmp(u->id, id) != 0)
			continue;
		if (u->next == part)
			return u;
		sl_fail(e, -EINVAL, "part_order", "/part", "part %lld is due, not %lld",
			(long long)u->next, (long long)part);
		return NULL;
	}
	sl_fail(e, -ENOENT, "upload_unknown", "/upload", "no such upload");
	sl_hint(e, "begin with part 0; its answer names the upload");
	return NULL;
}

static int
upload_add(struct sl_ctl *ctl, struct upload *u, const char *text, struct sl_error *e)
{
	size_t n = strlen(text);
	char *grown;

	if (u->len + n > SL_POLICY_DOC_MAX) {
		upload_end(u);
		return sl_fail(e, -E2BIG, "json_too_large", "/text",
			       "a document has at most %u MiB", SL_POLICY_DOC_MAX >> 20);
	}
	grown = realloc(u->text, u->len + n + 1);
	if (!grown)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	memcpy(grown + u->len, text, n + 1);
	u->text = grown;
	u->len += n;
	u->next++;
	u->used_ns = ctl->mono_ns(ctl->clock_ctx);
	return 0;
}

/* --- where the text comes from ----------------------------------------------------------------
 */

/**
 * The gateway may read where the caller may not, and errors tell where a text is no policy: others
 * than root name files of the state directory alone.
 */
static int
may_read(const struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const char *file,
	 struct sl_error *e)
{
	const char *dir = ctl->config && ctl->config->state_dir ? ctl->config->state_dir : "";
	size_t n = strlen(dir);

	if (file[0] != '/') {
		sl_fail(e, -EINVAL, "path_relative", "/file", "\"%.200s\" is not an absolute path",
			file);
		sl_hint(e, "the file lies on the gateway's host: begin with /");
		return -EINVAL;
	}
	if (caller->via != SL_RPC_VIA_UNIX || geteuid() != 0 ||
	    strcmp(caller->principal, "uid:0") == 0 ||
	    (n && strncmp(file, dir, n) == 0 && file[n] == '/' && !strchr(file + n + 1, '/')))
		return 0;
	sl_fail(e, -EPERM, "not_permitted", "/file", "only root loads %.200s", file);
	sl_hint(e, "send the document as `text`; sluicectl policy load does so");
	return -EPERM;
}

/** @return as ctl_take_document() */
static int
take_part(struct sl_ctl *ctl, const struct ctl_source *s, struct sl_gw_policy_load *out,
	  json_t **result, struct sl_error *e)
{
	struct upload *u =
		s->part == 0 ? upload_begin(ctl, e) : upload_find(ctl, s->upload, s->part, e);
	int rc;

	if (!u)
		return e->err;
	rc = upload_add(ctl, u, s->text, e);
	if (rc)
		return rc;
	if (!s->last) {
		*result = json_pack("{s:s, s:I}", "upload", u->id, "received", (json_int_t)u->len);
		return *result ? 1 : -ENOMEM;
	}
	out->given = u->text;
	out->len = u->len;
	u->text = NULL;
	upload_end(u);
	return 0;
}

int
ctl_take_document(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
		  const struct ctl_source *s, struct sl_gw_policy_load *out, json_t **result,
		  struct sl_error *e)
{
	if (s->has_text + s->has_file != 1) {
		sl_fail(e, -EINVAL, "param_conflict", "", "exactly one of text and file is given");
		return -EINVAL;
	}
	if (s->has_file) {
		out->file = s->file;
		return may_read(ctl, caller, s->file, e);
	}
	if (s->has_part)
		return take_part(ctl, s, out, result, e);
	out->len = strlen(s->text);
	out->given = strdup(s->text);
	return out->given ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

/* --- loads ----------------------------------------------------------------------------------- */

struct load {
	struct sl_rpc_later *later; /* NULL: the caller waits */
	bool dry_run, test_only;
	char principal[64];
	int rc;
	json_t *result;
	struct sl_error e;
};

static json_t *
load_json(const struct load *l, const struct sl_gw_policy_result *r)
{
	json_t *o;

	if (l->test_only)
		return json_pack("{s:I, s:i}", "version", (json_int_t)r->policy->version, "tests",
				 (int)r->tests);
	o = json_pack("{s:I, s:f, s:i, s:I, s:i, s:i, s:O}", "version",
		      (json_int_t)r->policy->version, "compile_ms", (double)r->compile_ns / 1e6,
		      "rules", (int)r->policy->n_rules, "entries",
		      (json_int_t)r->set->n_entries[0] + (json_int_t)r->set->n_entries[1], "tests",
		      (int)r->tests, "lints_total", (int)r->n_lints, "lints", r->lints);
	if (l->dry_run) {
		json_object_set_new(o, "dry_run", json_true());
		return o;
	}
	json_object_set_new(o, "generation", json_integer((json_int_t)r->generation));
	json_object_set_new(o, "publish_ms", json_real((double)r->publish_ns / 1e6));
	return o;
}

static void
loaded(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	struct load *l = ctx;
	json_t *result = rc == 0 ? load_json(l, r) : NULL;

	if (!l->dry_run)
		sl_log(SL_LOG_NOTICE, "audit", "policy.load by %s%s%s", l->principal,
		       rc ? " failed: " : "", rc ? e->reason : "");
	if (l->later) {
		sl_rpc_answer(l->later, rc, result, e);
		free(l);
		return;
	}
	l->rc = rc;
	l->result = result;
	if (rc)
		l->e = *e;
}

/** @param spec document and what is wanted; @return as a handler */
static int
load(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct sl_gw_policy_load *spec,
     bool test_only, json_t **result, struct sl_error *e)
{
	struct load *l = calloc(1, sizeof(*l));
	struct sl_rpc_later *later;
	int rc;

	if (!l) {
		free(spec->given);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	later = l->later = sl_rpc_later(caller);
	l->dry_run = spec->dry_run;
	l->test_only = test_only;
	snprintf(l->principal, sizeof(l->principal), "%s", caller->principal);
	spec->origin = "rpc";
	spec->run_tests = true;
	spec->keep = true;
	spec->wait = !later;
	spec->done = loaded;
	spec->ctx = l;
	rc = sl_gw_policy_load(ctl->gw, spec, e);
	if (rc)
		free(spec->given);
	if (later) {
		if (rc) {
			sl_rpc_answer(later, rc, NULL, e);
			free(l);
		}
		return SL_RPC_LATER;
	}
	if (rc == 0) {
		rc = l->rc;
		*result = l->result;
		if (rc)
			*e = l->e;
	}
	free(l);
	return rc;
}

static int
load_source(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const struct ctl_source *s,
	    struct sl_gw_policy_load *spec, json_t **result, struct sl_error *e)
{
	int rc = ctl_take_document(ctl, caller, s, spec, result, e);

	if (rc)
		return rc < 0 ? rc : 0;
	return load(ctl, caller, spec, false, result, e);
}

int
sl_rpc_h_policy_load(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_policy_load *p, json_t **result, struct sl_error *e)
{
	struct ctl_source s = CTL_SOURCE_OF(p);
	struct sl_gw_policy_load spec = {.dry_run = p->dry_run,
					 .if_version = (uint32_t)p->if_version};
	const struct sl_ctl *ctl = user;
	int rc = p->dry_run ? 0 : sl_gw_check_managed(ctl->gw, NULL, e);

	return rc ? rc : load_source(user, caller, &s, &spec, result, e);
}

int
sl_rpc_h_policy_validate(void *user, const struct sl_rpc_caller *caller,
			 const struct sl_rpc_policy_validate *p, json_t **result,
			 struct sl_error *e)
{
	struct ctl_source s = CTL_SOURCE_OF(p);
	struct sl_gw_policy_load spec = {.dry_run = true};

	return load_source(user, caller, &s, &spec, result, e);
}

int
sl_rpc_h_policy_test(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		     struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_gw_policy_load spec = {.dry_run = true, .lenient = true, .again = true};

	(void)p;
	if (!sl_gw_policy(ctl->gw))
		return ctl_answer(result, json_pack("{s:i, s:i}", "version", 0, "tests", 0));
	return load(ctl, caller, &spec, true, result, e);
}

/* --- policy.clear ---------------------------------------------------------------------------- */

struct clear {
	struct sl_rpc_later *later; /* NULL: the caller waits */
	json_int_t version;
};

static void
cleared(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	struct clear *c = ctx;

	(void)r;
	if (!c->later)
		return;
	sl_rpc_answer(c->later, rc, rc ? NULL : json_pack("{s:I}", "version", c->version), e);
	free(c);
}

static void
tell_clear(const struct sl_rpc_caller *caller, int rc, const struct sl_error *e)
{
	sl_log(SL_LOG_NOTICE, "audit", "policy.clear by %s%s%s", caller->principal,
	       rc ? " failed: " : "", rc ? e->reason : "");
}

int
sl_rpc_h_policy_clear(void *user, const struct sl_rpc_caller *caller,
		      const struct sl_rpc_policy_clear *p, json_t **result, struct sl_error *e)
{
	const struct sl_ctl *ctl = user;
	const struct sl_policy *now = sl_gw_policy(ctl->gw);
	json_int_t version = now ? now->version : 0;
	struct sl_rpc_later *later;
	struct sl_gw_policy_clear spec = {.force = p->force,
					  .if_version = (uint32_t)p->if_version,
					  .done = cleared};
	int rc = sl_gw_check_managed(ctl->gw, NULL, e);
	struct clear *c;

	if (rc)
		return rc;
	c = malloc(sizeof(*c));
	if (!c)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	c->version = version;
	later = c->later = sl_rpc_later(caller);
	spec.wait = !later;
	spec.ctx = c;
	rc = sl_gw_policy_clear(ctl->gw, &spec, e);
	tell_clear(caller, rc, e);
	if (later && rc)
		sl_rpc_answer(later, rc, NULL, e);
	if (rc || !later)
		free(c);
	if (later)
		return SL_RPC_LATER;
	return rc ? rc : ctl_answer(result, json_pack("{s:I}", "version", version));
}
