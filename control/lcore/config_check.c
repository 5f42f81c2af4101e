/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told wrong from the file alone, with its line: parameters, names, ports, prefixes,
 * key files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_int.h"
#include "gw.h"
#include "key_file.h"
#include "sl_gw_policy.h"
#include "sl_log.h"
#include "sl_schema.h"
#include "sl_json.h"

int
sl_config_call_fail(const struct sl_config *c, const struct sl_config_call *call,
		    struct sl_error *e, const struct sl_error *inner)
{
	sl_config_fail(c, sl_config_line_of(call, inner->path), e, inner->err, inner->reason,
		       inner->path, "%.240s", inner->message);
	if (inner->hint[0])
		sl_hint(e, "%s", inner->hint);
	return inner->err;
}

/** Decode each call's parameters as the dispatcher will. */
static int
check_params(const struct sl_config *c, struct sl_error *e)
{
	static const struct sl_rpc_caller caller = {.via = SL_RPC_VIA_CONFIG,
						    .principal = "config",
						    .who = &sl_service_local};

	for (unsigned i = 0; i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];
		const struct sl_schema_method *m =
			sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, call->method);
		struct sl_schema_arena *arena = NULL;
		struct sl_error inner = {0};
		void *decoded = calloc(1, m->params_size + 1);
		int rc = decoded ? sl_schema_decode(m, call->params, &caller, decoded, &arena,
						    &inner)
				 : -ENOMEM;

		sl_schema_free(arena);
		free(decoded);
		if (rc)
			return decoded ? sl_config_call_fail(c, call, e, &inner) : rc;
	}
	return 0;
}

/** One string of a file that must not stand there twice. */
struct item {
	const char *scope; /* "" or the interface */
	char text[64];
	const struct sl_config_call *call;
	const char *path;
	unsigned line;
};

struct items {
	struct item *v;
	size_t n, room;
};

static int
item_add(struct items *s, const char *scope, const char *text, const struct sl_config_call *call,
	 const char *path)
{
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct item *grown = realloc(s->v, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->room = room;
	}
	s->v[s->n] =
		(struct item){.scope = scope, .call = call, .line = sl_config_line_of(call, path)};
	snprintf(s->v[s->n++].text, sizeof(s->v[0].text), "%s", text);
	return 0;
}

static int
item_cmp(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = strcmp(x->scope, y->scope);

	if (c == 0)
		c = strcmp(x->text, y->text);
	return c ? c : (x->line > y->line) - (x->line < y->line);
}

/** Sort and find the first text that stands twice. `what` names it: "listen_port 51820 ...". */
static int
find_twice(const struct sl_config *c, struct items *s, const char *reason, const char *path,
	   const char *what, const char *hint, struct sl_error *e)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(s->v[0]), item_cmp);
	for (size_t i = 1; i < s->n; i++) {
		if (strcmp(s->v[i - 1].scope, s->v[i].scope) ||
		    strcmp(s->v[i - 1].text, s->v[i].text))
			continue;
		sl_config_fail(c, s->v[i].line, e, -EEXIST, reason, path,
			       "%s %s%s%s is there already, in line %u", what, s->v[i].text,
			       s->v[i].scope[0] ? " of interface " : "", s->v[i].scope,
			       s->v[i - 1].line);
		sl_hint(e, "%s", hint);
		return -EEXIST;
	}
	return 0;
}

static int
check_interfaces(const struct sl_config *c, struct sl_error *e)
{
	struct items ports = {0}, names = {0};
	char text[16];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];

		if (strcmp(call->method, "interface.set") != 0)
			continue;
		rc = item_add(&names, "", sl_json_text(call->params, "interface"), call, "/name");
		snprintf(text, sizeof(text), "%lld",
			 (long long)json_integer_value(
				 json_object_get(call->params, "listen_port")));
		if (rc == 0 && strcmp(text, "443") == 0) {
			sl_config_fail(c, sl_config_line_of(call, "/listen_port"), e, -EINVAL,
				       "port_443", "/listen_port",
				       "UDP port 443 is not available to tunnels");
			sl_hint(e, "choose another port, for example 51820");
			rc = -EINVAL;
		}
		if (rc == 0 && strcmp(text, "0") != 0)
			rc = item_add(&ports, "", text, call, "/listen_port");
	}
	if (rc == 0)
		rc = find_twice(c, &names, "name_in_use", "/interface", "interface",
				"give each interface its own name", e);
	if (rc == 0)
		rc = find_twice(c, &ports, "port_in_use", "/listen_port", "listen_port",
				"give each interface its own UDP port", e);
	free(ports.v);
	free(names.v);
	return rc;
}

static int
add_prefixes(struct items *s, const struct sl_config_call *call)
{
	json_t *list = json_object_get(call->params, "allowed_ips"), *item;
	char path[48], text[SL_PREFIX_STR];
	struct sl_prefix p;
	size_t i;

	json_array_foreach (list, i, item) {
		snprintf(path, sizeof(path), "/allowed_ips/%zu", i);
		if (sl_prefix_parse(json_string_value(item), &p))
			continue;
		sl_prefix_mask(&p); /* host bits make no difference in the tables */
		if (item_add(s, sl_json_text(call->params, "interface"), sl_prefix_str(&p, text),
			     call, path))
			return -ENOMEM;
	}
	return 0;
}

static int
check_peers(const struct sl_config *c, struct sl_error *e)
{
	struct items prefixes = {0}, keys = {0}, names = {0};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];
		const char *iface = sl_json_text(call->params, "interface");

		if (strcmp(call->method, "peer.set") != 0)
			continue;
		rc = item_add(&keys, iface, sl_json_text(call->params, "public_key"), call,
			      "/public_key");
		if (rc == 0 && sl_json_text(call->params, "name")[0])
			rc = item_add(&names, iface, sl_json_text(call->params, "name"), call,
				      "/name");
		if (rc == 0)
			rc = add_prefixes(&prefixes, call);
	}
	if (rc == 0)
		rc = find_twice(c, &keys, "peer_twice", "/public_key", "peer",
				"remove one of the two entries", e);
	if (rc == 0)
		rc = find_twice(c, &names, "name_in_use", "/name", "peer name",
				"names are unique in an interface", e);
	if (rc == 0)
		rc = find_twice(
			c, &prefixes, "allowed_conflict", "/allowed_ips", "the prefix",
			"a prefix belongs to one peer: remove it from one, or give a longer one",
			e);
	free(prefixes.v);
	free(keys.v);
	free(names.v);
	return rc;
}

/** No peer behind the interface that is call `at` has its key. */
static int
check_self(const struct sl_config *c, unsigned at, const struct sl_pubkey *own, struct sl_error *e)
{
	char text[SL_KEY_B64_LEN + 1];
	struct sl_error inner = {0};

	sl_key_to_base64(own->b, text);
	for (unsigned i = at + 1; i < c->n_calls && strcmp(c->calls[i].method, "peer.set") == 0;
	     i++) {
		if (strcmp(sl_json_text(c->calls[i].params, "public_key"), text) != 0)
			continue;
		gw_peer_is_self(sl_json_text(c->calls[at].params, "interface"), &inner);
		return sl_config_call_fail(c, &c->calls[i], e, &inner);
	}
	return 0;
}

/** Key files are readable and hold a key now; the calls read them again. */
static int
check_key_files(const struct sl_config *c, struct sl_error *e)
{
	static const char *const params[] = {"private_key_file", "preshared_key_file"};

	for (unsigned i = 0; !c->keyless && i < c->n_calls * 2; i++) {
		const struct sl_config_call *call = &c->calls[i / 2];
		const char *file = sl_json_text(call->params, params[i % 2]);
		struct sl_error inner = {0};
		struct sl_secret key = {0};
		struct sl_pubkey own;
		char path[40];
		int rc;

		if (!file[0])
			continue;
		snprintf(path, sizeof(path), "/%s", params[i % 2]);
		rc = sl_key_file_read(file, path, &key, &inner);
		sl_x25519_public(&own, &key);
		sl_wipe(&key, sizeof(key));
		if (rc)
			return sl_config_call_fail(c, call, e, &inner);
		rc = i % 2 == 0 ? check_self(c, i / 2, &own, e) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int
port_twice(const struct sl_config *c, unsigned i, unsigned j, struct sl_error *e)
{
	const struct sl_port_conf *a = &c->ports[i].port, *b = &c->ports[j].port;

	if (strcmp(a->name, b->name) == 0) {
		sl_config_fail(c, c->ports[i].line, e, -EEXIST, "name_in_use", "/ports/name",
			       "port \"%s\" is there already, in line %u", a->name,
			       c->ports[j].line);
		sl_hint(e, "give each port its own name");
		return -EEXIST;
	}
	if (strcmp(a->device, b->device) == 0) {
		sl_config_fail(c, c->ports[i].line, e, -EEXIST, "device_in_use", "/ports/device",
			       "device \"%.120s\" is port \"%s\" already, in line %u", a->device,
			       b->name, c->ports[j].line);
		sl_hint(e, "a device is one port; VLANs of it stand in its `vlans`");
		return -EEXIST;
	}
	return 0;
}

static int
check_ports(const struct sl_config *c, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->n_ports; i++)
		for (unsigned j = 0; rc == 0 && j < i; j++)
			rc = port_twice(c, i, j, e);
	return rc;
}

/* --- what one place says of another ---------------------------------------------------------- */

static bool
has_port(const struct sl_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_ports; i++)
		if (strcmp(c->ports[i].port.name, name) == 0)
			return true;
	return false;
}

static bool
has_interface(const struct sl_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_calls; i++)
		if (strcmp(c->calls[i].method, "interface.set") == 0 &&
		    strcmp(sl_json_text(c->calls[i].params, "interface"), name) == 0)
			return true;
	return false;
}

static int
check_reference(const struct sl_config *c, const struct sl_config_call *call, struct sl_error *e)
{
	const json_t *inside = json_object_get(call->params, "inside");
	const char *port = sl_json_text(inside ? inside : call->params, "port");
	const char *iface = sl_json_text(call->params, "interface");
	const char *path = inside ? "/inside/port" : "/port";

	if (port[0] && !has_port(c, port)) {
		sl_config_fail(c, sl_config_line_of(call, path), e, -ENOENT, "port_unknown", path,
			       "there is no port \"%.40s\"", port);
		sl_hint(e, "ports are in the list `ports`");
		return -ENOENT;
	}
	if (strcmp(call->method, "route.add") == 0 && iface[0] && !has_interface(c, iface)) {
		sl_config_fail(c, sl_config_line_of(call, "/interface"), e, -ENOENT,
			       "interface_unknown", "/interface", "there is no interface \"%.40s\"",
			       iface);
		sl_hint(e, "interfaces are in the list `interfaces`");
		return -ENOENT;
	}
	return 0;
}

static int
check_references(const struct sl_config *c, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++)
		rc = check_reference(c, &c->calls[i], e);
	return rc;
}

/* --- the policy ------------------------------------------------------------------------------ */

/** What could not be read is named by the message. */
static bool
reason_names_file(const struct sl_error *inner)
{
	return strcmp(inner->reason, "file") == 0 || strcmp(inner->reason, "file_invalid") == 0;
}

int
sl_config_policy_fail(const struct sl_config *c, struct sl_error *e, const struct sl_error *inner)
{
	char where[160] = "";

	if (!reason_names_file(inner))
		snprintf(where, sizeof(where), "%.80s: %.60s%s",
			 c->policy_file ? c->policy_file : "policy", inner->path,
			 inner->path[0] ? ": " : "");
	if (c->policy_line)
		sl_config_fail(c, c->policy_line, e, inner->err, inner->reason, inner->path,
			       "%s%.160s", where, inner->message);
	else
		sl_fail(e, inner->err, inner->reason, inner->path, "%s%.160s", where,
			inner->message);
	if (inner->hint[0])
		sl_hint(e, "%s", inner->hint);
	else
		sl_hint(e, "%s",
			reason_names_file(inner)
				? "name a policy file that is there and can be read"
				: "correct the policy file (docs/policy.md)");
	return inner->err;
}

/** @return the model, NULL with an error of the document */
static struct sl_policy *
read_policy(const struct sl_config *c, struct sl_error *e)
{
	unsigned prefixes = c->policy_prefixes ? c->policy_prefixes : SL_POL_PREFIXES;
	struct sl_policy_limits limits = {.prefixes = prefixes * SL_POL_GROW_MAX,
					  .rules_per_role = c->policy_rules};
	struct sl_policy *p = NULL;
	char *text;
	size_t len;
	int rc = sl_gw_policy_read(c->policy_file, &text, &len, e);

	if (rc == 0) {
		rc = sl_policy_doc_parse(text, len, &p, e);
		free(text);
	}
	if (rc == 0) /* what is over is no error at a start */
		rc = sl_policy_check(p, &limits, 0, e);
	if (rc == 0)
		return p;
	sl_policy_free(p);
	return NULL;
}

static int
check_policy(const struct sl_config *c, struct sl_error *e)
{
	struct sl_error inner = {0};
	struct sl_policy *p;

	if (!c->policy_file || c->keyless) /* the caller may want another one */
		return 0;
	p = read_policy(c, &inner);
	sl_policy_free(p);
	return p ? 0 : sl_config_policy_fail(c, e, &inner);
}

/* --- what is probably not meant -------------------------------------------------------------- */

/** The peers of the file by name. */
struct peers {
	const struct sl_config_call **v;
	unsigned n;
};

static const char *
peer_name(const struct sl_config_call *call)
{
	return sl_json_text(call->params, "name");
}

static int
by_peer_name(const void *a, const void *b)
{
	return strcmp(peer_name(*(const struct sl_config_call *const *)a),
		      peer_name(*(const struct sl_config_call *const *)b));
}

static bool
has_peer(void *ctx, const struct sl_pol_member *m)
{
	const struct peers *all = ctx;
	const char *iface = m->place.iface;
	unsigned lo = 0, hi = all->n;

	while (lo < hi) { /* the first one of the name */
		unsigned mid = lo + (hi - lo) / 2;

		if (strcmp(peer_name(all->v[mid]), m->peer) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < all->n && strcmp(peer_name(all->v[lo]), m->peer) == 0; lo++) {
		if (!iface[0] || strcmp(sl_json_text(all->v[lo]->params, "interface"), iface) == 0)
			return true;
	}
	return false;
}

void
sl_config_lint(const struct sl_config *c, uint64_t now_ns, sl_policy_lint_fn fn, void *ctx)
{
	struct peers all = {calloc(c->n_calls + 1, sizeof(struct sl_config_call *)), 0};
	struct sl_error e = {0};
	struct sl_policy *p = c->policy_file ? read_policy(c, &e) : NULL;

	for (unsigned i = 0; all.v && i < c->n_calls; i++) {
		if (strcmp(c->calls[i].method, "peer.set") == 0)
			all.v[all.n++] = &c->calls[i];
	}
	if (p && all.v) {
		qsort(all.v, all.n, sizeof(struct sl_config_call *), by_peer_name);
		sl_policy_lint(p, now_ns, fn, ctx);
		sl_policy_lint_peers(p, now_ns, has_peer, &all, fn, ctx);
	}
	sl_policy_free(p);
	free(all.v);
}

int
sl_config_check(const struct sl_config *c, struct sl_error *e)
{
	int rc = check_ports(c, e);

	rc = rc ? rc : check_params(c, e);
	rc = rc ? rc : check_references(c, e);
	rc = rc ? rc : sl_config_check_values(c, e);
	rc = rc ? rc : sl_config_check_hops(c, e);
	rc = rc ? rc : check_interfaces(c, e);
	rc = rc ? rc : check_peers(c, e);
	rc = rc ? rc : sl_config_check_limits(c, e);
	rc = rc ? rc : check_key_files(c, e);
	rc = rc ? rc : sl_config_check_audit(c, e);
	rc = rc ? rc : sl_config_check_cp(c, e);
	return rc ? rc : check_policy(c, e);
}
