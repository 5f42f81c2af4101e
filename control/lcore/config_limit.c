/* SPDX-License-Identifier: BSD-3-Clause */
/* More of the file than the gateway has room for: counted before it starts, told as it would. */
#include <stdlib.h>

#include "config_int.h"
#include "gw.h"
#include "sl_json.h"

/** A call, by what another call of the same would replace. */
struct entry {
	const struct sl_config_call *call;
	const char *iface;
	struct sl_prefix prefix;
};

static int
by_call(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	/* calls are one array, in the order of the file */
	return (x->call > y->call) - (x->call < y->call);
}

static int
twin_cmp(const struct entry *x, const struct entry *y)
{
	int c = strcmp(x->iface, y->iface);

	if (c == 0)
		c = sl_ip_cmp(&x->prefix.ip, &y->prefix.ip);
	return c ? c : (x->prefix.len > y->prefix.len) - (x->prefix.len < y->prefix.len);
}

static int
by_twin(const void *a, const void *b)
{
	int c = twin_cmp(a, b);

	return c ? c : by_call(a, b);
}

/** Keep the first of those that are alike. @return how many stay, in the order of the file */
static unsigned
drop_twins(struct entry *v, unsigned n)
{
	unsigned out = 0;

	qsort(v, n, sizeof(*v), by_twin);
	for (unsigned i = 0; i < n; i++)
		if (i == 0 || twin_cmp(&v[i], &v[out - 1]) != 0)
			v[out++] = v[i];
	qsort(v, out, sizeof(*v), by_call);
	return out;
}

static bool
is_of(const struct sl_config_call *call, const char *method)
{
	return strcmp(call->method, method) == 0;
}

/** The text of a prefix of a route or of a mode; the other modes have none. */
static const char *
prefix_of(const struct sl_config_call *call)
{
	if (is_of(call, "route.add"))
		return sl_json_text(call->params, "prefix");
	return json_string_value(json_array_get(json_object_get(call->params, "prefixes"), 0));
}

/** The first call of a method that has no room: those that replace another one need none.
 * @param[out] over NULL: there is none. @return 0 or -ENOMEM */
static int
find_over(const struct sl_config *c, const char *method, unsigned max,
	  const struct sl_config_call **over)
{
	unsigned n = 0;
	struct entry *v;

	*over = NULL;
	for (unsigned i = 0; i < c->n_calls; i++)
		n += is_of(&c->calls[i], method);
	if (n <= max)
		return 0;
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = 0;
	for (unsigned i = 0; i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];
		const char *text = is_of(call, method) ? prefix_of(call) : NULL;

		if (!text || sl_prefix_parse(text, &v[n].prefix))
			continue;
		v[n].call = call;
		v[n++].iface = sl_json_text(call->params, "interface");
	}
	n = drop_twins(v, n);
	if (n > max)
		*over = v[max].call;
	free(v);
	return 0;
}

/** The first call of a method behind `max` of them, NULL: there is none. */
static const struct sl_config_call *
call_behind(const struct sl_config *c, const char *method, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_calls; i++)
		if (is_of(&c->calls[i], method) && n++ == max)
			return &c->calls[i];
	return NULL;
}

int
sl_config_check_limits(const struct sl_config *c, struct sl_error *e)
{
	const struct sl_config_call *over = call_behind(c, "interface.set", SL_IFACE_MAX - 1);
	struct sl_error inner = {0};
	int rc = 0;

	if (over)
		gw_limit_interfaces(&inner);
	if (!over && (over = call_behind(c, "peer.set", SL_GW_PEERS)))
		gw_limit_peers(SL_GW_PEERS, &inner);
	if (!over && (rc = find_over(c, "route.add", GW_ROUTES_MAX, &over)) == 0 && over)
		gw_limit_routes(&inner);
	if (!over && rc == 0 &&
	    (rc = find_over(c, "authz.mode.set", GW_MODE_PREFIXES_MAX, &over)) == 0 && over)
		gw_limit_mode_prefixes(&inner);
	return over ? sl_config_call_fail(c, over, e, &inner) : rc;
}
