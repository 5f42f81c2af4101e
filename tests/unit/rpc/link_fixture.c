/* SPDX-License-Identifier: BSD-3-Clause */
#include "link_fixture.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sl_log.h"

struct lx lx;

static void
sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	size_t n = strlen(lx.log);

	if (n + 400 < sizeof(lx.log))
		snprintf(lx.log + n, sizeof(lx.log) - n, "%s: %s\n", topic, text);
}

static int
on_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	static const struct {
		const char *token;
		struct sl_principal who;
	} known[] = {
		{LX_GATEWAY, {"token:gateway", SL_SR_BIT(SL_SR_GATEWAY), "gw-1"}},
		{LX_FOLLOWER, {"token:follower", SL_SR_BIT(SL_SR_FOLLOWER), "f-1"}},
		{LX_VIEWER, {"token:viewer", SL_SR_BIT(SL_SR_VIEWER), ""}},
		{LX_BRIEF, {"token:brief", SL_SR_BIT(SL_SR_GATEWAY), "gw-1"}},
	};

	assert_int_equal(from->family, 4);
	assert_int_equal(from->b[0], 127);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].token, token) == 0) {
			out->who = known[i].who;
			if (strcmp(token, LX_BRIEF) == 0)
				out->until_s = (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S) + 3;
			return 0;
		}
	}
	return -EACCES;
}

static int
on_certificate(void *ctx, const struct sl_tls_id *id, const struct sl_ip *from,
	       struct sl_rpc_login *out)
{
	if (strcmp(id->cn, "revoked") == 0)
		return -EACCES;
	if (strcmp(id->kind, "gateway") != 0)
		return -ENOENT;
	snprintf(out->who.name, sizeof(out->who.name), "cert:%s", id->name);
	snprintf(out->who.bound, sizeof(out->who.bound), "%s", id->name);
	out->who.roles = SL_SR_BIT(SL_SR_GATEWAY);
	return 0;
}

static bool
still(void *ctx, const struct sl_principal *who, const struct sl_tls_id *id,
      const struct sl_ip *from)
{
	lx.asked++;
	assert_true(who->name[0] && from->family == 4);
	return !lx.revoked || strcmp(lx.revoked, who->name) != 0;
}

static void
note(const struct sl_rpc_caller *caller)
{
	snprintf(lx.who, sizeof(lx.who), "%s", caller->who->name);
	snprintf(lx.bound, sizeof(lx.bound), "%s", caller->who->bound);
	lx.conn = caller->conn;
}

static int
ack(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
    struct sl_error *e)
{
	lx.acks++;
	note(caller);
	assert_ptr_equal(user, &lx.acks);
	return 0;
}

static int
subscribe(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	  struct sl_error *e)
{
	const struct sl_rpc_repl_subscribe *p = params;

	lx.subscribes++;
	note(caller);
	if (strcmp(p->node, caller->who->bound) != 0)
		return sl_fail(e, -EPERM, "forbidden", "/node", "you are %s", caller->who->bound);
	*result = json_pack("{s:s, s:O}", "sub", "r-1", "epoch",
			    p->has_epoch ? p->epoch : json_null());
	return 0;
}

static int
owe(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
    struct sl_error *e)
{
	lx.owed = sl_rpc_later(caller);
	return lx.owed ? SL_RPC_LATER : -EBUSY;
}

static int
hello(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
      struct sl_error *e)
{
	*result = json_pack("{s:s}", "server", "test");
	return 0;
}

uint16_t
lx_free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

void
lx_open(const struct sl_rpc_limits *limits, bool tokens, bool certs)
{
	const struct sl_rpc_auth auth = {.token = tokens ? on_token : NULL,
					 .certificate = certs ? on_certificate : NULL,
					 .still = still};
	struct sl_endpoint at = {.ip = {.family = 4, .b = {127, 0, 0, 1}}};
	struct sl_tls_conf conf = {0};
	struct sl_error e = {0};

	memset(&lx, 0, sizeof(lx));
	sl_log_set_sink(sink, NULL);
	sl_log_set_level(SL_LOG_INFO);
	pki_open();
	lx.ca = pki_ca("ca");
	pki_issue("server", (struct pki_want){.san = "DNS:gw.test,DNS:two.test,IP:127.0.0.1",
					      .eku = "serverAuth",
					      .by = &lx.ca});
	lx.base = event_base_new();
	lx.rpc = sl_rpc_new(&sl_control_schema, NULL);
	assert_int_equal(sl_rpc_bind_to(lx.rpc, "repl.ack", ack, &lx.acks), 0);
	assert_int_equal(sl_rpc_bind(lx.rpc, "repl.subscribe", subscribe), 0);
	assert_int_equal(sl_rpc_bind(lx.rpc, "log.push", owe), 0);
	assert_int_equal(sl_rpc_bind(lx.rpc, "rpc.hello", hello), 0);
	sl_rpc_set_state(lx.rpc, SL_RPC_RUNNING);
	conf = (struct sl_tls_conf){.cert_file = pki_file("server", "crt"),
				    .key_file = pki_file("server", "key"),
				    .ca_file = pki_file("ca", "crt")};
	lx.tls = sl_tls_server_new(&conf, &e);
	lx.server = sl_rpc_server_new(lx.base, lx.rpc);
	at.port = lx.port = lx_free_port();
	if (!lx.tls || sl_rpc_server_tls(lx.server, &at, lx.tls, &auth, limits, &e))
		fail_msg("%s", e.message);
	at.port = lx.clear = lx_free_port();
	if (sl_rpc_server_tls(lx.server, &at, NULL, &auth, limits, &e))
		fail_msg("%s", e.message);
	lx.client = lx_client(NULL);
}

void
lx_close(void)
{
	sl_rpc_server_free(lx.server);
	sl_rpc_free(lx.rpc);
	sl_tls_free(lx.tls);
	sl_tls_free(lx.client);
	pki_ca_free(&lx.ca);
	lx_pump();
	event_base_free(lx.base);
	pki_close();
	sl_log_set_sink(NULL, NULL);
}

struct sl_tls *
lx_client(const char *cert)
{
	struct sl_tls_conf c = {.ca_file = pki_file("ca", "crt"),
				.cert_file = cert ? pki_file(cert, "crt") : NULL,
				.key_file = cert ? pki_file(cert, "key") : NULL};
	struct sl_error e = {0};
	struct sl_tls *t = sl_tls_client_new(&c, &e);

	if (!t)
		fail_msg("%s", e.message);
	return t;
}

void
lx_pump(void)
{
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
}

bool
lx_until(const bool *flag, double seconds)
{
	uint64_t end = sl_clock_mono_ns() + (uint64_t)(seconds * 1e9);

	while (!*flag && sl_clock_mono_ns() < end) {
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
		usleep(200);
	}
	return *flag;
}

void
lx_run(double seconds)
{
	static const bool never;

	lx_until(&never, seconds);
}

struct sl_rpc_server_stats
lx_stats(void)
{
	struct sl_rpc_server_stats s;

	sl_rpc_server_stats(lx.server, &s);
	return s;
}

/* --- lines, by hand --------------------------------------------------------------------------- */

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct wire *w = arg;

	if (what & BEV_EVENT_CONNECTED)
		w->up = true;
	else
		w->ended = true;
}

struct wire *
wire_open(struct sl_tls *tls)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(tls ? lx.port : lx.clear),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct wire *w = calloc(1, sizeof(*w));

	w->bev = tls ? sl_tls_connect(tls, lx.base, "127.0.0.1")
		     : bufferevent_socket_new(lx.base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(w->bev, NULL, NULL, on_event, w);
	bufferevent_enable(w->bev, EV_READ | EV_WRITE);
	assert_int_equal(bufferevent_socket_connect(w->bev, (struct sockaddr *)&sa, sizeof(sa)), 0);
	for (unsigned i = 0; i < 20000 && !w->up && !w->ended; i++) {
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	lx_pump();
	return w;
}

void
wire_close(struct wire *w)
{
	bufferevent_free(w->bev);
	free(w);
	lx_pump();
}

const char *
wire_ask(struct wire *w, const char *text)
{
	uint64_t end = sl_clock_mono_ns() + 5 * SL_NS_PER_S;
	struct evbuffer *in = bufferevent_get_input(w->bev);
	char *line;

	bufferevent_write(w->bev, text, strlen(text));
	w->seen[0] = 0;
	while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF)) == NULL && !w->ended &&
	       sl_clock_mono_ns() < end) {
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	if (line)
		snprintf(w->seen, sizeof(w->seen), "%s", line);
	free(line);
	return w->seen;
}

const char *
wire_reason(struct wire *w, const char *text)
{
	static char reason[40];
	json_t *o = json_loads(wire_ask(w, text), 0, NULL);
	json_t *data = json_object_get(json_object_get(o, "error"), "data");
	const char *s = json_string_value(json_object_get(data, "reason"));

	snprintf(reason, sizeof(reason), "%s", s ? s : "");
	json_decref(o);
	return reason;
}

bool
wire_ended(struct wire *w)
{
	return lx_until(&w->ended, 5);
}

const char *
call_of(const char *method, const char *params)
{
	static char text[4][1024];
	static unsigned at;

	at = (at + 1) % 4;
	snprintf(text[at], sizeof(text[at]),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
		 params);
	return text[at];
}

const char *
login_of(const char *token)
{
	char params[200];

	snprintf(params, sizeof(params), "{\"token\":\"%s\",\"client\":\"test\\n1\"}", token);
	return call_of("auth.login", params);
}
