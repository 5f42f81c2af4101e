/* SPDX-License-Identifier: BSD-3-Clause */
/* Every allocation of every kind of change fails once: the change is refused and everything is as
 * before, or it is done; what could not be published is published by a later turn. */
#include "gw_fixture.h"

static long left = -1; /* allocations until one fails; -1: never */
static bool failed;

static bool
fails(void)
{
	if (left < 0 || left-- > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *
__wrap_aligned_alloc(size_t align, size_t n)
{
	return fails() ? NULL : __real_aligned_alloc(align, n);
}

int
__wrap_posix_memalign(void **p, size_t align, size_t n)
{
	return fails() ? ENOMEM : __real_posix_memalign(p, align, n);
}

/* --- what there is, as text
 * ------------------------------------------------------------------------- */

struct text {
	char s[16384];
	size_t n;
	struct fx *f;
};

static void SL_PRINTF(2, 3) put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->s + t->n, sizeof(t->s) - t->n, fmt, ap);
	va_end(ap);
	assert_true(t->n < sizeof(t->s));
}

static void
put_prefix(struct text *t, const struct sl_prefix *p)
{
	char s[SL_PREFIX_STR];

	put(t, " %s", sl_prefix_str(p, s));
}

static bool
put_peer(void *ctx, const struct sl_gw_peer_info *p)
{
	struct text *t = ctx;
	unsigned i;

	put(t, " peer %s %d %d %u:", p->name, p->has_psk, p->endpoint.port, p->keepalive_s);
	for (i = 0; i < p->n_allowed; i++)
		put_prefix(t, &p->allowed[i]);
	put(t, "\n");
	return true;
}

static int
put_entry(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct text *t = ctx;

	put(t, " %02x%02x%02x%02x/%u=%u", addr[0], addr[1], addr[2], addr[3], len, value);
	return 0;
}

static void
put_view(struct text *t, const struct sl_iface_view *v)
{
	const struct sl_lpm *all[] = {&v->peers4,  &v->peers6, &v->inside4, &v->routes4,
				      &v->routes6, &v->local4, &v->local6};
	unsigned i;

	put(t, " view %u %u %u %u\n", v->listen_port, v->mtu, v->inside_att, v->n_addrs);
	for (i = 0; i < SL_ARRAY_SIZE(all); i++) {
		put(t, " ");
		sl_lpm_walk(all[i], put_entry, t);
		put(t, "\n");
	}
}

static void
put_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	struct text *t = ctx;

	put(t, "%s %u %u %u %d\n", i->name, i->listen_port, i->mtu, i->n_addresses, i->key_source);
	sl_gw_peer_walk(t->f->gw, i->name, 0, put_peer, t);
	put_view(t, sl_root_iface(fx_root(t->f), i->id));
}

static void
put_route(void *ctx, const struct sl_gw_route_info *r)
{
	put_prefix(ctx, &r->prefix);
}

static void
describe(struct fx *f, struct text *t)
{
	struct sl_gw_mode m;

	t->n = 0;
	t->f = f;
	sl_gw_iface_walk(f->gw, put_iface, t);
	sl_gw_route_walk(f->gw, put_route, t);
	put(t, "\nunderlay");
	sl_lpm_walk(&fx_root(f)->underlay4, put_entry, t);
	sl_gw_mode_get(f->gw, &m);
	put(t, "\nmode %d %u\n", m.deflt, m.n_prefixes);
	sl_lpm_walk(&fx_root(f)->authz.mode4, put_entry, t);
}

/* --- changes
 * ------------------------------------------------------------------------------------------ */

static int
move_prefixes(struct fx *f)
{
	struct sl_prefix p[] = {fx_prefix("10.7.1.0/24"), fx_prefix("10.7.2.0/24"),
				fx_prefix("10.99.0.0/16"), fx_prefix("fd07::/64")};
	struct sl_secret psk = fx_secret(8);

	return sl_gw_peer_set(f->gw,
			      &(struct sl_gw_peer_spec){.iface = "wg0",
							.public_key = fx_key(3),
							.fields = SL_PF_ALLOWED_IPS | SL_PF_PSK |
								  SL_PF_KEEPALIVE,
							.keepalive_s = 9,
							.psk = &psk,
							.allowed = p,
							.n_allowed = 4},
			      &f->e);
}

static int
new_peer(struct fx *f)
{
	struct sl_prefix p[] = {fx_prefix("10.7.1.0/24"), fx_prefix("10.98.0.0/16")};

	return sl_gw_peer_set(f->gw,
			      &(struct sl_gw_peer_spec){.iface = "wg0",
							.public_key = fx_key(20),
							.fields = SL_PF_ALLOWED_ADD | SL_PF_NAME,
							.name = "new",
							.allowed = p,
							.n_allowed = 2},
			      &f->e);
}

static int
del_peer(struct fx *f)
{
	struct sl_pubkey key = fx_key(1);

	return sl_gw_peer_del(f->gw, "wg0", &key, &f->e);
}

static int
change_iface(struct fx *f)
{
	struct sl_prefix a[] = {fx_prefix("10.1.0.1/24"), fx_prefix("10.2.0.1/24")};
	struct sl_prefix in[] = {fx_prefix("10.0.0.0/8"), fx_prefix("172.16.0.0/12")};
	struct sl_secret key = fx_secret(70);

	return sl_gw_iface_set(f->gw,
			       &(struct sl_gw_iface_spec){.name = "wg0",
							  .fields = SL_IF_ADDRESSES | SL_IF_INSIDE |
								    SL_IF_KEY | SL_IF_LISTEN_PORT,
							  .listen_port = 1111,
							  .key_source = SL_KEY_UAPI,
							  .key = &key,
							  .inside_port = "lan",
							  .inside_prefixes = in,
							  .n_inside_prefixes = 2,
							  .addresses = a,
							  .n_addresses = 2},
			       &f->e);
}

static int
new_iface(struct fx *f)
{
	struct sl_prefix a = fx_prefix("10.3.0.1/24");

	return sl_gw_iface_set(f->gw,
			       &(struct sl_gw_iface_spec){.name = "wg9",
							  .fields = SL_IF_ADDRESSES | SL_IF_INSIDE |
								    SL_IF_KEY,
							  .key_source = SL_KEY_MEMORY,
							  .inside_port = "lan",
							  .inside_vlan = 7,
							  .addresses = &a,
							  .n_addresses = 1},
			       &f->e);
}

static int
del_iface(struct fx *f)
{
	return sl_gw_iface_del(f->gw, "wg0", &f->e);
}

static int
add_route(struct fx *f)
{
	return sl_gw_route_add(f->gw,
			       &(struct sl_gw_route_spec){.prefix = fx_prefix("10.50.0.0/16"),
							  .via = fx_ip("10.20.0.50"),
							  .iface = "wg0"},
			       &f->e);
}

static int
set_mode(struct fx *f)
{
	struct sl_prefix p = fx_prefix("10.20.0.0/16");

	return sl_gw_mode_set_prefix(f->gw, &p, SL_MODE_ENFORCE, false, &f->e);
}

/* --- the test
 * ------------------------------------------------------------------------------------------ */

static void
open_filled(struct fx *f)
{
	static const char *const net[] = {"10.7.1.0/24", "10.7.2.0/24", "10.7.3.0/24",
					  "10.7.4.0/24"};
	struct sl_prefix own = fx_prefix("10.1.0.1/24");
	unsigned i;

	fx_init(f);
	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	for (i = 0; i < 4; i++)
		fx_peer(f, "wg0", i + 1, net[i]);
	assert_int_equal(sl_gw_iface_set(f->gw,
					 &(struct sl_gw_iface_spec){.name = "wg0",
								    .fields = SL_IF_ADDRESSES,
								    .addresses = &own,
								    .n_addresses = 1},
					 &f->e),
			 0);
	fx_turn(f);
}

static void
fail_each(int (*change)(struct fx *f))
{
	static struct text before, after;
	static struct fx fx;
	unsigned n, refused = 0;
	int rc;

	for (n = 0;; n++) {
		open_filled(&fx);
		describe(&fx, &before);
		left = n;
		failed = false;
		rc = change(&fx);
		left = -1;
		fx_turn(&fx);
		describe(&fx, &after);
		if (rc == 0) {
			assert_string_not_equal(before.s, after.s);
		} else {
			assert_true(failed);
			assert_string_equal(before.s, after.s);
			refused++;
			assert_int_equal(change(&fx), 0);
		}
		fx_fini(&fx);
		if (!failed)
			break;
		assert_true(n < 1000);
	}
	print_message("%u allocations, %u refusals\n", n, refused);
	assert_true(refused > 0);
}

#define TEST(change)                                                                               \
	static void test_##change(void **state)                                                    \
	{                                                                                          \
		(void)state;                                                                       \
		fail_each(change);                                                                 \
	}

TEST(move_prefixes)
TEST(new_peer)
TEST(del_peer)
TEST(change_iface)
TEST(new_iface)
TEST(del_iface)
TEST(add_route)
TEST(set_mode)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move_prefixes), cmocka_unit_test(test_new_peer),
		cmocka_unit_test(test_del_peer),      cmocka_unit_test(test_change_iface),
		cmocka_unit_test(test_new_iface),     cmocka_unit_test(test_del_iface),
		cmocka_unit_test(test_add_route),     cmocka_unit_test(test_set_mode),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
