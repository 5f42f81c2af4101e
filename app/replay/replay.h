/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * sluice-replay: packets of a capture through a whole gateway in lockstep. One thread.
 *
 * capture.c reads packets, peers.c plays the WireGuard peers (throw-away keys), net.c the network
 * around the gateway, verdict.c asks the gateway what it thought of a packet, report.c writes what
 * came out, main.c holds them together.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <pcap/pcap.h>

#include "sl_cookie.h"
#include "sl_lockstep.h"
#include "sl_noise.h"

#define REPLAY_PACKET_MAX 65535

struct replay_options {
	const char *config, *pcap, *out, *json, *peer, *iface, *policy;
	uint64_t seed;
	uint64_t at_ns; /* wall clock of the first packet; 0: the capture's */
	unsigned workers, io;
	bool any_size;
	int mode; /* enum sl_authz_mode, -1: as configured */
};
/** @return 0 go on, 1 done (help), 2 wrong usage */
int replay_options_parse(int argc, char **argv, struct replay_options *o);

/* --- capture.c ----------------------------------------------------------------------------- */

/** Why a packet of the capture does not go to the gateway. */
enum replay_skip {
	REPLAY_PLAYED,
	REPLAY_NOT_IP,	  /* ARP and other protocols, broken headers */
	REPLAY_TRUNCATED, /* the capture cut it */
	REPLAY_NO_PEER,	  /* neither from nor to a peer */
	REPLAY_NO_INSIDE, /* towards a peer whose interface has no inside */
	REPLAY_TOO_BIG,	  /* larger than the link takes: captured before it was cut */
	REPLAY_SKIPS
};
const char *replay_skip_text(enum replay_skip s);

struct replay_packet {
	uint64_t n; /* from 1 */
	uint64_t ts_ns;
	const uint8_t *data; /* at the IP header */
	uint32_t len;	     /* as the IP header says */
	struct sl_ip_info ip;
	bool parsed; /* ports and protocol of `ip` are right, else addresses alone */
	enum replay_skip skip;
};

struct replay_capture {
	pcap_t *p;
	int link;
	uint64_t n;
};
int replay_capture_open(struct replay_capture *c, const char *path, struct sl_error *e);
/** @return 1 a packet, 0 the end, or a negative error */
int replay_capture_next(struct replay_capture *c, struct replay_packet *p, struct sl_error *e);
void replay_capture_close(struct replay_capture *c);

/* --- peers.c ------------------------------------------------------------------------------- */

struct replay_session {
	bool live;
	uint32_t ours, theirs; /* receiver indexes */
	struct {
		uint8_t b[32], pad[16];
	} send, recv; /* padded as lib/aead wants it */
	uint64_t counter, born_ns;
};

struct replay_peer {
	char iface[16], name[64];
	struct sl_noise_local local;
	struct sl_noise_peer *noise; /* NULL before the first handshake */
	struct sl_cookie_maker mac;
	struct replay_session current, previous;
	struct sl_outer outer; /* as it sends */
	uint32_t serial;       /* of its handshakes */
};

struct replay_peers {
	struct replay_peer *v;
	unsigned n, room;
	uint32_t *by_id; /* id in the gateway -> place + 1 */
	unsigned n_ids;
	struct sl_rng_seeded stream;
	struct sl_rng rng;
};

/* --- the whole ----------------------------------------------------------------------------- */

struct replay_iface {
	char name[16];
	uint16_t id, listen_port, mtu;
	struct sl_pubkey key;
	bool has_inside;
	unsigned inside_port;
	uint16_t inside_vlan, inside_mtu;
};

/** Why and by what a packet was let through or not; names point into the gateway's tables. */
struct replay_judgement {
	bool known, allow;
	const char *why, *role, *rule_role, *target, *zone;
	uint32_t rule; /* id inside rule_role, 0: none */
	uint64_t generation;
	enum sl_authz_mode mode;
};

struct replay_verdict {
	bool forwarded, local; /* local: the gateway answered it itself */
	const char *reason;    /* text of a drop reason, NULL: none */
	struct replay_judgement j;
	bool new_flow;
};

struct replay_report;

struct replay {
	struct replay_options o;
	struct sl_config *config;
	struct sl_lockstep l;
	struct replay_peers peers;
	struct replay_iface *iface;
	unsigned n_ifaces;
	struct sl_aead *aead;
	struct replay_report *report;
	/* where peers' datagrams come in */
	unsigned outer_port;
	uint16_t outer_vlan;
	struct sl_ip outer_ip;	/* the gateway's */
	struct sl_ip outer_far; /* first of the peers' */
	struct replay_peer *only;
	uint64_t first_ts_ns, start_ns; /* capture and monotonic time of the first packet */
	/* of the packet being played */
	const struct replay_packet *now;
	struct replay_peer *shaking; /* waits for a response */
	bool answered;
	unsigned matched, sent; /* packets that came out: it itself, any */
};

void replay_peers_init(struct replay_peers *ps, uint64_t seed);
/** Public key of a new peer; sl_config_detach's peer_key. */
void replay_peers_key(void *peers, const char *iface, const char *name, struct sl_pubkey *out);
/** After the start: which number the gateway gave each. */
int replay_peers_match(struct replay *r, struct sl_error *e);
void replay_peers_free(struct replay_peers *ps);
/** Shake hands unless there is a young session. */
int replay_peer_connect(struct replay *r, struct replay_peer *p, struct sl_error *e);
/** Seal and hand in. */
int replay_peer_send(struct replay *r, struct replay_peer *p, const uint8_t *packet, uint32_t len);
/** Whose receiver index this is, or NULL. */
struct replay_peer *replay_peer_at(struct replay *r, uint32_t index);
/** A WireGuard message came for this peer. */
void replay_peer_receive(struct replay *r, struct replay_peer *p, uint8_t *msg, uint32_t len);
struct replay_iface *replay_iface_of(struct replay *r, const char *name);

/* --- net.c --------------------------------------------------------------------------------- */

/** Interfaces, their insides, and a way for the peers' datagrams. */
int replay_net_init(struct replay *r, struct sl_error *e);
/** Poll and answer ARP and ND until nothing moves. */
void replay_net_run(struct replay *r);
/** Let the clock go on to a time of the monotonic clock. */
void replay_net_advance(struct replay *r, uint64_t to_ns);
int replay_net_outer(struct replay *r, const struct replay_peer *p, const void *msg, uint32_t len);
int replay_net_inside(struct replay *r, const struct replay_iface *f,
		      const struct replay_packet *p);

/* --- verdict.c ----------------------------------------------------------------------------- */

/** Before a packet is handed in: forget what was before. */
struct replay_before {
	uint64_t drops[SL_DROP_MAX];
	bool has_flow;
};
void replay_verdict_before(struct replay *r, uint16_t iface, struct replay_before *b);
void replay_verdict_after(struct replay *r, uint16_t iface, bool from_inside,
			  const struct replay_before *b, struct replay_verdict *v);

/* --- report.c ------------------------------------------------------------------------------ */

struct replay_report *replay_report_new(const struct replay_options *o, struct sl_error *e);
/** A packet left the gateway in clear, or was opened by a peer. */
void replay_report_out(struct replay_report *rep, uint64_t ts_ns, const uint8_t *packet,
		       uint32_t len);
void replay_report_packet(struct replay_report *rep, const struct replay_packet *p,
			  const struct replay_peer *peer, bool from_inside,
			  const struct replay_verdict *v);
/** Write the summary and close. @return 0 or an error (disk full) */
int replay_report_end(struct replay_report *rep, struct sl_error *e);
/** The replay failed: half a report is none. */
void replay_report_discard(struct replay_report *rep);
void replay_report_free(struct replay_report *rep);

#endif
