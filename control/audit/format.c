/* SPDX-License-Identifier: BSD-3-Clause */
#include "format.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sl_env.h"
#include "sl_stats.h"

#define ECS_VERSION "9.3.0"

/** What records are of: flows, messages or sessions of WireGuard. */
enum about { FLOW, MESSAGE, SESSION };

/** What a type of record is in ECS. */
struct kind {
	const char *action, *type, *event_type;
	unsigned severity;
	bool failure;
	enum about of;
};

static const struct kind kinds[SL_REC_TYPES] = {
	[SL_REC_ALLOW] = {"policy-allow", "\"connection\",\"start\",\"allowed\"", "PolicyAllow",
			  SL_SEV_INFO, false, FLOW},
	[SL_REC_WOULD_DENY] = {"policy-would-deny", "\"connection\",\"allowed\"", "PolicyViolation",
			       SL_SEV_NOTICE, false, FLOW},
	[SL_REC_DENY] = {"policy-deny", "\"connection\",\"denied\"", "PolicyViolation",
			 SL_SEV_WARNING, true, FLOW},
	[SL_REC_END] = {"flow-end", "\"connection\",\"end\"", "FlowEnd", SL_SEV_INFO, false, FLOW},
	[SL_REC_DECRYPT] = {"wg-decrypt-failure", "\"denied\"", "DecryptionFailure", SL_SEV_WARNING,
			    true, MESSAGE},
	[SL_REC_REPLAY] = {"wg-replay", "\"denied\"", "Replay", SL_SEV_WARNING, true, MESSAGE},
	[SL_REC_STALE] = {"policy-stale", "\"info\"", "StalePolicy", SL_SEV_WARNING, false, FLOW},
	[SL_REC_FLOW_FULL] = {"flow-table-full", "\"info\"", "FlowTableFull", SL_SEV_WARNING, false,
			      FLOW},
	[SL_REC_SESSION_OPEN] = {"wg-session-open", "\"start\"", "SessionOpen", SL_SEV_INFO, false,
				 SESSION},
	[SL_REC_SESSION_REKEY] = {"wg-session-rekey", "\"info\"", "SessionRekey", SL_SEV_INFO,
				  false, SESSION},
	[SL_REC_SESSION_CLOSE] = {"wg-session-close", "\"end\"", "SessionClose", SL_SEV_INFO, false,
				  SESSION},
};
static const struct kind unknown_kind = {"unknown",	"\"info\"", "Unknown",
					 SL_SEV_NOTICE, false,	    MESSAGE};

int
sl_format_init(struct sl_format *f, const char *observer, const char *version, const char *boot_id)
{
	struct sl_out o = {f->observer, f->observer + sizeof(f->observer) - 1, false};

	memset(f, 0, sizeof(*f));
	f->cached_s = UINT64_MAX;
	OUT(&o, "\"observer\":{\"name\":");
	out_str(&o, observer, strnlen(observer, 64));
	OUT(&o,
	    ",\"type\":\"firewall\",\"vendor\":\"sluice\",\"product\":\"sluiced\",\"version\":");
	out_str(&o, version, strnlen(version, 32));
	*o.p = '\0';
	snprintf(f->prefix, sizeof(f->prefix), "%.60s/%.8s/", observer, boot_id);
	f->community = sl_community_new();
	return f->community != NULL ? 0 : -ENOMEM;
}

void
sl_format_fini(struct sl_format *f)
{
	sl_community_free(f->community);
	f->community = NULL;
}

void
sl_format_time(struct sl_format *f, struct sl_out *o, uint64_t wall_ns)
{
	uint64_t s = wall_ns / SL_NS_PER_S;
	time_t t = (time_t)s;
	struct tm tm;

	if (s != f->cached_s) {
		if (gmtime_r(&t, &tm) == NULL ||
		    strftime(f->cached, sizeof(f->cached), "%Y-%m-%dT%H:%M:%S.", &tm) != 20)
			memcpy(f->cached, "1970-01-01T00:00:00.", 20);
		f->cached_s = s;
	}
	out_mem(o, f->cached, 20);
	out_digits(o, wall_ns % SL_NS_PER_S / 1000, 6);
	OUT(o, "Z");
}

/* --- parts ------------------------------------------------------------------------------------ */

static void
out_head(struct sl_format *f, struct sl_out *o, uint64_t wall_ns)
{
	OUT(o, "{\"@timestamp\":\"");
	sl_format_time(f, o, wall_ns);
	OUT(o, "\",\"ecs\":{\"version\":\"" ECS_VERSION "\"},");
}

static void
out_id(const struct sl_format *f, struct sl_out *o, uint64_t seq)
{
	struct sl_out id;
	char text[SL_FORMAT_ID + 24];

	id = (struct sl_out){text, text + sizeof(text), false};
	out_text(&id, f->prefix);
	out_u64(&id, seq);
	OUT(o, "\"id\":");
	out_str(o, text, (size_t)(id.p - text));
	OUT(o, ",\"sequence\":");
	out_u64(o, seq);
}

/** Numbers of ECS are signed. */
static void
out_long(struct sl_out *o, uint64_t v)
{
	out_u64(o, SL_MIN(v, (uint64_t)INT64_MAX));
}

static bool
is_revoked(const struct sl_rec *r)
{
	return r->type == SL_REC_END && r->reason == SL_RR_REVOKED;
}

static void
out_event(struct sl_format *f, struct sl_out *o, const struct kind *k, const struct sl_rec *r,
	  uint64_t wall_ns, uint64_t seq)
{
	bool close = r->type == SL_REC_SESSION_CLOSE;
	uint64_t ns = close ? r->bytes[0] : (uint64_t)r->duration_ms * SL_NS_PER_MS;

	OUT(o, "\"event\":{\"kind\":\"event\",\"category\":[\"network\"");
	if (k->of == MESSAGE)
		OUT(o, ",\"intrusion_detection\"");
	if (k->of == SESSION)
		OUT(o, ",\"session\"");
	OUT(o, "],\"type\":[");
	out_text(o, k->type);
	if (is_revoked(r))
		OUT(o, ",\"denied\"");
	OUT(o, "],\"action\":\"");
	out_text(o, k->action);
	if (k->failure || is_revoked(r))
		OUT(o, "\",\"outcome\":\"failure\",\"dataset\":\"");
	else
		OUT(o, "\",\"outcome\":\"success\",\"dataset\":\"");
	if (k->of == FLOW)
		OUT(o, "sluice.flow\",");
	else
		OUT(o, "sluice.wireguard\",");
	out_id(f, o, seq);
	if (r->type == SL_REC_END || close) {
		OUT(o, ",\"start\":\"");
		sl_format_time(f, o, wall_ns > ns ? wall_ns - ns : 0);
		OUT(o, "\",\"end\":\"");
		sl_format_time(f, o, wall_ns);
		OUT(o, "\",\"duration\":");
		out_long(o, ns);
	}
	if (k->of == FLOW || close) {
		OUT(o, ",\"reason\":");
		out_strz(o, sl_rec_reason_text(r->reason));
	}
	OUT(o, "},");
}

static void
out_side(struct sl_out *o, const char *zone, const char *iface)
{
	OUT(o, "{");
	if (zone != NULL) {
		OUT(o, "\"zone\":");
		out_strz(o, zone);
	}
	if (iface != NULL && iface[0] != '\0') {
		if (zone != NULL)
			OUT(o, ",");
		OUT(o, "\"interface\":{\"name\":");
		out_strz(o, iface);
		OUT(o, "}");
	}
	OUT(o, "}");
}

/** The zone of a record is its destination's; the tunnel interface is where the peer is. */
static void
out_observer(const struct sl_format *f, struct sl_out *o, const struct sl_rec *r, const char *zone,
	     const char *iface)
{
	bool from_tunnel = (r->flags & SL_RF_FROM_TUNNEL) != 0 || r->version == 0;

	out_text(o, f->observer);
	if (from_tunnel && iface[0] != '\0') {
		OUT(o, ",\"ingress\":");
		out_side(o, NULL, iface);
	}
	if (zone != NULL || (!from_tunnel && iface[0] != '\0')) {
		OUT(o, ",\"egress\":");
		out_side(o, zone, from_tunnel ? NULL : iface);
	}
	OUT(o, "},");
}

static bool
has_ports(const struct sl_rec *r)
{
	return r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP;
}

static void
out_endpoint(struct sl_out *o, const struct sl_rec *r, unsigned side)
{
	OUT(o, "{\"ip\":\"");
	out_ip(o, r->version, side == 0 ? r->src : r->dst);
	OUT(o, "\"");
	if (has_ports(r)) {
		OUT(o, ",\"port\":");
		out_u64(o, side == 0 ? r->sport : r->dport);
	}
	if (r->type == SL_REC_END) {
		OUT(o, ",\"packets\":");
		out_u64(o, r->packets[side]);
		OUT(o, ",\"bytes\":");
		out_long(o, r->bytes[side]);
	}
	OUT(o, "},");
}

/**
 * Echo flows have their identifier in place of ports, for which the standard wants type and
 * counterpart; of other ICMP, and of SCTP, a record does not say enough.
 */
static void
out_community(struct sl_format *f, struct sl_out *o, const struct sl_rec *r)
{
	bool icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
	uint16_t a = r->sport, b = r->dport;
	char id[SL_COMMUNITY_LEN];

	if (icmp && (r->sport == 0 || (r->flags & SL_RF_MIDSTREAM)))
		return;
	if (r->proto == IPPROTO_SCTP)
		return;
	if (icmp) {
		a = r->proto == IPPROTO_ICMP ? 8 : 128;
		b = r->proto == IPPROTO_ICMP ? 0 : 129;
	}
	if (!sl_community_id(f->community, 0, r->version, r->proto, r->src, r->dst,
			     icmp || has_ports(r), a, b, id))
		return;
	OUT(o, ",\"community_id\":\"");
	out_mem(o, id, sizeof(id));
	OUT(o, "\"");
}

static const char *
transport(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_ESP:
		return "esp";
	default:
		return NULL;
	}
}

static void
out_network(struct sl_format *f, struct sl_out *o, const struct sl_rec *r)
{
	const char *t = transport(r->proto);

	OUT(o, "\"network\":{");
	if (t != NULL) {
		OUT(o, "\"transport\":\"");
		out_text(o, t);
		OUT(o, "\",");
	}
	OUT(o, "\"iana_number\":\"");
	out_u64(o, r->proto);
	if (r->version == 4)
		OUT(o, "\",\"type\":\"ipv4\",\"direction\":\"");
	else
		OUT(o, "\",\"type\":\"ipv6\",\"direction\":\"");
	if (r->flags & SL_RF_FROM_TUNNEL)
		OUT(o, "inbound\"");
	else
		OUT(o, "outbound\"");
	out_community(f, o, r);
	if (r->type == SL_REC_END) {
		OUT(o, ",\"packets\":");
		out_u64(o, (uint64_t)r->packets[0] + r->packets[1]);
		OUT(o, ",\"bytes\":");
		out_long(o, SL_MIN(r->bytes[0], (uint64_t)INT64_MAX) +
				    SL_MIN(r->bytes[1], (uint64_t)INT64_MAX));
	}
	OUT(o, "},");
}

/** Of a handshake: who began it. */
static void
out_initiator(struct sl_out *o, const struct sl_rec *r)
{
	if (r->flags & SL_RF_FROM_TUNNEL)
		OUT(o, "\"network\":{\"direction\":\"inbound\"},");
	else
		OUT(o, "\"network\":{\"direction\":\"outbound\"},");
}

static void
out_role_name(struct sl_out *o, const struct sl_names_policy *p, unsigned role)
{
	out_strz(o, role < p->n_roles ? p->roles[role].name : "unknown");
}

/** Rule 0 is what holds where no rule decides. */
static void
out_rule(struct sl_out *o, const struct sl_rec *r, const struct sl_names_policy *p,
	 const char *zone)
{
	char name[2 * SL_POL_NAME + 16];
	const struct sl_names_rule *rule = r->rule < p->n_rules ? &p->rules[r->rule] : NULL;
	const char *role = rule != NULL && rule->role < p->n_roles ? p->roles[rule->role].name : "";

	OUT(o, "\"rule\":{\"id\":\"");
	if (rule != NULL) {
		out_u64(o, rule->id);
		snprintf(name, sizeof(name), "%s/%u", role, rule->id);
		OUT(o, "\",\"name\":");
		out_strz(o, name);
		snprintf(name, sizeof(name), "role:%s", role);
		OUT(o, ",\"ruleset\":");
		out_strz(o, name);
	} else if (r->reason == SL_RR_NO_ROLE) {
		OUT(o, "0\",\"name\":\"no-role\"");
	} else if (r->reason == SL_RR_WITHDRAWN) {
		OUT(o, "0\",\"name\":\"target-withdrawn\"");
	} else if (zone != NULL) {
		snprintf(name, sizeof(name), "zone:%s", zone);
		OUT(o, "0\",\"name\":\"zone-default\",\"ruleset\":");
		out_strz(o, name);
	} else {
		OUT(o, "0\",\"name\":\"default-deny\"");
	}
	OUT(o, ",\"version\":\"");
	out_u64(o, p->version);
	OUT(o, "\"},");
}

static void
out_peer(struct sl_out *o, const struct sl_names *names, const struct sl_rec *r, const char *iface)
{
	const struct sl_names_peer *peer = sl_names_peer(names, r->peer_id);

	if (r->peer_id >= SL_NAMES_PEERS)
		return;
	OUT(o, "\"peer\":{\"id\":");
	out_u64(o, r->peer_id);
	if (peer != NULL) {
		OUT(o, ",\"name\":");
		out_strz(o, peer->name);
		if (peer->key[0] != '\0') {
			OUT(o, ",\"public_key\":");
			out_strz(o, peer->key);
		}
	}
	if (iface[0] != '\0') {
		OUT(o, ",\"interface\":");
		out_strz(o, iface);
	}
	OUT(o, "},");
}

static void
out_flag(struct sl_out *o, const char *name, const struct sl_rec *r, unsigned flag)
{
	OUT(o, ",\"");
	out_text(o, name);
	OUT(o, "\":");
	out_bool(o, (r->flags & flag) != 0);
}

static void
out_authz(struct sl_out *o, const struct sl_rec *r)
{
	bool would = (r->flags & SL_RF_ALLOW) != 0, enforced = (r->flags & SL_RF_ENFORCED) != 0;

	if (enforced)
		OUT(o, "\"authz\":{\"mode\":\"enforce\"");
	else
		OUT(o, "\"authz\":{\"mode\":\"observe\"");
	if (would || !enforced)
		OUT(o, ",\"verdict\":\"allow\"");
	else
		OUT(o, ",\"verdict\":\"deny\"");
	if (would)
		OUT(o, ",\"would\":\"allow\"");
	else
		OUT(o, ",\"would\":\"deny\"");
	out_flag(o, "stale", r, SL_RF_STALE);
	out_flag(o, "multi_role", r, SL_RF_MULTI_ROLE);
	out_flag(o, "cached", r, SL_RF_CACHED);
	out_flag(o, "midstream", r, SL_RF_MIDSTREAM);
	out_flag(o, "no_target", r, SL_RF_NO_TARGET);
	OUT(o, "},");
}

static void
out_policy(struct sl_out *o, const struct sl_rec *r, const struct sl_names_policy *p,
	   const char *zone)
{
	if (p != NULL && r->role < p->n_roles) {
		OUT(o, "\"role\":{\"id\":");
		out_u64(o, p->roles[r->role].id);
		OUT(o, ",\"name\":");
		out_role_name(o, p, r->role);
		OUT(o, "},");
	}
	if (p != NULL && r->target < p->n_targets) {
		OUT(o, "\"target\":{\"name\":");
		out_strz(o, p->targets[r->target].name);
		OUT(o, "},");
	}
	if (zone != NULL) {
		OUT(o, "\"zone\":");
		out_strz(o, zone);
		OUT(o, ",");
	}
	out_authz(o, r);
	if (p != NULL && r->rule < p->n_rules && p->rules[r->rule].log > 1) {
		OUT(o, "\"sample\":");
		out_u64(o, p->rules[r->rule].log);
		OUT(o, ",");
	}
	if (r->generation == 0)
		return;
	OUT(o, "\"policy\":{\"generation\":");
	out_u64(o, p != NULL ? p->generation : r->generation);
	if (p != NULL) {
		OUT(o, ",\"version\":");
		out_u64(o, p->version);
	}
	OUT(o, "},");
}

static const char *
event_type(const struct kind *k, const struct sl_rec *r)
{
	if (r->type != SL_REC_DENY && r->type != SL_REC_WOULD_DENY)
		return k->event_type;
	return r->reason == SL_RR_NO_ROLE     ? "NoRoleFound"
	       : r->reason == SL_RR_MAP_ERROR ? "MapLookupError"
					      : k->event_type;
}

struct sl_line *
sl_format_record(struct sl_format *f, const struct sl_names *names, const struct sl_rec *r,
		 uint64_t wall_ns, uint64_t seq)
{
	const struct kind *k = r->type < SL_REC_TYPES ? &kinds[r->type] : &unknown_kind;
	const struct sl_names_policy *p =
		r->generation != 0 ? sl_names_policy_find(names, r->generation) : NULL;
	const char *zone = p != NULL && r->zone < p->n_zones ? p->zones[r->zone].name : NULL;
	const char *iface = sl_names_iface(names, r->iface);
	bool flow = k->of == FLOW && r->version != 0;
	char buf[SL_FORMAT_LINE];
	struct sl_out o = {buf, buf + sizeof(buf), false};

	out_head(f, &o, wall_ns);
	out_event(f, &o, k, r, wall_ns, seq);
	out_observer(f, &o, r, zone, iface);
	if (flow) {
		OUT(&o, "\"source\":");
		out_endpoint(&o, r, 0);
		OUT(&o, "\"destination\":");
		out_endpoint(&o, r, 1);
		out_network(f, &o, r);
	}
	if (k->of == SESSION && r->type != SL_REC_SESSION_CLOSE)
		out_initiator(&o, r);
	if (flow && p != NULL)
		out_rule(&o, r, p, zone);
	OUT(&o, "\"sluice\":{\"event_type\":\"");
	out_text(&o, event_type(k, r));
	OUT(&o, "\",");
	out_peer(&o, names, r, iface);
	if (flow)
		out_policy(&o, r, p, zone);
	if (k->of != SESSION) {
		OUT(&o, "\"hook\":");
		out_strz(&o, sl_stats_stage_text(r->stage));
		OUT(&o, ",");
	}
	OUT(&o, "\"count\":");
	out_u64(&o, r->count);
	OUT(&o, "}}\n");
	return o.full ? NULL : sl_line_new(buf, (size_t)(o.p - buf), seq, k->severity, k->action);
}

/* --- events of control and of the drain ------------------------------------------------------- */

static json_t *
event_tree(struct sl_format *f, const struct sl_format_event *ev, uint64_t wall_ns, uint64_t seq)
{
	char observer[sizeof(f->observer) + 8], id[SL_FORMAT_ID + 24], stamp[SL_FORMAT_STAMP + 1];
	struct sl_out o = {stamp, stamp + SL_FORMAT_STAMP, false};
	json_t *tree, *obs;

	snprintf(observer, sizeof(observer), "{%s}}", f->observer);
	snprintf(id, sizeof(id), "%s%llu", f->prefix, (unsigned long long)seq);
	sl_format_time(f, &o, wall_ns);
	stamp[SL_FORMAT_STAMP] = '\0';
	obs = json_loads(observer, 0, NULL);
	tree = json_pack("{s:s, s:{s:s}, s:{s:s, s:[s], s:[s], s:s, s:s, s:s, s:s, s:I}}",
			 "@timestamp", stamp, "ecs", "version", ECS_VERSION, "event", "kind",
			 ev->kind, "category", ev->category, "type", ev->type, "action", ev->action,
			 "outcome", ev->outcome, "dataset", ev->dataset, "id", id, "sequence",
			 (json_int_t)seq);
	if (tree != NULL && obs != NULL)
		json_object_update(tree, obs);
	json_decref(obs);
	return tree;
}

struct sl_line *
sl_format_event(struct sl_format *f, const struct sl_format_event *ev, uint64_t wall_ns,
		uint64_t seq)
{
	json_t *tree = event_tree(f, ev, wall_ns, seq);
	struct sl_line *l = NULL;
	char *text = NULL;
	size_t n;

	if (tree != NULL && json_is_object(ev->fields))
		json_object_update_recursive(tree, ev->fields);
	if (tree != NULL)
		text = json_dumps(tree, JSON_COMPACT);
	if (text != NULL) {
		n = strlen(text);
		text[n] = '\n'; /* in place of its zero */
		l = sl_line_new(text, n + 1, seq, ev->severity, ev->action);
	}
	if (l != NULL)
		l->kind = SL_LINE_ADMIN;
	free(text);
	json_decref(tree);
	return l;
}
