/* SPDX-License-Identifier: BSD-3-Clause */
#include "secret_field.h"

#include <ctype.h>
#include <stdio.h>

static const char *const words[] = {"privatekey", "presharedkey", "secretkey", "sharedsecret",
				    "psk"};

static int
refuse(struct sl_error *e, const char *path)
{
	sl_fail(e, -EPERM, "secret_field", path,
		"a private or preshared key is never accepted here");
	sl_hint(e, "send the public key; private keys stay where they were made");
	return -EPERM;
}

/** Letters alone, in lower case: private_key, PrivateKey and private-key are the same. */
static bool
is_secret_name(const char *name, size_t len)
{
	char plain[24];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '_' || c == '-' || c == ' ')
			continue;
		if (n == sizeof(plain) - 1)
			return false;
		plain[n++] = (char)tolower(c);
	}
	plain[n] = '\0';
	for (size_t i = 0; i < SL_ARRAY_SIZE(words); i++) {
		if (strcmp(plain, words[i]) == 0)
			return true;
	}
	return false;
}

/** A word, then blanks or a closing quote, then = or :, then something. */
int
sl_secret_text_check(const char *text, size_t len, struct sl_error *e)
{
	for (size_t i = 0; i < len; i++) {
		size_t word = i, end;

		if (!isalpha((unsigned char)text[i]) ||
		    (i > 0 && isalnum((unsigned char)text[i - 1])))
			continue;
		while (word < len && word - i < 24 &&
		       (isalnum((unsigned char)text[word]) || strchr("_-", text[word]) != NULL) &&
		       text[word] != '\0')
			word++;
		if (!is_secret_name(text + i, word - i))
			continue;
		for (end = word; end < len && (text[end] == '"' || text[end] == '\\' ||
					       isspace((unsigned char)text[end]));
		     end++)
			;
		if (end < len && (text[end] == '=' || text[end] == ':'))
			return refuse(e, "");
	}
	return 0;
}

static int
check(const json_t *v, unsigned depth, struct sl_error *e)
{
	const char *name;
	json_t *child;
	size_t i;
	int rc = 0;

	if (depth == 0)
		return sl_fail(e, -EINVAL, "json_too_deep", "", "the body nests too deeply");
	if (json_is_string(v))
		return sl_secret_text_check(json_string_value(v), json_string_length(v), e);
	json_object_foreach ((json_t *)v, name, child) {
		if (is_secret_name(name, strlen(name))) {
			refuse(e, "");
			rc = -EPERM;
		} else {
			rc = check(child, depth - 1, e);
		}
		if (rc != 0) {
			sl_error_under(e, "/%.40s", name);
			return rc;
		}
	}
	json_array_foreach ((json_t *)v, i, child) {
		rc = check(child, depth - 1, e);
		if (rc != 0) {
			sl_error_under(e, "/%zu", i);
			return rc;
		}
	}
	return 0;
}

int
sl_secret_field_check(const json_t *v, struct sl_error *e)
{
	return check(v, 32, e);
}
