/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy_fixture.h"

#include <dirent.h>
#include <netinet/in.h>
#include <unistd.h>

struct fx px_fx;
char px_state_dir[64];
int px_last_rc;
struct sl_error px_last_e;
unsigned px_n_done, px_last_tests, px_last_lints;
uint64_t px_last_generation;

static void
done(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	assert_true((rc == 0) == (r != NULL));
	px_last_rc = rc;
	px_last_e = *e;
	px_n_done++;
	if (r == NULL)
		return;
	px_last_tests = r->tests;
	px_last_lints = r->n_lints;
	px_last_generation = r->generation;
}

int
px_submit(struct fx *f, const char *text, const struct sl_gw_policy_load *with)
{
	struct sl_gw_policy_load l = with != NULL ? *with : (struct sl_gw_policy_load){0};

	l.text = text;
	l.len = strlen(text);
	l.origin = "rpc";
	l.run_tests = true;
	l.keep = true;
	l.done = done;
	return sl_gw_policy_load(f->gw, &l, &f->e);
}

void
px_load(struct fx *f, const char *text)
{
	unsigned before = px_n_done;

	assert_int_equal(px_submit(f, text, NULL), 0);
	assert_int_equal(px_n_done, before + 1);
	if (px_last_rc != 0)
		fail_msg("%s at %s: %s", px_last_e.reason, px_last_e.path, px_last_e.message);
}

void
px_load_refused(struct fx *f, const char *text, const char *reason, const char *path)
{
	assert_int_equal(px_submit(f, text, NULL), 0);
	if (px_last_rc == 0 || strcmp(px_last_e.reason, reason) != 0 ||
	    strcmp(px_last_e.path, path) != 0)
		fail_msg("%d %s at %s: %s; wanted %s at %s", px_last_rc, px_last_e.reason,
			 px_last_e.path, px_last_e.message, reason, path);
}

int
px_setup(void **state)
{
	snprintf(px_state_dir, sizeof(px_state_dir), "/tmp/sl-test-policy-%ld", (long)getpid());
	fx_init(&px_fx);
	px_fx.conf.lockstep = true;
	fx_open(&px_fx);
	fx_ports(&px_fx);
	fx_iface(&px_fx, "wg0", 51820);
	fx_turn(&px_fx);
	px_n_done = 0;
	*state = &px_fx;
	return 0;
}

int
px_setup_state(void **state)
{
	snprintf(px_state_dir, sizeof(px_state_dir), "/tmp/sl-test-policy-%ld", (long)getpid());
	fx_init(&px_fx);
	px_fx.conf.lockstep = true;
	px_fx.conf.state_dir = px_state_dir;
	fx_open(&px_fx);
	fx_ports(&px_fx);
	fx_iface(&px_fx, "wg0", 51820);
	*state = &px_fx;
	return 0;
}

int
px_teardown(void **state)
{
	DIR *d = opendir(px_state_dir);
	struct dirent *de;
	char path[512];

	fx_turn(*state);
	fx_fini(*state);
	while (d != NULL && (de = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", px_state_dir, de->d_name);
		if (de->d_name[0] != '.')
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(px_state_dir);
	return 0;
}

void
px_peer(struct fx *f, const char *iface, unsigned n, const char *name, const char *prefix)
{
	struct sl_prefix p = fx_prefix(prefix);
	struct sl_gw_peer_spec s = {.iface = iface,
				    .public_key = fx_key(n),
				    .fields = SL_PF_ALLOWED_IPS | SL_PF_NAME,
				    .name = name,
				    .allowed = &p,
				    .n_allowed = 1};

	if (sl_gw_peer_set(f->gw, &s, &f->e) != 0)
		fail_msg("%s: %s", f->e.reason, f->e.message);
}

void
px_advance(struct fx *f, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 2; i++) {
		f->now_ns += S / 2;
		f->wall_ns += S / 2;
		sl_gw_poll(f->gw);
	}
}

/* The verdict of the published tables on TCP from the tunnel. */
struct sl_judgement
px_judge(struct fx *f, const char *iface, unsigned key, const char *src, const char *dst,
	 uint16_t dport)
{
	struct sl_ip a = fx_ip(src), b = fx_ip(dst);
	struct sl_gw_peer_info info = {.id = SL_PEER_MAX};
	struct sl_pubkey pk = fx_key(key);
	struct sl_judge_flow flow[1];
	struct sl_judgement j[1];
	struct sl_gw_iface_info i;

	assert_true(sl_gw_iface_find(f->gw, iface, &i));
	if (key != 0 && sl_gw_peer_info(f->gw, iface, &pk, &info) != 0)
		fail_msg("no peer %u", key);
	flow[0] = (struct sl_judge_flow){.f = {.version = a.family,
					       .proto = IPPROTO_TCP,
					       .iface = i.id,
					       .src = a.b,
					       .dst = b.b,
					       .sport = 40000,
					       .dport = dport},
					 .peer_id = info.id};
	sl_judge(&fx_root(f)->authz.policy, sl_tick_of(f->now_ns), flow, j, 1);
	return j[0];
}

bool
px_allows(struct fx *f, const char *iface, unsigned key, const char *src, const char *dst,
	  uint16_t dport)
{
	return px_judge(f, iface, key, src, dst, dport).allow;
}

const char *
px_at(uint64_t wall_ns)
{
	static char text[4][32];
	static unsigned n;

	return sl_time_str(wall_ns, text[n++ % 4]);
}

struct sl_pol_member
px_member(const char *name, const char *prefix, const char *iface, uint64_t expires_ns)
{
	struct sl_pol_member m = {.source = SL_SOURCE_DYNAMIC, .expires_ns = expires_ns};

	snprintf(m.peer, sizeof(m.peer), "%s", name != NULL ? name : "");
	snprintf(m.place.iface, sizeof(m.place.iface), "%s", iface);
	if (prefix != NULL)
		m.place.prefix = fx_prefix(prefix);
	return m;
}

/* A document whose one role has n prefixes. */
char *
px_many_prefixes(unsigned n)
{
	char *text = NULL;
	size_t size;
	FILE *o = open_memstream(&text, &size);

	fprintf(o, "{\"version\":1,\"roles\":{\"eng\":{\"members\":[");
	for (unsigned i = 0; i < n; i++)
		fprintf(o, "%s\"10.%u.%u.0/24@wg0\"", i ? "," : "", 100 + i / 250, i % 250);
	fprintf(o, "]}}}");
	fclose(o);
	return text;
}
