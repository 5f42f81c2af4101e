/* SPDX-License-Identifier: BSD-3-Clause */
/* What most commands do in the same way. */
#include <getopt.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

int
control_fail(const struct sl_error *e)
{
	fprintf(stderr, "sluice-control: %s", e->message[0] != '\0' ? e->message : e->reason);
	if (e->path[0] != '\0')
		fprintf(stderr, " (at %s)", e->path);
	fputc('\n', stderr);
	if (e->hint[0] != '\0')
		fprintf(stderr, "  %s\n", e->hint);
	return 1;
}

int
control_misuse(const struct control_command *c)
{
	fprintf(stderr, "Try: sluice-control %s --help\n", c->name);
	return 2;
}

int
control_misuse_of(const struct control_command *c, const char *what, const char *arg)
{
	fprintf(stderr, "sluice-control %s: %s%s%s\n", c->name, what, arg[0] != '\0' ? ": " : "",
		arg);
	return control_misuse(c);
}

int
control_words(const struct control_command *c, int argc, char **argv, int least, int most)
{
	if (argc - optind < least)
		return control_misuse_of(c, "a word is missing", "");
	if (argc - optind > most)
		return control_misuse_of(c, "one word too many", argv[optind + most]);
	return 0;
}

const char *
control_actor(char out[32])
{
	snprintf(out, 32, "uid:%u", (unsigned)getuid());
	return out;
}

uint64_t
control_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int
control_simple_options(const struct control_command *c, int argc, char **argv, int least, int most,
		       struct control_simple *out, char ***words)
{
	const struct option longs[] = {{"state-dir", required_argument, NULL, 'S'},
				       {"json", no_argument, NULL, 'j'},
				       {"help", no_argument, NULL, 'h'},
				       {out->flag_name, no_argument, NULL, 'f'},
				       {out->flag_name ? out->flag2_name : NULL, no_argument, NULL,
					'g'},
				       {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "jh", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->usage, stdout);
			return 0;
		}
		if (opt == 'S')
			out->state_dir = optarg;
		else if (opt == 'j')
			out->json = true;
		else if (opt == 'f')
			out->flag = true;
		else if (opt == 'g')
			out->flag2 = true;
		else
			return control_misuse(c);
	}
	if (control_words(c, argc, argv, least, most) != 0)
		return 2;
	*words = argv + optind;
	return -1;
}

struct sl_store *
control_open(const char *state_dir, enum sl_store_mode mode, struct control_paths *p)
{
	struct sl_error e = {0};
	struct sl_store *s = NULL;

	if (control_paths_of(state_dir, p, &e) == 0 && control_state_check(p, false, &e) == 0)
		s = sl_store_open(p->store, mode, &e);
	if (s == NULL)
		control_fail(&e);
	return s;
}

int
control_duration(const char *text, uint64_t *seconds)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || n == 0 || n > 1000000 || end[0] == '\0' ||
	    end[1] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < SL_ARRAY_SIZE(units); i++) {
		if (units[i].unit != end[0])
			continue;
		*seconds = n * units[i].s;
		return 0;
	}
	return -EINVAL;
}

/** An address in brackets, an address, or a name. @return its length, 0: none of them */
static size_t
host_length(const char *at)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	char text[64];
	struct sl_ip ip;
	size_t n = strcspn(at, "]");

	if (at[0] != '[')
		return at[0] != '.' && at[0] != '-' ? strspn(at, name) : 0;
	if (at[n] == '\0' || n >= sizeof(text))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)n - 1, at + 1);
	return sl_ip_parse(text, &ip) == 0 && ip.family == 6 ? n + 1 : 0;
}

bool
control_is_url(const char *text)
{
	static const char scheme[] = "https://";
	size_t n;
	char *end;

	if (strncmp(text, scheme, strlen(scheme)) != 0)
		return false;
	text += strlen(scheme);
	n = host_length(text);
	if (n == 0 || n > 253)
		return false;
	text += n;
	if (text[0] == ':' && text[1] >= '1' && text[1] <= '9') {
		if (strtoul(text + 1, &end, 10) > UINT16_MAX)
			return false;
		text = end;
	}
	return strcmp(text, "") == 0 || strcmp(text, "/") == 0;
}
