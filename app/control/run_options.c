/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "run.h"
#include "sl_log.h"

const char control_run_usage[] =
	"Usage: sluice-control run [OPTIONS]\n"
	"\n"
	"Serve the control plane: the REST API for people and programs, the replication stream\n"
	"for gateways and followers.\n"
	"\n"
	"      --state-dir DIR     store, pepper, certificates (default " CONTROL_STATE_DIR ")\n"
	"      --rest ADDR:PORT    REST over HTTPS (default 127.0.0.1:7443)\n"
	"      --repl ADDR:PORT    replication over TLS (default 0.0.0.0:7444)\n"
	"      --cert FILE --key FILE --ca FILE\n"
	"                          PEM: our certificate, its key (0600), who signs clients'\n"
	"                          (default DIR/tls/control.pem, control.key, ca.pem)\n"
	"      --mode MODE         primary or follower (default primary)\n"
	"      --source HOST:PORT  follower: where the state comes from; again for others, in "
	"order\n"
	"      --token-file FILE   follower: token of service role follower (default: the\n"
	"                          certificate is the login)\n"
	"      --allow-cert LIST   client certificates that may call: "
	"\"NAME=ROLE,ROLE;NAME=ROLE\"\n"
	"      --name NAME         of this server (default: the host's); a follower's token or\n"
	"                          certificate is bound to it\n"
	"      --public-url URL    where people reach the API; its host is accepted, and "
	"followers\n"
	"                          tell it to those who want to write\n"
	"      --heartbeat SECONDS of the replication stream (default 10)\n"
	"      --log-level L       err, warn, notice, info or debug\n"
	"  -h, --help              this text\n"
	"\n"
	"SIGHUP reads the certificates anew. SIGTERM and SIGINT end it. Exit status: 0 ended as\n"
	"asked, 1 error, 2 wrong usage.\n";

static int
wrong(const char *option, const char *value, const char *remedy)
{
	fprintf(stderr, "sluice-control run: --%s %s: %s\n", option, value, remedy);
	return 2;
}

static int
endpoint(const char *option, const char *text, struct sl_endpoint *out)
{
	const char *colon = strrchr(text, ':');

	if (colon != NULL && strcmp(colon, ":0") == 0) { /* any free port: for tests */
		char copy[SL_ENDPOINT_STR];

		snprintf(copy, sizeof(copy), "%.*s:1", (int)(colon - text), text);
		if (sl_endpoint_parse(copy, out) == 0) {
			out->port = 0;
			return 0;
		}
	}
	return sl_endpoint_parse(text, out) == 0
		       ? 0
		       : wrong(option, text, "use ADDRESS:PORT, as in 127.0.0.1:7443");
}

static int
add_source(struct run_options *o, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct sl_sub_source *s = &o->source[o->n_sources];
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	long port = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;

	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(s->host) || port < 1 || port > 65535)
		return wrong("source", text, "use HOST:PORT, as in control.example.net:7444");
	if (o->n_sources == RUN_SOURCES)
		return wrong("source", text, "too many sources");
	memcpy(s->host, text, n);
	s->host[n] = '\0';
	s->port = (uint16_t)port;
	o->n_sources++;
	return 0;
}

static int
log_level(const char *text)
{
	enum sl_log_level level;

	if (sl_log_level_parse(text, &level) != 0)
		return wrong("log-level", text, "use err, warn, notice, info or debug");
	sl_log_set_level(level);
	return 0;
}

static int
mode(struct run_options *o, const char *text)
{
	o->follower = strcmp(text, "follower") == 0;
	return o->follower || strcmp(text, "primary") == 0
		       ? 0
		       : wrong("mode", text, "use primary or follower");
}

static int
heartbeat(struct run_options *o, const char *text)
{
	long s = strtol(text, NULL, 10);

	if (s < 1 || s > 600)
		return wrong("heartbeat", text, "use 1 to 600 seconds");
	o->heartbeat_s = (unsigned)s;
	return 0;
}

static bool
is_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	       s[0] != '-' && s[n - 1] != '-';
}

static int
check(const struct run_options *o)
{
	if (o->follower && o->n_sources == 0)
		return wrong("mode", "follower", "name its --source HOST:PORT");
	if (!o->follower && o->n_sources > 0)
		return wrong("source", o->source[0].host,
			     "only a follower (--mode follower) has one");
	return 0;
}

enum { STATE = 256, REST, REPL, CERT, KEY, CA, MODE, SOURCE, TOKEN, ALLOW, NAME, URL, BEAT, LEVEL };

static int
option(struct run_options *o, int opt)
{
	switch (opt) {
	case STATE:
		o->state_dir = optarg;
		return 0;
	case REST:
		return endpoint("rest", optarg, &o->rest);
	case REPL:
		return endpoint("repl", optarg, &o->repl);
	case CERT:
		o->cert = optarg;
		return 0;
	case KEY:
		o->key = optarg;
		return 0;
	case CA:
		o->ca = optarg;
		return 0;
	case MODE:
		return mode(o, optarg);
	case SOURCE:
		return add_source(o, optarg);
	case TOKEN:
		o->token_file = optarg;
		return 0;
	case ALLOW:
		o->allow_cert = optarg;
		return 0;
	case NAME:
		if (!is_name(optarg))
			return wrong("name", optarg, "use 1 to 63 of a-z, 0-9 and -");
		snprintf(o->name, sizeof(o->name), "%s", optarg);
		return 0;
	case URL:
		if (!control_is_url(optarg))
			return wrong("public-url", optarg,
				     "use https://HOST[:PORT], as in https://cp1.example.com:7443");
		o->public_url = optarg;
		return 0;
	case BEAT:
		return heartbeat(o, optarg);
	case LEVEL:
		return log_level(optarg);
	default:
		return -1;
	}
}

int
run_options_parse(const struct control_command *c, int argc, char **argv, struct run_options *o)
{
	static const struct option longs[] = {
		{"state-dir", required_argument, NULL, STATE},
		{"rest", required_argument, NULL, REST},
		{"repl", required_argument, NULL, REPL},
		{"cert", required_argument, NULL, CERT},
		{"key", required_argument, NULL, KEY},
		{"ca", required_argument, NULL, CA},
		{"mode", required_argument, NULL, MODE},
		{"source", required_argument, NULL, SOURCE},
		{"token-file", required_argument, NULL, TOKEN},
		{"allow-cert", required_argument, NULL, ALLOW},
		{"name", required_argument, NULL, NAME},
		{"public-url", required_argument, NULL, URL},
		{"heartbeat", required_argument, NULL, BEAT},
		{"log-level", required_argument, NULL, LEVEL},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt, rc = 0;

	*o = (struct run_options){0};
	control_node_name(o->name);
	sl_endpoint_parse("127.0.0.1:7443", &o->rest);
	sl_endpoint_parse("0.0.0.0:7444", &o->repl);
	while (rc == 0 && (opt = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->usage, stdout);
			return 0;
		}
		rc = option(o, opt);
	}
	if (rc < 0)
		return control_misuse(c);
	if (rc == 0)
		rc = control_words(c, argc, argv, 0, 0);
	rc = rc != 0 ? rc : check(o);
	return rc != 0 ? rc : -1;
}
