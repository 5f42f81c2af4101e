/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * JSON-RPC over the gateway model of tests/eal/lcore/gw_fixture.h: hs and workers are played, the
 * clock is virtual. Interface wg0 with its inside on the lan, peer alice.
 */
#ifndef SL_TEST_RPC_FIXTURE_H
#define SL_TEST_RPC_FIXTURE_H

#include "gw_fixture.h"
#include "sl_ctl.h"
#include "sl_log.h"
#include "sl_schema_gateway.h"

#define ALICE "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define BOB "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="

struct rx {
	struct fx fx;
	struct sl_ctl ctl;
	struct sl_drain *drain; /* lockstep, with a file as its sink */
	struct sl_rec_ring *ring;
	char audit_file[64];
	struct sl_plan plan;
	struct sl_rpc *rpc;
	struct sl_error e;
	struct sl_agg agg; /* of a lcore that the test plays */
	void *agg_table[2];
	struct sl_evidence *evidence;
	char log[8192]; /* lines since rx_open(): "LEVEL topic: text" */
	bool quit;
};

extern const struct sl_rpc_caller rx_unix, rx_tcp, rx_config;

/** A gateway with ports, ready for calls; state and run directory of r->fx.conf may be set between
 * fx_init() and this. */
void rx_open(struct rx *r);
void rx_close(struct rx *r);
/** fx_init() and rx_open(), then wg0 and alice. */
void rx_init(struct rx *r);
/** The same, where policies are compiled within the call that loads them. */
void rx_init_lockstep(struct rx *r);
void rx_fini(struct rx *r);

/** A flow of alice (TCP, from the tunnel) is seen, and merged. */
void rx_see(struct rx *r, const char *dst, uint16_t port, unsigned flows);
/** Seconds in which the gateway counts. */
void rx_pass(struct rx *r, unsigned seconds);

/** Call as the unix socket; parameters as JSON text. @return the result, or NULL with r->e */
json_t *rx_try(struct rx *r, const char *method, const char *params);
/** The same, and it must succeed. */
json_t *rx_call(struct rx *r, const char *method, const char *params);
/** A call whose result does not matter. */
void rx_do(struct rx *r, const char *method, const char *params);
/** The call must fail in this way. */
void rx_refused_at(struct rx *r, const char *method, const char *params, int err,
		   const char *reason, const char *path, const char *file, int line);
#define rx_refused(r, method, params, err, reason, path)                                           \
	rx_refused_at(r, method, params, err, reason, path, __FILE__, __LINE__)
/** The JSON value is equal to this text. */
void rx_is(const json_t *v, const char *want);

#endif
