/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control init: files of a new control plane, or of a follower. The store comes last, so
 * that an init that was cut short can be run again. */
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "control.h"
#include "sl_ca.h"
#include "sl_secret.h"

#define HOSTS_MAX 16
#define SETUP_S 3600

const char control_init_usage[] =
	"Usage: sluice-control init [--host NAME|ADDRESS]... [--no-ca] [--state-dir DIR]\n"
	"       sluice-control init --follower --primary URL [--pepper FILE] [--state-dir DIR]\n"
	"\n"
	"Makes the state directory of a new control plane:\n"
	"  store.db            objects and their log; see backup, restore, verify\n"
	"  pepper              the key that token secrets are hashed with. Keep a copy apart from\n"
	"                      backups: without it no token is known any more\n"
	"  audit.key           signs the audit; its public part: sluice-control audit key\n"
	"  ca/                 a small certificate authority (sluicectl ca --help)\n"
	"  tls/control.pem, .key, ca.pem   what the server shows, and whom it believes\n"
	"and prints a token of an admin that ends in one hour, once. Make lasting ones with it, "
	"or\n"
	"with `sluice-control token create`.\n"
	"\n"
	"  --host NAME|ADDRESS  under what clients and gateways dial this server; may be "
	"repeated.\n"
	"                       localhost, 127.0.0.1, ::1 and the host's name are there always\n"
	"  --no-ca              make no authority: put your own certificate to tls/\n"
	"  --follower           the data store of a follower: it takes its objects from the "
	"primary\n"
	"  --primary URL        told to whoever wants to change something here\n"
	"  --pepper FILE        a copy of the primary's, to be put into the state directory\n"
	"  --state-dir DIR      default " CONTROL_STATE_DIR "\n";

struct init {
	const char *state_dir, *primary, *pepper;
	const char *hosts[HOSTS_MAX];
	unsigned n_hosts;
	bool follower, no_ca;
	struct control_paths p;
};

/** @return -1 go on, else the exit status */
static int
options(const struct control_command *c, int argc, char **argv, struct init *o)
{
	static const struct option longs[] = {{"state-dir", required_argument, NULL, 'S'},
					      {"host", required_argument, NULL, 'H'},
					      {"no-ca", no_argument, NULL, 'C'},
					      {"follower", no_argument, NULL, 'f'},
					      {"primary", required_argument, NULL, 'p'},
					      {"pepper", required_argument, NULL, 'P'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (opt) {
		case 'S':
			o->state_dir = optarg;
			break;
		case 'H':
			if (o->n_hosts == HOSTS_MAX)
				return control_misuse(c);
			o->hosts[o->n_hosts++] = optarg;
			break;
		case 'C':
			o->no_ca = true;
			break;
		case 'f':
			o->follower = true;
			break;
		case 'p':
			o->primary = optarg;
			break;
		case 'P':
			o->pepper = optarg;
			break;
		case 'h':
			fputs(c->usage, stdout);
			return 0;
		default:
			return control_misuse(c);
		}
	}
	if (control_words(c, argc, argv, 0, 0) != 0)
		return 2;
	if (o->follower != (o->primary != NULL))
		return control_misuse_of(c, "--follower and --primary URL go together", "");
	if (o->primary != NULL && !control_is_url(o->primary))
		return control_misuse_of(
			c, "--primary takes https://HOST[:PORT] of the primary's REST API",
			o->primary);
	if (o->pepper && !o->follower)
		return control_misuse_of(c, "--pepper is for a --follower", "");
	return -1;
}

/* --- pepper ----------------------------------------------------------------------------------- */

static int
write_pepper(const char *to, const struct sl_pepper *pepper, struct sl_error *e)
{
	char text[SL_KEY_HEX_LEN + 1];
	FILE *f = fopen(to, "wxe");
	int rc = 0;

	if (f == NULL)
		return sl_fail(e, -errno, "file", "", "%.200s: %s", to, strerror(errno));
	sl_key_to_hex(pepper->key, text);
	if (fprintf(f, "%s\n", text) < 0 || fflush(f) != 0 || fsync(fileno(f)) < 0)
		rc = sl_fail(e, -EIO, "file", "", "%.200s: %s", to, strerror(errno));
	fclose(f);
	sl_wipe(text, sizeof(text));
	return rc;
}

static int
need_pepper(struct init *o, struct sl_pepper *pepper, struct sl_error *e)
{
	int rc;

	if (o->pepper != NULL && access(o->p.pepper, F_OK) != 0) {
		rc = sl_pepper_load(o->pepper, false, pepper, e);
		return rc == 0 ? write_pepper(o->p.pepper, pepper, e) : rc;
	}
	if (o->follower && access(o->p.pepper, F_OK) != 0) {
		sl_fail(e, -ENOENT, "file", "",
			"a follower checks tokens with the primary's pepper");
		sl_hint(e, "copy that file here and name it: --pepper FILE");
		return -ENOENT;
	}
	return sl_pepper_load(o->p.pepper, true, pepper, e);
}

/* --- certificates ----------------------------------------------------------------------------- */

static int
copy_text(const char *from, const char *to, struct sl_error *e)
{
	FILE *in = fopen(from, "re"), *out = in != NULL ? fopen(to, "we") : NULL;
	char buf[4096];
	size_t n;
	int rc = 0;

	if (out == NULL)
		rc = sl_fail(e, -errno, "file", "", "%.120s to %.120s: %s", from, to,
			     strerror(errno));
	while (rc == 0 && (n = fread(buf, 1, sizeof(buf), in)) > 0)
		if (fwrite(buf, 1, n, out) != n)
			rc = sl_fail(e, -EIO, "file", "", "%.200s: %s", to, strerror(errno));
	if (in != NULL)
		fclose(in);
	if (out != NULL && fclose(out) != 0 && rc == 0)
		rc = sl_fail(e, -EIO, "file", "", "%.200s: %s", to, strerror(errno));
	return rc;
}

static int
make_certificates(struct init *o, struct sl_error *e)
{
	const char *hosts[HOSTS_MAX + 4] = {"localhost", "127.0.0.1", "::1"};
	char name[64], pem[CONTROL_PATH + 16];
	struct sl_ca_want want = {.kind = SL_CA_CONTROL,
				  .name = name,
				  .hosts = hosts,
				  .cert_out = o->p.tls_cert,
				  .key_out = o->p.tls_key};
	int rc;

	control_node_name(name);
	hosts[3] = name;
	memcpy(hosts + 4, o->hosts, o->n_hosts * sizeof(hosts[0]));
	want.n_hosts = 4 + o->n_hosts;
	if (mkdir(o->p.tls, 0700) < 0 && errno != EEXIST)
		return sl_fail(e, -errno, "state_io", "", "%.200s: %s", o->p.tls, strerror(errno));
	if (o->no_ca || o->follower || access(o->p.tls_cert, F_OK) == 0)
		return 0;
	rc = sl_ca_init(o->p.ca, "Sluice", SL_CA_DAYS, e);
	if (rc == 0 || rc == -EEXIST)
		rc = sl_ca_issue(o->p.ca, &want, e);
	snprintf(pem, sizeof(pem), "%s/ca.pem", o->p.ca);
	return rc == 0 ? copy_text(pem, o->p.tls_ca, e) : rc;
}

/* --- store and first token -------------------------------------------------------------------- */

static int
put_token(struct init *o, struct sl_store *s, const char *id, json_t *body, struct sl_error *e)
{
	char actor[32];
	struct control_audit audit = {0};
	struct sl_store_txn *t = NULL;
	int rc = control_audit_open(&audit, s, &o->p, SL_TRAIL_ITS_OWN, e);

	if (rc == 0) {
		t = sl_store_begin(s, control_actor(actor), "init", e);
		rc = t != NULL ? sl_store_put(t, SL_KIND_TOKEN, id, SL_REV_NONE, body, e) : e->err;
	}
	if (rc == 0)
		rc = control_audit_commit(&audit, t, "init", e);
	else
		sl_store_abort(t);
	control_audit_close(&audit);
	return rc;
}

/** @param text the token; "" for a follower */
static int
fill_store(struct init *o, const struct sl_pepper *pepper, char text[SL_TOKEN_TEXT],
	   struct sl_error *e)
{
	struct sl_store *s = sl_store_open(o->p.store, SL_STORE_WRITE, e);
	char id[SL_TOKEN_ID];
	json_t *body = NULL;
	int rc = s != NULL ? 0 : e->err;

	if (rc == 0 && o->follower)
		rc = sl_store_set_primary(s, o->primary, e);
	if (rc == 0 && !o->follower)
		rc = sl_token_make(pepper, NULL, SL_SR_BIT(SL_SR_ADMIN), NULL,
				   control_wall_ns() + SETUP_S * UINT64_C(1000000000), NULL,
				   "first token, of init", id, text, &body, e);
	if (rc == 0 && body != NULL)
		rc = put_token(o, s, id, body, e);
	json_decref(body);
	sl_store_close(s);
	return rc;
}

static int
carry_out(struct init *o, struct sl_pepper *pepper, char text[SL_TOKEN_TEXT], struct sl_error *e)
{
	int rc = control_paths_of(o->state_dir, &o->p, e);

	if (rc == 0)
		rc = control_state_check(&o->p, true, e);
	if (rc == 0 && access(o->p.store, F_OK) == 0) {
		rc = sl_fail(e, -EEXIST, "exists", "", "%.200s holds a data store already",
			     o->p.dir);
		sl_hint(e, "to go back to a backup: sluice-control restore FILE; a lost token: "
			   "sluice-control token create --role admin");
	}
	if (rc == 0)
		rc = need_pepper(o, pepper, e);
	if (rc == 0)
		rc = make_certificates(o, e);
	if (rc == 0)
		rc = sl_store_init(o->p.store, o->follower ? SL_STORE_FOLLOWER : SL_STORE_PRIMARY,
				   e);
	return rc == 0 ? fill_store(o, pepper, text, e) : rc;
}

int
control_init(const struct control_command *c, int argc, char **argv)
{
	char text[SL_TOKEN_TEXT] = "";
	struct sl_pepper pepper;
	struct init o = {0};
	struct sl_error e = {0};
	int rc = options(c, argc, argv, &o);

	if (rc >= 0)
		return rc;
	rc = carry_out(&o, &pepper, text, &e);
	sl_wipe(&pepper, sizeof(pepper));
	if (rc < 0)
		return control_fail(&e);
	if (o.follower) {
		printf("%s is a follower of %s\n", o.p.dir, o.primary);
		return 0;
	}
	printf("%s is ready. A token of an admin, for one hour, shown this once:\n\n  %s\n",
	       o.p.dir, text);
	if (!o.no_ca)
		printf("\nclients believe %s\n", o.p.tls_ca);
	sl_wipe(text, sizeof(text));
	return 0;
}
