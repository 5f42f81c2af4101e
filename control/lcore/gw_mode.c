/* SPDX-License-Identifier: BSD-3-Clause */
/* The authz mode is local state (D6): a small JSON file with a version, replaced as a whole and
 * synced before a change is answered. Where it exists it goes before the configuration file. */
#include <stdlib.h>

#include "gw.h"

#define MODE_FILE "authz-mode.json"
#define MODE_VERSION 1
#define MODE_FILE_MAX (4U << 20)

static const char *
mode_text(enum sl_authz_mode m)
{
	return m == SL_MODE_ENFORCE ? "enforce" : "observe";
}

static int
mode_parse(const char *s, enum sl_authz_mode *m)
{
	*m = s != NULL && strcmp(s, "enforce") == 0 ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
	return s != NULL && strcmp(s, mode_text(*m)) == 0 ? 0 : -EINVAL;
}

/* --- text ----------------------------------------------------------------------------------------
 */

static char *
encode(const struct sl_gw_mode *m)
{
	json_t *list = json_array(), *root;
	char text[SL_PREFIX_STR], *out;
	unsigned i;

	for (i = 0; i < m->n_prefixes; i++)
		json_array_append_new(list, json_pack("{ss,ss}", "prefix",
						      sl_prefix_str(&m->prefixes[i].prefix, text),
						      "mode", mode_text(m->prefixes[i].mode)));
	root = json_pack("{si,ss,sb,so}", "version", MODE_VERSION, "default", mode_text(m->deflt),
			 "panic", (int)m->panic, "prefixes", list);
	out = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	return out;
}

static int
decode_prefixes(struct gw_mode *m, const json_t *list)
{
	size_t i, n = json_array_size(list);
	const char *prefix, *mode;

	if (!json_is_array(list) || n > GW_MODE_PREFIXES_MAX)
		return -EINVAL;
	m->prefixes = calloc(n + 1, sizeof(*m->prefixes));
	if (m->prefixes == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct sl_gw_mode_prefix *p = &m->prefixes[i];

		if (json_unpack(json_array_get(list, i), "{ss,ss!}", "prefix", &prefix, "mode",
				&mode) != 0 ||
		    sl_prefix_parse(prefix, &p->prefix) != 0 || sl_prefix_mask(&p->prefix) ||
		    mode_parse(mode, &p->mode) != 0)
			return -EINVAL;
	}
	m->view.n_prefixes = (unsigned)n;
	return 0;
}

static int
decode(struct gw_mode *m, const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *list;
	int rc = -EINVAL, version, panic;
	const char *deflt;

	if (root != NULL &&
	    json_unpack(root, "{si,ss,sb,so!}", "version", &version, "default", &deflt, "panic",
			&panic, "prefixes", &list) == 0 &&
	    version == MODE_VERSION && mode_parse(deflt, &m->view.deflt) == 0) {
		m->view.panic = panic;
		rc = decode_prefixes(m, list);
	}
	json_decref(root);
	return rc;
}

int
gw_mode_load(struct sl_gw *gw, struct sl_error *e)
{
	struct gw_mode *m = &gw->mode;
	char *text;
	size_t len;
	unsigned i;
	int rc;

	if (gw->state_dir == NULL)
		return 0;
	rc = gw_dir_make(gw->state_dir, e);
	if (rc != 0)
		return rc;
	rc = gw_file_read(gw->state_dir, MODE_FILE, MODE_FILE_MAX, &text, &len, e);
	if (rc == -ENOENT)
		return 0;
	if (rc != 0)
		return rc;
	rc = decode(m, text, len);
	free(text);
	for (i = 0; rc == 0 && i < m->view.n_prefixes; i++)
		rc = gw_lpm_set(gw, m->table, &m->prefixes[i].prefix, m->prefixes[i].mode);
	m->view.prefixes = m->prefixes;
	m->from_state = rc == 0;
	if (rc == 0)
		return 0;
	sl_fail(e, rc, "state_invalid", "", "%s/%s is no authz mode state of this version",
		gw->state_dir, MODE_FILE);
	sl_hint(e, "restore it from a backup; if it is removed, the modes of the configuration "
		   "file hold");
	return rc;
}

/* --- changes
 * --------------------------------------------------------------------------------------- */

static int
save(struct sl_gw *gw, const struct sl_gw_mode *m, struct sl_error *e)
{
	char *text;
	int rc;

	if (gw->state_dir == NULL)
		return 0;
	text = encode(m);
	if (text == NULL)
		return gw_no_memory(e);
	rc = gw_file_write(gw->state_dir, MODE_FILE, text, strlen(text), e);
	free(text);
	return rc;
}

/* The file first, then the tables: what an answer promised is on the disk. */
static int
change(struct sl_gw *gw, const struct sl_gw_mode *to, struct sl_error *e)
{
	int rc = save(gw, to, e);

	if (rc != 0)
		return rc;
	gw->mode.view = *to;
	sl_gw_begin(gw);
	gw->dirty = true;
	sl_gw_commit(gw);
	return 0;
}

int
sl_gw_mode_set_default(struct sl_gw *gw, enum sl_authz_mode m, struct sl_error *e)
{
	struct sl_gw_mode to = gw->mode.view;

	if (m != SL_MODE_OBSERVE && m != SL_MODE_ENFORCE)
		return sl_fail(e, -EINVAL, "mode_invalid", "/default", "not a mode");
	to.deflt = m;
	return change(gw, &to, e);
}

int
sl_gw_mode_set_panic(struct sl_gw *gw, bool on, struct sl_error *e)
{
	struct sl_gw_mode to = gw->mode.view;

	to.panic = on;
	return change(gw, &to, e);
}

static unsigned
find_prefix(const struct gw_mode *m, const struct sl_prefix *p)
{
	unsigned i;

	for (i = 0; i < m->view.n_prefixes; i++) {
		if (sl_prefix_equal(&m->prefixes[i].prefix, p))
			break;
	}
	return i;
}

static int
set_table(struct sl_gw *gw, const struct sl_prefix *p, enum sl_authz_mode mode, bool remove)
{
	int rc = remove ? gw_lpm_del(gw, gw->mode.table, p)
			: gw_lpm_set(gw, gw->mode.table, p, mode);

	return rc == -ENOENT ? 0 : rc;
}

int
sl_gw_mode_set_prefix(struct sl_gw *gw, const struct sl_prefix *p, enum sl_authz_mode mode,
		      bool remove, struct sl_error *e)
{
	struct gw_mode *m = &gw->mode;
	unsigned at = find_prefix(m, p), n = m->view.n_prefixes;
	struct sl_gw_mode_prefix *list;
	struct sl_gw_mode to = m->view;
	char text[SL_PREFIX_STR];
	int rc = gw_prefix_check(p, "prefix", "/prefix", e);

	if (rc != 0)
		return rc;
	if (remove && at == n)
		return sl_fail(e, -ENOENT, "not_found", "/prefix", "%s has no mode of its own",
			       sl_prefix_str(p, text));
	if (!remove && mode != SL_MODE_OBSERVE && mode != SL_MODE_ENFORCE)
		return sl_fail(e, -EINVAL, "mode_invalid", "/mode", "not a mode");
	if (!remove && at == n && n == GW_MODE_PREFIXES_MAX)
		return sl_fail(e, -ENOSPC, "limit_prefixes", "/prefix",
			       "the limit of %u prefixes is reached", GW_MODE_PREFIXES_MAX);
	list = malloc((n + 1) * sizeof(*list));
	if (list == NULL)
		return gw_no_memory(e);
	if (n > 0)
		memcpy(list, m->prefixes, n * sizeof(*list));
	if (remove)
		memmove(&list[at], &list[at + 1], (n - at - 1) * sizeof(*list));
	else
		list[at] = (struct sl_gw_mode_prefix){.prefix = *p, .mode = mode};
	to.n_prefixes = remove ? n - 1 : SL_MAX(n, at + 1);
	to.prefixes = list;
	sl_gw_begin(gw);
	if (set_table(gw, p, mode, remove) != 0)
		rc = gw_no_memory(e);
	if (rc == 0)
		rc = change(gw, &to, e);
	if (rc == 0) {
		free(m->prefixes);
		m->prefixes = list;
	} else {
		free(list);
		if (at < n)
			set_table(gw, p, m->prefixes[at].mode, false);
		else
			set_table(gw, p, mode, true);
	}
	sl_gw_commit(gw);
	return rc;
}

void
sl_gw_mode_get(struct sl_gw *gw, struct sl_gw_mode *out)
{
	*out = gw->mode.view;
}

bool
sl_gw_mode_from_state(struct sl_gw *gw)
{
	return gw->mode.from_state;
}

void
gw_mode_free(struct sl_gw *gw)
{
	free(gw->mode.prefixes);
}
