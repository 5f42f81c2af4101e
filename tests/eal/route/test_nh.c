/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "sl_route.h"

static const struct sl_att att_plain = {.id = 7, .port = 3, .mtu = 1500, .mac = {2, 0, 0, 0, 0, 1}};
static const struct sl_att att_vlan = {
	.id = 8, .port = 4, .vlan = 0x123, .mtu = 9000, .mac = {2, 0, 0, 0, 0, 2}};
static const uint8_t mac[6] = {0x0a, 1, 2, 3, 4, 5};

static struct sl_ip
ip_of(const char *s)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(s, &ip), 0);
	return ip;
}

static void
writes_plain_header(void **state)
{
	static const uint8_t want[SL_L2_MAX] = {0x0a, 1, 2, 3, 4, 5, 2, 0, 0, 0, 0, 1};
	struct sl_nh_table *t = sl_nh_table_new();
	struct sl_ip ip = ip_of("192.0.2.1");
	struct sl_nh_copy c;
	uint32_t id = sl_nh_alloc(t);

	sl_nh_write(t, id, SL_NH_HOST, SL_NH_USABLE, &att_plain, &ip, mac);
	sl_nh_read(t, id, &c);
	assert_int_equal(c.type, SL_NH_HOST);
	assert_int_equal(c.state, SL_NH_USABLE);
	assert_int_equal(c.l2_len, 14);
	assert_memory_equal(c.l2, want, sizeof(want));
	assert_int_equal(c.att, 7);
	assert_int_equal(c.port, 3);
	assert_int_equal(c.mtu, 1500);
	assert_true(sl_ip_equal(&t->ip[id], &ip));
	sl_nh_table_free(t);
}

static void
writes_vlan_header(void **state)
{
	static const uint8_t want[SL_L2_MAX] = {0x0a, 1, 2, 3,	  4, 5,	   2,	 0, 0,
						0,    0, 2, 0x81, 0, 0x01, 0x23, 0, 0};
	struct sl_nh_table *t = sl_nh_table_new();
	struct sl_ip ip = ip_of("2001:db8::1");
	struct sl_nh_copy c;
	uint32_t id = sl_nh_alloc(t);

	sl_nh_write(t, id, SL_NH_HOST, SL_NH_USABLE, &att_vlan, &ip, mac);
	sl_nh_read(t, id, &c);
	assert_int_equal(c.l2_len, 18);
	assert_memory_equal(c.l2, want, sizeof(want));
	assert_int_equal(c.mtu, 9000);
	sl_nh_table_free(t);
}

static void
unreachable_needs_no_attachment(void **state)
{
	struct sl_nh_table *t = sl_nh_table_new();
	struct sl_nh_copy c;
	uint32_t id = sl_nh_alloc(t);

	sl_nh_write(t, id, SL_NH_UNREACHABLE, SL_NH_FAILED, NULL, NULL, NULL);
	sl_nh_read(t, id, &c);
	assert_int_equal(c.type, SL_NH_UNREACHABLE);
	assert_int_equal(c.l2_len, 0);
	assert_int_equal(t->ip[id].family, 0);
	sl_nh_table_free(t);
}

static void
bad_ids_read_as_free(void **state)
{
	static const uint32_t bad[] = {0, SL_NH_MAX, SL_NH_ID_NONE};
	struct sl_nh_table *t = sl_nh_table_new();
	struct sl_nh_copy c;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		memset(&c, 0xff, sizeof(c));
		sl_nh_write(t, bad[i], SL_NH_HOST, SL_NH_USABLE, &att_plain, NULL, mac);
		sl_nh_read(t, bad[i], &c);
		assert_int_equal(c.type, SL_NH_FREE);
	}
	sl_nh_table_free(t);
}

static void
allocates_each_id_once_and_lets_it_rest(void **state)
{
	struct sl_nh_table *t = sl_nh_table_new();
	static bool seen[SL_NH_MAX];
	struct sl_nh_copy c;
	uint32_t id, first = sl_nh_alloc(t);
	unsigned n = 1;

	seen[first] = true;
	sl_nh_write(t, first, SL_NH_HOST, SL_NH_USABLE, &att_plain, NULL, mac);
	sl_nh_free(t, first);
	sl_nh_read(t, first, &c);
	assert_int_equal(c.type, SL_NH_FREE);
	assert_int_not_equal(sl_nh_alloc(t), first);
	n++;
	while ((id = sl_nh_alloc(t)) != 0) {
		assert_in_range(id, 1, SL_NH_MAX - 1);
		if (id != first)
			assert_false(seen[id]);
		seen[id] = true;
		n++;
	}
	assert_int_equal(n, SL_NH_MAX); /* 65,535 ids and the one that was freed */
	sl_nh_free(t, 4711);
	assert_int_equal(sl_nh_alloc(t), 4711);
	sl_nh_table_free(t);
}

static void
touch_writes_on_change_and_survives_a_write(void **state)
{
	struct sl_nh_table *t = sl_nh_table_new();
	uint32_t id = sl_nh_alloc(t);

	sl_nh_touch(t, id, 42);
	sl_nh_write(t, id, SL_NH_HOST, SL_NH_USABLE, &att_plain, NULL, mac);
	assert_int_equal(atomic_load(&t->nh[id].used_tick), 42);
	sl_nh_table_free(t);
}

#define ROUNDS 200000

struct torn {
	struct sl_nh_table *t;
	uint32_t id;
	_Atomic bool stop;
	_Atomic unsigned bad, reads;
};

/** Every field of a version is made from one number: a mixed copy is seen. */
static void *
read_versions(void *arg)
{
	struct torn *x = arg;
	struct sl_nh_copy c;

	while (!atomic_load(&x->stop)) {
		sl_nh_read(x->t, x->id, &c);
		if (c.l2[0] != c.l2[5] || c.l2[0] != c.l2[6] || c.l2[0] != c.l2[11] ||
		    c.mtu != c.l2[0] || c.port != c.l2[0] || c.att != c.l2[0])
			atomic_fetch_add(&x->bad, 1);
		atomic_fetch_add(&x->reads, 1);
	}
	return NULL;
}

static void
copies_are_never_mixed(void **state)
{
	struct torn x = {.t = sl_nh_table_new()};
	struct sl_att att = {0};
	uint8_t m[6] = {0};
	pthread_t th;

	x.id = sl_nh_alloc(x.t);
	sl_nh_write(x.t, x.id, SL_NH_HOST, SL_NH_USABLE, &att, NULL, m);
	assert_int_equal(pthread_create(&th, NULL, read_versions, &x), 0);
	while (atomic_load(&x.reads) == 0)
		;
	for (unsigned i = 0; i < ROUNDS; i++) {
		memset(m, (int)(i & 0xff), 6);
		memset(att.mac, (int)(i & 0xff), 6);
		att.id = att.port = att.mtu = (uint16_t)(i & 0xff);
		sl_nh_write(x.t, x.id, SL_NH_HOST, SL_NH_USABLE, &att, NULL, m);
	}
	atomic_store(&x.stop, true);
	pthread_join(th, NULL);
	assert_int_equal(x.bad, 0);
	assert_true(x.reads > 100);
	sl_nh_table_free(x.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_plain_header),
		cmocka_unit_test(writes_vlan_header),
		cmocka_unit_test(unreachable_needs_no_attachment),
		cmocka_unit_test(bad_ids_read_as_free),
		cmocka_unit_test(allocates_each_id_once_and_lets_it_rest),
		cmocka_unit_test(touch_writes_on_change_and_survives_a_write),
		cmocka_unit_test(copies_are_never_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
