/* SPDX-License-Identifier: BSD-3-Clause */
#include "drain_test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "sl_log.h"

static uint64_t
mono(void *ctx)
{
	const struct tdrain *t = ctx;

	return t->conf.lockstep ? t->mono : sl_clock_mono_ns();
}

static uint64_t
wall(void *ctx)
{
	const struct tdrain *t = ctx;

	return t->conf.lockstep ? t->wall : sl_clock_wall_ns();
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	if (getenv("SL_TEST_LOG") != NULL)
		fprintf(stderr, "%s: %s\n", topic, text);
}

void
td_init(struct tdrain *t, unsigned slots, bool lockstep)
{
	size_t size = sl_rec_ring_size(slots);

	memset(t, 0, sizeof(*t));
	sl_log_set_sink(quiet, NULL);
	t->ring = aligned_alloc(SL_CACHE_LINE, (size + SL_CACHE_LINE - 1) & ~(size_t)63);
	assert_non_null(t->ring);
	memset(t->ring, 0, size);
	sl_rec_ring_init(t->ring, slots);
	snprintf(t->dir, sizeof(t->dir), "/tmp/sl-drain-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->mono = T_MONO;
	t->wall = T_WALL;
	t->conf = (struct sl_drain_conf){.ring = {t->ring},
					 .n_rings = 1,
					 .observer = "gw-tyo-1",
					 .version = "0.1.0",
					 .boot_id = T_BOOT,
					 .mono_ns = mono,
					 .wall_ns = wall,
					 .clock_ctx = t,
					 .lockstep = lockstep};
}

void
td_start(struct tdrain *t, const struct sl_sink_conf *sinks, unsigned n)
{
	static const struct sl_pubkey key = {{1, 2, 3}};

	t->conf.sinks = sinks;
	t->conf.n_sinks = n;
	t->d = sl_drain_new(&t->conf, &t->e);
	if (t->d == NULL)
		fail_msg("%s %s: %s", t->e.reason, t->e.path, t->e.message);
	assert_int_equal(sl_drain_policy(t->d, td_policy(1844, 57)), 0);
	assert_int_equal(sl_drain_iface(t->d, 1, "wg0"), 0);
	assert_int_equal(sl_drain_peer(t->d, 81, 1, "alice-laptop", &key), 0);
}

void
td_fini(struct tdrain *t)
{
	char path[400];
	struct dirent *f;
	DIR *dir;

	sl_drain_free(t->d);
	free(t->ring);
	dir = opendir(t->dir);
	while (dir != NULL && (f = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", t->dir, f->d_name);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(t->dir);
	memset(t, 0, sizeof(*t));
}

const struct sl_polset *
td_policy(uint64_t generation, uint32_t version)
{
	static struct sl_polset_rule rules[] = {{.id = 101, .role = 0},
						{.id = 102, .role = 1, .log = 10}};
	static struct sl_polset_zone zones[] = {{.id = 1,
						 .type = SL_ZONE_INTERNAL,
						 .name = "internal"},
						{.id = 2, .type = SL_ZONE_VPN, .name = "vpn"}};
	static struct sl_polset_name targets[] = {{0, "db1"}, {0, "web"}};
	static struct sl_polset_name roles[] = {{3, "engineer"}, {7, "contractor"}};
	static struct sl_polset s;

	s = (struct sl_polset){.generation = generation,
			       .version = version,
			       .n_rules = 2,
			       .rules = rules,
			       .n_zones = 2,
			       .zones = zones,
			       .n_targets = 2,
			       .targets = targets,
			       .n_roles = 2,
			       .roles = roles};
	return &s;
}

struct sl_rec
td_record(unsigned type)
{
	struct sl_rec r = {.mono_ns = T_MONO,
			   .src = {10, 7, 0, 2},
			   .dst = {10, 20, 0, 10},
			   .sport = 51544,
			   .dport = 5432,
			   .iface = 1,
			   .proto = 6,
			   .version = 4,
			   .type = (uint8_t)type,
			   .reason = SL_RR_RULE,
			   .flags = SL_RF_FROM_TUNNEL,
			   .stage = 1,
			   .peer_id = 81,
			   .generation = 1844,
			   .rule = 0,
			   .role = 0,
			   .target = 0,
			   .zone = 0,
			   .count = 1};

	return r;
}

void
td_put(struct tdrain *t, const struct sl_rec *r)
{
	struct sl_rec *s = sl_rec_begin(t->ring);
	size_t skip = offsetof(struct sl_rec, mono_ns);

	memcpy((char *)s + skip, (const char *)r + skip, sizeof(*r) - skip);
	sl_rec_seen(t->ring, r->type, r->count);
	sl_rec_commit(t->ring, s);
}

void
td_puts(struct tdrain *t, unsigned type, unsigned n)
{
	struct sl_rec r = td_record(type);

	for (unsigned i = 0; i < n; i++) {
		r.sport = (uint16_t)(1024 + i % 60000);
		td_put(t, &r);
	}
}

/* --- looking ---------------------------------------------------------------------------------- */

static json_t *
sink_of(json_t *status, const char *name)
{
	size_t i;
	json_t *s;

	json_array_foreach (json_object_get(status, "sinks"), i, s)
		if (strcmp(json_string_value(json_object_get(s, "name")), name) == 0)
			return s;
	fail_msg("no sink %s", name);
	return NULL;
}

uint64_t
td_sink(struct tdrain *t, const char *sink, const char *counter)
{
	json_t *status = sl_drain_status(t->d), *v;
	uint64_t n;

	assert_non_null(status);
	v = json_object_get(sink_of(status, sink), counter);
	assert_true(json_is_integer(v));
	n = (uint64_t)json_integer_value(v);
	json_decref(status);
	return n;
}

uint64_t
td_dropped(struct tdrain *t, const char *sink, const char *reason)
{
	json_t *status = sl_drain_status(t->d), *d;
	uint64_t n = 0;
	size_t i;

	json_array_foreach (json_object_get(sink_of(status, sink), "drops"), i, d)
		if (strcmp(json_string_value(json_object_get(d, "reason")), reason) == 0)
			n = (uint64_t)json_integer_value(json_object_get(d, "records"));
	json_decref(status);
	return n;
}

static json_int_t
number(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

void
td_equation(struct tdrain *t)
{
	json_t *status = sl_drain_status(t->d), *s, *d;
	size_t i, j;

	json_array_foreach (json_object_get(status, "sinks"), i, s) {
		json_int_t sum = 0;

		json_array_foreach (json_object_get(s, "drops"), j, d)
			sum += number(d, "records");
		assert_int_equal(sum, number(s, "dropped"));
		assert_int_equal(number(s, "drained"),
				 number(s, "acked") + sum + number(s, "queued"));
	}
	json_decref(status);
}

static void
nap(void)
{
	struct timespec ts = {.tv_nsec = 5000000};

	nanosleep(&ts, NULL);
}

void
td_wait(struct tdrain *t, const char *sink, const char *counter, uint64_t value)
{
	uint64_t have = 0;

	for (unsigned i = 0; i < 2000; i++) {
		td_equation(t);
		have = td_sink(t, sink, counter);
		if (have == value)
			return;
		nap();
	}
	fail_msg("%s %s is %llu, not %llu", sink, counter, (unsigned long long)have,
		 (unsigned long long)value);
}

void
td_wait_state(struct tdrain *t, const char *sink, const char *state)
{
	bool is = false;

	for (unsigned i = 0; i < 2000 && !is; i++) {
		json_t *status = sl_drain_status(t->d);

		is = strcmp(json_string_value(json_object_get(sink_of(status, sink), "state")),
			    state) == 0;
		json_decref(status);
		nap();
	}
	if (!is)
		fail_msg("%s does not become %s", sink, state);
}

char *
td_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text;
	long n;

	if (f == NULL)
		return NULL;
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	text = calloc(1, (size_t)n + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)n, f), n);
	fclose(f);
	return text;
}

int
td_lines(const char *path)
{
	char *text = td_read(path), *at = text, *end;
	int n = 0;

	if (text == NULL)
		return -1;
	for (; *at != '\0'; at = end + 1, n++) {
		json_t *o;

		end = strchr(at, '\n');
		if (end == NULL)
			fail_msg("%s ends in a part of a line: %.60s", path, at);
		o = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(o))
			fail_msg("%s: not JSON: %.*s", path, (int)(end - at), at);
		json_decref(o);
	}
	free(text);
	return n;
}

void
td_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

void
td_limit_files(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

const json_t *
td_get(const json_t *o, const char *path)
{
	char part[64];

	while (o != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		o = json_object_get(o, part);
		path += n + (path[n] == '.');
	}
	return o;
}

const char *
td_text(const json_t *o, const char *path)
{
	const char *s = json_string_value(td_get(o, path));

	return s != NULL ? s : "(none)";
}

void
td_make_cert(const char *names, const char *cert, const char *key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	FILE *f;

	assert_non_null(pkey);
	assert_non_null(ext);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pkey);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_add_ext(x, ext, -1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	f = fopen(cert, "w");
	assert_true(PEM_write_X509(f, x));
	fclose(f);
	f = fopen(key, "w");
	assert_true(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	X509_EXTENSION_free(ext);
	X509_free(x);
	EVP_PKEY_free(pkey);
}
