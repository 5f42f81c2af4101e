/* SPDX-License-Identifier: BSD-3-Clause */
/* interface.* */
#include "key_file.h"
#include "rpc_int.h"
#include "sl_log.h"

static json_t *
inside_json(const struct sl_gw_iface_info *i)
{
	json_t *o = json_pack("{s:s}", "port", i->inside_port);

	ctl_set_vlan(o, i->inside_vlan);
	json_object_set_new(o, "prefixes", ctl_prefixes(i->inside_prefixes, i->n_inside_prefixes));
	return o;
}

json_t *
ctl_iface_settings(const struct sl_gw_iface_info *i)
{
	static const char *const source[] = {"none", "file", "uapi", "memory"};
	json_t *o = json_pack("{s:s, s:i, s:s, s:o, s:b, s:i, s:b, s:s}", "name", i->name,
			      "listen_port", (int)i->listen_port, "key_source",
			      source[i->key_source & 3], "addresses",
			      ctl_prefixes(i->addresses, i->n_addresses), "isolation",
			      (int)i->isolation, "mtu", (int)i->mtu, "mss_clamp", (int)i->mss_clamp,
			      "outer_udp_checksum", ctl_udp_csum_text(i->udp_csum));

	if (i->has_key)
		json_object_set_new(o, "public_key", ctl_key(&i->public_key));
	if (i->key_source == SL_KEY_FILE && i->key_file)
		json_object_set_new(o, "private_key_file", json_string(i->key_file));
	if (i->inside_port)
		json_object_set_new(o, "inside", inside_json(i));
	return o;
}

static json_t *
iface_json(const struct sl_gw_iface_info *i)
{
	json_t *o = ctl_iface_settings(i);

	json_object_set_new(o, "id", json_integer(i->id));
	json_object_set_new(o, "replay_window", json_integer(SL_REPLAY_WINDOW));
	json_object_set_new(o, "peers", json_integer(i->n_peers));
	return o;
}

static void
add_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	json_array_append_new(ctx, iface_json(i));
}

int
sl_rpc_h_interface_list(void *user, const struct sl_rpc_caller *caller, const void *p,
			json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *list = json_array();

	(void)caller;
	(void)p;
	(void)e;
	sl_gw_iface_walk(ctl->gw, add_iface, list);
	return ctl_answer(result, json_pack("{s:o}", "interfaces", list));
}

static int
not_found(const char *name, struct sl_error *e)
{
	sl_fail(e, -ENOENT, "not_found", "/interface", "no interface \"%.32s\"", name);
	sl_hint(e, "interface.list names them");
	return -ENOENT;
}

int
sl_rpc_h_interface_get(void *user, const struct sl_rpc_caller *caller,
		       const struct sl_rpc_interface_get *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_gw_iface_info i;

	(void)caller;
	if (!sl_gw_iface_find(ctl->gw, p->interface, &i))
		return not_found(p->interface, e);
	return ctl_answer(result, iface_json(&i));
}

/** Where the gateway model speaks of its own words, say the parameter. */
static void
name_parameter(struct sl_error *e)
{
	if (strcmp(e->path, "/name") == 0)
		snprintf(e->path, sizeof(e->path), "/interface");
	else if (strcmp(e->path, "/private_key") == 0)
		snprintf(e->path, sizeof(e->path), "/private_key_file");
}

/**
 * The key that the call asks for.
 * @param[out] key filled from the file; the caller wipes it
 */
static int
spec_key(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	 const struct sl_rpc_interface_set *p, struct sl_gw_iface_spec *s, struct sl_secret *key,
	 struct sl_error *e)
{
	struct sl_gw_iface_info now;

	if (p->has_private_key_file && p->has_key_store) {
		sl_fail(e, -EINVAL, "param_conflict", "/key_store",
			"private_key_file and key_store exclude each other");
		sl_hint(e, "give one of them");
		return -EINVAL;
	}
	if (p->has_private_key_file) {
		s->fields |= SL_IF_KEY;
		s->key_source = SL_KEY_FILE;
		s->key = key;
		s->key_file = p->private_key_file;
		return sl_key_file_read(p->private_key_file, "/private_key_file", key, e);
	}
	/* a file that is loaded into a running gateway asks for a key of that kind, not for another
	 * one */
	if (p->has_key_store &&
	    !(caller->via == SL_RPC_VIA_CONFIG && sl_gw_iface_find(ctl->gw, p->interface, &now) &&
	      now.key_source == SL_KEY_MEMORY)) {
		s->fields |= SL_IF_KEY;
		s->key_source = SL_KEY_MEMORY;
	}
	return 0;
}

static void
spec_inside(const struct sl_rpc_interface_set *p, struct sl_gw_iface_spec *s)
{
	s->fields |= SL_IF_INSIDE;
	s->inside_port = p->inside.port[0] ? p->inside.port : NULL;
	s->inside_vlan = (uint16_t)p->inside.vlan;
	s->inside_prefixes = p->inside.prefixes.v;
	s->n_inside_prefixes = p->inside.prefixes.n;
}

static void
spec_rest(const struct sl_rpc_interface_set *p, struct sl_gw_iface_spec *s)
{
	s->name = p->interface;
	if (p->has_listen_port)
		s->fields |= SL_IF_LISTEN_PORT;
	if (p->has_addresses)
		s->fields |= SL_IF_ADDRESSES;
	if (p->has_isolation)
		s->fields |= SL_IF_ISOLATION;
	if (p->has_mtu)
		s->fields |= SL_IF_MTU;
	if (p->has_mss_clamp)
		s->fields |= SL_IF_MSS_CLAMP;
	if (p->has_outer_udp_checksum)
		s->fields |= SL_IF_UDP_CSUM;
	s->listen_port = (uint16_t)p->listen_port;
	s->addresses = p->addresses.v;
	s->n_addresses = p->addresses.n;
	s->isolation = p->isolation;
	s->mtu = (uint16_t)p->mtu;
	s->mss_clamp = p->mss_clamp;
	s->udp_csum = (enum sl_udp_csum)p->outer_udp_checksum;
	if (p->has_inside)
		spec_inside(p, s);
}

/* Key, port and inside stay the gateway's own. */
#define FROM_CONTROL (SL_IF_ADDRESSES | SL_IF_ISOLATION | SL_IF_MTU | SL_IF_MSS_CLAMP)

int
sl_rpc_h_interface_set(void *user, const struct sl_rpc_caller *caller,
		       const struct sl_rpc_interface_set *p, json_t **result, struct sl_error *e)
{
	struct sl_gw_iface_spec s = {0};
	struct sl_gw_iface_info i;
	struct sl_ctl *ctl = user;
	struct sl_secret key;
	int rc;

	memset(&key, 0, sizeof(key));
	spec_rest(p, &s);
	rc = s.fields & FROM_CONTROL ? sl_gw_check_managed(ctl->gw, p->interface, e) : 0;
	if (rc)
		return rc;
	rc = spec_key(ctl, caller, p, &s, &key, e);
	if (rc == 0) {
		rc = sl_gw_iface_set(ctl->gw, &s, e);
		if (rc)
			name_parameter(e);
	}
	sl_wipe(&key, sizeof(key));
	if (rc)
		return rc;
	if (!sl_gw_iface_find(ctl->gw, p->interface, &i))
		return not_found(p->interface, e);
	*result = json_pack("{s:i, s:I}", "listen_port", (int)i.listen_port, "generation",
			    (json_int_t)sl_gw_generation(ctl->gw));
	if (*result && i.has_key)
		json_object_set_new(*result, "public_key", ctl_key(&i.public_key));
	return *result ? 0 : -ENOMEM;
}

int
sl_rpc_h_interface_remove(void *user, const struct sl_rpc_caller *caller,
			  const struct sl_rpc_interface_remove *p, json_t **result,
			  struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	int rc = sl_gw_check_managed(ctl->gw, p->interface, e);

	(void)caller;
	(void)result;
	if (rc)
		return rc;
	rc = sl_gw_iface_del(ctl->gw, p->interface, e);
	if (rc)
		name_parameter(e);
	return rc;
}
