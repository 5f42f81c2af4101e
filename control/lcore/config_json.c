/* SPDX-License-Identifier: BSD-3-Clause */
/* libconfig values as JSON that remember their lines. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_int.h"

#define PATH_LEN 256

int
sl_config_fail(const struct sl_config *c, unsigned line, struct sl_error *e, int err,
	       const char *reason, const char *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		sl_fail(e, err, reason, path, "%s:%u: %s", c->path, line, text);
	else
		sl_fail(e, err, reason, path, "%s: %s", c->path, text);
	/* the caller who knows more says more */
	sl_hint(e, "correct it; the example configuration (docs/examples/sluice.conf) shows every "
		   "setting with its default");
	return err;
}

int
sl_config_fail_setting(const struct sl_config *c, const config_setting_t *s, struct sl_error *e,
		       const char *reason, const char *at, const char *text)
{
	return sl_config_fail(c, config_setting_source_line(s), e, -EINVAL, reason, at, "%s: %s",
			      at + 1, text);
}

static int
record_line(struct sl_config_call *call, const char *path, unsigned line)
{
	struct sl_config_line *grown;

	if ((call->n_lines & (call->n_lines - 1)) == 0) { /* grow at powers of two */
		grown = realloc(call->lines, SL_MAX(call->n_lines * 2, 8U) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		call->lines = grown;
	}
	call->lines[call->n_lines].path = strdup(path);
	call->lines[call->n_lines].line = line;
	if (!call->lines[call->n_lines].path)
		return -ENOMEM;
	call->n_lines++;
	return 0;
}

static json_t *
aggregate_to_json(struct sl_config_call *call, const config_setting_t *s, const char *path)
{
	bool object = config_setting_is_group(s);
	json_t *out = object ? json_object() : json_array(), *item;
	char at[PATH_LEN];

	for (int i = 0; out && i < config_setting_length(s); i++) {
		const config_setting_t *m = config_setting_get_elem(s, (unsigned)i);

		if (object)
			snprintf(at, sizeof(at), "%s/%s", path, config_setting_name(m));
		else
			snprintf(at, sizeof(at), "%s/%d", path, i);
		item = sl_config_to_json(call, m, at);
		if (!item || (object ? json_object_set_new(out, config_setting_name(m), item)
				     : json_array_append_new(out, item))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

json_t *
sl_config_to_json(struct sl_config_call *call, const config_setting_t *s, const char *path)
{
	if (record_line(call, path, config_setting_source_line(s)))
		return NULL;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
		return json_integer(config_setting_get_int(s));
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(s));
	case CONFIG_TYPE_FLOAT:
		return json_real(config_setting_get_float(s));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(s));
	case CONFIG_TYPE_STRING:
		return json_string(config_setting_get_string(s));
	default:
		return aggregate_to_json(call, s, path);
	}
}

unsigned
sl_config_line_of(const struct sl_config_call *call, const char *path)
{
	size_t best_len = 0;
	unsigned line = call->line;

	for (unsigned i = 0; i < call->n_lines; i++) {
		size_t n = strlen(call->lines[i].path);

		if (n >= best_len && n > 0 && strncmp(call->lines[i].path, path, n) == 0 &&
		    (path[n] == 0 || path[n] == '/')) {
			best_len = n;
			line = call->lines[i].line;
		}
	}
	return line;
}

void
sl_config_call_clear(struct sl_config_call *call)
{
	for (unsigned i = 0; i < call->n_lines; i++)
		free(call->lines[i].path);
	free(call->lines);
	json_decref(call->params);
	memset(call, 0, sizeof(*call));
}
