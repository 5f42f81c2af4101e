/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control token: made, listed and revoked in the store itself; no server is asked. */
#include <getopt.h>
#include <stdlib.h>

#include "audit.h"
#include "control.h"
#include "sl_secret.h"

const char control_token_usage[] =
	"Usage: sluice-control token create --role ROLE [--role ROLE]... [--bound NAME]\n"
	"                     [--expires 90d|never] [--source CIDR] [--description TEXT]\n"
	"       sluice-control token list [--json]\n"
	"       sluice-control token revoke ID\n"
	"\n"
	"A token is slt_ID_SECRET: as Bearer, or as HTTP Basic with ID as the user and SECRET as "
	"the\n"
	"password. create prints it once, alone on standard output; only a keyed hash is kept.\n"
	"\n"
	"  --role ROLE         admin, operator, approver, auditor, viewer, follower, gateway, "
	"agent,\n"
	"                      peer\n"
	"  --bound NAME        whom it speaks for; needed with follower, gateway, agent and peer\n"
	"  --expires TIME      30m, 12h, 90d (default) or never\n"
	"  --source CIDR       it is taken from there alone\n"
	"  --description TEXT  for people\n"
	"  --state-dir DIR     default " CONTROL_STATE_DIR "\n"
	"\n"
	"A revoked token ends at once everywhere; gateways and followers are told.\n";

struct wish {
	const char *state_dir, *bound, *source, *description;
	uint16_t roles;
	uint64_t expires_s; /* 0: never */
	bool json;
};

static int
add_role(struct wish *w, const char *name)
{
	enum sl_service_role r;

	if (sl_service_role_parse(name, &r) < 0) {
		fprintf(stderr, "sluice-control: there is no role \"%s\"\n", name);
		return -EINVAL;
	}
	w->roles |= SL_SR_BIT(r);
	return 0;
}

static int
set_expiry(struct wish *w, const char *text)
{
	w->expires_s = 0;
	if (strcmp(text, "never") == 0 || control_duration(text, &w->expires_s) == 0)
		return 0;
	fprintf(stderr, "sluice-control: --expires %s: write 30m, 12h, 90d or never\n", text);
	return -EINVAL;
}

/** @return -1 go on, else the exit status */
static int
options(const struct control_command *c, int argc, char **argv, struct wish *w)
{
	static const struct option longs[] = {{"state-dir", required_argument, NULL, 'S'},
					      {"role", required_argument, NULL, 'r'},
					      {"bound", required_argument, NULL, 'b'},
					      {"expires", required_argument, NULL, 'e'},
					      {"source", required_argument, NULL, 's'},
					      {"description", required_argument, NULL, 'd'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "jh", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->usage, stdout);
			return 0;
		}
		if ((opt == 'r' && add_role(w, optarg) < 0) ||
		    (opt == 'e' && set_expiry(w, optarg) < 0) || opt == '?')
			return control_misuse(c);
		if (opt == 'S')
			w->state_dir = optarg;
		else if (opt == 'b')
			w->bound = optarg;
		else if (opt == 's')
			w->source = optarg;
		else if (opt == 'd')
			w->description = optarg;
		else if (opt == 'j')
			w->json = true;
	}
	return -1;
}

/* --- create ----------------------------------------------------------------------------------- */

static int
create(struct sl_store *s, const struct control_paths *p, const struct wish *w,
       char text[SL_TOKEN_TEXT], struct sl_error *e)
{
	uint64_t end =
		w->expires_s != 0 ? control_wall_ns() + w->expires_s * UINT64_C(1000000000) : 0;
	struct control_audit audit = {0};
	struct sl_store_txn *t = NULL;
	struct sl_pepper pepper;
	char id[SL_TOKEN_ID], actor[32];
	json_t *body = NULL;
	int rc = sl_pepper_load(p->pepper, false, &pepper, e);

	if (rc == 0)
		rc = sl_token_make(&pepper, NULL, w->roles, w->bound, end, w->source,
				   w->description, id, text, &body, e);
	sl_wipe(&pepper, sizeof(pepper));
	if (rc == 0 && sl_store_role(s) == SL_STORE_PRIMARY) /* a follower says no by itself */
		rc = control_audit_open(&audit, s, p, SL_TRAIL_ITS_OWN, e);
	if (rc == 0) {
		t = sl_store_begin(s, control_actor(actor), "token create", e);
		rc = t != NULL ? 0 : e->err;
	}
	if (rc == 0)
		rc = sl_store_put(t, SL_KIND_TOKEN, id, SL_REV_NONE, body, e);
	if (rc == 0)
		rc = control_audit_commit(&audit, t, "token create", e);
	else
		sl_store_abort(t);
	control_audit_close(&audit);
	json_decref(body);
	return rc;
}

static int
do_create(const struct control_command *c, const struct wish *w)
{
	char text[SL_TOKEN_TEXT] = "";
	struct control_paths p;
	struct sl_error e = {0};
	struct sl_store *s;
	int rc;

	if (w->roles == 0)
		return control_misuse_of(c, "name a --role", "");
	s = control_open(w->state_dir, SL_STORE_WRITE, &p);
	if (s == NULL)
		return 1;
	rc = create(s, &p, w, text, &e);
	sl_store_close(s);
	if (rc == 0)
		puts(text);
	sl_wipe(text, sizeof(text));
	return rc < 0 ? control_fail(&e) : 0;
}

/* --- list ------------------------------------------------------------------------------------- */

struct listing {
	struct sl_store *s;
	json_t *all; /* NULL: lines for people */
};

static void
print_row(const char *id, const json_t *o)
{
	char roles[200] = "";
	size_t i, n = 0;
	json_t *v;

	json_array_foreach (json_object_get(o, "roles"), i, v)
		n += (size_t)snprintf(roles + n, n < sizeof(roles) ? sizeof(roles) - n : 0, "%s%s",
				      i > 0 ? "," : "", json_string_value(v));
	printf("%-10s  %-20s  %-16s  %-20s  %-20s  %s\n", id, roles,
	       json_string_value(json_object_get(o, "bound")) ?: "-",
	       json_string_value(json_object_get(o, "expires_at")) ?: "never",
	       json_string_value(json_object_get(o, "last_used")) ?: "-",
	       json_string_value(json_object_get(o, "description")) ?: "");
}

static bool
list_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, 0, NULL);
	struct listing *l = ctx;
	uint64_t used = sl_token_last_used(l->s, id);
	char at[SL_TIME_STR];

	json_object_del(o, "hash");
	json_object_set_new(o, "id", json_string(id));
	if (used != 0)
		json_object_set_new(o, "last_used",
				    json_string(sl_time_str(used * 1000000000, at)));
	if (l->all != NULL)
		json_array_append(l->all, o);
	else
		print_row(id, o);
	json_decref(o);
	return true;
}

static int
do_list(const struct wish *w)
{
	struct control_paths p;
	struct sl_error e = {0};
	struct listing l = {control_open(w->state_dir, SL_STORE_READ, &p), NULL};
	int rc;

	if (l.s == NULL)
		return 1;
	if (w->json)
		l.all = json_array();
	else
		printf("%-10s  %-20s  %-16s  %-20s  %-20s  %s\n", "ID", "ROLES", "BOUND", "EXPIRES",
		       "LAST USED HERE", "DESCRIPTION");
	rc = sl_store_walk(l.s, SL_KIND_TOKEN, "", list_row, &l, &e);
	if (rc == 0 && w->json) {
		json_dumpf(l.all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(l.all);
	sl_store_close(l.s);
	return rc < 0 ? control_fail(&e) : 0;
}

/* --- revoke ----------------------------------------------------------------------------------- */

static int
do_revoke(const struct wish *w, const char *id)
{
	struct control_paths p;
	struct sl_error e = {0};
	struct sl_store *s = control_open(w->state_dir, SL_STORE_WRITE, &p);
	struct control_audit audit = {0};
	struct sl_store_txn *t = NULL;
	char actor[32];
	int rc = 0;

	if (s == NULL)
		return 1;
	if (sl_store_role(s) == SL_STORE_PRIMARY)
		rc = control_audit_open(&audit, s, &p, SL_TRAIL_ITS_OWN, &e);
	if (rc == 0) {
		t = sl_store_begin(s, control_actor(actor), "token revoke", &e);
		rc = t != NULL ? sl_token_revoke(t, id, &e) : e.err;
	}
	if (rc == 0)
		rc = control_audit_commit(&audit, t, "token revoke", &e);
	else
		sl_store_abort(t);
	control_audit_close(&audit);
	sl_store_close(s);
	if (rc == -ENOENT && e.hint[0] == '\0')
		sl_hint(&e, "sluice-control token list shows their IDs");
	return rc < 0 ? control_fail(&e) : 0;
}

int
control_token(const struct control_command *c, int argc, char **argv)
{
	struct wish w = {.expires_s = 90 * 86400};
	int rc = options(c, argc, argv, &w), n = argc - optind;
	const char *word = rc < 0 && n > 0 ? argv[optind] : "";

	if (rc >= 0)
		return rc;
	if (strcmp(word, "create") == 0 && n == 1)
		return do_create(c, &w);
	if (strcmp(word, "list") == 0 && n == 1)
		return do_list(&w);
	if (strcmp(word, "revoke") == 0 && n == 2)
		return do_revoke(&w, argv[optind + 1]);
	return control_misuse_of(c, "create, list or revoke ID", word);
}
