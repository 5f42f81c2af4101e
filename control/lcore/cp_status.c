/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator sees of the link to the control plane. */
#include <stdio.h>

#include "cp.h"
#include "sl_json.h"

static unsigned
count_blocked(const struct sl_cp *cp)
{
	struct sl_replica_obj o;
	const struct cp_tomb *t;
	unsigned n = 0;

	TAILQ_FOREACH (t, &cp->tombs, at)
		n += sl_replica_get(cp->r, t->kind, t->id, &o) && cp_tomb_blocks(cp, &o);
	return n;
}

static const char *
source_text(const struct sl_cp *cp, char out[160])
{
	out[0] = '\0';
	if (cp->source < cp->config->n_sources)
		snprintf(out, 160, "%.127s:%u", cp->config->sources[cp->source].host,
			 cp->config->sources[cp->source].port);
	return out;
}

static void
add_refusal(const struct sl_cp *cp, json_t *o)
{
	const struct cp_item *i;
	const struct sl_error *e = cp->refusal.err != 0 ? &cp->refusal : NULL;
	char path[256] = "policy";

	TAILQ_FOREACH (i, &cp->items, at) {
		if (i->bad == NULL)
			continue;
		e = i->bad;
		snprintf(path, sizeof(path), "%s/%s", sl_kind_name(i->kind), i->id);
		break;
	}
	json_object_set_new(o, "refuses", json_boolean(e != NULL));
	if (e == NULL)
		return;
	json_object_set_new(o, "refused",
			    json_pack("{s:s, s:s, s:s, s:s}", "code", e->reason, "object", path,
				      "path", e->path, "message", e->message));
}

static void
add_times(const struct sl_cp *cp, json_t *o)
{
	uint64_t now = gw_mono_ns(cp->gw), wall = gw_wall_ns(cp->gw);
	char error[CP_ERROR];

	json_object_set_new(o, "silent_s",
			    json_integer((json_int_t)((now - cp->heard_ns) / SL_NS_PER_S)));
	if (cp->cache_wall_ns != 0 && wall >= cp->cache_wall_ns)
		json_object_set_new(o, "cache_age_s",
				    json_integer((json_int_t)((wall - cp->cache_wall_ns) /
							      SL_NS_PER_S)));
	if (cp->cache_error[0] != '\0')
		json_object_set_new(o, "cache_error", json_string(cp->cache_error));
	if (cp_source_error(cp, error) != NULL)
		json_object_set_new(o, "last_error", json_string(error));
	if (cp->refused.number != 0)
		json_object_set_new(o, "refused_epoch", sl_epoch_json(&cp->refused));
}

void
sl_cp_progress(const struct sl_cp *cp, struct sl_cp_progress *out)
{
	*out = (struct sl_cp_progress){.connected = cp->up,
				       .hash_ok = cp->hash_ok,
				       .seq = cp->seq,
				       .blocked = cp->n_blocked,
				       .serving_seq = cp->serving_seq,
				       .head = SL_MAX(cp->head, cp->seq),
				       .heard_wall_s = cp_heard_wall_ns(cp) / SL_NS_PER_S};
	cp_source_snapshots(cp, out->snapshots);
}

json_t *
sl_cp_status(struct sl_cp *cp)
{
	char source[160], hash[SL_HASH_STR];
	struct sl_hash_sum sum;
	unsigned waiting;
	uint64_t lost, head = SL_MAX(cp->head, cp->seq);
	json_t *o;

	sl_replica_sum(cp->r, &sum);
	cp_log_info(cp, &waiting, &lost);
	o = json_pack("{s:s, s:b, s:s, s:b, s:I, s:s, s:I, s:I, s:I, s:I, s:b, s:s, s:b}", "name",
		      cp->config->name, "connected", (int)cp->up, "source", source_text(cp, source),
		      "registered", (int)cp->registered, "epoch", (json_int_t)cp->epoch.number,
		      "epoch_id", cp->epoch.id, "seq", (json_int_t)cp->seq, "serving_seq",
		      (json_int_t)cp->serving_seq, "head", (json_int_t)head, "lag",
		      (json_int_t)(head - cp->seq), "hash_ok", (int)cp->hash_ok, "hash",
		      sl_hash_str(&sum, hash), "overlay", (int)cp->overlay);
	json_object_set_new(o, "serving_epoch", json_integer((json_int_t)cp->serving_epoch));
	json_object_update_new(
		o, json_pack("{s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			     "stale_config", (int)cp->stale_config, "stale", (int)cp->stale,
			     "applying", (int)(cp->phase != CP_IDLE), "objects",
			     (json_int_t)sl_replica_count(cp->r), "peers", (json_int_t)cp->n_peers,
			     "psk_missing", (json_int_t)cp->n_psk_missing, "tombstones",
			     (json_int_t)cp->n_tombs, "blocked", (json_int_t)count_blocked(cp),
			     "log_waiting", (json_int_t)waiting, "log_lost", (json_int_t)lost,
			     "replica_bytes", (json_int_t)sl_replica_bytes(cp->r),
			     "longest_turn_us", (json_int_t)(cp->busy_max_ns / 1000),
			     "clock_skew_ms", (json_int_t)cp->skew_ms));
	add_refusal(cp, o);
	add_times(cp, o);
	return o;
}

static void
memory_key_problem(void *ctx, const struct sl_gw_iface_info *i)
{
	json_t *list = ctx;

	if (i->key_source == SL_KEY_MEMORY)
		sl_json_say(list,
			    "key_unpublished: the control plane does not know this run's public "
			    "key of %s yet: no peer can connect to it",
			    i->name);
}

/** Of a login: it does not pass by itself. */
static bool
is_refusal(const char *error)
{
	return strncmp(error, "certificate_refused", 19) == 0 ||
	       strncmp(error, "unauthenticated", 15) == 0;
}

void
sl_cp_problems(struct sl_cp *cp, json_t *list)
{
	uint64_t silent_s = (gw_mono_ns(cp->gw) - cp->heard_ns) / SL_NS_PER_S;
	unsigned blocked = count_blocked(cp);
	char error[CP_ERROR];

	if (!cp->registered)
		sl_gw_iface_walk(cp->gw, memory_key_problem, list);
	if (cp->silent)
		sl_json_say(list, "the control plane was heard last %llu s ago: %s",
			    (unsigned long long)silent_s,
			    cp_source_error(cp, error) != NULL ? error : "no answer");
	else if (!cp->up && cp_source_error(cp, error) != NULL && is_refusal(error))
		sl_json_say(
			list,
			"the control plane does not let this gateway in (%s): is its certificate "
			"or token revoked, was it taken out?",
			error);
	cp_source_problems(cp, list);
	if (cp->stale_config)
		sl_json_say(list, "stale_config: the boot cache serves until a source answers");
	if (cp->booting && gw_mono_ns(cp->gw) > cp->boot_until_ns)
		sl_json_say(list, "no source answers and there is no boot cache: nobody is let in");
	if (cp->stale)
		sl_json_say(list, "control_stale: silent for longer than control_stale_after_h");
	if (cp_refuses(cp) && cp->phase == CP_IDLE)
		sl_json_say(list,
			    "seq %llu of the control plane is refused (%s), %llu serves%s: "
			    "sluicectl control.status",
			    (unsigned long long)cp->seq, cp->last_nack,
			    (unsigned long long)cp->serving_seq,
			    cp->overlay ? " without what was revoked since" : "");
	if (!cp->hash_ok)
		sl_json_say(list, "hash_mismatch: what was received differs from the source");
	if (cp->refused.number != 0)
		sl_json_say(list,
			    "a source has epoch %llu (%.8s...), which is not taken: "
			    "sluicectl control.epoch.accept",
			    (unsigned long long)cp->refused.number, cp->refused.id);
	if (blocked > 0)
		sl_json_say(list,
			    "%u objects came back that were deleted here, and are blocked: "
			    "sluicectl control.tombstones",
			    blocked);
	if (cp->cache_error[0] != '\0')
		sl_json_say(list, "the boot cache is not as it should be: %s", cp->cache_error);
	if (cp->tombs_fail)
		sl_json_say(list, "what was deleted cannot be written to the state directory: "
				  "deleted peers may come back after a restart");
	if (cp->n_psk_missing > 0)
		sl_json_say(list,
			    "psk_missing: %u peers are down, their preshared key is not in "
			    "psk/ of the state directory",
			    cp->n_psk_missing);
	if (cp->skew_ms > 60000 || cp->skew_ms < -60000)
		sl_json_say(list, "the clock differs from the control plane's by %lld s",
			    (long long)(cp->skew_ms / 1000));
}
