/* SPDX-License-Identifier: BSD-3-Clause */
/* The subscriber of the gateway under a control plane: files, sources, the connection. */
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cp.h"
#include "sl_tls_alarm.h"

#define TOKEN_MAX 250
#define ALARM_NS (60 * SL_NS_PER_S)

#define SOURCES_MAX 8
#define PROBE_NS (1 * SL_NS_PER_S)
#define PREFER_NS (SL_NS_PER_S / 10)

/** What the connection needs. */
struct source {
	struct evdns_base *dns;
	struct sl_tls *tls;
	struct sl_sub *sub;
	char token[TOKEN_MAX + 1]; /* wiped at the end */
	struct sl_tls_alarm alarm;
	uint64_t look_ns; /* mono: when the certificate is looked at next */
	bool soon;	  /* it ends soon, or has */
	/* at the start: who answers first? */
	struct bufferevent *probe[SOURCES_MAX];
	bool answers[SOURCES_MAX];
	uint64_t probe_ns, answer_ns; /* real time; 0: not */
	unsigned order[SOURCES_MAX];
};

static void
done(struct sl_cp *cp, int rc, json_t *ack, const struct sl_error *e)
{
	sl_sub_done(cp->link->sub, rc, ack, e);
}

/* An answer that tells nothing. */
static void
unheard(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	(void)ctx;
	(void)rc;
	(void)result;
	(void)e;
}

static int
call(struct sl_cp *cp, const char *method, json_t *params, sl_rpc_answered answered)
{
	if (cp->link->sub == NULL)
		return -ENOTCONN;
	return sl_sub_call(cp->link->sub, method, params, answered != NULL ? answered : unheard,
			   cp);
}

static void
resync(struct sl_cp *cp)
{
	if (cp->link->sub != NULL)
		sl_sub_resync(cp->link->sub, "resync");
}

/* --- dialling -----------------------------------------------------------------------------------
 */

static void
subscribe(struct sl_cp *cp, unsigned first)
{
	const struct sl_config_cp *c = cp->config;
	struct sl_sub_source v[SOURCES_MAX] = {0};
	struct source *s = cp->link;
	char program[40];
	struct sl_sub_conf sc = {.base = cp->base,
				 .dns = s->dns,
				 .sources = v,
				 .n_sources = c->n_sources,
				 .tls = s->tls,
				 .token = s->token[0] != '\0' ? s->token : NULL,
				 .node = c->name,
				 .program = program,
				 .ops = &cp_sub_ops,
				 .ctx = cp};
	unsigned i, k = 0;

	s->order[k++] = first;
	for (i = 0; i < c->n_sources; i++)
		if (i != first)
			s->order[k++] = i;
	for (i = 0; i < c->n_sources; i++) {
		memcpy(v[i].host, c->sources[s->order[i]].host, sizeof(v[i].host));
		v[i].port = c->sources[s->order[i]].port;
	}
	snprintf(program, sizeof(program), "sluiced/%s", SL_VERSION);
	s->sub = sl_sub_new(&sc, &cp->last_error);
	if (s->sub == NULL)
		sl_log(SL_LOG_ERR, "control", "no source is dialled: %s", cp->last_error.message);
	else if (cp->cache_hole)
		sl_sub_resync(s->sub, "resync");
}

static unsigned
place_of(const struct sl_cp *cp, unsigned source)
{
	return source < cp->config->n_sources ? cp->link->order[source] : source;
}

static void
on_probe(struct bufferevent *bev, short what, void *ctx)
{
	struct sl_cp *cp = ctx;
	struct source *s = cp->link;
	unsigned i;

	if (!(what & BEV_EVENT_CONNECTED))
		return;
	if (s->answer_ns == 0)
		s->answer_ns = sl_clock_mono_ns();
	for (i = 0; i < cp->config->n_sources; i++)
		s->answers[i] |= s->probe[i] == bev;
}

static void
drop_probes(struct source *s)
{
	unsigned i;

	for (i = 0; i < SOURCES_MAX; i++) {
		if (s->probe[i] != NULL)
			bufferevent_free(s->probe[i]);
		s->probe[i] = NULL;
	}
	s->probe_ns = 0;
}

static void
probe(struct sl_cp *cp, unsigned i)
{
	const struct sl_config_source *to = &cp->config->sources[i];
	struct source *s = cp->link;
	struct sl_ip ip;

	if (s->dns == NULL && sl_ip_parse(to->host, &ip) != 0)
		return; /* nobody could look the name up without waiting */
	s->probe[i] = bufferevent_socket_new(cp->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (s->probe[i] == NULL)
		return;
	bufferevent_setcb(s->probe[i], NULL, NULL, on_probe, cp);
	bufferevent_socket_connect_hostname(s->probe[i], s->dns, AF_UNSPEC, to->host, to->port);
}

/* All sources at a time, so that one that is silent costs nothing. */
static void
dial(struct sl_cp *cp)
{
	unsigned i;

	if (cp->config->n_sources == 1) {
		subscribe(cp, 0);
		return;
	}
	cp->link->probe_ns = sl_clock_mono_ns();
	for (i = 0; i < cp->config->n_sources; i++)
		probe(cp, i);
}

/* The first in order of those that answered, a little after the first answer. */
static void
poll_link(struct sl_cp *cp)
{
	struct source *s = cp->link;
	uint64_t now = sl_clock_mono_ns();
	unsigned i = 0;

	if (s->probe_ns == 0)
		return;
	if (!s->answers[0] && !(s->answer_ns != 0 && now - s->answer_ns >= PREFER_NS) &&
	    now - s->probe_ns < PROBE_NS)
		return;
	while (i < cp->config->n_sources && !s->answers[i])
		i++;
	drop_probes(s);
	subscribe(cp, i < cp->config->n_sources ? i : 0);
}

static void
hang_up(struct sl_cp *cp)
{
	struct source *s = cp->link;

	drop_probes(s);
	sl_sub_free(s->sub);
	sl_tls_free(s->tls);
	if (s->dns != NULL)
		evdns_base_free(s->dns, 0);
	sl_wipe(s, sizeof(*s));
	free(s);
	cp->link = NULL;
}

static int
read_token(const char *file, char out[TOKEN_MAX + 1], struct sl_error *e)
{
	char *text = NULL;
	struct stat st;
	size_t len;
	int rc;

	if (file == NULL)
		return 0;
	if (stat(file, &st) == 0 && (st.st_mode & 077) != 0) {
		sl_fail(e, -EACCES, "token_mode", "/token_file", "%s: others may read it (mode %o)",
			file, (unsigned)(st.st_mode & 0777));
		sl_hint(e, "chmod 0600 %s", file);
		return -EACCES;
	}
	rc = gw_file_read("", file, TOKEN_MAX, &text, &len, e);
	if (rc == -ENOENT)
		return sl_fail(e, rc, "file", "/token_file", "%s: %s", file, strerror(ENOENT));
	if (rc != 0)
		return rc;
	text[strcspn(text, " \r\n")] = '\0';
	snprintf(out, TOKEN_MAX + 1, "%s", text);
	sl_wipe(text, len);
	free(text);
	return 0;
}

/* --- certificates, over time --------------------------------------------------------------------
 */

void
sl_cp_reload(struct sl_cp *cp)
{
	char token[TOKEN_MAX + 1] = "";
	struct source *s = cp->link;
	struct sl_error e = {0};
	int rc;

	if (s == NULL)
		return;
	if (s->tls != NULL && sl_tls_reload(s->tls, &e) != 0)
		sl_log(SL_LOG_ERR, "control", "certificates stay as they are: %s [%s]", e.message,
		       e.reason);
	s->look_ns = 0;
	rc = read_token(cp->config->token_file, token, &e);
	if (rc == 0 && s->sub != NULL && token[0] != '\0')
		rc = sl_sub_set_token(s->sub, token);
	if (rc == 0)
		memcpy(s->token, token, sizeof(s->token));
	else
		sl_log(SL_LOG_ERR, "control", "the token stays as it is: %s", e.message);
	sl_wipe(token, sizeof(token));
}

static int64_t
wall_s(const struct sl_cp *cp)
{
	return (int64_t)(gw_wall_ns(cp->gw) / SL_NS_PER_S);
}

int64_t
sl_cp_certificate_until(const struct sl_cp *cp)
{
	const struct source *s = cp->link;

	return s != NULL && s->tls != NULL ? sl_tls_not_after(s->tls) : 0;
}

void
cp_source_poll(struct sl_cp *cp)
{
	struct source *s = cp->link;

	if (s == NULL || s->tls == NULL || gw_mono_ns(cp->gw) < s->look_ns)
		return;
	s->look_ns = gw_mono_ns(cp->gw) + ALARM_NS;
	s->soon = sl_tls_alarm_look(&s->alarm, sl_tls_not_after(s->tls),
				    cp->config->cert_file != NULL ? cp->config->cert_file : "",
				    wall_s(cp));
}

const char *
cp_source_error(const struct sl_cp *cp, char buf[CP_ERROR])
{
	struct sl_sub_info i = {0};

	if (!cp->up && cp->link != NULL && cp->link->sub != NULL)
		sl_sub_info(cp->link->sub, &i);
	if (i.last_error[0] != '\0')
		snprintf(buf, CP_ERROR, "%s", i.last_error);
	else if (cp->last_error.err != 0)
		snprintf(buf, CP_ERROR, "%.40s: %.200s", cp->last_error.reason,
			 cp->last_error.message);
	else
		return NULL;
	return buf;
}

void
cp_source_problems(const struct sl_cp *cp, json_t *problems)
{
	const struct source *s = cp->link;
	char text[80];

	if (s == NULL || !s->soon)
		return;
	json_array_append_new(
		problems,
		json_sprintf("certificate_expires: %s for the control plane %s: renew it, then "
			     "SIGHUP",
			     cp->config->cert_file,
			     sl_tls_alarm_text(s->alarm.until_s, wall_s(cp), text, sizeof(text))));
}

/* --- the beginning -------------------------------------------------------------------------------
 */

static int
prepare(struct sl_cp *cp, const struct sl_cp_conf *c, struct sl_error *e)
{
	struct sl_tls_conf tc = {.cert_file = c->config->cert_file,
				 .key_file = c->config->key_file,
				 .ca_file = c->config->ca_file,
				 .alpn = SL_REPL_ALPN};
	struct source *s = cp->link = calloc(1, sizeof(*s));

	if (s == NULL)
		return gw_no_memory(e);
	cp->hang_up = hang_up;
	s->dns = evdns_base_new(c->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (s->dns == NULL) /* no resolv.conf */
		sl_log(SL_LOG_WARN, "control", "no name server: sources can be addresses only");
	if (!c->config->insecure && (s->tls = sl_tls_client_new(&tc, e)) == NULL)
		return e->err;
	return read_token(c->config->token_file, s->token, e);
}

struct sl_cp *
sl_cp_new(const struct sl_cp_conf *c, struct sl_error *e)
{
	struct sl_cp *cp = cp_new_bare(c, e);

	if (cp == NULL)
		return NULL;
	cp->done = done;
	cp->call = call;
	cp->dial = dial;
	cp->resync = resync;
	cp->poll_link = poll_link;
	cp->place_of = place_of;
	if (prepare(cp, c, e) == 0)
		return cp;
	sl_error_under(e, "/control_plane");
	sl_cp_free(cp);
	return NULL;
}

void
cp_source_snapshots(const struct sl_cp *cp, uint64_t out[SL_SNAP_REASONS])
{
	struct sl_sub_info i = {0};

	if (cp->link != NULL && cp->link->sub != NULL)
		sl_sub_info(cp->link->sub, &i);
	memcpy(out, i.snapshots_by, sizeof(i.snapshots_by));
}
