/* SPDX-License-Identifier: BSD-3-Clause */
/* The drain's life: sinks, thread, turns; what control hands over. */
#include <event2/dns.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "drain_int.h"
#include "sl_log.h"

uint64_t
drain_mono(const struct sl_drain *d)
{
	return d->conf.mono_ns(d->conf.clock_ctx);
}

uint64_t
drain_wall(const struct sl_drain *d)
{
	return d->conf.wall_ns(d->conf.clock_ctx);
}

/* --- turns ------------------------------------------------------------------------------------ */

static unsigned
take_pending(struct sl_drain *d)
{
	struct sl_line *l[DRAIN_BATCH];
	unsigned n, total = 0;

	do {
		pthread_mutex_lock(&d->lock);
		n = SL_MIN(d->n_pending, (unsigned)DRAIN_BATCH);
		memcpy(l, d->pending, n * sizeof(l[0]));
		d->n_pending -= n;
		memmove(d->pending, d->pending + n, d->n_pending * sizeof(l[0]));
		d->events += n;
		pthread_mutex_unlock(&d->lock);
		drain_give(d, l, n);
		total += n;
	} while (n > 0);
	return total;
}

static bool
is_due(const struct sl_drain *d, uint64_t now_ns)
{
	unsigned i;

	if (d->conf.lockstep || now_ns - d->last_poll_ns >= DRAIN_POLL_NS)
		return true;
	for (i = 0; i < d->conf.n_rings; i++)
		if (sl_rec_used_ppm(d->conf.ring[i]) >= DRAIN_QUARTER)
			return true;
	return false;
}

static unsigned
turn(struct sl_drain *d)
{
	uint64_t now = drain_mono(d);
	unsigned taken = 0, i;

	if (is_due(d, now)) {
		d->last_poll_ns = now;
		taken = take_pending(d);
		taken += drain_rings(d);
		drain_loss_look(d, now);
		if (now - d->last_summary_ns >= DRAIN_SUMMARY_NS)
			drain_summary(d, now);
	}
	if (atomic_exchange_explicit(&d->reopen, false, memory_order_relaxed))
		for (i = 0; i < d->n_sinks; i++)
			if (d->sink[i]->ops->reopen != NULL)
				d->sink[i]->ops->reopen(d->sink[i]);
	for (i = 0; i < d->n_sinks; i++)
		d->sink[i]->ops->turn(d->sink[i], sl_clock_mono_ns());
	return taken;
}

/** The last turn: everything that is there, then the summary. */
static void
last_turn(struct sl_drain *d)
{
	unsigned i;

	take_pending(d);
	while (drain_rings(d) > 0)
		;
	drain_summary(d, drain_mono(d));
	for (i = 0; i < d->n_sinks; i++)
		d->sink[i]->stopping = true;
}

static bool
all_empty(struct sl_drain *d)
{
	struct sl_queue_counts c;
	unsigned i;

	for (i = 0; i < d->n_sinks; i++) {
		sl_queue_counts(&d->sink[i]->q, &c);
		if (c.queued > 0)
			return false;
	}
	return true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_drain *d = arg;
	uint64_t now = drain_mono(d);

	(void)fd;
	(void)what;
	if (d->end_ns == 0 && atomic_load_explicit(&d->stop, memory_order_acquire)) {
		d->end_ns = now + DRAIN_END_NS;
		last_turn(d);
	}
	turn(d);
	if (d->end_ns != 0 && (now >= d->end_ns || all_empty(d)))
		event_base_loopbreak(d->env.base);
}

static void *
body(void *arg)
{
	struct sl_drain *d = arg;

	sl_drain_thread_setup("sl-audit", d->env.cpus, d->env.n_cpus);
	event_base_dispatch(d->env.base);
	return NULL;
}

unsigned
sl_drain_poll(struct sl_drain *d)
{
	return turn(d);
}

void
sl_drain_reopen(struct sl_drain *d)
{
	atomic_store_explicit(&d->reopen, true, memory_order_relaxed);
}

/* --- life ------------------------------------------------------------------------------------- */

static int
find_owner(struct sl_drain *d, struct sl_error *e)
{
	const struct passwd *pw;

	d->env.owner = d->env.group = UINT32_MAX;
	if (d->conf.user == NULL || d->conf.user[0] == '\0')
		return 0;
	pw = getpwnam(d->conf.user);
	if (pw == NULL)
		return sl_fail(e, -ENOENT, "user_unknown", "/system/user",
			       "no user \"%s\" on this host", d->conf.user);
	d->env.owner = pw->pw_uid;
	d->env.group = pw->pw_gid;
	return 0;
}

static int
copy_conf(struct sl_drain *d, const struct sl_drain_conf *c)
{
	d->conf = *c;
	d->conf.sinks = NULL;
	d->conf.state_dir = NULL;
	d->conf.observer = strdup(c->observer);
	d->conf.version = d->conf.boot_id = d->conf.user = NULL; /* not needed any more */
	if (c->n_cpus > 0) {
		d->cpus = calloc(c->n_cpus, sizeof(d->cpus[0]));
		if (d->cpus == NULL)
			return -ENOMEM;
		memcpy(d->cpus, c->cpus, c->n_cpus * sizeof(d->cpus[0]));
	}
	d->conf.cpus = d->cpus;
	d->env.cpus = d->cpus;
	d->env.n_cpus = c->n_cpus;
	d->env.observer = d->conf.observer;
	d->env.lockstep = c->lockstep;
	d->env.drain = d;
	if (c->state_dir != NULL) {
		d->conf.state_dir = strdup(c->state_dir);
		if (d->conf.state_dir == NULL)
			return -ENOMEM;
	}
	return d->conf.observer != NULL ? 0 : -ENOMEM;
}

/** Only where there is a file to chain. */
static int
load_seal_key(struct sl_drain *d, const struct sl_drain_conf *c, struct sl_error *e)
{
	char file[PATH_MAX];
	bool files = false;
	int rc;

	for (unsigned i = 0; i < c->n_sinks; i++)
		files |= c->sinks[i].kind == SL_SINK_FILE;
	if (c->state_dir == NULL || !files)
		return 0;
	snprintf(file, sizeof(file), "%s/audit.key", c->state_dir);
	rc = sl_seal_key_load(file, d->env.owner, d->env.group, &d->seal_key, e);
	if (rc != 0)
		return rc;
	d->env.seal_key = &d->seal_key;
	d->env.state_dir = d->conf.state_dir;
	sl_log(SL_LOG_INFO, "audit", "admin records are signed by %s", d->seal_key.text);
	return 0;
}

static int
prepare(struct sl_drain *d, const struct sl_drain_conf *c, struct sl_error *e)
{
	struct timeval tv = {.tv_usec = DRAIN_TURN_MS * 1000};

	d->names = sl_names_new();
	if (d->names == NULL || copy_conf(d, c) != 0 ||
	    sl_format_init(&d->fmt, c->observer, c->version, c->boot_id) != 0 ||
	    sl_format_init(&d->event_fmt, c->observer, c->version, c->boot_id) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit drain");
	d->env.id_prefix = d->fmt.prefix;
	d->last_poll_ns = d->last_summary_ns = drain_mono(d);
	if (c->lockstep)
		return 0;
	d->env.base = event_base_new();
	d->env.dns = d->env.base != NULL
			     ? evdns_base_new(d->env.base, EVDNS_BASE_DISABLE_WHEN_INACTIVE)
			     : NULL;
	d->timer = d->env.dns != NULL ? event_new(d->env.base, -1, EV_PERSIST, on_timer, d) : NULL;
	if (d->timer == NULL || event_add(d->timer, &tv) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit drain");
	/* without name servers addresses and /etc/hosts still work */
	evdns_base_resolv_conf_parse(d->env.dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	return 0;
}

static int
make_sinks(struct sl_drain *d, const struct sl_drain_conf *c, struct sl_error *e)
{
	unsigned i;

	if (c->n_sinks > DRAIN_SINKS || c->n_rings > SL_DRAIN_LCORES)
		return sl_fail(e, -EINVAL, "sink_invalid", "/audit/sinks",
			       "%u sinks, at most %u are possible", c->n_sinks, DRAIN_SINKS);
	for (i = 0; i < c->n_sinks; i++) {
		d->sink[i] = sl_sink_new(&c->sinks[i], &d->env, e);
		if (d->sink[i] == NULL) {
			sl_error_under(e, "/audit/sinks/%u", i);
			return e != NULL ? e->err : -EINVAL;
		}
		d->n_sinks = i + 1;
	}
	return 0;
}

struct sl_drain *
sl_drain_new(const struct sl_drain_conf *c, struct sl_error *e)
{
	struct sl_drain *d = calloc(1, sizeof(*d));
	struct sl_error none;
	int rc;

	e = e != NULL ? e : &none;
	if (d == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit drain");
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->names_lock, NULL);
	d->conf.user = c->user;
	rc = find_owner(d, e);
	if (rc == 0)
		rc = prepare(d, c, e);
	if (rc == 0)
		rc = load_seal_key(d, c, e);
	if (rc == 0)
		rc = make_sinks(d, c, e);
	if (rc == 0 && !c->lockstep) {
		rc = -pthread_create(&d->thread, NULL, body, d);
		d->running = rc == 0;
		if (rc != 0)
			sl_fail(e, rc, "no_memory", "", "no thread for the audit drain");
	}
	if (rc == 0)
		return d;
	sl_drain_free(d);
	return NULL;
}

/** @return false: a disk does not answer, its sink stays behind */
static bool
free_sinks(struct sl_drain *d)
{
	uint64_t deadline = sl_clock_mono_ns() + DRAIN_END_NS;
	bool all = true;
	unsigned i;

	for (i = 0; i < d->n_sinks; i++) {
		struct sl_sink *s = d->sink[i];
		bool ended = s->ops->stop == NULL || s->ops->stop(s, deadline);
		struct sl_queue_counts c;

		sl_queue_counts(&s->q, &c);
		if (c.queued > 0)
			sl_log(SL_LOG_WARN, "audit",
			       "sink %s (%s): %llu records were not delivered", s->conf.name,
			       s->target, (unsigned long long)c.queued);
		if (ended)
			sl_sink_free(s);
		all = all && ended;
	}
	d->n_sinks = 0;
	return all;
}

static void
free_base(struct sl_drain *d)
{
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->env.dns != NULL)
		evdns_base_free(d->env.dns, 0);
	if (d->env.base != NULL)
		event_base_free(d->env.base);
}

void
sl_drain_free(struct sl_drain *d)
{
	bool all;
	unsigned i;

	if (d == NULL)
		return;
	if (d->running) {
		atomic_store_explicit(&d->stop, true, memory_order_release);
		pthread_join(d->thread, NULL);
	} else if (d->conf.lockstep) {
		last_turn(d);
		turn(d);
	}
	all = free_sinks(d);
	free_base(d);
	if (!all) /* the thread of that sink still reads its surroundings */
		return;
	for (i = 0; i < d->n_pending; i++)
		sl_line_unref(d->pending[i]);
	for (i = 0; i < SL_DRAIN_RECENT; i++)
		sl_line_unref(d->recent[i]);
	sl_names_free(d->names);
	sl_format_fini(&d->fmt);
	sl_format_fini(&d->event_fmt);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->names_lock);
	sl_seal_key_wipe(&d->seal_key);
	free((void *)(uintptr_t)d->conf.state_dir);
	free(d->cpus);
	free((void *)(uintptr_t)d->conf.observer);
	free(d);
}

/* --- control's side --------------------------------------------------------------------------- */

int
sl_drain_policy(struct sl_drain *d, const struct sl_polset *s)
{
	struct sl_names_policy *p = sl_names_policy_new(d->names, s), *old;

	if (p == NULL)
		return -ENOMEM;
	do {
		pthread_mutex_lock(&d->names_lock);
		old = sl_names_policy_old(d->names);
		if (old == NULL)
			sl_names_policy_add(d->names, p);
		pthread_mutex_unlock(&d->names_lock);
		sl_names_policy_free(d->names, old); /* not under the lock: it may be large */
	} while (old != NULL);
	return 0;
}

int
sl_drain_iface(struct sl_drain *d, uint16_t id, const char *name)
{
	int rc;

	pthread_mutex_lock(&d->names_lock);
	rc = sl_names_iface_set(d->names, id, name);
	pthread_mutex_unlock(&d->names_lock);
	return rc;
}

int
sl_drain_peer(struct sl_drain *d, uint32_t id, uint16_t iface, const char *name,
	      const struct sl_pubkey *key)
{
	int rc;

	pthread_mutex_lock(&d->names_lock);
	rc = sl_names_peer_set(d->names, id, iface, name, key, drain_mono(d));
	pthread_mutex_unlock(&d->names_lock);
	return rc;
}

/** What the action is about, for ECS, unless the fields say it. */
static const char *
category(const char *action)
{
	if (strcmp(action, "user-login") == 0)
		return "authentication";
	return strncmp(action, "member", 6) == 0 || strncmp(action, "role-member", 11) == 0 ||
			       strncmp(action, "peer", 4) == 0
		       ? "iam"
		       : "configuration";
}

static const char *
type(const char *action, bool failure)
{
	if (strcmp(action, "user-login") == 0)
		return failure ? "denied" : "start";
	return "change";
}

void
sl_drain_event(struct sl_drain *d, const char *action, const char *outcome, json_t *fields)
{
	bool failure = strcmp(outcome, "failure") == 0;
	struct sl_format_event ev = {.action = action,
				     .outcome = outcome,
				     .dataset = "sluice.control",
				     .kind = "event",
				     .category = category(action),
				     .type = type(action, failure),
				     .severity = failure ? SL_SEV_WARNING : SL_SEV_NOTICE,
				     .fields = fields};
	uint64_t seq = atomic_fetch_add_explicit(&d->seq, 1, memory_order_relaxed);
	struct sl_line *l;

	pthread_mutex_lock(&d->lock);
	l = sl_format_event(&d->event_fmt, &ev, drain_wall(d), seq);
	if (l != NULL && d->n_pending < DRAIN_PENDING) {
		d->pending[d->n_pending++] = l;
	} else {
		sl_line_unref(l);
		d->events_lost++;
	}
	pthread_mutex_unlock(&d->lock);
	json_decref(fields);
}

/* --- seals of files --------------------------------------------------------------------------- */

struct sl_line *
drain_seal_line(struct sl_drain *d)
{
	json_t *fields = json_pack("{s:{s:s}}", "sluice", "event_type", "AuditSeal");
	struct sl_format_event ev = {.action = "audit-seal",
				     .outcome = "success",
				     .dataset = "sluice.audit",
				     .kind = "event",
				     .category = "process",
				     .type = "info",
				     .severity = SL_SEV_INFO,
				     .fields = fields};
	uint64_t seq = atomic_fetch_add_explicit(&d->seq, 1, memory_order_relaxed);
	struct sl_line *l;

	pthread_mutex_lock(&d->lock);
	l = sl_format_event(&d->event_fmt, &ev, drain_wall(d), seq);
	pthread_mutex_unlock(&d->lock);
	json_decref(fields);
	if (l != NULL)
		l->kind = SL_LINE_SEAL;
	return l;
}

void
drain_offer(struct sl_drain *d, struct sl_line *l)
{
	pthread_mutex_lock(&d->lock);
	if (d->n_pending < DRAIN_PENDING) {
		d->pending[d->n_pending++] = l;
		l = NULL;
	} else {
		d->events_lost++;
	}
	pthread_mutex_unlock(&d->lock);
	sl_line_unref(l);
}
