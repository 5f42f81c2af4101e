/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the configuration file: values as JSON that remember their lines. */
#ifndef SL_CONFIG_INT_H
#define SL_CONFIG_INT_H

#include <libconfig.h>

#include "sl_config.h"

/** Line of each value of one call, by JSON pointer. */
struct sl_config_line {
	char *path;
	unsigned line;
};

struct sl_config_call {
	const char *method;
	json_t *params;
	struct sl_config_line *lines;
	unsigned n_lines;
	unsigned line; /* of the group */
};

enum key_type { KEY_STRING, KEY_INT, KEY_BOOL, KEY_LIST, KEY_GROUP };

/** A setting that a group may have. */
struct key {
	const char *name;
	enum key_type type;
	long long min, max;
};

/** Fill `e` with "FILE:LINE: text". */
int sl_config_fail(const struct sl_config *c, unsigned line, struct sl_error *e, int err,
		   const char *reason, const char *path, const char *fmt, ...) SL_PRINTF(7, 8);

/** -EINVAL at a setting: "FILE:LINE: PATH: text". */
int sl_config_fail_setting(const struct sl_config *c, const config_setting_t *s, struct sl_error *e,
			   const char *reason, const char *at, const char *text);

/** config_text.c: the file's text for libconfig. @param[out] out malloc'ed;
 * @return 0; -ENOENT file, -EINVAL not_utf8 (UTF-16, or a zero byte) with `e` filled */
int sl_config_text(const struct sl_config *c, char **out, struct sl_error *e);

/** Every member of a group (NULL: none) is known, of its type and in its range. */
int sl_config_check_keys(struct sl_config *c, const config_setting_t *group, const char *path,
			 const struct key *keys, unsigned n, struct sl_error *e);

/** config_remote.c: the group `control.tls`; NULL: not there. */
int sl_config_load_remote(struct sl_config *c, const config_setting_t *s, struct sl_error *e);

/** config_audit.c: the group `audit`; NULL: not there. */
int sl_config_load_audit(struct sl_config *c, const config_setting_t *s, struct sl_error *e);
/** What sinks name is there: files to read, directories to write to, URLs. */
int sl_config_check_audit(const struct sl_config *c, struct sl_error *e);
void sl_config_audit_clear(struct sl_config_audit *a);

/** config_metrics.c: the group `metrics`; NULL: not there. */
int sl_config_load_metrics(struct sl_config *c, const config_setting_t *s, struct sl_error *e);

/** config_cp.c: the group `control_plane`; NULL: not there. */
int sl_config_load_cp(struct sl_config *c, const config_setting_t *s, struct sl_error *e);
/** Against the rest of the file. */
int sl_config_check_cp(const struct sl_config *c, struct sl_error *e);
void sl_config_cp_free(struct sl_config_cp *p);

/** A setting as JSON; records the line of each value under `path`. NULL on no memory. */
json_t *sl_config_to_json(struct sl_config_call *call, const config_setting_t *s, const char *path);
/** Line of a JSON pointer of a call: the nearest recorded ancestor. */
unsigned sl_config_line_of(const struct sl_config_call *call, const char *path);
void sl_config_call_clear(struct sl_config_call *call);

/** "FILE:LINE: text" of what a check of one call's parameters found. @return its errno */
int sl_config_call_fail(const struct sl_config *c, const struct sl_config_call *call,
			struct sl_error *e, const struct sl_error *inner);
/** config_value.c: what the gateway would refuse of single values. */
int sl_config_check_values(const struct sl_config *c, struct sl_error *e);
/** config_hop.c: what it would refuse of insides, routes and neighbours. */
int sl_config_check_hops(const struct sl_config *c, struct sl_error *e);

/** config_limit.c: more interfaces, peers, routes or prefixes with a mode than it has room for. */
int sl_config_check_limits(const struct sl_config *c, struct sl_error *e);

/** "FILE:LINE: POLICY FILE: POINTER: text" of what is wrong in the policy's document. */
int sl_config_policy_fail(const struct sl_config *c, struct sl_error *e,
			  const struct sl_error *inner);

/** What is wrong with the file, before anything starts: values, and conflicts of names, listen
 * ports, prefixes, key files. */
int sl_config_check(const struct sl_config *c, struct sl_error *e);

#endif
