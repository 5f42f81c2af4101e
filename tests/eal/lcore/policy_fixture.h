/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Policies on the gateway model of gw_fixture.h: loads whose outcome is noted, verdicts of the
 * published tables, a clock that goes on.
 */
#ifndef SL_TEST_POLICY_FIXTURE_H
#define SL_TEST_POLICY_FIXTURE_H

#include "gw_fixture.h"
#include "sl_gw_policy.h"

/* Alice may reach db1 on 5432, by her peer; whoever has 10.7.1.0/24 in wg0 may reach the web. */
#define ZONES                                                                                      \
	"\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.20.0.0/24\"]}},"     \
	"\"targets\":{\"db1\":{\"addresses\":[\"10.20.0.10/32\"]}},"
#define DOC                                                                                        \
	"{\"version\":7," ZONES                                                                    \
	"\"roles\":{\"eng\":{\"members\":[\"peer:alice\",\"10.7.1.0/24@wg0\"]}},"                  \
	"\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","             \
	"\"ports\":[5432],\"action\":\"allow\"}]}"

extern struct fx px_fx;
extern char px_state_dir[64];
/** Outcome of the last load, and how many there were. */
extern int px_last_rc;
extern struct sl_error px_last_e;
extern unsigned px_n_done, px_last_tests, px_last_lints;
extern uint64_t px_last_generation;

/** A gateway in lockstep with two ports and wg0; the second with a state directory. */
int px_setup(void **state);
int px_setup_state(void **state);
int px_teardown(void **state);
int px_submit(struct fx *f, const char *text, const struct sl_gw_policy_load *with);
void px_load(struct fx *f, const char *text);
void px_load_refused(struct fx *f, const char *text, const char *reason, const char *path);
/** Create or change the peer with key n. */
void px_peer(struct fx *f, const char *iface, unsigned n, const char *name, const char *prefix);
void px_advance(struct fx *f, unsigned seconds);
/** The verdict of the published tables on TCP from the tunnel of peer `key` (0: of nobody). */
struct sl_judgement px_judge(struct fx *f, const char *iface, unsigned key, const char *src,
			     const char *dst, uint16_t dport);
bool px_allows(struct fx *f, const char *iface, unsigned key, const char *src, const char *dst,
	       uint16_t dport);
/** A time as text, in one of four buffers. */
const char *px_at(uint64_t wall_ns);
struct sl_pol_member px_member(const char *name, const char *prefix, const char *iface,
			       uint64_t expires_ns);
/** A document whose one role, eng, has n prefixes; to be freed. */
char *px_many_prefixes(unsigned n);

#endif
