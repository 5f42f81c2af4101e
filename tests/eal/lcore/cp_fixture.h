/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A gateway under a control plane that the test plays: snapshots and transactions as JSON, what
 * was answered is noted. On the gateway model of policy_fixture.h.
 */
#ifndef SL_TEST_CP_FIXTURE_H
#define SL_TEST_CP_FIXTURE_H

#include "cp.h"
#include "policy_fixture.h"

#define CX_EPOCH1 "11111111111111111111111111111111"
#define CX_EPOCH2 "22222222222222222222222222222222"

struct cx {
	struct fx *f;
	struct sl_cp *cp;
	struct sl_config_cp config;
	struct sl_evidence *evidence; /* NULL: none; counts from the next cx_start() */
	struct sl_epoch epoch;
	/* the last end of an op */
	unsigned n_done;
	int rc;
	struct sl_error e;
	json_t *ack;
	/* the last call that went up */
	unsigned n_calls;
	json_t *calls;	 /* [{method, params}] */
	int call_answer; /* rc of calls */
};

extern struct cx cx;

/** A gateway gw-1 that manages wg0; with a state directory in the second. */
int cx_setup(void **state);
int cx_setup_state(void **state);
int cx_setup_large(void **state, unsigned peers_max);
int cx_teardown(void **state);
/** Begin (again): after cx_stop(), what the state directory holds counts. */
void cx_start(void);
void cx_stop(void);
/** Poll until nothing is left to be done, or so many turns are over. */
void cx_turns(unsigned n);
/** As a source would: {kind, id, rev, obj} each, in text with ' for ". */
void cx_snapshot(uint64_t seq, const char *objects);
void cx_txn(uint64_t seq, const char *ops);
/** The last op was acknowledged, or refused with this code and path. */
void cx_acked(void);
void cx_refused(const char *code, const char *path);
/** JSON of text with ' for ", and %1 ... %9 for public keys. */
json_t *cx_json(const char *text);
bool cx_has_peer(const char *name);
/** NULL: none */
bool cx_peer(const char *name, struct sl_gw_peer_info *out);
/** The peer shook hands now. */
void cx_handshake(unsigned key);
void cx_advance(unsigned seconds);
/** Both clocks, without a turn. */
void cx_later(uint64_t seconds);
/** The gateway starts anew with what the state directory holds. */
void cx_restart(void);
/** It is killed just after it acknowledged: before the next cache is written. */
void cx_die(void);
void cx_state_path(const char *name, char out[128]);
/** An older backup is put in place: a new epoch of this number, at seq 5. */
void cx_restore_backup(uint64_t number, const char *objects);

/* Interface, policy with role eng for db1 by TCP, peers alice (key 1, eng) and bob (key 2). */
#define CX_IFACE "{'kind':'interface','id':'wg0','rev':1,'obj':{'listen_port':51820,'mtu':1400}},"
#define CX_POLICY                                                                                  \
	"{'kind':'policy','id':'policy','rev':1,'obj':{'version':5}},"                             \
	"{'kind':'zone','id':'in','rev':1,'obj':{'id':1,'type':'internal','networks':"             \
	"['10.20.0.0/24']}},"                                                                      \
	"{'kind':'target','id':'db1','rev':1,'obj':{'addresses':['10.20.0.10/32']}},"              \
	"{'kind':'role','id':'eng','rev':1,'obj':{'id':1}},"                                       \
	"{'kind':'role','id':'guest','rev':1,'obj':{'id':2}},"                                     \
	"{'kind':'rule','id':'eng/1','rev':1,'obj':{'id':1,'role':'eng','to':['db1'],"             \
	"'protocol':'tcp','action':'allow'}},"                                                     \
	"{'kind':'rule','id':'guest/1','rev':1,'obj':{'id':1,'role':'guest','to':['db1'],"         \
	"'protocol':'tcp','ports':[80],'action':'allow'}},"
#define CX_ALICE                                                                                   \
	"{'kind':'peer','id':'alice','rev':3,'obj':{'interface':'wg0','public_key':'%1',"          \
	"'addresses':{'gw-1':['10.7.0.2/32'],'gw-2':['10.8.0.2/32']},'roles':['eng']}},"
#define CX_BOB                                                                                     \
	"{'kind':'peer','id':'bob','rev':4,'obj':{'interface':'wg0','public_key':'%2',"            \
	"'allowed_ips':['10.7.0.3/32']}}"
#define CX_PUT_BOB(rev, more)                                                                      \
	"{'op':'put','kind':'peer','id':'bob','rev':" #rev ",'obj':{'interface':'wg0',"            \
	"'public_key':'%2','allowed_ips':['10.7.0.3/32']" more "}}"
#define CX_BASE CX_IFACE CX_POLICY CX_ALICE CX_BOB

/** May the peer reach db1 on a port? */
bool cx_allows(unsigned key, const char *src, uint16_t port);

#endif
