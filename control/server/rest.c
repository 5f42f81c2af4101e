/* SPDX-License-Identifier: BSD-3-Clause */
/* The server: from a request to its handler. */
#include "sl_rest.h"

#include <event2/buffer.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "call_int.h"
#include "door.h"
#include "events.h"
#include "failed.h"
#include "head.h"
#include "kept.h"
#include "leaving.h"
#include "leaving_mark.h"
#include "problem.h"
#include "reports.h"
#include "resume.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_secret.h"
#include "sl_trail.h"
#include "settings.h"
#include "stream.h"

#define RATE 50
#define BURST 100
#define PLACES 4096
#define PRUNE_NS (600ULL * 1000000000)
#define SECOND_NS 1000000000ULL

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
sl_rest_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
sl_rest_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* --- one request ------------------------------------------------------------------------------ */

static void
call_id(char out[CALL_ID])
{
	uint8_t id[(CALL_ID - 1) / 2];

	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(out, CALL_ID, id, sizeof(id));
}

static struct sl_call *
call_new(struct sl_rest *r, struct evhttp_request *req, const struct sl_ip *from)
{
	struct sl_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->rest = r;
	c->store = r->c.store;
	c->req = req;
	c->from = *from;
	c->begun_ns = sl_rest_mono_ns();
	c->text = c->uri = "";
	call_id(c->id);
	return c;
}

static void
tidy_run(struct sl_task *t)
{
	struct sl_rest *r = SL_CONTAINER_OF(t, struct sl_rest, tidy);
	struct sl_error e = {0};

	kept_prune(r->writer_store, sl_rest_wall_ns());
	if (sl_trail_prune(r->writer_store, r->c.seal_key, SL_TRAIL_ROWS, &e) < 0)
		sl_log(SL_LOG_WARN, "rest", "%s", e.message);
	leaving_prune(r->writer_store, sl_rest_wall_ns());
}

static void
tidy_done(struct sl_task *t)
{
	SL_CONTAINER_OF(t, struct sl_rest, tidy)->tidying = false;
}

/** Once in a while, beside a request. */
static void
tidy(struct sl_rest *r, uint64_t now)
{
	if (r->writer == NULL || r->tidying || now - r->pruned_ns < PRUNE_NS)
		return;
	r->pruned_ns = now;
	r->tidying = true;
	r->tidy = (struct sl_task){.run = tidy_run, .done = tidy_done};
	sl_tasks_give(r->writer, &r->tidy);
}

static void
on_request(void *ctx, struct evhttp_request *req, struct bufferevent *bev, const struct sl_ip *from,
	   bool noted)
{
	struct sl_rest *r = ctx;
	struct sl_call *c = call_new(r, req, from);
	struct sl_error e = {0};
	int rc;

	r->stats.requests++;
	if (c == NULL) {
		rest_counts_answer(&r->counts, NULL, 503, 0);
		evhttp_send_error(req, 503, NULL);
		return;
	}
	tidy(r, c->begun_ns);
	TAILQ_INSERT_TAIL(&r->waiting, c, link);
	rc = request_read(c, bev, noted, &e);
	if (rc == 0)
		rc = stage_begin(c, &e);
	else if (c->refused)
		rc = stage_refused(c, rc, &e);
	if (rc == SL_CALL_LATER)
		door_pause(bev);
	else
		sl_call_finish(c, rc, &e);
}

/** How much body may follow this head? More than a stranger's only with a login whose role may
 * call the operation. */
static size_t
admit(void *ctx, struct bufferevent *bev, const char *head, size_t len, const struct sl_ip *from,
      bool *failed, char name[SL_PRINCIPAL_NAME])
{
	static const char *const names[SL_METHOD_N] = {"GET", "PUT", "POST", "PATCH", "DELETE"};
	struct sl_rest *r = ctx;
	char method[8], text[SL_TARGET_MAX + 1], auth[256];
	struct sl_principal who = {0};
	const struct sl_rest_op *op = NULL;
	struct sl_target target;
	struct sl_error e;
	const char *arg[2];
	unsigned allowed, m = 0;
	int n;

	n = sl_head_get(head, len, "Content-Length", text, sizeof(text));
	if (n >= 0 && n < 10 && strtoul(text, NULL, 10) <= DOOR_BODY_STRANGER)
		return DOOR_BODY_STRANGER;
	if (n == -ENOENT &&
	    sl_head_get(head, len, "Transfer-Encoding", text, sizeof(text)) == -ENOENT)
		return DOOR_BODY_STRANGER;
	if (sl_head_line(head, len, method, text, sizeof(text)) != 0 ||
	    sl_target_parse(text, &target, &e) != 0)
		return DOOR_BODY_STRANGER;
	while (m < SL_METHOD_N && strcmp(names[m], method) != 0)
		m++;
	if (m < SL_METHOD_N)
		op = sl_rest_route(&target, (enum sl_rest_method)m, arg, &allowed);
	if (op == NULL)
		return DOOR_BODY_STRANGER;
	n = sl_head_get(head, len, "Authorization", auth, sizeof(auth));
	*failed = sl_rest_login(r, bev, n >= 0 ? auth : NULL, from, true, &who, &e) != 0 && n >= 0;
	sl_wipe(auth, sizeof(auth));
	snprintf(name, SL_PRINCIPAL_NAME, "%s", who.name);
	return sl_service_may(&who, r->roles[op - sl_rest_ops]) ? op->body_max : DOOR_BODY_STRANGER;
}

static void
refused(void *ctx, const struct sl_error *why, size_t max, struct evbuffer *out)
{
	int status = problem_status(why->err, why);
	struct sl_error e = *why;
	struct sl_rest *r = ctx;
	char id[CALL_ID], *text;
	json_t *o;

	r->stats.requests++;
	r->stats.problems++;
	rest_counts_answer(&r->counts, NULL, status, 0);
	call_id(id);
	if (max == DOOR_BODY_STRANGER)
		sl_hint(&e, "more is taken from whoever is logged in and may call the operation");
	o = problem_json(status, &e, NULL, id, NULL);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	evbuffer_add_printf(out,
			    "HTTP/1.1 %d %s\r\nContent-Type: "
			    "application/problem+json\r\nX-Request-Id: %s\r\nConnection: "
			    "close\r\n%sContent-Length: %zu\r\n\r\n%s",
			    status, problem_title(status), id,
			    status == 503 ? "Retry-After: 1\r\n" : "",
			    text != NULL ? strlen(text) : 0, text != NULL ? text : "");
	free(text);
}

/* --- the server ------------------------------------------------------------------------------- */

static int
read_page(struct sl_rest *r, struct sl_error *e)
{
	r->page = json_loadb(sl_rest_page, sl_rest_page_len, 0, NULL);
	r->roles = calloc(sl_rest_n_ops, sizeof(*r->roles));
	r->open = calloc(sl_rest_n_ops, sizeof(*r->open));
	if (r->page == NULL || r->roles == NULL || r->open == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the REST API");
	for (unsigned i = 0; i < sl_rest_n_ops; i++) {
		if (sl_service_roles_parse(sl_rest_ops[i].roles, &r->roles[i], &r->open[i]) != 0)
			return sl_fail(e, -EINVAL, "internal", "", "%s: no roles: \"%s\"",
				       sl_rest_ops[i].id, sl_rest_ops[i].roles);
	}
	return 0;
}

static int
copy_names(struct sl_rest *r, const struct sl_rest_conf *c, struct sl_error *e)
{
	const char *at = c->public_url != NULL ? strstr(c->public_url, "://") : NULL;
	char host[256];

	r->name = strdup(c->name);
	r->state_dir = strdup(c->state_dir);
	if (c->public_url != NULL) {
		char authority[256];

		at = at != NULL ? at + 3 : c->public_url;
		snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(at, "/"), at);
		if (sl_head_host(authority, host, sizeof(host)) != 0)
			return sl_fail(e, -EINVAL, "url_invalid", "--public-url",
				       "\"%.100s\" has no host", c->public_url);
		r->host = strdup(host);
	}
	if (r->name == NULL || r->state_dir == NULL || (c->public_url != NULL && r->host == NULL))
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the REST API");
	return 0;
}

/** Each thread has a handle of its own. A follower's changes come from elsewhere. */
static int
open_threads(struct sl_rest *r, struct sl_error *e)
{
	r->helper_store = sl_store_open_again(r->c.store, SL_STORE_READ, e);
	if (r->helper_store != NULL)
		r->helper = sl_tasks_new(r->c.base, "rest-helper", e);
	if (r->helper == NULL)
		return e->err;
	r->writer = r->c.writer;
	r->writer_store = r->c.writer_store;
	if (r->writer != NULL) {
		r->failed = failed_new(r, e);
		if (r->failed == NULL)
			return e->err;
	}
	if (r->c.collector == NULL)
		return 0;
	r->writer_reports = sl_reports_new(r->writer_store, e);
	if (r->writer_reports != NULL)
		r->helper_reports = sl_reports_new(r->helper_store, e);
	return r->helper_reports != NULL ? 0 : e->err;
}

static int
open_all(struct sl_rest *r, const struct sl_rest_conf *c, struct sl_error *e)
{
	static const struct door_ops ops = {.admit = admit,
					    .refused = refused,
					    .request = on_request};
	int rc = copy_names(r, c, e);

	if (rc == 0)
		rc = read_page(r, e);
	if (rc == 0 && sl_store_role(c->store) == SL_STORE_PRIMARY) {
		rc = kept_init(c->store, e);
		if (rc == 0)
			rc = leaving_init(c->store, e);
		if (rc == 0)
			rc = leaving_adopt(c->store, e);
	}
	if (rc == 0)
		rc = open_threads(r, e);
	if (rc != 0)
		return rc;
	r->rate = sl_rate_new(RATE, BURST, PLACES);
	if (r->rate == NULL || rest_counts_init(&r->counts) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the REST API");
	r->door = door_new(c->base, c->tls, &c->at, &ops, r, e);
	if (r->door != NULL)
		resume_now(r);
	return r->door != NULL ? 0 : e->err;
}

struct sl_rest *
sl_rest_new(const struct sl_rest_conf *c, struct sl_error *e)
{
	struct sl_rest *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the REST API");
		return NULL;
	}
	r->c = *c;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->streams);
	if (open_all(r, c, e) == 0)
		return r;
	sl_rest_free(r);
	return NULL;
}

void
sl_rest_free(struct sl_rest *r)
{
	struct sl_call *c;

	if (r == NULL)
		return;
	sl_tasks_free(r->helper); /* it ends with what it is doing */
	r->helper = NULL;
	failed_free(r->failed);
	while ((c = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, c, link);
		if (c->cancel != NULL)
			c->cancel(c);
		call_free(c);
	}
	stream_free_all(r);
	events_free(r->events);
	if (r->resume != NULL)
		event_free(r->resume);
	door_free(r->door);
	sl_rate_free(r->rate);
	rest_counts_clear(&r->counts);
	json_decref(r->page);
	free(r->roles);
	free(r->open);
	free(r->name);
	free(r->state_dir);
	free(r->host);
	sl_reports_free(r->writer_reports);
	sl_reports_free(r->helper_reports);
	sl_store_close(r->helper_store);
	free(r);
}

void
sl_rest_login_failed(struct sl_rest *r, const struct sl_ip *from)
{
	failed_login(r->failed, from);
}

uint16_t
sl_rest_port(const struct sl_rest *r)
{
	return door_port(r->door);
}

void
sl_rest_stats(const struct sl_rest *r, struct sl_rest_stats *out)
{
	*out = r->stats;
	memcpy(out->tls_failed, door_failures(r->door)->n, sizeof(out->tls_failed));
	out->connections = door_connections(r->door);
}
