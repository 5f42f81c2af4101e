/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What every reader of JSON needs: texts of an object, words for types, places. Any thread.
 */
#ifndef SL_JSON_H
#define SL_JSON_H

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "sl_base.h"

/** @return the text under a name; "" if there is none, or it is no text. The object's. */
static inline const char *
sl_json_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

/** Text that may hold a cut or foreign byte sequence: where it is no UTF-8, bytes above 0x7f become
 * '?'. Of such a text at most 320 bytes stay. */
static inline json_t *
sl_json_clean(const char *text)
{
	char clean[320];
	json_t *s = json_string(text);
	size_t n = strnlen(text, sizeof(clean));

	for (size_t i = 0; s == NULL && i < n; i++)
		clean[i] = (char)(text[i] & 0x80 ? '?' : text[i]);
	return s != NULL ? s : json_stringn(clean, n);
}

/** @return what a value is, for "%s is wanted here, not %s" */
static inline const char *
sl_json_type_text(const json_t *v)
{
	static const char *const is[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return is[json_typeof(v)];
}

static inline void sl_json_say(json_t *list, const char *fmt, ...) SL_PRINTF(2, 3);

/** @return how many values a text holds at most, before memory is taken for them. Where it is no
 * JSON, any number */
static inline size_t
sl_json_values_max(const char *text, size_t len)
{
	bool string = false;
	size_t n = 1;

	for (size_t i = 0; i < len; i++) {
		if (string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			string = !string;
		else if (!string)
			n += text[i] == ',' || text[i] == '[' || text[i] == '{';
	}
	return n;
}

/** Append a sentence to a list. */
static inline void
sl_json_say(json_t *list, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_array_append_new(list, json_vsprintf(fmt, ap));
	va_end(ap);
}

/**
 * Go down to a key of a JSON pointer (RFC 6901: '~' and '/' are written as ~0 and ~1); what has no
 * room is cut.
 * @param path [room]
 * @return the length before: a zero byte there goes up again
 */
static inline size_t
sl_json_down(char *path, size_t room, const char *key)
{
	size_t was = strlen(path), n = was;

	if (n < room - 1)
		path[n++] = '/';
	for (; *key != '\0' && n + 2 < room; key++) {
		if (*key == '~' || *key == '/') {
			path[n++] = '~';
			path[n++] = *key == '~' ? '0' : '1';
		} else {
			path[n++] = *key;
		}
	}
	path[n] = '\0';
	return was;
}

#endif
