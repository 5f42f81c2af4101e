/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The gateway as its control lcore knows it: attachments, interfaces, peers, routes, neighbours,
 * authz mode. The only writer of what data lcores read (sl_root and its tables), and the only
 * client of hs.
 *
 * One thread. Every change validates first, changes nothing on error, publishes one new root and
 * answers; RPC, config file, console and UAPI all come through here (one validator, one path that
 * changes state). Errors carry a stable reason and a path relative to the spec ("/allowed_ips/2");
 * the caller puts its own prefix before it with sl_error_under().
 */
#ifndef SL_GW_H
#define SL_GW_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_drain.h"
#include "sl_error.h"
#include "sl_hs.h"
#include "sl_neigh.h"
#include "sl_pipeline.h"
#include "sl_port.h"
#include "sl_rcu.h"
#include "sl_secret.h"

struct sl_gw;

#define SL_GW_PEERS 131072 /* peers of a gateway, where its maker says nothing */

struct sl_gw_conf {
	const char *instance; /* "default" */
	struct sl_dp *dp;
	struct sl_hs *hs;	 /* for views only */
	struct sl_mbox *to_hs;	 /* struct sl_hs_cmd * */
	struct sl_mbox *from_hs; /* struct sl_hs_note */
	struct sl_rcu_queue *reclaim;
	uint64_t (*mono_ns)(void *ctx); /* virtual in lockstep */
	uint64_t (*wall_ns)(void *ctx);
	void *clock_ctx;
	uint64_t built_wall_ns; /* see sl_gw_clock_check(); 0: any clock will do */
	struct sl_rng rng;	/* generated interface keys */
	const char *state_dir;	/* authz mode state (fsynced); NULL: not kept (lockstep) */
	const char *run_dir; /* memory-backed; learned endpoints and timestamps; NULL: not kept */
	unsigned peers_max;  /* 0: SL_GW_PEERS; limit of struct sl_peer_table is 2^20 */
	bool allow_unlocked_keys; /* go on where key memory cannot be locked (D42) */
	bool lockstep; /* no helper thread: policies are compiled where they are loaded */
	const unsigned *helper_cpus; /* where the helper may run; NULL: as its maker */
	unsigned n_helper_cpus;
	unsigned policy_prefixes, policy_rules; /* 0: SL_POL_PREFIXES, SL_POL_RULES */
};

/**
 * Reads the authz mode state and the run files, publishes an empty root.
 * @return NULL with an error: keys_unlocked, state_invalid, state_dir, clock_before_build, ...
 */
struct sl_gw *sl_gw_new(const struct sl_gw_conf *conf, struct sl_error *e);
/** All lcores have stopped, hs still lives: save what the next start wants to know. */
void sl_gw_stop(struct sl_gw *gw);
/** After sl_hs_free(), which still writes to peers. Wipes keys. NULL allowed. */
void sl_gw_free(struct sl_gw *gw);
/**
 * Housekeeping: notes of hs, events of workers (neighbours), neighbour timers, deferred frees,
 * state files. Call often (each loop turn and at least every 100 ms). @return things done.
 */
unsigned sl_gw_poll(struct sl_gw *gw);
struct sl_dp *sl_gw_dp(struct sl_gw *gw);
/** Whom to tell names of policies, interfaces and peers, and events (mode changes, policy loads);
 * before the first interface. NULL: nobody. It outlives sl_gw_stop(). */
void sl_gw_set_drain(struct sl_gw *gw, struct sl_drain *d);
/** Tell an event of control to the audit sinks: `fields` is merged into the record and given away.
 * What comes before sl_gw_set_drain() is told then. @param outcome "success" or "failure" */
void sl_gw_event(struct sl_gw *gw, const char *action, const char *outcome, json_t *fields);
/** Incremented by each published root. */
uint64_t sl_gw_generation(const struct sl_gw *gw);
/**
 * Between begin and commit changes are collected and published as one root (a whole config file, a
 * UAPI set). Pairs nest. A begin without commit before sl_gw_free() publishes nothing.
 */
void sl_gw_begin(struct sl_gw *gw);
void sl_gw_commit(struct sl_gw *gw);

/* --- ports and attachments
 * ---------------------------------------------------------------------------------- */

struct sl_gw_addr {
	uint16_t vlan; /* 0 untagged */
	struct sl_prefix prefix;
};
/** Add an open port with its addresses; number = index given to the workers' rx and tx queues. */
int sl_gw_port_add(struct sl_gw *gw, unsigned number, const struct sl_port *port,
		   const struct sl_gw_addr *addr, unsigned n_addr, struct sl_error *e);
/** Visit ports. */
struct sl_gw_port_view {
	unsigned number;
	const struct sl_port *port;
	const struct sl_gw_addr *addr;
	unsigned n_addr;
};
void sl_gw_port_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_port_view *v),
		     void *ctx);

/* --- interfaces
 * ------------------------------------------------------------------------------------------------
 */

enum sl_gw_iface_fields {
	SL_IF_LISTEN_PORT = 1,
	SL_IF_KEY = 2,
	SL_IF_ADDRESSES = 4,
	SL_IF_INSIDE = 8, /* port, vlan and prefixes together */
	SL_IF_ISOLATION = 16,
	SL_IF_MTU = 32,
	SL_IF_MSS_CLAMP = 64,
	SL_IF_UDP_CSUM = 128,
	SL_IF_FWMARK = 256, /* kept for `wg show`, without effect */
};

enum sl_gw_key_source { SL_KEY_NONE, SL_KEY_FILE, SL_KEY_UAPI, SL_KEY_MEMORY };

struct sl_gw_iface_spec {
	const char *name;     /* 1-15 of [A-Za-z0-9_.-], as a Linux interface */
	uint32_t fields;      /* which of the following are given */
	uint16_t listen_port; /* 0: a free one is chosen; 443 refused */
	enum sl_gw_key_source
		key_source; /* with SL_IF_KEY; NONE removes the key; MEMORY: generated here */
	const struct sl_secret *key; /* FILE and UAPI */
	const char *key_file;	     /* FILE: remembered for config.save */
	const struct sl_prefix *addresses;
	unsigned n_addresses;
	const char *inside_port; /* port name, NULL: no inside */
	uint16_t inside_vlan;
	const struct sl_prefix *inside_prefixes;
	unsigned n_inside_prefixes;
	bool isolation, mss_clamp;
	uint16_t mtu; /* 1280-9000; default 1420 */
	enum sl_udp_csum udp_csum;
	uint32_t fwmark;
};

/**
 * Create or change. Errors, with their path:
 * name_invalid /name; port_443, port_in_use /listen_port; key_invalid /private_key; mtu_range /mtu;
 * udp_csum_invalid /outer_udp_checksum; address_invalid, address_in_use, limit_addresses
 * /addresses/N; port_unknown, vlan_invalid, limit_inside, inside_port_missing /inside/port;
 * inside_invalid, inside_host_bits /inside/prefixes/N; inside_required /inside/prefixes;
 * inside_overlap /inside/port or /addresses/N; limit_interfaces; no_memory.
 *
 * inside_required (D35): the inside attachment is the only one of the gateway, or a static route
 * without interface points out of it, and no inside prefixes are given.
 */
int sl_gw_iface_set(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct sl_error *e);
/** The checks of sl_gw_iface_set() alone. */
int sl_gw_iface_check(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct sl_error *e);
/** Remove with all its peers. -ENOENT not_found. */
int sl_gw_iface_del(struct sl_gw *gw, const char *name, struct sl_error *e);

struct sl_gw_iface_info {
	const char *name;
	uint16_t id, listen_port, mtu;
	bool has_key, isolation, mss_clamp;
	enum sl_gw_key_source key_source;
	enum sl_udp_csum udp_csum;
	struct sl_pubkey public_key;
	const char *key_file;
	uint32_t fwmark;
	const char *inside_port; /* NULL: none */
	uint16_t inside_vlan;
	const struct sl_prefix *addresses, *inside_prefixes;
	unsigned n_addresses, n_inside_prefixes, n_peers;
};
void sl_gw_iface_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_iface_info *i),
		      void *ctx);
bool sl_gw_iface_find(struct sl_gw *gw, const char *name, struct sl_gw_iface_info *out);
/** Copy of the private key, only where it came from file or UAPI (D46: for the UAPI `get`). The
 * caller wipes it. */
bool sl_gw_iface_private_key(struct sl_gw *gw, const char *name, struct sl_secret *out);

/** Interfaces whose peers and policy come from a control plane: others refuse to change them. The
 * names stay the caller's. */
void sl_gw_set_managed(struct sl_gw *gw, char *const *names, unsigned n);
/** 0, or -EBUSY managed_by_control. @param iface NULL: the policy, of which there is one */
int sl_gw_check_managed(struct sl_gw *gw, const char *iface, struct sl_error *e);

/* --- peers
 * ------------------------------------------------------------------------------------------------------
 */

enum sl_gw_peer_fields {
	SL_PF_NAME = 1,
	SL_PF_PSK = 2,
	SL_PF_ENDPOINT = 4,
	SL_PF_KEEPALIVE = 8,
	SL_PF_ALLOWED_IPS = 16, /* the list replaces */
	SL_PF_ALLOWED_ADD =
		32, /* the list is added (an equal prefix moves here, as in WireGuard) */
	SL_PF_ALLOWED_DEL = 64,
	SL_PF_ENABLED = 128,
	SL_PF_EXPIRES = 256,
};

struct sl_gw_peer_spec {
	const char *iface;
	struct sl_pubkey public_key;
	uint32_t fields;
	const char *name; /* unique in the interface; default: first 8 characters of the key */
	const struct sl_secret *psk; /* all zero removes */
	const char *psk_file; /* where it came from, remembered for config.save; NULL: UAPI */
	struct sl_endpoint endpoint; /* family 0 with SL_PF_ENDPOINT: forget */
	uint16_t keepalive_s;
	const struct sl_prefix *allowed;
	unsigned n_allowed;
	bool strict_allowed; /* a prefix that another peer has is an error (config file); else it
				moves (RPC with `move`, UAPI) */
	bool update_only;    /* UAPI: ignore unknown peers */
	bool create_only;    /* peer.add: error `exists` */
	bool enabled;
	uint64_t expires_wall_ns; /* 0 never */
	bool initiate; /* a new peer with an endpoint: shake hands at once (config file at start) */
};

/**
 * Create or change one peer; no other peer's session is touched. Exactly one of the three
 * SL_PF_ALLOWED_ fields may be given; prefixes have no host bits (the UAPI masks them itself).
 * Errors, with their path: interface_unknown /interface; key_invalid, peer_is_self, exists
 * /public_key; name_invalid, name_in_use /name; endpoint_invalid /endpoint; allowed_invalid,
 * allowed_host_bits, allowed_conflict, inside_overlap /allowed_ips/N; allowed_fields,
 * limit_allowed_ips /allowed_ips; limit_peers; keys_unlocked; no_memory.
 */
int sl_gw_peer_set(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e);
/** The checks of sl_gw_peer_set() alone. */
int sl_gw_peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e);
/** How many peers may still be created. */
unsigned sl_gw_peers_free(const struct sl_gw *gw);
/** Remove. -ENOENT not_found. */
int sl_gw_peer_del(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		   struct sl_error *e);
/** Forget the session; the peer must shake hands again. */
int sl_gw_peer_kick(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		    struct sl_error *e);
/** Find the key of a peer by its name or its base64 key. -ENOENT. */
int sl_gw_peer_lookup(struct sl_gw *gw, const char *iface, const char *name_or_key,
		      struct sl_pubkey *out, struct sl_error *e);

struct sl_gw_peer_info {
	const char *iface, *name;
	uint32_t id;
	struct sl_pubkey public_key;
	bool has_psk, enabled, has_endpoint;
	const char *psk_file;	       /* NULL: none, or it came over UAPI */
	struct sl_endpoint endpoint;   /* live: learned ones are never stored (C18) */
	struct sl_endpoint configured; /* family 0: none */
	uint16_t keepalive_s;
	const struct sl_prefix *allowed;
	unsigned n_allowed;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t data_rx_bytes, data_tx_bytes;		   /* of these, without handshakes */
	uint64_t last_handshake_wall_ns;		   /* 0 never */
	uint64_t last_data_rx_age_ms, last_data_tx_age_ms; /* UINT64_MAX never */
	uint64_t handshakes, auth_failures, replays;
	uint64_t expires_wall_ns;
	unsigned home; /* worker */
	enum sl_hs_state state;
	uint32_t local_index, remote_index; /* of the current keypair, 0 when none */
	uint64_t key_age_ms;		    /* of the current keypair, UINT64_MAX none */
	bool key_initiator;
};
/**
 * Visit peers of one interface (NULL: all) from the `after`-th on; fn returns false to stop
 * (paging, D43). Peers stand in the order of their creation, but a removal puts the last one of the
 * interface into the gap.
 */
void sl_gw_peer_walk(struct sl_gw *gw, const char *iface, uint32_t after,
		     bool (*fn)(void *ctx, const struct sl_gw_peer_info *p), void *ctx);
int sl_gw_peer_info(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		    struct sl_gw_peer_info *out);
/** Copy of the PSK for the UAPI `get` (root only). */
bool sl_gw_peer_psk(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		    struct sl_secret *out);

/* --- routes and neighbours
 * ----------------------------------------------------------------------------------------- */

struct sl_gw_route_spec {
	struct sl_prefix prefix;
	struct sl_ip via; /* family 0: directly connected on the port */
	const char *port; /* may be NULL when `via` lies in a connected network */
	uint16_t vlan;
	const char
		*iface; /* NULL: underlay and every interface whose inside is on that attachment */
	bool blackhole;
};
/**
 * Add a static route, or replace the one with the same prefix and interface. Errors, with their
 * path: route_invalid, route_host_bits /prefix; port_unknown, vlan_invalid, route_not_inside,
 * inside_required /port; vlan_unknown /vlan; via_invalid, via_own, via_unreachable, via_ambiguous,
 * route_incomplete, limit_neighbours /via; interface_unknown /interface; limit_routes; no_memory.
 */
int sl_gw_route_add(struct sl_gw *gw, const struct sl_gw_route_spec *s, struct sl_error *e);
int sl_gw_route_del(struct sl_gw *gw, const struct sl_prefix *p, const char *iface,
		    struct sl_error *e);
struct sl_gw_route_info {
	struct sl_prefix prefix;
	struct sl_ip via;
	const char *port, *iface; /* iface NULL: all */
	uint16_t vlan;
	bool connected, blackhole;
	uint32_t nh;
};
void sl_gw_route_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_route_info *r),
		      void *ctx);

int sl_gw_neigh_set(struct sl_gw *gw, const char *port, uint16_t vlan, const struct sl_ip *ip,
		    const uint8_t mac[6], struct sl_error *e);
int sl_gw_neigh_del(struct sl_gw *gw, const char *port, uint16_t vlan, const struct sl_ip *ip,
		    struct sl_error *e);
struct sl_gw_neigh_info {
	const char *port;
	uint16_t vlan;
	const struct sl_neigh *n;
};
void sl_gw_neigh_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_neigh_info *n),
		      void *ctx);

/* --- authz mode (local only, D6)
 * -------------------------------------------------------------------------------------- */

#define SL_GW_CONFIRM_ID 17

struct sl_gw_mode_prefix {
	struct sl_prefix prefix;
	enum sl_authz_mode mode;
	char target[64]; /* the policy's target that it was resolved from, "" none */
};
/** A change that is taken back unless it is confirmed. */
struct sl_gw_mode_pending {
	char id[SL_GW_CONFIRM_ID]; /* "": none */
	uint64_t revert_wall_ns;
};
struct sl_gw_mode {
	enum sl_authz_mode deflt;
	bool panic;
	const struct sl_gw_mode_prefix *prefixes;
	unsigned n_prefixes;
	struct sl_gw_mode_pending pending;
};
void sl_gw_mode_get(struct sl_gw *gw, struct sl_gw_mode *out);

/**
 * May enforcing begin by the present clock? Not if it is a day earlier than the program.
 * @param path of the error
 * @return 0 or -EAGAIN clock_before_build
 */
int sl_gw_clock_check(struct sl_gw *gw, const char *path, struct sl_error *e);

/** Any of the three, as one change. */
struct sl_gw_mode_change {
	bool has_default, has_panic;
	enum sl_authz_mode deflt;
	bool panic;
	const struct sl_gw_mode_prefix *prefixes;
	unsigned n_prefixes;
	bool remove;	       /* the prefixes go back to the default */
	unsigned confirm_s;    /* not 0: take it back after so many seconds unless confirmed */
	const char *principal; /* for the line that tells a fall-back; NULL: nobody */
};
/**
 * Carry a change out: fsynced to the state directory before it returns. A change beside a pending
 * one stays when that one is taken back. Errors, with their path: mode_invalid; prefix_invalid,
 * prefix_host_bits /prefixes/N; not_found /prefixes/N (remove); limit_prefixes; -EBUSY
 * confirm_pending (one at a time); -EIO state_write (nothing changed); -EAGAIN clock_before_build
 * (it enforces more, on a clock that is wrong); no_memory.
 */
int sl_gw_mode_change(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct sl_error *e);
/** What the modes would be after a change. The caller frees out->prefixes. Errors as above. */
int sl_gw_mode_preview(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct sl_gw_mode *out,
		       struct sl_error *e);
/** Keep the pending change. -ENOENT confirm_unknown (it was taken back, or never was). */
int sl_gw_mode_confirm(struct sl_gw *gw, const char *id, struct sl_error *e);

/** Mode of an address under the panic switch, the prefixes and the default. */
enum sl_authz_mode sl_gw_mode_of(struct sl_gw *gw, const struct sl_ip *ip);
/** One part of a change alone. -EIO state_write: nothing changed. */
int sl_gw_mode_set_default(struct sl_gw *gw, enum sl_authz_mode m, struct sl_error *e);
int sl_gw_mode_set_panic(struct sl_gw *gw, bool on, struct sl_error *e);
/** `remove`: the prefix goes back to the default. */
int sl_gw_mode_set_prefix(struct sl_gw *gw, const struct sl_prefix *p, enum sl_authz_mode m,
			  bool remove, struct sl_error *e);
/** True if the state directory held a state that won over the config file (D6). */
bool sl_gw_mode_from_state(struct sl_gw *gw);

#endif
