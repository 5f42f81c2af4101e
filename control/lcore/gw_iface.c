/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"
#include "gw_policy.h"

#define DEFAULT_MTU 1420
#define FIRST_LISTEN_PORT 51820

static uint64_t
name_hash(const struct sl_gw *gw, const char *name)
{
	return sl_siphash(gw->hash_key, name, strlen(name));
}

struct gw_iface *
gw_iface_by_name(struct sl_gw *gw, const char *name)
{
	struct gw_link *l = gw_hash_find(&gw->ifaces_by_name, name_hash(gw, name));
	struct gw_iface *f;

	for (; l != NULL; l = gw_hash_next(l)) {
		f = SL_CONTAINER_OF(l, struct gw_iface, by_name);
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

struct gw_iface *
gw_iface_by_id(struct sl_gw *gw, unsigned id)
{
	return id < SL_IFACE_MAX ? gw->iface[id] : NULL;
}

void
gw_iface_dirty(struct sl_gw *gw, struct gw_iface *f)
{
	f->dirty = true;
	gw->dirty = true;
}

void
gw_iface_free(struct sl_gw *gw, struct gw_iface *f)
{
	unsigned t;

	for (t = 0; t < GW_T_MAX; t++) {
		sl_lpm_free(&f->table[t][0]);
		sl_lpm_free(&f->table[t][1]);
	}
	gw_secret_free(&gw->secrets, f->key);
	free(f->key_file);
	free(f->addr);
	free(f->inside);
	free(f->peer);
	free(f);
}

/* --- parts of a change --------------------------------------------------------------------------
 */

/* Everything that a change needs and that can fail, made before anything is touched. */
struct change {
	struct sl_prefix *addr, *inside;
	unsigned n_inside;
	char *key_file;
	struct sl_secret *key; /* in guarded memory */
	struct sl_pubkey public_key;
	struct sl_hs_cmd *cmd;
	uint16_t listen_port;
	struct gw_att *att;
};

static void
change_drop(struct sl_gw *gw, struct change *c)
{
	free(c->addr);
	free(c->inside);
	free(c->key_file);
	gw_secret_free(&gw->secrets, c->key);
	if (c->cmd != NULL)
		sl_hs_cmd_free(c->cmd);
}

static uint16_t
free_listen_port(const struct sl_gw *gw)
{
	unsigned p;

	for (p = FIRST_LISTEN_PORT; p < GW_UDP_PORTS; p++) {
		if (gw->udp_port[p] == 0)
			return (uint16_t)p;
	}
	return 0;
}

/* The key goes into guarded memory and the command; a generated one stays in the command alone. */
static int
prepare_key(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct change *c,
	    struct sl_error *e)
{
	if (s->key_source == SL_KEY_NONE)
		return 0;
	if (s->key_source == SL_KEY_MEMORY) {
		sl_rng_fill(&gw->conf.rng, c->cmd->key.b, SL_KEY_LEN);
		sl_x25519_clamp(&c->cmd->key);
	} else {
		c->key = gw_secret_new(&gw->secrets, e);
		if (c->key == NULL)
			return -ENOMEM;
		*c->key = *s->key;
		sl_x25519_clamp(c->key);
		c->cmd->key = *c->key;
	}
	sl_x25519_public(&c->public_key, &c->cmd->key);
	if (s->key_file != NULL && s->key_source == SL_KEY_FILE) {
		c->key_file = strdup(s->key_file);
		if (c->key_file == NULL)
			return gw_no_memory(e);
	}
	return 0;
}

static int
prepare_lists(const struct sl_gw_iface_spec *s, struct change *c, struct sl_error *e)
{
	if (s->fields & SL_IF_ADDRESSES && s->n_addresses > 0) {
		c->addr = malloc(s->n_addresses * sizeof(*c->addr));
		if (c->addr == NULL)
			return gw_no_memory(e);
		memcpy(c->addr, s->addresses, s->n_addresses * sizeof(*c->addr));
	}
	if (s->fields & SL_IF_INSIDE && gw_prefix_sorted(s->inside_prefixes, s->n_inside_prefixes,
							 &c->inside, &c->n_inside) != 0)
		return gw_no_memory(e);
	return 0;
}

static int
prepare(struct sl_gw *gw, const struct sl_gw_iface_spec *s, const struct gw_iface *f,
	struct change *c, struct sl_error *e)
{
	int rc = prepare_lists(s, c, e);

	c->cmd = sl_hs_cmd_new(SL_HS_IFACE_SET);
	if (rc == 0 && c->cmd == NULL)
		rc = gw_no_memory(e);
	if (rc == 0 && s->fields & SL_IF_KEY)
		rc = prepare_key(gw, s, c, e);
	c->listen_port = s->fields & SL_IF_LISTEN_PORT ? s->listen_port : 0;
	if (c->listen_port == 0)
		c->listen_port = f->listen_port != 0 ? f->listen_port : free_listen_port(gw);
	if (rc == 0 && c->listen_port == 0)
		rc = sl_fail(e, -EADDRINUSE, "port_in_use", "/listen_port", "no UDP port is free");
	if (rc == 0 && s->fields & SL_IF_INSIDE && s->inside_port != NULL)
		rc = gw_att_get(gw, s->inside_port, s->inside_vlan, "/inside/port", &c->att, e);
	return rc == 0 ? gw_cmd_room(gw, 2, e) : rc;
}

static void
del_local(struct sl_gw *gw, struct gw_iface *f, const struct sl_prefix *addr, unsigned n)
{
	struct sl_prefix p;
	unsigned i;

	for (i = 0; i < n; i++) {
		p = addr[i];
		p.len = (uint8_t)(sl_ip_bytes(&p.ip) * 8);
		gw_lpm_del(gw, f->table[GW_T_LOCAL], &p);
	}
}

static int
set_local(struct sl_gw *gw, struct gw_iface *f, const struct sl_prefix *addr, unsigned n)
{
	struct sl_prefix p;
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < n; i++) {
		p = addr[i];
		p.len = (uint8_t)(sl_ip_bytes(&p.ip) * 8);
		rc = gw_lpm_set(gw, f->table[GW_T_LOCAL], &p, i);
	}
	return rc;
}

/* The tables: all of it or nothing. */
static int
edit_tables(struct sl_gw *gw, struct gw_iface *f, const struct sl_gw_iface_spec *s,
	    const struct change *c)
{
	int rc = 0;

	if (s->fields & SL_IF_ADDRESSES) {
		del_local(gw, f, f->addr, f->n_addr);
		rc = set_local(gw, f, c->addr, s->n_addresses);
	}
	if (rc == 0 && s->fields & SL_IF_INSIDE) {
		rc = gw_lpm_replace(gw, f->table[GW_T_INSIDE], f->inside, f->n_inside, c->inside,
				    c->n_inside, 1);
		if (rc != 0)
			gw_lpm_replace(gw, f->table[GW_T_INSIDE], c->inside, c->n_inside, f->inside,
				       f->n_inside, 1);
	}
	if (rc != 0 && s->fields & SL_IF_ADDRESSES) {
		del_local(gw, f, c->addr, s->n_addresses);
		set_local(gw, f, f->addr, f->n_addr);
	}
	return rc;
}

static void
set_inside(struct sl_gw *gw, struct gw_iface *f, struct change *c)
{
	uint16_t to = c->att != NULL ? c->att->a.id : GW_ATT_NONE;

	free(f->inside);
	f->inside = c->inside;
	f->n_inside = c->n_inside;
	c->inside = NULL;
	if (to == f->inside_att)
		return;
	if (f->inside_att != GW_ATT_NONE)
		gw_att_leave(gw, gw->att[f->inside_att], f->id);
	f->inside_att = to;
	if (to != GW_ATT_NONE)
		gw_att_join(gw, c->att, f->id);
	gw_route_rebuild(gw, f);
}

static void
set_key(struct sl_gw *gw, struct gw_iface *f, const struct sl_gw_iface_spec *s, struct change *c)
{
	struct gw_peer *self;

	gw_secret_free(&gw->secrets, f->key);
	free(f->key_file);
	f->key_source = s->key_source;
	f->key = c->key;
	f->key_file = c->key_file;
	f->public_key = c->public_key;
	c->key = NULL;
	c->key_file = NULL;
	c->cmd->fields |= SL_HS_F_KEY;
	if (s->key_source == SL_KEY_NONE)
		return;
	/* An interface is no peer of itself. */
	self = gw_peer_find(gw, f, &f->public_key);
	if (self != NULL && gw_peer_remove(gw, self, NULL) == 0)
		sl_log(SL_LOG_WARN, "interface",
		       "%s: the peer with the interface's own key is gone", f->name);
}

static void
set_listen_port(struct sl_gw *gw, struct gw_iface *f, uint16_t port)
{
	if (f->listen_port != 0)
		gw->udp_port[f->listen_port] = 0;
	f->listen_port = port;
	gw->udp_port[port] = f->id;
	gw->udp_dirty = true;
}

static void
set_scalars(struct gw_iface *f, const struct sl_gw_iface_spec *s)
{
	if (s->fields & SL_IF_ISOLATION)
		f->isolation = s->isolation;
	if (s->fields & SL_IF_MTU)
		f->mtu = s->mtu;
	if (s->fields & SL_IF_MSS_CLAMP)
		f->mss_clamp = s->mss_clamp;
	if (s->fields & SL_IF_UDP_CSUM)
		f->udp_csum = s->udp_csum;
	if (s->fields & SL_IF_FWMARK)
		f->fwmark = s->fwmark;
}

static void
apply(struct sl_gw *gw, struct gw_iface *f, const struct sl_gw_iface_spec *s, struct change *c,
      bool is_new)
{
	bool tell_hs = is_new || s->fields & SL_IF_KEY || c->listen_port != f->listen_port;

	set_scalars(f, s);
	if (s->fields & SL_IF_ADDRESSES) {
		free(f->addr);
		f->addr = c->addr;
		f->n_addr = s->n_addresses;
		c->addr = NULL;
	}
	if (s->fields & SL_IF_INSIDE)
		set_inside(gw, f, c);
	if (s->fields & SL_IF_ADDRESSES)
		gw_route_rebuild(gw, f);
	if (c->listen_port != f->listen_port)
		set_listen_port(gw, f, c->listen_port);
	if (tell_hs) {
		c->cmd->iface_id = f->id;
		c->cmd->listen_port = f->listen_port;
		if (s->fields & SL_IF_KEY)
			set_key(gw, f, s, c);
		gw_cmd_add(gw, c->cmd);
		c->cmd = NULL;
	}
	gw_iface_dirty(gw, f);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static struct gw_iface *
iface_new(struct sl_gw *gw, const char *name, struct sl_error *e)
{
	struct gw_iface *f;
	unsigned id, t;

	for (id = 1; id < SL_IFACE_MAX; id++) {
		if (gw->iface[id] == NULL && gw->iface_rest[id].dying == 0 &&
		    !gw->iface_rest[id].hs && !gw->iface_rest[id].policy)
			break;
	}
	if (id == SL_IFACE_MAX) {
		gw_limit_interfaces(e);
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	f->id = (uint16_t)id;
	f->mtu = DEFAULT_MTU;
	f->isolation = true;
	f->mss_clamp = true;
	f->inside_att = GW_ATT_NONE;
	snprintf(f->name, sizeof(f->name), "%s", name);
	for (t = 0; t < GW_T_MAX; t++) {
		sl_lpm_init(&f->table[t][0], 32);
		sl_lpm_init(&f->table[t][1], 128);
	}
	return f;
}

static void
iface_enter(struct sl_gw *gw, struct gw_iface *f)
{
	gw->iface[f->id] = f;
	gw->n_ifaces = SL_MAX(gw->n_ifaces, f->id + 1U);
	gw_hash_add(&gw->ifaces_by_name, &f->by_name, name_hash(gw, f->name));
	gw_policy_iface(gw, f, true);
	if (gw->drain != NULL)
		sl_drain_iface(gw->drain, f->id, f->name);
	gw_route_rebuild(gw, f);
}

int
sl_gw_iface_set(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct sl_error *e)
{
	struct gw_iface *f = s->name != NULL ? gw_iface_by_name(gw, s->name) : NULL;
	struct change c = {0};
	bool is_new = f == NULL;
	int rc = gw_iface_check(gw, s, f, e);

	if (rc != 0)
		return rc;
	if (is_new)
		f = iface_new(gw, s->name, e);
	if (f == NULL)
		return -ENOSPC;
	sl_gw_begin(gw);
	rc = prepare(gw, s, f, &c, e);
	if (rc == 0 && edit_tables(gw, f, s, &c) != 0)
		rc = gw_no_memory(e);
	if (rc == 0) {
		if (is_new)
			iface_enter(gw, f);
		apply(gw, f, s, &c, is_new);
	} else if (is_new) {
		gw_iface_free(gw, f);
	}
	change_drop(gw, &c);
	sl_gw_commit(gw);
	return rc;
}

/* Commands for hs: one for each peer, the last one for the interface itself. */
static struct sl_hs_cmd **
del_commands(const struct gw_iface *f, struct sl_error *e)
{
	struct sl_hs_cmd **cmd = calloc(f->n_peers + 1, sizeof(struct sl_hs_cmd *));
	unsigned i;

	for (i = 0; cmd != NULL && i <= f->n_peers; i++) {
		cmd[i] = sl_hs_cmd_new(i < f->n_peers ? SL_HS_PEER_DEL : SL_HS_IFACE_DEL);
		if (cmd[i] != NULL)
			continue;
		while (i-- > 0)
			sl_hs_cmd_free(cmd[i]);
		free(cmd);
		cmd = NULL;
	}
	if (cmd == NULL)
		gw_no_memory(e);
	return cmd;
}

static void
iface_leave(struct sl_gw *gw, struct gw_iface *f)
{
	gw_route_forget(gw, f);
	if (f->inside_att != GW_ATT_NONE)
		gw_att_leave(gw, gw->att[f->inside_att], f->id);
	gw->udp_port[f->listen_port] = 0;
	gw->udp_dirty = true;
	gw_hash_del(&gw->ifaces_by_name, &f->by_name);
	gw->iface[f->id] = NULL;
	gw_policy_iface(gw, f, false);
	gw->ifaces_dirty = true;
	gw->iface_rest[f->id].hs = true;
	gw_obj_retire(gw, f->view);
	f->view = NULL;
	f->next_retired = gw->retired_ifaces;
	gw->retired_ifaces = f;
	gw->dirty = true;
}

int
sl_gw_iface_del(struct sl_gw *gw, const char *name, struct sl_error *e)
{
	struct gw_iface *f = gw_iface_by_name(gw, name);
	struct sl_hs_cmd **cmd, *last;
	int rc;

	if (f == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/name", "no interface \"%s\"", name);
	rc = gw_cmd_room(gw, f->n_peers + 1, e);
	if (rc != 0)
		return rc;
	cmd = del_commands(f, e);
	if (cmd == NULL)
		return -ENOMEM;
	sl_gw_begin(gw);
	last = cmd[f->n_peers];
	last->iface_id = f->id;
	while (f->n_peers > 0)
		gw_peer_leave(gw, f->peer[f->n_peers - 1], cmd[f->n_peers - 1]);
	iface_leave(gw, f);
	gw_cmd_add(gw, last);
	free(cmd);
	sl_gw_commit(gw);
	return 0;
}

/* --- looking ------------------------------------------------------------------------------------
 */

static void
iface_info(struct sl_gw *gw, const struct gw_iface *f, struct sl_gw_iface_info *out)
{
	const struct gw_att *in = f->inside_att != GW_ATT_NONE ? gw->att[f->inside_att] : NULL;

	*out = (struct sl_gw_iface_info){
		.name = f->name,
		.id = f->id,
		.listen_port = f->listen_port,
		.mtu = f->mtu,
		.has_key = f->key_source != SL_KEY_NONE,
		.isolation = f->isolation,
		.mss_clamp = f->mss_clamp,
		.key_source = f->key_source,
		.udp_csum = f->udp_csum,
		.public_key = f->public_key,
		.key_file = f->key_file,
		.fwmark = f->fwmark,
		.inside_port = in != NULL ? gw_att_port_name(gw, in) : NULL,
		.inside_vlan = in != NULL ? in->a.vlan : 0,
		.addresses = f->addr,
		.inside_prefixes = f->inside,
		.n_addresses = f->n_addr,
		.n_inside_prefixes = f->n_inside,
		.n_peers = f->n_peers,
	};
}

void
sl_gw_iface_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_iface_info *i),
		 void *ctx)
{
	struct sl_gw_iface_info info;
	unsigned i;

	for (i = 1; i < gw->n_ifaces; i++) {
		if (gw->iface[i] == NULL)
			continue;
		iface_info(gw, gw->iface[i], &info);
		fn(ctx, &info);
	}
}

bool
sl_gw_iface_find(struct sl_gw *gw, const char *name, struct sl_gw_iface_info *out)
{
	struct gw_iface *f = gw_iface_by_name(gw, name);

	if (f != NULL && out != NULL)
		iface_info(gw, f, out);
	return f != NULL;
}

bool
sl_gw_iface_private_key(struct sl_gw *gw, const char *name, struct sl_secret *out)
{
	struct gw_iface *f = gw_iface_by_name(gw, name);

	if (f == NULL || f->key == NULL)
		return false;
	*out = *f->key;
	return true;
}
