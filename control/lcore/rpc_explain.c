/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.explain: of a flow that is named, or of a packet of a capture. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_ip.h"

#define PACKET_MAX (256 * 1024)

/* --- a packet of a capture ---------------------------------------------------------------------
 */

static int
capture_failed(struct sl_error *e, const char *path, const char *why)
{
	sl_fail(e, -EINVAL, "pcap_invalid", path, "%.200s", why);
	sl_hint(e, "captures of inner packets are read: raw IP, Ethernet or Linux cooked");
	return -EINVAL;
}

/** Bytes before the IP header. @return -1: no link type that is known here */
static int
link_header(int type, const uint8_t *data, unsigned len)
{
	unsigned n = 14;

	switch (type) {
	case DLT_RAW:
	case 101: /* LINKTYPE_RAW as some tools write it */
		return 0;
	case DLT_NULL:
		return 4;
	case DLT_LINUX_SLL:
		return 16;
	case DLT_LINUX_SLL2:
		return 20;
	case DLT_EN10MB:
		while (n + 4 <= len && (sl_load_be16(data + n - 2) == 0x8100 ||
					sl_load_be16(data + n - 2) == 0x88a8))
			n += 4;
		return (int)n;
	default:
		return -1;
	}
}

/** A capture may have cut the packet: what is cut counts as zeros. */
static int
parse_ip(const uint8_t *data, unsigned caplen, unsigned len, struct sl_gw_question *q)
{
	uint8_t *whole = calloc(1, SL_MAX(caplen, len));
	struct sl_ip_info ip;
	enum sl_drop drop;

	if (!whole)
		return -ENOMEM;
	memcpy(whole, data, caplen);
	drop = sl_ip_parse_packet(whole, SL_MAX(caplen, len), false, &ip);
	if (drop == SL_DROP_NONE) {
		q->src = ip.version == 4 ? sl_ip_v4(ip.src) : sl_ip_v6(ip.src);
		q->dst = ip.version == 4 ? sl_ip_v4(ip.dst) : sl_ip_v6(ip.dst);
		q->proto = ip.proto;
		q->sport = ip.sport;
		q->dport = ip.dport;
	}
	free(whole);
	return drop == SL_DROP_NONE ? 0 : -EINVAL;
}

static int
flow_of_packet(int type, const struct pcap_pkthdr *h, const uint8_t *data, struct sl_gw_question *q,
	       struct sl_error *e)
{
	int skip = link_header(type, data, h->caplen);
	unsigned n;

	if (skip < 0)
		return capture_failed(e, "/pcap", "the capture has a link type that is not read");
	n = (unsigned)skip;
	if (n >= h->caplen || h->len < h->caplen || h->len > PACKET_MAX ||
	    parse_ip(data + n, h->caplen - n, h->len - n, q) != 0)
		return capture_failed(e, "/packet", "the packet is no IP packet");
	return 0;
}

/** A file, not a pipe or a device that answers when it likes. @return NULL with an error */
static pcap_t *
open_capture(const char *file, struct sl_error *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	pcap_t *p = NULL;
	FILE *f = NULL;

	if (fd < 0 || fstat(fd, &st) != 0)
		snprintf(why, sizeof(why), "%.150s: %s", file, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, sizeof(why), "%.150s is no file", file);
	else
		f = fdopen(fd, "r");
	if (f)
		p = pcap_fopen_offline(f, why); /* closes it, unless it fails */
	if (f && !p)
		fclose(f);
	else if (!f && fd >= 0)
		close(fd);
	if (!p)
		capture_failed(e, "/pcap", why);
	return p;
}

static int
read_packet(const char *file, uint64_t number, struct sl_gw_question *q, struct sl_error *e)
{
	struct pcap_pkthdr *h = NULL;
	const uint8_t *data = NULL;
	pcap_t *p;
	int rc = 1;

	if (file[0] != '/')
		return sl_fail(e, -EINVAL, "path_relative", "/pcap",
			       "\"%.200s\" is not an absolute path", file);
	p = open_capture(file, e);
	if (!p)
		return e->err;
	for (uint64_t i = 0; rc == 1 && i < number; i++)
		rc = pcap_next_ex(p, &h, &data);
	if (rc == 1)
		rc = flow_of_packet(pcap_datalink(p), h, data, q, e);
	else
		rc = capture_failed(e, "/packet", "the capture has no packet of that number");
	pcap_close(p);
	return rc;
}

/* --- the question ----------------------------------------------------------------------------- */

int
ctl_packet_proto(bool has, const char *text, struct sl_gw_question *q, struct sl_error *e)
{
	int proto = sl_proto_parse(has ? text : "tcp");

	if (proto < 0 || proto > UINT8_MAX) {
		sl_fail(e, -EINVAL, "enum_invalid", "/protocol",
			"\"%.8s\" is no protocol of a packet", text);
		sl_hint(e, "tcp, udp, icmp, icmpv6 or a number");
		return -EINVAL;
	}
	q->proto = (uint8_t)proto;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		q->sport = q->dport = 0;
	return 0;
}

static int
question(const struct sl_rpc_policy_explain *p, struct sl_gw_question *q, struct sl_error *e)
{
	*q = (struct sl_gw_question){.iface = p->interface,
				     .peer = p->peer,
				     .src = p->src,
				     .dst = p->dst,
				     .sport = (uint16_t)p->sport,
				     .dport = (uint16_t)p->dport,
				     .from_inside = p->from == 1};
	if (p->has_pcap)
		return read_packet(p->pcap, p->has_packet ? (uint64_t)p->packet : 1, q, e);
	return ctl_packet_proto(p->has_protocol, p->protocol, q, e);
}

/* --- the answer --------------------------------------------------------------------------------
 */

static json_t *
rule_name(const struct sl_polset *s, uint32_t rule)
{
	const struct sl_polset_rule *r = &s->rules[rule];

	return json_sprintf("%s/%u", s->roles[r->role].name, r->id);
}

static json_t *
because(const struct sl_polset *s, const struct sl_gw_explained_role *r)
{
	const struct sl_polset_rule *rule = r->rule != SL_POL_NONE ? &s->rules[r->rule] : NULL;

	if (r->t.expired)
		return json_string("the subject's time in this role is over");
	if (r->t.entry != SL_POL_NONE)
		return json_sprintf("rule %u matches with priority %u%s", rule->id, rule->priority,
				    r->t.mirrored ? ", bidirectional and seen from inside" : "");
	if (!rule)
		return json_sprintf("the role has no %srule for this IP version",
				    r->t.mirrored ? "bidirectional " : "");
	return json_sprintf("no rule matches; nearest is rule %u, but for %s", rule->id, r->miss);
}

static json_t *
roles_json(const struct sl_gw_explanation *x)
{
	const struct sl_polset *s = x->view->set;
	json_t *list = json_array(), *o;

	for (unsigned i = 0; i < x->n_roles; i++) {
		const struct sl_gw_explained_role *r = &x->roles[i];
		bool votes = r->t.entry != SL_POL_NONE;

		o = json_pack("{s:s, s:s, s:s, s:o}", "role", s->roles[r->t.role].name, "through",
			      r->through_peer ? "peer" : "source", "vote",
			      !votes	 ? "none"
			      : r->allow ? "allow"
					 : "deny",
			      "because", because(s, r));
		if (o && votes)
			json_object_set_new(o, "rule", rule_name(s, r->rule));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
notes_json(const struct sl_gw_explanation *x)
{
	json_t *list = json_array();

	if (!x->view->set)
		json_array_append_new(list, json_string("no policy is loaded: nobody has a role"));
	if (!x->peer)
		json_array_append_new(
			list, json_string(x->flow.from_inside
						  ? "no peer has the destination: dropped, no_peer"
						  : "no peer has the source"));
	if (x->spoofed)
		json_array_append_new(
			list,
			json_string(x->flow.from_inside
					    ? "the destination is not among the peer's AllowedIPs"
					    : "the source is not among the peer's AllowedIPs: "
					      "dropped in every mode"));
	if (x->judgement.why == SL_WHY_WITHDRAWN)
		json_array_append_new(list,
				      json_string(
					      "the target is withdrawn: it is reached another way, "
					      "and nothing passes in any mode"));
	if (x->isolated)
		json_array_append_new(list, json_string("both ends are peers and the interface "
							"isolates them: dropped in every mode"));
	if (x->disabled)
		json_array_append_new(list, json_string("the peer is disabled: nothing passes"));
	if (x->expired)
		json_array_append_new(list, json_string("the peer's time is over: nothing passes"));
	if (x->panic)
		json_array_append_new(list,
				      json_string(
					      "the panic switch is on: everything is observed"));
	return list;
}

/** Would such a packet be forwarded now? */
static bool
forwarded(const struct sl_gw_explanation *x)
{
	if (!x->peer || (x->spoofed && !x->flow.from_inside) || x->isolated || x->disabled ||
	    x->expired)
		return false;
	return x->judgement.allow ||
	       (x->mode == SL_MODE_OBSERVE && x->judgement.why != SL_WHY_WITHDRAWN);
}

static const char *
why_text(const struct sl_gw_explanation *x)
{
	return sl_why_text(x->disagree ? SL_WHY_MAP_ERROR : x->judgement.why);
}

static json_t *
log_text(uint32_t log)
{
	return log > 1 ? json_sprintf("sample:1/%u", log) : json_string(log ? "all" : "none");
}

static json_t *
answer(const struct sl_gw_explanation *x)
{
	const struct sl_judgement *j = &x->judgement;
	const struct sl_polset *s = x->view->set;
	bool zone = s && j->zone != SL_POL_NONE16;
	char proto[8];
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:i, s:s, s:I, s:o, s:o}",
		"verdict", j->allow ? "allow" : "deny", "effective",
		forwarded(x) ? "forwarded" : "dropped", "mode",
		x->mode == SL_MODE_ENFORCE ? "enforce" : "observe", "why", why_text(x), "interface",
		x->iface, "from", x->flow.from_inside ? "inside" : "tunnel", "src", ctl_ip(&x->src),
		"dst", ctl_ip(&x->dst), "protocol", sl_proto_str(x->flow.f.proto, proto), "sport",
		(int)x->flow.f.sport, "dport", (int)x->flow.f.dport, "zone_default",
		zone && s->zones[j->zone].allow ? "allow" : "deny", "generation",
		(json_int_t)(s ? s->generation : 0), "roles", roles_json(x), "notes",
		notes_json(x));

	if (o && x->peer)
		json_object_set_new(o, "peer", json_string(x->peer));
	if (o && zone)
		json_object_set_new(o, "zone", json_string(s->zones[j->zone].name));
	if (o && s && j->target != SL_POL_NONE16)
		json_object_set_new(o, "target", json_string(s->targets[j->target].name));
	if (o && s && j->rule != SL_POL_NONE) {
		json_object_set_new(o, "rule", rule_name(s, j->rule));
		json_object_set_new(o, "log", log_text(s->rules[j->rule].log));
	}
	return o;
}

static int
explain(struct sl_ctl *ctl, const struct sl_gw_question *q, json_t **result, struct sl_error *e)
{
	struct sl_gw_explanation x = {0};
	int rc = sl_gw_explain(ctl->gw, q, &x, e);

	if (rc == 0)
		rc = ctl_answer(result, answer(&x));
	free(x.roles);
	return rc;
}

/** A capture may be long: it is read beside the loop. */
struct reading {
	struct sl_rpc_work work;
	struct sl_ctl *ctl;
	struct sl_rpc_later *later;
	const struct sl_rpc_policy_explain *p; /* valid until the answer */
	struct sl_gw_question q;
	struct sl_error e;
	int rc;
};

static void
read_beside(struct sl_rpc_work *w)
{
	struct reading *r = SL_CONTAINER_OF(w, struct reading, work);

	r->rc = question(r->p, &r->q, &r->e);
}

static void
was_read(struct sl_rpc_work *w)
{
	struct reading *r = SL_CONTAINER_OF(w, struct reading, work);
	json_t *result = NULL;

	if (r->rc == 0)
		r->rc = explain(r->ctl, &r->q, &result, &r->e);
	sl_rpc_answer(r->later, r->rc, result, &r->e);
	free(r);
}

/** @return SL_RPC_LATER, or 0: here and now */
static int
begin_reading(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	      const struct sl_rpc_policy_explain *p)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (r)
		r->later = sl_rpc_later(caller);
	if (!r || !r->later) {
		free(r);
		return 0;
	}
	r->work = (struct sl_rpc_work){.run = read_beside, .done = was_read};
	r->ctl = ctl;
	r->p = p;
	if (!ctl_work_give(ctl, &r->work)) {
		read_beside(&r->work);
		was_read(&r->work);
	}
	return SL_RPC_LATER;
}

int
sl_rpc_h_policy_explain(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_policy_explain *p, json_t **result, struct sl_error *e)
{
	struct sl_gw_question q;
	int rc = p->has_pcap ? begin_reading(user, caller, p) : 0;

	if (rc == SL_RPC_LATER)
		return rc;
	rc = question(p, &q, e);
	return rc ? rc : explain(user, &q, result, e);
}
