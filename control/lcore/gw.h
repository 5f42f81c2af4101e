/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the gateway model (sl_gw.h): its objects and what its files offer each other. One
 * thread.
 *
 * Control keeps master copies. The tables of an interface and the underlay are drafts of persistent
 * tries (lib/lpm); gw_publish.c copies what changed into new immutable views, stores one new root,
 * and hands everything old to one reclaim batch. Commands to hs collect until after that store, so
 * that what a command speaks of is already published.
 */
#ifndef SL_GW_INT_H
#define SL_GW_INT_H

#include <jansson.h>

#include "sl_crypto.h"
#include "sl_gw.h"
#include "sl_log.h"

#define GW_PEER_NAME_MAX 63
#define GW_UDP_PORTS 65536
#define GW_ATT_NONE SL_ATT_MAX
#define GW_PREFIXES_MAX 262144 /* AllowedIPs of one peer, inside prefixes of one interface */
#define GW_ROUTES_MAX 65536
#define GW_NEIGH_MAX 4096
#define GW_MODE_PREFIXES_MAX 10000
#define GW_LOG_REQUIRED_MAX 1000

/* --- keyed hash tables with chains inside the objects (gw_hash.c) --------------------------- */

struct gw_link {
	struct gw_link *next;
	uint64_t hash;
};

struct gw_hash {
	struct gw_link **bucket;
	uint64_t mask;
};

/** @return 0 or -ENOMEM */
int gw_hash_init(struct gw_hash *h, unsigned size_hint);
void gw_hash_free(struct gw_hash *h);
void gw_hash_add(struct gw_hash *h, struct gw_link *l, uint64_t hash);
void gw_hash_del(struct gw_hash *h, struct gw_link *l);
/** First link with this hash, then the next one with the same hash. */
struct gw_link *gw_hash_find(const struct gw_hash *h, uint64_t hash);
struct gw_link *gw_hash_next(const struct gw_link *l);

/* --- locked memory for keys (gw_secret.c) ---------------------------------------------------- */

struct gw_secret_chunk;
struct gw_secrets {
	struct gw_secret_chunk *chunks;
	struct sl_secret *free; /* chained through their first bytes */
	bool allow_unlocked;
};

/** Lock the first chunk. -ENOMEM keys_unlocked: the memory cannot be locked. */
int gw_secrets_init(struct gw_secrets *s, bool allow_unlocked, struct sl_error *e);
/** Wipes everything. */
void gw_secrets_free(struct gw_secrets *s);
/** A zeroed slot of guarded memory. @return NULL with an error */
struct sl_secret *gw_secret_new(struct gw_secrets *s, struct sl_error *e);
/** Wipe a slot and give it back; NULL allowed. */
void gw_secret_free(struct gw_secrets *s, struct sl_secret *k);

/* --- objects --------------------------------------------------------------------------------- */

struct gw_port {
	const struct sl_port *port; /* NULL: this number is free */
	struct sl_gw_addr *addr;
	unsigned n_addr;
};

struct gw_att {
	struct sl_att a; /* master copy */
	uint32_t glean;	 /* next hop of its connected networks */
	uint8_t n_conf;	 /* configured addresses; a link-local one may follow */
	bool dirty;
	struct sl_att *view; /* published */
};

/** The eight tables of an interface, in pairs of IPv4 and IPv6. */
enum gw_tables { GW_T_PEERS, GW_T_INSIDE, GW_T_ROUTES, GW_T_LOCAL, GW_T_MAX };

struct gw_iface {
	struct gw_link by_name;
	uint16_t id;
	uint16_t listen_port;
	uint16_t mtu;
	uint16_t inside_att; /* GW_ATT_NONE: no inside */
	char name[16];
	bool isolation, mss_clamp, dirty;
	enum sl_udp_csum udp_csum;
	uint32_t fwmark;
	enum sl_gw_key_source key_source;
	struct sl_secret *key; /* FILE and UAPI only; NULL otherwise */
	struct sl_pubkey public_key;
	char *key_file;
	struct sl_prefix *addr, *inside;
	unsigned n_addr, n_inside;
	struct sl_lpm table[GW_T_MAX][2]; /* drafts */
	struct sl_iface_view *view;	  /* published, NULL: not yet */
	struct gw_peer **peer;
	unsigned n_peers, cap_peers;
	struct gw_iface *next_retired;
};

struct gw_peer {
	struct gw_link by_key, by_name;
	struct sl_peer *p;
	struct gw_iface *iface; /* NULL: being removed */
	unsigned at;		/* place in iface->peer[] */
	uint16_t iface_id;
	uint16_t keepalive_s;
	bool enabled, touched;
	struct sl_secret *psk;		/* NULL: none */
	char *psk_file;			/* NULL: none, or the key came over UAPI */
	struct sl_endpoint endpoint;	/* as configured; family 0: none */
	struct sl_endpoint learned;	/* last seen in the path, or known from a former run */
	uint8_t last_ts[SL_TAI64N_LEN]; /* greatest known, as `learned` */
	struct sl_prefix *allowed;	/* ascending, masked */
	unsigned n_allowed;
	uint64_t expires_wall_ns;
	uint64_t saved; /* digest of what the run file holds of it */
	struct gw_peer *next_touched;
	struct sl_rcu_head rcu;
	struct sl_gw *gw;
};

struct gw_route {
	struct gw_link link;
	struct sl_gw_route_info info; /* port and iface point to names that live as long */
	uint16_t att;		      /* GW_ATT_NONE: black hole */
	uint16_t iface_id;	      /* 0: all */
	unsigned at;		      /* place in gw->route[] */
};

/** Why an interface id may not be used again yet. */
struct gw_iface_rest {
	uint32_t dying; /* peers */
	bool hs;	/* hs has not let go */
	bool policy;	/* the rules in force mean the interface that had it */
};

/** One state of the modes; `view.prefixes` is `prefixes`. */
struct gw_mode_state {
	struct sl_gw_mode view;
	struct sl_gw_mode_prefix *prefixes;
};

/** What is local about records, kept with the modes. */
struct gw_log {
	bool quiet;			    /* logging is off */
	struct sl_gw_mode_prefix *required; /* their mode means nothing; NULL: none */
	unsigned n_required;
	struct sl_lpm table[2]; /* of them */
};

struct gw_mode {
	struct sl_gw_mode view; /* what holds */
	struct gw_log log;
	struct sl_gw_mode_prefix *prefixes;
	struct sl_lpm table[2];
	bool from_state;
	struct gw_mode_state before; /* with view.pending: what comes back */
	uint64_t revert_ns;	     /* mono */
	char who[64];		     /* who has to confirm */
};

struct gw_run;
struct gw_policy;

/** Something that an older root refers to, freed with it. */
struct gw_later {
	struct gw_later *next;
	void (*fn)(struct sl_gw *gw, struct gw_later *l);
};

struct sl_gw {
	struct sl_gw_conf conf;
	char *instance, *state_dir, *run_dir;
	struct sl_dp *dp;
	struct sl_drain *drain; /* NULL: none */
	json_t *early;		/* events before it was there */
	unsigned depth;		/* of begin */
	bool dirty;		/* a new root is due */
	bool publish_failed;
	uint64_t generation;
	uint8_t hash_key[16];
	struct gw_secrets secrets;

	struct gw_port port[SL_PORT_MAX];
	struct gw_att *att[SL_ATT_MAX];
	unsigned n_atts;
	struct gw_iface *iface[SL_IFACE_MAX];
	struct gw_iface_rest iface_rest[SL_IFACE_MAX];
	unsigned n_ifaces; /* highest id + 1 */
	uint16_t udp_port[GW_UDP_PORTS];
	bool udp_dirty, ifaces_dirty; /* the arrays by port and by id */
	struct gw_hash ifaces_by_name, peers_by_key, peers_by_name, routes;
	unsigned n_peers;
	uint32_t *free_id; /* [SL_PEER_MAX] ring of peer ids that rest, longest first */
	uint32_t first_free_id, n_free_id, next_id;
	unsigned n_dying;

	struct gw_route **route;
	unsigned n_routes, cap_routes;
	bool routes_stale; /* memory ran out during an edit */
	struct sl_lpm underlay[2];
	uint32_t blackhole;
	uint32_t nowhere; /* next hop that is told as unreachable */
	struct sl_neigh_table *neigh;
	uint32_t nh_refs[SL_NH_MAX]; /* static routes by next hop */
	uint32_t nh_next_retired[SL_NH_MAX];
	uint8_t nh_host[SL_NH_MAX]; /* its host route is in the tables */
	uint32_t nh_retired, nh_reuse;
	uint64_t neigh_tick_ns;
	uint64_t now_ns; /* of this turn, for the neighbour machine */

	struct gw_mode mode;
	struct gw_policy *policy;
	struct gw_run *run;
	uint64_t wall_offset_ns; /* wall clock minus monotonic, as last seen */
	uint64_t wall_check_ns;
	char *const *managed; /* interfaces under a control plane */
	unsigned n_managed;

	struct sl_hs_cmd **cmd; /* they wait for the publication */
	unsigned n_cmd, cap_cmd;
	struct sl_mbox_retry retry;
	struct sl_lpm_garbage garbage;
	struct gw_obj *retired; /* views and arrays to be freed with the next root */
	struct gw_iface *retired_ifaces;
	struct gw_later *later; /* of policy, to be freed with the next root */
	struct gw_root *root;	/* published */
};

static inline uint64_t
gw_mono_ns(struct sl_gw *gw)
{
	return gw->conf.mono_ns(gw->conf.clock_ctx);
}

static inline uint64_t
gw_wall_ns(struct sl_gw *gw)
{
	return gw->conf.wall_ns(gw->conf.clock_ctx);
}

static inline unsigned
gw_fam(const struct sl_ip *ip)
{
	return ip->family == 6;
}

/* --- gw.c ------------------------------------------------------------------------------------- */

int gw_no_memory(struct sl_error *e);
/** Make room for n commands more, so that gw_cmd_add() cannot fail. */
int gw_cmd_room(struct sl_gw *gw, unsigned n, struct sl_error *e);
/** Queue a command for hs behind the publication. */
void gw_cmd_add(struct sl_gw *gw, struct sl_hs_cmd *cmd);

/* --- gw_value.c: what can be told of a value alone; 0 or a negative errno with `e` -------------
 */

/** Family and length are right and no host bit is set. @param what names it in `reason`_... */
int gw_prefix_check(const struct sl_prefix *p, const char *what, const char *path,
		    struct sl_error *e);
/** Unicast address that an interface or endpoint may have. */
bool gw_ip_unicast(const struct sl_ip *ip);
/** Addresses of one interface: limit_addresses, address_invalid, address_in_use. */
int gw_addresses_check(const struct sl_prefix *a, unsigned n, struct sl_error *e);
/** Addresses of one port and its VLANs: address_invalid, vlan_invalid, address_in_use,
 * limit_addresses. */
int gw_port_addresses_check(const struct sl_gw_addr *addr, unsigned n, struct sl_error *e);
int gw_peer_name_check(const char *name, struct sl_error *e);
int gw_public_key_check(const struct sl_pubkey *key, struct sl_error *e);
/** Unicast and with a port, or none at all. */
int gw_endpoint_check(const struct sl_endpoint *ep, struct sl_error *e);
int gw_mac_check(const uint8_t mac[6], struct sl_error *e);
/** It is of the prefix's family, and unicast. */
int gw_via_check(const struct sl_ip *via, const struct sl_prefix *prefix, struct sl_error *e);
/** Errors that a running gateway and the check of a file tell alike. A next hop that no connected
 * network has, that several have, that is our own; a route that says not where to; an interface
 * whose inside is not to be told from the outside, and why. */
int gw_via_unreachable(const struct sl_ip *via, struct sl_error *e);
int gw_via_ambiguous(const struct sl_ip *via, struct sl_error *e);
int gw_via_own(const struct sl_ip *via, struct sl_error *e);
int gw_route_incomplete(struct sl_error *e);
int gw_route_not_inside(const char *iface, struct sl_error *e);
int gw_route_outside(const char *iface, struct sl_error *e);
int gw_inside_required(const char *iface, const char *port, const char *why, struct sl_error *e);
int gw_vlan_unknown(const char *port, unsigned vlan, struct sl_error *e);
int gw_neigh_invalid(const struct sl_ip *ip, struct sl_error *e);
int gw_peer_is_self(const char *iface, struct sl_error *e);
/** More than there is room for, -ENOSPC: limit_attachments, limit_inside, limit_interfaces,
 * limit_peers, limit_routes, limit_prefixes. */
int gw_limit_attachments(struct sl_error *e);
int gw_limit_inside(struct sl_error *e);
int gw_limit_interfaces(struct sl_error *e);
int gw_limit_peers(unsigned max, struct sl_error *e);
int gw_limit_routes(struct sl_error *e);
int gw_limit_mode_prefixes(struct sl_error *e);

/* --- gw_prefix.c: lists of prefixes ----------------------------------------------------------- */

int gw_prefix_cmp(const void *a, const void *b);
/** Sorted copy without duplicates; n 0 gives NULL. @return 0 or -ENOMEM */
int gw_prefix_sorted(const struct sl_prefix *p, unsigned n, struct sl_prefix **out,
		     unsigned *n_out);
/** Set, delete or get a prefix of a pair of tables. */
int gw_lpm_set(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *p, uint32_t value);
int gw_lpm_del(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *p);
uint32_t gw_lpm_get(const struct sl_lpm pair[2], const struct sl_prefix *p);
/** Make a pair of tables hold exactly a sorted list, each with value `v`, knowing the old list. */
int gw_lpm_replace(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *from,
		   unsigned n_from, const struct sl_prefix *to, unsigned n_to, uint32_t v);

/* --- gw_port.c -------------------------------------------------------------------------------- */

struct gw_att *gw_att_find(struct sl_gw *gw, const char *port, uint16_t vlan);
/** As gw_att_find(), and creates the VLAN of a known port. -ENOENT port_unknown, -ENOSPC. */
int gw_att_get(struct sl_gw *gw, const char *port, uint16_t vlan, const char *path,
	       struct gw_att **out, struct sl_error *e);
/** Only checks what gw_att_get() would say. */
int gw_att_check(struct sl_gw *gw, const char *port, uint16_t vlan, const char *path,
		 struct sl_error *e);
const char *gw_att_port_name(const struct sl_gw *gw, const struct gw_att *a);
/** Own address of the attachment in the connected network that holds `ip`, or NULL. */
const struct sl_prefix *gw_att_network(const struct gw_att *a, const struct sl_ip *ip);
/** Is it one of the attachment's own addresses? */
bool gw_att_owns(const struct gw_att *a, const struct sl_ip *ip);
/** Attachment whose connected network serves `ip` in the underlay, or NULL. */
struct gw_att *gw_att_underlay(struct sl_gw *gw, const struct sl_ip *ip);
void gw_att_join(struct sl_gw *gw, struct gw_att *a, uint16_t iface_id);
void gw_att_leave(struct sl_gw *gw, struct gw_att *a, uint16_t iface_id);
void gw_ports_free(struct sl_gw *gw);

/* --- gw_iface.c, gw_iface_check.c ---------------------------------------------------------------
 */

struct gw_iface *gw_iface_by_name(struct sl_gw *gw, const char *name);
struct gw_iface *gw_iface_by_id(struct sl_gw *gw, unsigned id);
void gw_iface_dirty(struct sl_gw *gw, struct gw_iface *f);
/** Free the object and its tables; nothing refers to it any more. */
void gw_iface_free(struct sl_gw *gw, struct gw_iface *f);
/** D35: does outer traffic use this attachment too? `why` gets a clause. */
bool gw_att_is_outside(struct sl_gw *gw, const struct gw_att *a, const char **why);
/** D36: AllowedIPs against the other interfaces of the same inside attachment. */
int gw_check_shared_prefix(struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p,
			   const char *path, struct sl_error *e);
int gw_iface_check(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct gw_iface *f,
		   struct sl_error *e);

/* --- gw_peer_find.c, gw_peer.c, gw_allowed.c
 * ------------------------------------------------------------------ */

struct gw_peer *gw_peer_find(struct sl_gw *gw, const struct gw_iface *f,
			     const struct sl_pubkey *key);
struct gw_peer *gw_peer_by_name(struct sl_gw *gw, const struct gw_iface *f, const char *name);
/** Enter a peer into the tables by key; its name is entered by gw_peer_set_name(). */
void gw_peer_index(struct sl_gw *gw, struct gw_peer *p);
void gw_peer_set_name(struct sl_gw *gw, struct gw_peer *p, const char *name);
void gw_peer_unindex(struct sl_gw *gw, struct gw_peer *p);
/** By name, or NULL with an error. */
struct gw_iface *gw_iface_of(struct sl_gw *gw, const char *name, struct sl_error *e);
/** By interface and key, or NULL with an error. */
struct gw_peer *gw_peer_of(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
			   struct sl_error *e);
/** @param p NULL: a new one */
int gw_peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct gw_iface *f,
		  struct gw_peer *p, struct sl_error *e);
/** Take a peer out; the caller publishes and has made room for a command. -ENOMEM: nothing changed.
 */
int gw_peer_remove(struct sl_gw *gw, struct gw_peer *p, struct sl_error *e);
/** As gw_peer_remove() where the tables go as a whole; `cmd` is a PEER_DEL. Cannot fail. */
void gw_peer_leave(struct sl_gw *gw, struct gw_peer *p, struct sl_hs_cmd *cmd);
/** hs and the home have let go. */
void gw_peer_deleted(struct sl_gw *gw, struct sl_peer *p);
void gw_peer_free(struct sl_gw *gw, struct gw_peer *p);
/** Recompute every expiry tick after a step of the wall clock. */
void gw_peers_expiry(struct sl_gw *gw);
void gw_peer_endpoint(const struct gw_peer *p, struct sl_endpoint *out);
/** Check the list of a spec against interface f (p NULL: a new peer) and the policy in force. */
int gw_allowed_check(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p,
		     const struct sl_gw_peer_spec *s, struct sl_error *e);
/** Carry it out: all or nothing. */
int gw_allowed_apply(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
		     struct sl_error *e);
/** Take every prefix of a peer out of the tables. */
int gw_allowed_clear(struct sl_gw *gw, struct gw_peer *p, struct sl_error *e);

/* --- gw_route.c, gw_neigh.c ---------------------------------------------------------------------
 */

/** What is right for exactly this prefix in each table that attachment a feeds. */
void gw_route_refresh_att(struct sl_gw *gw, const struct gw_att *a, const struct sl_prefix *p);
/** The connected networks of a new attachment. */
void gw_route_connected(struct sl_gw *gw, const struct gw_att *a);
/** All routes of an interface anew: its inside changed. NULL: of the underlay. */
void gw_route_rebuild(struct sl_gw *gw, struct gw_iface *f);
/** Make good what an earlier lack of memory left undone. */
void gw_route_mend(struct sl_gw *gw);
/** Forget the routes of an interface that goes. */
void gw_route_forget(struct sl_gw *gw, struct gw_iface *f);
void gw_routes_free(struct sl_gw *gw);
int gw_neigh_init(struct sl_gw *gw, struct sl_error *e);
void gw_neigh_free(struct sl_gw *gw);
/** Pin a neighbour for a route. @return its next hop, 0 when there is no room */
uint32_t gw_neigh_pin(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip);
void gw_neigh_unpin(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip);
/** Next hop of a resolved neighbour, 0: none. */
uint32_t gw_neigh_host(struct sl_gw *gw, uint16_t att, const struct sl_ip *ip);
/** Visit the addresses with a host route on an attachment. */
void gw_neigh_each(struct sl_gw *gw, uint16_t att, void (*fn)(void *ctx, const struct sl_prefix *p),
		   void *ctx);
/** Events of workers and the neighbour timers. @return things done */
unsigned gw_neigh_poll(struct sl_gw *gw);

/* --- gw_publish.c ----------------------------------------------------------------------------- */

/** Memory that a root refers to; gw_obj_retire() frees it with the next root. */
void *gw_obj_alloc(size_t size);
void gw_obj_free(void *obj);
void gw_obj_retire(struct sl_gw *gw, void *obj);
/** Call l->fn when nobody reads what the next root no longer refers to. */
void gw_later_retire(struct sl_gw *gw, struct gw_later *l);
/** Store a new root if one is due. @return 0 or -ENOMEM (tried again later) */
int gw_publish(struct sl_gw *gw);
/** Lcores have stopped: free the published root and all views. */
void gw_publish_free(struct sl_gw *gw);

/* --- gw_mode.c, gw_mode_file.c, gw_run.c, gw_file.c
 * -------------------------------------------------------------
 */

int gw_mode_load(struct sl_gw *gw, struct sl_error *e);
/** Take a pending change back when its time has come. @return things done */
unsigned gw_mode_poll(struct sl_gw *gw);
void gw_mode_free(struct sl_gw *gw);
const char *gw_mode_text(enum sl_authz_mode m);
/** The state file as text, malloc'ed; `before` NULL: nothing is pending. */
char *gw_mode_encode(const struct sl_gw_mode *m, const struct sl_gw_mode *before,
		     const struct gw_log *log);
/** @return 0, -EINVAL, -ENOMEM; `before` is filled if m->view.pending is; log->required is to be
 * freed, log->table stays as it is */
int gw_mode_decode(const char *text, size_t len, struct gw_mode_state *m,
		   struct gw_mode_state *before, struct gw_log *log);

/** What a former run knew of a peer. */
struct gw_run_peer {
	struct sl_endpoint learned;    /* family 0: none */
	struct sl_endpoint configured; /* that was configured then */
	uint8_t last_ts[SL_TAI64N_LEN];
};
void gw_run_load(struct sl_gw *gw);
/** A peer is gone: the file is to be written anew, without it. */
void gw_run_forget(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key);
/** @return true, once, if a former run knew the peer */
bool gw_run_take(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		 struct gw_run_peer *out);
unsigned gw_run_poll(struct sl_gw *gw);
/** Save whole, now (exit). */
void gw_run_save(struct sl_gw *gw);
void gw_run_free(struct sl_gw *gw);

/** Make a directory (0700) unless it exists. */
int gw_dir_make(const char *dir, struct sl_error *e);
/** Add to the end of a file, whole or not at all; on the disk at the return. */
int gw_file_add(const char *dir, const char *name, const char *text, size_t len,
		struct sl_error *e);
/** Write a file by way of a temporary one: fsync, rename, fsync of the directory. */
int gw_file_write(const char *dir, const char *name, const char *text, size_t len,
		  struct sl_error *e);
/** Its parts: write the temporary one (fsynced), put it in place, make that last; or drop it. */
int gw_file_stage(const char *dir, const char *name, const char *text, size_t len,
		  struct sl_error *e);
int gw_file_replace(const char *dir, const char *name, struct sl_error *e);
int gw_file_sync_dir(const char *dir, struct sl_error *e);
void gw_file_unstage(const char *dir, const char *name);
/** Remove a file; the directory is not synced. @return 0 (none there, too), -EIO state_write */
int gw_file_remove(const char *dir, const char *name, struct sl_error *e);
/** Read a whole file of at most `max` bytes; malloc'ed, zero at its end. -ENOENT: not there. */
int gw_file_read(const char *dir, const char *name, size_t max, char **text, size_t *len,
		 struct sl_error *e);

#endif
