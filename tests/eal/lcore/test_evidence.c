/* SPDX-License-Identifier: BSD-3-Clause */
/* The evidence store against a naive model: merging, bounds, what is covered, what is kept. */
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "evidence_int.h"
#include "gw_fixture.h"
#include "sl_log.h"

#define LCORES 2
#define ROWS 256 /* of a table */
#define PEERS 6
#define HOUR (3600 * S)

struct model_row {
	struct ev_row r; /* who: number of the peer */
	bool used;
};

static struct fx fx;
static struct sl_agg agg[LCORES];
static void *mem[LCORES][2];
static struct sl_evidence *ev;
static char dir[64];
static uint64_t seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return (uint32_t)(seed >> 33) % n;
}

/* --- around -------------------------------------------------------------------------------------
 */

static void
remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	char path[512];

	while (d != NULL && (de = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		if (de->d_name[0] != '.' && unlink(path) != 0)
			rmdir(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

static void
open_gateway(void)
{
	unsigned i;

	fx_open(&fx);
	fx_ports(&fx);
	fx_iface(&fx, "wg0", 51820);
	for (i = 0; i < PEERS; i++) {
		char prefix[32], name[16];
		struct sl_gw_peer_spec s = {.iface = "wg0",
					    .public_key = fx_key(i),
					    .fields = SL_PF_NAME,
					    .name = name};

		snprintf(prefix, sizeof(prefix), "10.7.0.%u/32", i + 2);
		snprintf(name, sizeof(name), "peer-%u", i);
		fx_peer(&fx, "wg0", i, prefix);
		assert_int_equal(sl_gw_peer_set(fx.gw, &s, &fx.e), 0);
	}
	fx_turn(&fx);
}

static int
setup(void **state)
{
	unsigned i, k;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sl-test-evidence-%ld", (long)getpid());
	mkdir(dir, 0700);
	fx_init(&fx);
	open_gateway();
	for (i = 0; i < LCORES; i++) {
		static const uint64_t key[2] = {1, 2};

		for (k = 0; k < 2; k++) {
			mem[i][k] = aligned_alloc(64, sl_agg_table_size(ROWS));
			memset(mem[i][k], 0, sl_agg_table_size(ROWS));
		}
		sl_agg_init(&agg[i], mem[i][0], mem[i][1], ROWS, key);
	}
	return 0;
}

static int
teardown(void **state)
{
	unsigned i;

	(void)state;
	sl_evidence_free(ev);
	ev = NULL;
	for (i = 0; i < LCORES; i++) {
		free(mem[i][0]);
		free(mem[i][1]);
	}
	fx_fini(&fx);
	remove_dir();
	return 0;
}

static void
start(unsigned rows_max, bool keep, bool threads)
{
	struct sl_evidence_conf c = {.gw = fx.gw,
				     .agg = {&agg[0], &agg[1]},
				     .n_agg = LCORES,
				     .rows_max = rows_max,
				     .state_dir = keep ? dir : NULL,
				     .lockstep = !threads};

	ev = sl_evidence_new(&c, &fx.e);
	if (ev == NULL)
		fail_msg("%s", fx.e.message);
}

static void
stop(void)
{
	sl_evidence_free(ev);
	ev = NULL;
}

static void
pass(uint64_t ns)
{
	fx.now_ns += ns;
	fx.wall_ns += ns;
}

/* Workers swap, control collects, until everything that was added is merged. */
static void
settle(void)
{
	unsigned i, k;

	for (i = 0; i < 4; i++) {
		pass(S);
		for (k = 0; k < LCORES; k++)
			sl_agg_poll(&agg[k]);
		sl_evidence_poll(ev);
	}
}

static uint32_t
peer_id(unsigned n)
{
	struct sl_pubkey key = fx_key(n);
	struct sl_gw_peer_info info;

	assert_int_equal(sl_gw_peer_info(fx.gw, "wg0", &key, &info), 0);
	return info.id;
}

static struct sl_agg_key
key_of(unsigned peer, unsigned host, unsigned port, unsigned flags)
{
	struct sl_agg_key k = {.src = {10, 7, 0, (uint8_t)(2 + peer)},
			       .dst = {10, 20, (uint8_t)(host >> 8), (uint8_t)host},
			       .peer_id = peer_id(peer),
			       .dport = (uint16_t)port,
			       .iface = 1,
			       .proto = 6,
			       .version = 4,
			       .flags = (uint8_t)flags};

	return k;
}

static void
see(unsigned lcore, unsigned peer, unsigned host, unsigned port, unsigned flows)
{
	struct sl_agg_key k = key_of(peer, host, port, SL_AGG_FROM_TUNNEL);

	sl_agg_add(&agg[lcore], &k, 7, 3, SL_WHY_RULE, flows, 2, 200, fx.now_ns);
}

/* --- the naive model ----------------------------------------------------------------------------
 */

#define MODEL 4096
static struct model_row model[MODEL];
static uint64_t model_lost;

static unsigned
model_used(void)
{
	unsigned i, n = 0;

	for (i = 0; i < MODEL; i++)
		n += model[i].used;
	return n;
}

static void
model_add(const struct ev_row *r, unsigned max)
{
	unsigned i, oldest = MODEL;

	for (i = 0; i < MODEL; i++) {
		struct ev_row *o = &model[i].r;

		if (!model[i].used || memcmp(o, r, EV_KEY_LEN) != 0)
			continue;
		o->flows += r->flows;
		o->packets += r->packets;
		o->bytes += r->bytes;
		o->first_ns = SL_MIN(o->first_ns, r->first_ns);
		o->last_ns = SL_MAX(o->last_ns, r->last_ns);
		return;
	}
	if (model_used() == max) {
		for (i = 0; i < MODEL; i++)
			if (model[i].used &&
			    (oldest == MODEL || model[i].r.last_ns < model[oldest].r.last_ns))
				oldest = i;
		model_lost += SL_MAX(model[oldest].r.flows, 1U);
		model[oldest].used = false;
	}
	for (i = 0; model[i].used; i++)
		;
	model[i].used = true;
	model[i].r = *r;
}

/* The same into a table and into the model. */
static void
both(unsigned lcore, struct sl_agg_key k, unsigned peer, unsigned flows, unsigned max)
{
	struct ev_row r = {.who = peer,
			   .hour = (uint32_t)(fx.wall_ns / HOUR),
			   .sport = k.sport,
			   .dport = k.dport,
			   .proto = k.proto,
			   .version = k.version,
			   .flags = k.flags,
			   .flows = flows,
			   .packets = 3,
			   .bytes = 300,
			   .first_ns = fx.wall_ns,
			   .last_ns = fx.wall_ns};

	memcpy(r.src, k.src, 16);
	memcpy(r.dst, k.dst, 16);
	sl_agg_add(&agg[lcore], &k, 1, 1, SL_WHY_RULE, flows, 3, 300, fx.now_ns);
	model_add(&r, max);
}

static bool
compare_row(void *ctx, const struct sl_evidence_row *r)
{
	unsigned *n = ctx, i, peer;

	assert_int_equal(sscanf(r->peer, "peer-%u", &peer), 1);
	assert_int_equal(r->key.peer_id, peer_id(peer));
	for (i = 0; i < MODEL; i++) {
		const struct ev_row *m = &model[i].r;

		if (!model[i].used || m->who != peer || m->hour != r->hour ||
		    memcmp(m->src, r->key.src, 16) != 0 || memcmp(m->dst, r->key.dst, 16) != 0 ||
		    m->sport != r->key.sport || m->dport != r->key.dport ||
		    m->proto != r->key.proto || m->version != r->key.version ||
		    m->flags != r->key.flags)
			continue;
		assert_int_equal(m->flows, r->flows);
		assert_int_equal(m->packets, r->packets);
		assert_int_equal(m->bytes, r->bytes);
		assert_int_equal(m->first_ns, r->first_wall_ns);
		assert_int_equal(m->last_ns, r->last_wall_ns);
		(*n)++;
		return true;
	}
	fail_msg("a row that nobody saw");
	return false;
}

static void
compare(void)
{
	struct sl_coverage c;
	unsigned n = 0;

	sl_evidence_walk(ev, SL_EVIDENCE_KEEP_S, compare_row, &n);
	assert_int_equal(n, model_used());
	sl_evidence_coverage(ev, SL_EVIDENCE_KEEP_S, &c);
	assert_int_equal(c.lost, model_lost);
}

static void
model_init(uint64_t s)
{
	memset(model, 0, sizeof(model));
	model_lost = 0;
	seed = s;
	print_message("seed %llu\n", (unsigned long long)s);
}

static void
random_rows(unsigned rounds, unsigned max)
{
	unsigned round, i;

	for (round = 0; round < rounds; round++) {
		for (i = rnd(60); i > 0; i--) {
			unsigned peer = rnd(PEERS);
			struct sl_agg_key k = key_of(peer, rnd(20), 5432 + rnd(3),
						     rnd(2) ? SL_AGG_FROM_TUNNEL
							    : SL_AGG_MIDSTREAM | SL_AGG_ALLOW);

			k.sport = rnd(4) ? 0 : 53;
			if (rnd(3) == 0) {
				k.version = 6;
				k.src[15] = (uint8_t)rnd(3);
			}
			pass(1 + rnd(1000)); /* no two at one time */
			both(rnd(LCORES), k, peer, rnd(3), max);
		}
		settle();
		pass(rnd(5) == 0 ? 37 * 60 * S : rnd(1000));
	}
}

static void
test_random(void **state)
{
	(void)state;
	model_init((uint64_t)time(NULL));
	start(0, false, false);
	random_rows(40, MODEL);
	compare();
}

/* The row that was seen longest ago goes, whatever table it came from. */
static void
test_bound(void **state)
{
	unsigned i;

	(void)state;
	model_init(4711);
	start(64, false, false);
	/* tables are merged one after the other: one row a turn keeps model and store in step */
	for (i = 0; i < 600; i++) {
		unsigned peer = rnd(PEERS);

		both(rnd(LCORES), key_of(peer, rnd(40), 80, SL_AGG_FROM_TUNNEL), peer, 1 + rnd(3),
		     64);
		settle();
	}
	assert_int_equal(model_used(), 64);
	assert_true(model_lost > 100);
	compare();
}

/* The batch of a large store: oldest first, ties by nothing. */
static void
test_bound_batch(void **state)
{
	struct sl_coverage c;
	unsigned i;

	(void)state;
	start(640, false, false);
	for (i = 0; i < 640; i++) {
		see(0, i % PEERS, i, 80, 1);
		if (i % 100 == 99)
			settle();
	}
	settle();
	assert_int_equal(ev->used, 640);
	see(0, 0, 1000, 80, 1);
	settle();
	assert_int_equal(ev->used, 640 - 10 + 1);
	sl_evidence_coverage(ev, 3600, &c);
	assert_int_equal(c.lost, 10);
	/* lost with their hour: a later window does not speak of it */
	pass(2 * HOUR);
	settle();
	sl_evidence_coverage(ev, 3600, &c);
	assert_int_equal(c.lost, 0);
	sl_evidence_coverage(ev, 3 * 3600, &c);
	assert_int_equal(c.lost, 10);
}

/* A table that is full says so. */
static void
test_table_full(void **state)
{
	struct sl_coverage c;
	unsigned i;

	(void)state;
	start(0, false, false);
	for (i = 0; i < ROWS; i++)
		see(1, 0, i, 80, 1);
	settle();
	sl_evidence_coverage(ev, 3600, &c);
	assert_int_equal(c.lost, ROWS / 4);
	assert_int_equal(ev->used, ROWS - ROWS / 4);
}

static void
test_retention(void **state)
{
	(void)state;
	start(0, false, false);
	see(0, 1, 1, 80, 1);
	settle();
	pass(29 * 24 * HOUR);
	see(0, 2, 2, 80, 1);
	settle();
	assert_int_equal(ev->used, 2);
	pass(2 * 24 * HOUR);
	settle();
	assert_int_equal(ev->used, 1);
	pass(30 * 24 * HOUR);
	settle();
	assert_int_equal(ev->used, 0);
}

/* --- peers --------------------------------------------------------------------------------------
 */

static bool
first_peer(void *ctx, const struct sl_evidence_row *r)
{
	*(struct sl_evidence_row *)ctx = *r;
	return false;
}

static void
test_peers(void **state)
{
	struct sl_pubkey key = fx_key(3);
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = key,
				    .fields = SL_PF_NAME,
				    .name = "carol"};
	struct sl_evidence_row r;
	uint32_t id = peer_id(3);

	(void)state;
	start(0, false, false);
	see(0, 3, 1, 80, 1);
	settle();
	/* a new name: the old rows are still its own */
	assert_int_equal(sl_gw_peer_set(fx.gw, &s, &fx.e), 0);
	sl_evidence_walk(ev, 3600, first_peer, &r);
	assert_string_equal(r.peer, "peer-3");
	assert_int_equal(r.key.peer_id, id);
	/* gone before the table was merged: nobody knows whose the flows were */
	see(0, 4, 1, 80, 5);
	key = fx_key(4);
	assert_int_equal(sl_gw_peer_del(fx.gw, "wg0", &key, &fx.e), 0);
	fx_turn(&fx);
	settle();
	assert_int_equal(ev->used, 1);
	assert_int_equal(ev->lost[0].flows, 5);
	/* gone later: the rows stay, and no peer is theirs */
	key = fx_key(3);
	assert_int_equal(sl_gw_peer_del(fx.gw, "wg0", &key, &fx.e), 0);
	fx_turn(&fx);
	sl_evidence_walk(ev, 3600, first_peer, &r);
	assert_string_equal(r.peer, "peer-3");
	assert_int_equal(r.key.peer_id, SL_PEER_MAX);
	/* one of the same name takes them on */
	s.public_key = fx_key(30);
	s.name = "peer-3";
	assert_int_equal(sl_gw_peer_set(fx.gw, &s, &fx.e), 0);
	sl_evidence_walk(ev, 3600, first_peer, &r);
	assert_int_not_equal(r.key.peer_id, SL_PEER_MAX);
}

/* The place of a name that went is nobody's, not that of the peer with the id 0. */
static void
test_first_peer(void **state)
{
	struct sl_pubkey key = fx_key(0);

	(void)state;
	start(0, false, false);
	assert_int_equal(peer_id(0), 0);
	see(0, 0, 1, 80, 1);
	settle();
	assert_int_equal(ev->used, 1);
	pass(31 * 24 * HOUR);
	settle();
	assert_int_equal(ev->used, 0);
	see(0, 0, 1, 80, 5);
	assert_int_equal(sl_gw_peer_del(fx.gw, "wg0", &key, &fx.e), 0);
	fx_turn(&fx);
	settle();
	assert_int_equal(ev->used, 0);
	assert_int_equal(ev->lost[0].flows, 5);
}

/* --- files --------------------------------------------------------------------------------------
 */

static size_t
slurp(const char *name, char *out, size_t size)
{
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL)
		return 0;
	n = fread(out, 1, size, f);
	fclose(f);
	return n;
}

static void
spit(const char *name, const char *data, size_t n)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	fclose(f);
}

static void
test_kept(void **state)
{
	static char file[1 << 20];
	size_t n, i;

	(void)state;
	model_init(99);
	start(0, true, false);
	random_rows(20, MODEL);
	compare();
	stop();
	n = slurp("evidence", file, sizeof(file));
	assert_true(n > 1000);
	for (i = 0; i < PEERS; i++) /* no key gets there */
		assert_null(memmem(file, n, fx_key((unsigned)i).b, 16));
	/* the next run has other ids for the same peers */
	fx_close(&fx);
	open_gateway();
	start(0, true, false);
	compare();
	random_rows(5, MODEL);
	compare();
	stop();
	start(0, true, true); /* and with a thread that writes */
	random_rows(30, MODEL);
	compare();
	stop();
	start(0, true, false);
	compare();
}

/* Cut off anywhere or with any bit turned over: nothing of it is believed, and it is told. */
static void
damage(const char *name, const char *other)
{
	static char file[1 << 20], rest[1 << 20], bad[1 << 20];
	size_t n = slurp(name, file, sizeof(file)), n_rest = slurp(other, rest, sizeof(rest)), i;
	char put_aside[64];
	struct sl_coverage c;

	snprintf(put_aside, sizeof(put_aside), "%s.bad", name);
	assert_true(n > 0);
	for (i = 0; i < 300; i++) {
		size_t at = i < 60 ? i : rnd((uint32_t)n), len = n;

		memcpy(bad, file, n);
		if (i % 2)
			len = at;
		else
			bad[at] ^= (char)(1 << rnd(8));
		spit(name, bad, len);
		spit(other, rest, n_rest);
		start(0, true, false);
		assert_int_equal(ev->used == 0, strcmp(name, "evidence") == 0);
		sl_evidence_coverage(ev, 3600, &c);
		assert_int_equal(c.covered_s, 0);
		assert_int_equal(c.newest_gap_wall_s, fx.wall_ns / S);
		assert_int_equal(slurp(put_aside, bad, sizeof(bad)), len);
		stop();
	}
	spit(name, file, n);
	spit(other, rest, n_rest);
}

static void
test_damaged(void **state)
{
	struct sl_coverage c;

	(void)state;
	model_init(5);
	start(0, true, false);
	random_rows(3, MODEL);
	pass(600 * S);
	settle();
	stop();
	damage("evidence", "evidence-times");
	damage("evidence-times", "evidence");
	start(0, true, false); /* whole: it counts */
	compare();
	sl_evidence_coverage(ev, 600, &c);
	assert_int_equal(c.covered_s, 600);
	stop();
	spit("evidence", "", 0); /* a store that never was one */
	spit("evidence-times", "SLEVTIME", 8);
	start(0, true, false);
	assert_int_equal(ev->used, 0);
}

/* Times that speak of later rows than there are prove nothing (a backup of one file alone). */
static void
test_old_rows(void **state)
{
	static char file[1 << 20];
	struct sl_coverage c;
	size_t n;

	(void)state;
	start(0, true, false);
	see(0, 1, 1, 80, 1);
	settle();
	stop();
	n = slurp("evidence", file, sizeof(file));
	start(0, true, false);
	see(0, 2, 2, 80, 1);
	settle();
	stop();
	spit("evidence", file, n);
	start(0, true, false);
	sl_evidence_coverage(ev, 3600, &c);
	assert_int_equal(c.covered_s, 0);
	assert_int_equal(ev->used, 1);
}

static void
test_not_written(void **state)
{
	char path[512];

	(void)state;
	start(0, true, false);
	see(0, 1, 1, 80, 1);
	snprintf(path, sizeof(path), "%s/evidence.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	pass(61 * S);
	settle();
	assert_true(ev->warned);
	assert_int_equal(ev->used, 1);
	rmdir(path);
	pass(61 * S);
	settle();
	assert_false(ev->warned);
	assert_true(slurp("evidence", path, sizeof(path)) > 0);
}

/* Room in a full store is made bit by bit, and what is new waits for it. */
static void
test_full_in_slices(void **state)
{
	enum { MAX = 100000, GONE = MAX / 64, NEW = 20 };
	struct ev_row row = {.proto = 6, .version = 4, .flows = 1, .dport = 80};
	uint64_t limit = fx.wall_ns - (uint64_t)(MAX - GONE - 1) * 1000, lost = 0;
	unsigned i, turns = 0;

	(void)state;
	start(MAX, false, false);
	row.who = ev_who_get(ev, "wg0", "other");
	for (i = 0; i < MAX; i++) {
		sl_store_be32(row.dst, 0x0b000000 + i);
		row.first_ns = row.last_ns = fx.wall_ns - (uint64_t)i * 7919 % MAX * 1000;
		row.hour = (uint32_t)(row.last_ns / EV_HOUR_NS);
		assert_int_equal(ev_row_add(ev, &row), 0);
	}
	for (i = 0; i < NEW; i++)
		see(0, 1, i, 443, 1);
	for (i = 0; i < 9 && ev->room == EV_ROOM_IDLE; i++) { /* the table turns, and rests */
		pass(S);
		sl_agg_poll(&agg[0]);
		sl_agg_poll(&agg[1]);
		sl_evidence_poll(ev);
	}
	for (; ev->room != EV_ROOM_IDLE; turns++)
		sl_evidence_poll(ev);
	assert_true(turns > 2 * (MAX / 16384));
	settle();
	assert_int_equal(ev->used, MAX - GONE + NEW);
	for (i = 0; i < ev->n_lost; i++)
		lost += ev->lost[i].flows;
	assert_int_equal(lost, GONE);
	for (i = 0; i < ev->n_slots; i++) /* the oldest went */
		assert_true(ev->row[i].version == 0 || ev->row[i].last_ns >= limit);
}

static void
note_cleared(void *ctx)
{
	(*(unsigned *)ctx)++;
}

/* The answer comes when it is on the disk; one at a time. */
static void
test_clear_later(void **state)
{
	struct timespec rest = {.tv_nsec = 1000000};
	unsigned i, n = 0;

	(void)state;
	start(0, true, true);
	see(0, 1, 1, 80, 1);
	settle();
	assert_true(ev->used > 0);
	assert_int_equal(sl_evidence_clear(ev, note_cleared, &n, &fx.e), 0);
	assert_int_equal(ev->used, 0);
	assert_int_equal(n, 0);
	fx_refused(&fx, sl_evidence_clear(ev, note_cleared, &n, &fx.e), -EBUSY, "evidence_busy",
		   "");
	for (i = 0; i < 5000 && n == 0; i++) {
		sl_evidence_poll(ev);
		nanosleep(&rest, NULL);
	}
	assert_int_equal(n, 1);
	see(0, 1, 1, 80, 1);
	settle();
	assert_int_equal(sl_evidence_clear(ev, note_cleared, &n, &fx.e), 0);
	stop(); /* ends in the middle: answered all the same */
	assert_int_equal(n, 2);
	start(0, true, false);
	assert_int_equal(ev->used, 0);
}

static void
test_clear(void **state)
{
	struct sl_coverage c;
	struct sl_error e;

	(void)state;
	start(0, true, true);
	see(0, 1, 1, 80, 1);
	pass(3600 * S);
	settle();
	assert_int_equal(sl_evidence_clear(ev, NULL, NULL, &e), 0);
	assert_int_equal(ev->used, 0);
	pass(10 * S);
	settle();
	sl_evidence_coverage(ev, 3600, &c);
	assert_int_equal(c.covered_s, 14);
	stop();
	start(0, true, false);
	assert_int_equal(ev->used, 0);
}

/* --- what is covered ----------------------------------------------------------------------------
 */

static void
covers(uint64_t window, uint64_t want, uint64_t gap_end)
{
	struct sl_coverage c;

	sl_evidence_coverage(ev, window, &c);
	assert_int_equal(c.window_s, window);
	assert_int_equal(c.covered_s, want);
	assert_int_equal(c.newest_gap_wall_s, gap_end);
}

static void
test_coverage(void **state)
{
	static char rows[1 << 16], times[1 << 16];
	uint64_t t0, t1, t2;
	size_t n_rows, n_times;

	(void)state;
	t0 = fx.wall_ns / S;
	start(0, true, false);
	pass(1000 * S);
	settle();
	covers(1000, 1000, 0);
	covers(1004, 1004, 0);
	covers(2000, 1004, t0); /* nothing before the first start */
	stop();
	pass(100 * S); /* down */
	t1 = fx.wall_ns / S;
	start(0, true, false);
	pass(500 * S);
	settle();
	covers(504, 504, 0);
	covers(700, 600, t1);
	covers(3600, 1508, t1);
	/* a crash: what was not saved is not covered */
	pass(60 * S);
	settle(); /* saves */
	settle();
	n_rows = slurp("evidence", rows, sizeof(rows));
	n_times = slurp("evidence-times", times, sizeof(times));
	see(0, 1, 1, 80, 1);
	pass(50 * S);
	settle();
	stop();
	spit("evidence", rows, n_rows);
	spit("evidence-times", times, n_times);
	t2 = fx.wall_ns / S;
	start(0, true, false);
	covers(10, 0, t2);
	assert_int_equal(ev->used, 0);
	pass(100 * S);
	settle();
	covers(104, 104, 0);
	covers(150, 104, t2);
}

/* Without lcores that count nothing is covered. */
static void
test_no_lcores(void **state)
{
	struct sl_evidence_conf c = {.gw = fx.gw, .state_dir = dir, .lockstep = true};

	(void)state;
	ev = sl_evidence_new(&c, &fx.e);
	pass(100 * S);
	sl_evidence_poll(ev);
	covers(100, 0, fx.wall_ns / S);
}

/* A lcore that does not swap holds back the time that is told as covered, but loses nothing. */
static void
test_stalled(void **state)
{
	unsigned i;

	(void)state;
	start(0, false, false);
	settle();
	see(1, 1, 1, 80, 1);
	for (i = 0; i < 60; i++) {
		pass(S);
		sl_agg_poll(&agg[0]);
		sl_evidence_poll(ev);
	}
	assert_true(ev->span[0].end_ns + 50 * S < fx.wall_ns);
	settle();
	covers(60, 60, 0);
	assert_int_equal(ev->used, 1);
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_random),		T(test_bound),	     T(test_bound_batch),
		T(test_table_full),	T(test_retention),   T(test_peers),
		T(test_first_peer),	T(test_kept),	     T(test_damaged),
		T(test_old_rows),	T(test_not_written), T(test_clear),
		T(test_full_in_slices), T(test_clear_later), T(test_coverage),
		T(test_no_lcores),	T(test_stalled),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
