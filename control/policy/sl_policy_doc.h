/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The policy document: JSON text to model and back. Comments and trailing commas are allowed on
 * input; duplicate keys and unknown fields are errors. Shared by the gateway, the control plane and
 * the tools; knows neither. docs/policy.md is its reference.
 *
 * Errors name the place: a JSON pointer in `path`, and line and column in the message where the
 * text is no JSON.
 */
#ifndef SL_POLICY_DOC_H
#define SL_POLICY_DOC_H

#include <jansson.h>

#include "sl_polset.h"

#define SL_POLICY_DOC_MAX (64U << 20)

/**
 * Parse text into a model; shapes and types are checked here, meaning by sl_policy_check().
 * Reasons: json_syntax, json_too_large (bytes, or more than 2^20 values), field_unknown,
 * field_missing, field_type, field_range, enum_invalid, name_invalid, interface_invalid,
 * prefix_invalid, ip_invalid, time_invalid, ports_invalid, ports_need_tcp_or_udp, member_invalid,
 * role_id_invalid, rule_id_invalid, no_memory.
 * @return 0 or a negative errno with `e`
 */
int sl_policy_doc_parse(const char *text, size_t len, struct sl_policy **out, struct sl_error *e);

/**
 * From JSON as people write it to JSON: blank comments and trailing commas, byte for byte, so that
 * places in the text stay what they are. Reasons: json_syntax (a comment without end),
 * json_too_large (values).
 * @return 0, -EINVAL, -EFBIG with `e`
 */
int sl_policy_doc_clean(char *text, size_t len, struct sl_error *e);

/** A canonical document of a model (without comments). @return NULL without memory */
json_t *sl_policy_doc_emit(const struct sl_policy *p);

/** RFC 3339 in UTC ("2027-01-31T00:00:00Z", also with a fraction, of which milliseconds count; a
 * date alone is its begin). @return 0, -EINVAL */
int sl_time_parse(const char *s, uint64_t *wall_ns);
/** With milliseconds where there are any. @param buf at least 25 bytes */
const char *sl_time_str(uint64_t wall_ns, char buf[32]);

/** "tcp", "udp", "icmp", "icmpv6", "any" or a number. @return -1 if none of these */
int sl_proto_parse(const char *s);
const char *sl_proto_str(unsigned proto, char buf[8]);

/** What the tests of a document need to know of peers. */
struct sl_policy_test_env {
	/**
	 * Interface id, classes and an address of a peer under the policy tested: of the family
	 * q->flow.version, NULL if it has none of that. @return false if no peer has this name
	 * (then its place in members decides by name alone)
	 */
	bool (*peer)(void *ctx, const char *name, struct sl_polset_query *q);
	/** Class of a source address; NULL: none. */
	const struct sl_class *(*source)(void *ctx, uint16_t iface, const struct sl_ip *ip);
	/** Id of an interface, 0: not here. May be NULL. */
	uint16_t (*iface)(void *ctx, const char *name);
	void *ctx;
	uint64_t now_ns;
};

/**
 * Run the document's tests on its compiled form by sl_polset_eval(). @return 0; -EINVAL test_failed
 * at /tests/N with expectation and outcome in the message (the first one that fails)
 */
int sl_policy_doc_test(const struct sl_policy *p, const struct sl_polset *s,
		       const struct sl_policy_test_env *env, unsigned *n_run, struct sl_error *e);

#endif
