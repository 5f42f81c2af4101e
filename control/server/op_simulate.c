/* SPDX-License-Identifier: BSD-3-Clause */
/* "Would this be allowed?": of the document in force, an older one, or one that is sent. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "judge.h"
#include "policy_text.h"
#include "sl_json.h"

/** The document that is asked about. */
static int
make_judge(struct sl_call *c, uint64_t wall_ns, uint64_t *version, struct judge **out,
	   struct sl_error *e)
{
	const json_t *doc = json_object_get(c->body, "policy");
	const json_t *wanted = json_object_get(c->body, "version");
	json_t *body = NULL;
	const char *text;
	char *sent;
	int rc;

	if (doc != NULL) {
		*version = 0;
		sent = json_dumps(doc, JSON_COMPACT);
		if (sent == NULL)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the document");
		*out = judge_new(c->store, sent, strlen(sent), wall_ns,
				 json_object_get(c->body, "at") != NULL, e);
		free(sent);
		if (*out == NULL)
			sl_error_under(e, "/policy");
		return *out != NULL ? 0 : e->err;
	}
	*version = json_is_integer(wanted) ? (uint64_t)json_integer_value(wanted)
					   : sl_store_policy_version(c->store);
	rc = policy_text(c->store, *version, &body, &text, e);
	if (rc == 0) {
		*out = judge_new(c->store, text, strlen(text), wall_ns, true, e);
		rc = *out != NULL ? 0 : e->err;
	}
	json_decref(body);
	return rc;
}

struct question {
	struct judge_subject who;
	struct sl_ip dst;
	int proto;
	uint16_t sport, dport;
	uint64_t wall_ns;
	unsigned idp_grace_h;
};

static int
read_ip(const json_t *o, const char *field, const char *path, struct sl_ip *out, struct sl_error *e)
{
	const char *text = sl_json_text(o, field);

	if (text[0] == '\0' || sl_ip_parse(text, out) == 0)
		return 0;
	return sl_fail(e, -EINVAL, "ip_invalid", path, "\"%.46s\" is no address", text);
}

/** The end that is not the tunnel's: one names it, and it alone. */
static int
read_ends(const json_t *body, struct question *q, const struct sl_ip *own, struct sl_error *e)
{
	bool inside = strcmp(sl_json_text(body, "from"), "inside") == 0;
	const char *far = inside ? "src" : "dst", *none = inside ? "dst" : "src";
	struct sl_ip other = {0};
	char path[8];
	int rc;

	snprintf(path, sizeof(path), "/%s", far);
	if (json_object_get(body, none) != NULL) {
		snprintf(path, sizeof(path), "/%s", none);
		sl_fail(e, -EINVAL, "field_unexpected", path, "%s is the subject's own", none);
		sl_hint(e, "of a flow from %s name %s, and the other end as subject.address",
			inside ? "inside" : "the tunnel", far);
		return -EINVAL;
	}
	if (json_object_get(body, far) == NULL)
		return sl_fail(e, -EINVAL, "field_missing", path, "\"%s\" is missing", far);
	rc = read_ip(body, far, path, &other, e);
	q->who.from_inside = inside;
	q->who.from = inside ? other : *own;
	q->dst = inside ? *own : other;
	return rc;
}

static int
read_subject(const json_t *s, struct question *q, struct sl_ip *own, struct sl_error *e)
{
	q->who = (struct judge_subject){
		.peer = json_string_value(json_object_get(s, "peer")),
		.roles = json_object_get(s, "roles"),
		.iface = sl_json_text(s, "interface"),
	};
	return read_ip(s, "address", "/subject/address", own, e);
}

static int
read_question(const json_t *body, struct question *q, struct sl_error *e)
{
	const char *proto = sl_json_text(body, "proto"), *at = sl_json_text(body, "at");
	const json_t *grace = json_object_get(body, "idp_grace_h");
	struct sl_ip own = {0};
	int rc;

	q->idp_grace_h = grace != NULL ? (unsigned)json_integer_value(grace) : JUDGE_IDP_GRACE_H;
	q->wall_ns = sl_rest_wall_ns();
	if (at[0] != '\0' && sl_time_parse(at, &q->wall_ns) != 0)
		return sl_fail(e, -EINVAL, "time_invalid", "/at",
			       "\"%.40s\" is no time (2027-01-31T12:00:00Z)", at);
	q->proto = sl_proto_parse(proto[0] != '\0' ? proto : "tcp");
	if (q->proto < 0 || q->proto > UINT8_MAX)
		return sl_fail(e, -EINVAL, "enum_invalid", "/proto",
			       "tcp, udp, icmp, icmpv6 or a number");
	q->sport = (uint16_t)json_integer_value(json_object_get(body, "sport"));
	q->dport = (uint16_t)json_integer_value(json_object_get(body, "dport"));
	rc = read_subject(json_object_get(body, "subject"), q, &own, e);
	return rc != 0 ? rc : read_ends(body, q, &own, e);
}

int
sl_op_simulate_policy(struct sl_call *c, struct sl_error *e)
{
	struct sl_simulated *x = calloc(1, sizeof(*x));
	struct judge *j = NULL;
	struct question q = {0};
	uint64_t version = 0;
	int rc;

	if (x == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to judge the policy");
	rc = read_question(c->body, &q, e);
	if (rc == 0)
		rc = make_judge(c, q.wall_ns, &version, &j, e);
	if (rc == 0) {
		judge_idp_grace(j, q.idp_grace_h);
		rc = judge_flow(j, &q.who, &q.dst, (unsigned)q.proto, q.sport, q.dport, x, e);
	}
	if (rc == 0)
		rc = sl_call_answer(c, 200, sl_simulated_json(x, version, q.wall_ns), e);
	free(x->made);
	free(x);
	judge_free(j);
	return rc;
}
