/* SPDX-License-Identifier: BSD-3-Clause */
/* One operation asked: its URL, all pages, the revision that a change is made on. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

/** The path with its parameters and the query. @return malloc'ed */
static char *
url_of(struct rest *r, const struct control_request *q, const char *after)
{
	const char *at = q->op->path, *key;
	char *out = NULL, *part, sep = '?';
	size_t size;
	FILE *f = open_memstream(&out, &size);
	json_t *value;

	while (f && *at) {
		size_t n = strcspn(at, "{");

		fwrite(at, 1, n, f);
		at += n;
		if (!*at)
			break;
		n = strcspn(at, "}");
		value = json_object_getn(q->path, at + 1, n - 1);
		part = rest_escape(r, value ? json_string_value(value) : "");
		fputs(part ? part : "", f);
		curl_free(part);
		at += n + (at[n] == '}');
	}
	json_object_foreach (q->query, key, value) {
		part = rest_escape(r, json_string_value(value));
		fprintf(f, "%c%s=%s", sep, key, part ? part : "");
		curl_free(part);
		sep = '&';
	}
	if (after) {
		part = rest_escape(r, after);
		fprintf(f, "%cafter=%s", sep, part ? part : "");
		curl_free(part);
	}
	if (f)
		fclose(f);
	return out;
}

/** The revision that is there now: what is on the screen is what is changed, unless somebody was
 * faster. "": nothing is there, and PUT makes it. */
static int
revision(struct rest *r, const struct op *op, const char *url, char etag[64], struct sl_error *e)
{
	char path[2048];
	struct rest_call c = {.method = "GET", .path = path};
	const char *verb = strrchr(op->path, '}'); /* "/enabled" of "/peers/{name}/enabled" */
	struct rest_answer a;
	int rc, n = (int)strcspn(url, "?");

	if (verb)
		n -= (int)strlen(verb + 1);
	snprintf(path, sizeof(path), "%.*s", n, url);
	rc = rest_call(r, &c, &a, e);
	snprintf(etag, 64, "%s", a.etag);
	rest_answer_free(&a);
	if (rc != EXIT_NOT_FOUND || strcmp(op->method, "PUT") != 0)
		return rc;
	*e = (struct sl_error){0};
	return 0;
}

/** The pages that follow are put behind the first. */
static int
more_pages(struct rest *r, const struct control_request *q, json_t *first, struct sl_error *e)
{
	int rc = 0;

	while (rc == 0 && json_is_array(json_object_get(first, "items")) &&
	       json_is_string(json_object_get(first, "next"))) {
		char *url = url_of(r, q, json_string_value(json_object_get(first, "next")));
		struct rest_call c = {.method = "GET", .path = url};
		struct rest_answer a;

		rc = url ? rest_call(r, &c, &a, e) : EXIT_FAILED;
		free(url);
		if (rc)
			break;
		json_array_extend(json_object_get(first, "items"),
				  json_object_get(a.json, "items"));
		json_object_del(first, "next");
		if (json_object_get(a.json, "next"))
			json_object_set(first, "next", json_object_get(a.json, "next"));
		rest_answer_free(&a);
	}
	return rc;
}

int
control_ask(struct rest *r, const struct control_request *q, struct rest_answer *a,
	    struct sl_error *e)
{
	struct rest_call c = {.method = q->op->method,
			      .text = q->text,
			      .once = q->op->once,
			      .to = q->to};
	bool one_page = json_object_get(q->query, "limit") || json_object_get(q->query, "after");
	char etag[64] = "", *url = url_of(r, q, NULL);
	int rc = 0;

	memset(a, 0, sizeof(*a));
	if (!url) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return EXIT_FAILED;
	}
	c.path = url;
	c.body = q->op->has_body && !q->text ? q->body : NULL;
	if (q->if_match[0])
		snprintf(etag, sizeof(etag), "%s", q->if_match);
	else if (q->op->if_match)
		rc = revision(r, q->op, url, etag, e);
	c.if_match = q->op->if_match ? etag : NULL;
	rc = rc ? rc : rest_call(r, &c, a, e);
	free(url);
	if (rc == 0 && strcmp(c.method, "GET") == 0 && !one_page)
		rc = more_pages(r, q, a->json, e);
	return rc;
}
