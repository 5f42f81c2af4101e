/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The control plane's REST API, asked by libcurl: one connection, JSON in and out. */
#ifndef SLUICECTL_REST_H
#define SLUICECTL_REST_H

#include <jansson.h>
#include <stdio.h>

#include "sluicectl.h"

struct rest;

struct rest_conf {
	const char *url; /* https://HOST[:PORT], no path; http only for loopback */
	const char *ca_file, *cert_file, *key_file, *token_file; /* NULL: none, ca: the system's */
};

/** Reads the token; nothing is sent yet. @return NULL with an error */
struct rest *rest_open(const struct rest_conf *c, struct sl_error *e);
void rest_close(struct rest *r);

struct rest_call {
	const char *method;   /* "GET", ... */
	const char *path;     /* "/peers/alice", under /api/v1; already escaped */
	const json_t *body;   /* NULL: none */
	const char *text;     /* instead of body: as it is, application/json */
	const char *if_match; /* revision; "": only if nothing is there; NULL: whatever is */
	bool once;	      /* an Idempotency-Key of its own */
	FILE *to;	      /* a good answer is written there as it comes; NULL: kept */
};
struct rest_answer {
	json_t *json;	/* NULL: the answer is none, or a text; see text */
	char *text;	/* body as it came, zero at its end */
	char etag[64];	/* revision, "" */
	char seq[24];	/* of the log, "" */
	char retry[16]; /* seconds to wait, "" */
	char type[64];	/* of the body, "" */
};
/** @return 0, or an exit code with `e` filled from the problem that was told */
int rest_call(struct rest *r, const struct rest_call *c, struct rest_answer *a, struct sl_error *e);
void rest_answer_free(struct rest_answer *a);
/** Escape a part of a path or a query. curl_free() frees it. */
char *rest_escape(struct rest *r, const char *text);

#endif
