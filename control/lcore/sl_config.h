/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The configuration file (libconfig): read whole, validated whole, before anything starts.
 *
 * Two parts come out: what the program needs before EAL (instance, lcores, memory, ports,
 * listeners), and a list of RPC calls (interface.set, peer.set, route.add, neighbour.set,
 * authz.mode.set, log.level.set) that are carried out through the same dispatcher as any client's:
 * the file has no path of its own that changes state. Every value remembers its line, so that an
 * error of a call names FILE:LINE.
 */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_drain.h"
#include "sl_error.h"
#include "sl_gw.h"
#include "sl_plan.h"
#include "sl_policy.h"
#include "sl_remote_conf.h"

enum sl_config_hugepages { SL_HUGE_AUTO, SL_HUGE_REQUIRE, SL_HUGE_OFF };

struct sl_config_port {
	struct sl_port_conf port; /* name, device, mtu, queues, descriptors */
	struct sl_gw_addr *addr;
	unsigned n_addr;
	unsigned line;
};

/** Where records of decisions go; strings are the file's own copies. */
#define SL_CONFIG_SINKS 16

struct sl_config_audit {
	struct sl_sink_conf *sinks;
	unsigned n_sinks;
	unsigned line[SL_CONFIG_SINKS]; /* of each */
	unsigned ring_kib;		/* of each data lcore; a power of two */
};

enum sl_config_stale { SL_STALE_SERVE, SL_STALE_DENY_NEW, SL_STALE_DENY };

struct sl_config_source {
	char host[128];
	uint16_t port;
};

/** The control plane above this gateway. */
struct sl_config_cp {
	char *name; /* of the gateway there */
	struct sl_config_source *sources;
	unsigned n_sources;
	char *ca_file, *cert_file, *key_file, *token_file; /* NULL: none */
	bool insecure;					   /* in clear: loopback only */
	char **interfaces; /* whose peers and settings come from there */
	unsigned n_interfaces;
	bool boot_cache;
	char *cache_key_file; /* NULL: in the state directory */
	unsigned boot_wait_s, cache_max_age_h;
	unsigned idp_grace_h; /* 0: without end */
	unsigned control_stale_after_h;
	enum sl_config_stale on_stale;
	unsigned stats_s;
	char *country_db, *asn_db; /* NULL: none */
	unsigned line;
};

/** Where a Prometheus server may ask. */
struct sl_config_metrics {
	bool on;
	struct sl_endpoint listen;
	bool peers, peer_names;
	bool mindflavor; /* the series of that exporter too, with names and public keys */
	unsigned peer_limit;
};

struct sl_config {
	char *path;
	/* system */
	char instance[32];    /* [A-Za-z0-9_-]{1,31}, "default" */
	unsigned workers, io; /* plan wishes: 0 auto; SL_PLAN_AUTO */
	unsigned *cpus;
	unsigned n_cpus;
	enum sl_plan_idle idle;
	enum sl_config_hugepages hugepages;
	unsigned memory_mb; /* EAL memory, 0: chosen from mbufs */
	unsigned mbufs;	    /* 0: chosen */
	char *state_dir;    /* /var/lib/sluice/INSTANCE */
	char *run_dir;	    /* /run/sluice/INSTANCE */
	char *user;	    /* NULL: keep the uid, capabilities are cut */
	bool allow_unlocked_keys;
	/* control */
	char *rpc_socket;	/* RUN_DIR/mgmt.sock */
	char *rpc_socket_group; /* NULL: root only */
	bool has_rpc_tcp;
	struct sl_endpoint rpc_tcp; /* loopback only, plain only with insecure_tcp */
	bool insecure_tcp;
	struct sl_remote_conf remote;
	bool uapi; /* serve /var/run/wireguard/NAME.sock (default true) */
	/* policy */
	char *policy_file;	  /* NULL: none; read where no run has kept another one */
	unsigned policy_line;	  /* of it, in the configuration */
	unsigned policy_rules;	  /* of a role; 0: default */
	unsigned policy_prefixes; /* capacity at the start; 0: default */
	unsigned policy_flows;	  /* live flows of a worker; 0: default */
	struct sl_config_port *ports;
	unsigned n_ports;
	struct sl_config_audit audit;
	struct sl_config_metrics metrics;
	struct sl_config_cp *cp; /* NULL: nobody above */
	struct sl_config_call *calls;
	unsigned n_calls;
	bool keyless; /* key files and policy were not looked at */
};

/**
 * Read and check a file: syntax, unknown keys, types, ranges, keys, prefixes, conflicts inside the
 * file. Key files are read here too (mode 0600 wanted; a wider one is a warning); they go into the
 * calls by reference to the file, never as JSON.
 * @return 0, or an error whose message starts with "FILE:LINE: "
 */
int sl_config_load(const char *path, struct sl_config **out, struct sl_error *e);
/** The same, but key files and the policy's file are not looked at: for sl_config_detach(). */
int sl_config_load_keyless(const char *path, struct sl_config **out, struct sl_error *e);
void sl_config_free(struct sl_config *c);
/** What of a sound file is probably not meant: the lints of its policy.file, and members that name
 * no peer of the file. @param now_ns wall clock */
void sl_config_lint(const struct sl_config *c, uint64_t now_ns, sl_policy_lint_fn fn, void *ctx);

struct sl_config_detach {
	/** A public key for a peer, in place of its own. */
	void (*peer_key)(void *ctx, const char *iface, const char *name, struct sl_pubkey *out);
	void *ctx;
	/** A device for port number n. */
	void (*device)(unsigned n, char *out, size_t room);
	uint16_t mtu; /* of interfaces; ports get their largest. 0: as written */
};
/**
 * Cut what ties a configuration to its host, to play its gateway elsewhere: interfaces make keys in
 * memory, peers have new ones and neither endpoint, preshared key nor keepalive; other devices; no
 * directories, sockets, user, hugepages; a quiet log. Names, AllowedIPs, addresses, routes and
 * modes stay.
 */
int sl_config_detach(struct sl_config *c, const struct sl_config_detach *d, struct sl_error *e);
/** --instance: another name; directories and socket that the file did not set follow it. -EINVAL
 * instance_invalid. */
int sl_config_set_instance(struct sl_config *c, const char *instance, struct sl_error *e);

struct sl_rpc;
/** Carry the calls out as one change. On an error nothing was published; the message starts with
 * "FILE:LINE: ". */
int sl_config_apply(struct sl_config *c, struct sl_gw *gw, struct sl_rpc *rpc, struct sl_error *e);

#endif
