/* SPDX-License-Identifier: BSD-3-Clause */
/* What the gateway remembers of its control plane: the boot cache, what was deleted, epochs. */
#include "cp_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR 3600

/* The control plane lives, and tells its time. */
static void
beat(uint64_t wall_ns)
{
	struct sl_hash_sum sum = {0};

	cp_sub_ops.heartbeat(cx.cp, cx.cp->seq + 1, cx.cp->seq + 1, &sum, wall_ns);
}

/* --- the boot cache ------------------------------------------------------------------------------
 */

static void
test_cache(void **state)
{
	struct sl_position pos;

	cx_snapshot(10, CX_BASE);
	cp_sub_ops.schema(cx.cp, 2);
	cx_restart();
	cp_sub_ops.position(cx.cp, &pos);
	assert_int_equal(pos.schema, 2);
	assert_false(cx_has_peer("alice")); /* a source may still answer */
	assert_int_equal(cx.cp->seq, 10);
	cx_later(2);
	cx_turns(1000);
	assert_false(cx_has_peer("alice"));
	cx_later(2);
	cx_turns(1000);
	assert_true(cx.cp->stale_config);
	assert_true(cx_has_peer("alice"));
	assert_true(cx_allows(1, "10.7.0.2", 22));
	/* the first source is a difference to it */
	{
		unsigned n = cx.f->n_cmd;

		cx_snapshot(10, CX_BASE);
		assert_int_equal(cx.f->n_cmd, n);
		assert_false(cx.cp->stale_config);
	}
}

/* The source goes on where the cache ends: nobody waits for boot_wait. */
static void
test_cache_confirmed(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_restart();
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_later(1);
	cx_turns(1000);
	assert_true(cx_has_peer("alice"));
	assert_false(cx.cp->stale_config);
	/* and where it has more, that comes first */
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	cx_restart();
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_txn(12, "{'op':'del','kind':'peer','id':'alice','rev':9}");
	cx_acked();
	assert_int_equal(cx.cp->n_peers, 0);
	assert_true(cx.cp->policy_loaded);
}

static void
not_served_after(void (*harm)(void))
{
	cx_snapshot(10, CX_BASE);
	cx_stop();
	harm();
	cx_start();
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_peers, 0);
	assert_true(cx.cp->cache_error[0] != '\0');
}

static void
refused_after(void (*harm)(void))
{
	not_served_after(harm);
	assert_int_equal(cx.cp->epoch.number, 0);
}

static void
grow_old(void)
{
	cx_later(168 * HOUR + 60);
}

static void
test_cache_old(void **state)
{
	not_served_after(grow_old);
}

static void
go_back(void)
{
	cx.f->wall_ns -= 100 * S;
}

static void
test_cache_from_the_future(void **state)
{
	not_served_after(go_back);
}

static void
flip_a_bit(void)
{
	char path[128];
	uint8_t b;
	int fd;

	cx_state_path("control-cache", path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, 200), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, 200), 1);
	close(fd);
}

static void
test_cache_changed(void **state)
{
	refused_after(flip_a_bit);
}

static void
cut(void)
{
	char path[128];
	struct stat st;

	cx_state_path("control-cache", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 20), 0);
}

static void
test_cache_cut(void **state)
{
	refused_after(cut);
}

static void
open_key(void)
{
	char path[128];

	cx_state_path("control-cache.key", path);
	assert_int_equal(chmod(path, 0644), 0);
}

static void
test_cache_key_readable(void **state)
{
	struct stat st;
	char path[128];

	refused_after(open_key);
	cx_state_path("control-cache.key", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 32);
}

static void
rename_gateway(void)
{
	cx.config.name = (char *)(uintptr_t) "gw-2";
}

static void
test_cache_of_another(void **state)
{
	refused_after(rename_gateway);
}

/* It holds no address and no name in clear, and is the owner's alone. */
static void
test_cache_is_sealed(void **state)
{
	char path[128], *text;
	struct sl_error e;
	struct stat st;
	size_t len;

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000); /* written while it runs too */
	cx_state_path("control-cache", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(gw_file_read(px_state_dir, "control-cache", 1 << 20, &text, &len, &e), 0);
	assert_null(memmem(text, len, "alice", 5));
	assert_null(memmem(text, len, "10.7.0", 6));
	free(text);
	cx_state_path("control-cache.key", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
}

static void
test_cache_off(void **state)
{
	char path[128];

	cx.config.boot_cache = false;
	cx_snapshot(10, CX_BASE);
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_peers, 0);
	cx_state_path("control-cache", path);
	assert_int_equal(access(path, F_OK), -1);
}

/* Deleted after the cache was written, and the gateway was killed: nobody comes back. */
static void
test_cache_before_a_deletion(void **state)
{
	char path[128];

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	cx_txn(11, CX_PUT_BOB(8, ""));
	cx_txn(12, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	cx_die();
	cx_stop();
	cx_state_path("control-journal", path);
	assert_int_equal(unlink(path), 0);
	cx_start();
	cx_restart();
	assert_int_equal(cx.cp->seq, 10);
	cx_later(4);
	cx_turns(1000);
	assert_true(cx_has_peer("alice"));
	assert_false(cx_has_peer("bob"));
	/* a source goes on from there: what it says of bob before his end does not bring him back
	 */
	cx_txn(11, CX_PUT_BOB(8, ""));
	cx_acked();
	assert_false(cx_has_peer("bob"));
	cx_txn(12, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	cx_txn(13, CX_PUT_BOB(10, ""));
	assert_true(cx_has_peer("bob"));
}

/* --- tombstones ----------------------------------------------------------------------------------
 */

static void
test_backup_brings_nobody_back(void **state)
{
	json_t *list = json_array();

	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5},"
		   "{'op':'del','kind':'rule','id':'guest/1','rev':2}");
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_tombs, 2);
	cx_restore_backup(2, CX_BASE);
	assert_true(cx_has_peer("alice"));
	assert_false(cx_has_peer("bob"));
	assert_int_equal(sl_replica_count(cx.cp->r), 10); /* it stays in the replica: the sum */
	assert_int_equal(sl_cp_tombstones(cx.cp, 0, 100, list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "id")),
			    "bob");
	assert_true(json_is_true(json_object_get(json_array_get(list, 0), "blocks")));
	json_decref(list);
	/* the operator confirms */
	fx_refused(cx.f, sl_cp_tombstone_confirm(cx.cp, "peer", "zoe", &cx.f->e), -ENOENT,
		   "tombstone_unknown", "/id");
	fx_refused(cx.f, sl_cp_tombstone_confirm(cx.cp, "zone", "in", &cx.f->e), -EINVAL,
		   "kind_unknown", "/kind");
	assert_int_equal(sl_cp_tombstone_confirm(cx.cp, "peer", "bob", &cx.f->e), 0);
	cx_turns(1000);
	assert_true(cx_has_peer("bob"));
	/* an admin puts it anew */
	cx_txn(6, "{'op':'put','kind':'rule','id':'guest/1','rev':7,'obj':{'id':1,'role':'guest',"
		  "'to':['db1'],'protocol':'tcp','ports':[80],'action':'allow'}},"
		  "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		  "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'roles':['guest']}}");
	cx_acked();
	assert_true(cx_allows(2, "10.7.0.3", 80));
	assert_int_equal(cx.cp->n_tombs, 0);
}

/* Nor does a gateway that goes and comes in the new epoch: what it is sent then is the old one. */
static void
test_scope_brings_nobody_back(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_restore_backup(2, CX_BASE);
	cx_txn(6, "{'op':'del','kind':'peer','id':'bob','rev':4,'left':true}");
	cx_txn(7, CX_PUT_BOB(4, ""));
	cx_acked();
	assert_false(cx_has_peer("bob"));
	cx_txn(8, "{'op':'del','kind':'peer','id':'bob','rev':4,'left':true}");
	cx_snapshot(9, CX_BASE);
	assert_false(cx_has_peer("bob"));
	assert_int_equal(cx.cp->n_tombs, 1);
	cx_txn(10, CX_PUT_BOB(6, ""));
	assert_true(cx_has_peer("bob"));
	assert_int_equal(cx.cp->n_tombs, 0);
}

/* In the same epoch a put is a put; in a newer one a higher revision is news. */
static void
test_put_again(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_txn(12, "{'op':'put',"
		   "'kind':'peer','id':'bob','rev':6,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32']}}");
	assert_true(cx_has_peer("bob"));
	assert_int_equal(cx.cp->n_tombs, 0);
	cx_txn(13, "{'op':'del','kind':'peer','id':'bob','rev':7}");
	cx_restore_backup(2, CX_IFACE CX_POLICY CX_ALICE
			  "{'kind':'peer','id':'bob','rev':8,'obj':{'interface':'wg0',"
			  "'public_key':'%2','allowed_ips':['10.7.0.3/32']}}");
	assert_true(cx_has_peer("bob"));
}

/* The list for the control plane is made in pieces, and what it stands at may go meanwhile. */
static void
test_blocked_in_pieces(void **state)
{
	struct sl_replica_obj gone = {.kind = SL_KIND_PEER, .text = "{}"};
	json_t *names = json_array();
	unsigned n = 0, pieces = 1;
	char id[32];

	cx_snapshot(10, CX_BASE);
	gone.id = id;
	for (unsigned i = 0; i < 1200; i++) {
		if (i == 700)
			cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
		snprintf(id, sizeof(id), "gone-%u", i);
		cp_tomb_add(cx.cp, &gone, 3, 10);
	}
	cx_restore_backup(2, CX_BASE);
	assert_int_equal(cx.cp->n_tombs, 1201);
	cp_tomb_look(cx.cp);
	assert_true(cp_tomb_look_on(cx.cp, &n, names));
	assert_int_equal(n, 0);
	snprintf(id, sizeof(id), "%s", cx.cp->look->id);
	assert_int_equal(sl_cp_tombstone_confirm(cx.cp, "peer", id, &cx.f->e), 0);
	assert_string_not_equal(cx.cp->look->id, id);
	while (cp_tomb_look_on(cx.cp, &n, names))
		pieces++;
	assert_in_range(pieces, 2, 4);
	assert_int_equal(n, 1);
	assert_int_equal(json_array_size(names), 1);
	assert_string_equal(json_string_value(json_array_get(names, 0)), "peer/bob");
	json_decref(names);
}

/* A rule that denied may come back: that opens nothing. */
static void
test_deny_rule_comes_back(void **state)
{
#define DENY                                                                                       \
	",{'kind':'rule','id':'eng/2','rev':1,'obj':{'id':2,'role':'eng','to':['db1'],"            \
	"'protocol':'tcp','ports':[22],'action':'deny','priority':1}}"
	cx_snapshot(10, CX_BASE DENY);
	assert_false(cx_allows(1, "10.7.0.2", 22));
	cx_txn(11, "{'op':'del','kind':'rule','id':'eng/2','rev':2}");
	assert_true(cx_allows(1, "10.7.0.2", 22));
	cx_restore_backup(2, CX_BASE DENY);
	assert_false(cx_allows(1, "10.7.0.2", 22));
}

/* Also where what was deleted under its id allowed, later than the backup. */
static void
test_deny_rule_was_allow(void **state)
{
	cx_snapshot(10, CX_BASE DENY);
	cx_txn(11, "{'op':'put','kind':'rule','id':'eng/2','rev':2,'obj':{'id':2,'role':'eng',"
		   "'to':['db1'],'protocol':'tcp','ports':[22],'action':'allow'}}");
	cx_txn(12, "{'op':'del','kind':'rule','id':'eng/2','rev':3}");
	assert_int_equal(cx.cp->n_tombs, 1);
	cx_restore_backup(2, CX_BASE DENY);
	assert_false(cx_allows(1, "10.7.0.2", 22));
}

/* The other way round it may not: a backup from when it allowed opens nothing. */
static void
test_allow_rule_was_deny(void **state)
{
#define ALLOW                                                                                      \
	",{'kind':'rule','id':'eng/2','rev':1,'obj':{'id':2,'role':'eng','to':['db1'],"            \
	"'protocol':'tcp','ports':[23],'action':'allow'}}"
	cx_snapshot(10, CX_BASE ALLOW);
	cx_txn(11, "{'op':'del','kind':'rule','id':'eng/1','rev':2}");
	assert_true(cx_allows(1, "10.7.0.2", 23));
	cx_txn(12, "{'op':'put','kind':'rule','id':'eng/2','rev':2,'obj':{'id':2,'role':'eng',"
		   "'to':['db1'],'protocol':'tcp','ports':[23],'action':'deny'}}");
	cx_txn(13, "{'op':'del','kind':'rule','id':'eng/2','rev':3}");
	assert_false(cx_allows(1, "10.7.0.2", 23));
	cx_restore_backup(2, CX_BASE ALLOW);
	assert_false(cx_allows(1, "10.7.0.2", 23));
}

#define SERVES(ifaces) "{'kind':'gateway','id':'gw-1','rev':1,'obj':{'interfaces':" ifaces "}}"

/* What is no longer this gateway's is not deleted: an older backup may bring it back here. */
static void
test_left(void **state)
{
	cx_snapshot(10, CX_BASE "," SERVES("['wg0']"));
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':4,'left':true}");
	assert_false(cx_has_peer("bob"));
	assert_int_equal(cx.cp->n_tombs, 0);
	cx_snapshot(12, SERVES("[]"));
	assert_false(cx_has_peer("alice"));
	assert_int_equal(cx.cp->n_tombs, 2); /* the two rules: every gateway has them */
	cx_snapshot(13, "{'kind':'gateway','id':'gw-1','rev':2,'obj':{'interfaces':['wg0'],"
			"'enabled':false}}");
	cx_restore_backup(2, CX_IFACE CX_POLICY CX_ALICE CX_BOB "," SERVES("['wg0']"));
	assert_true(cx_has_peer("alice"));
	assert_true(cx_has_peer("bob"));
}

/* A snapshot of the same epoch lacks what was deleted meanwhile; one of another says nothing of
 * that. */
static void
test_snapshot_deletes(void **state)
{
	cx_snapshot(10, CX_BASE "," SERVES("['wg0']"));
	cx_snapshot(20, CX_IFACE CX_POLICY CX_ALICE SERVES("['wg0']"));
	assert_int_equal(cx.cp->n_tombs, 1);
	cx_restore_backup(2, CX_IFACE CX_POLICY);
	assert_int_equal(cx.cp->n_tombs, 1);
	cx_restore_backup(3, CX_BASE);
	assert_true(cx_has_peer("alice"));
	assert_false(cx_has_peer("bob"));
	/* nor as it was changed to unseen, before it was deleted; a new one is let in */
	cx_restore_backup(4, CX_IFACE CX_POLICY CX_ALICE
			  "{'kind':'peer','id':'bob','rev':8,'obj':{'interface':'wg0',"
			  "'public_key':'%2','allowed_ips':['10.7.0.3/32']}}");
	assert_false(cx_has_peer("bob"));
	cx_txn(6, CX_PUT_BOB(12884901889, ""));
	assert_true(cx_has_peer("bob"));
}

/* A cache of the wrong time serves nobody, but still tells who is deleted since, and where a source
 * goes on. */
static void
test_barred_cache_deletes(void **state)
{
	struct sl_position pos;

	cx_snapshot(10, CX_BASE "," SERVES("['wg0']"));
	cx_stop();
	go_back();
	cx_start();
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_peers, 0);
	cp_sub_ops.position(cx.cp, &pos);
	assert_int_equal(pos.seq, 10);
	cx_snapshot(20, CX_IFACE CX_POLICY CX_ALICE SERVES("['wg0']"));
	assert_true(cx_has_peer("alice"));
	assert_int_equal(cx.cp->n_tombs, 1);
	cx_restore_backup(2, CX_BASE);
	assert_true(cx_has_peer("alice"));
	assert_false(cx_has_peer("bob"));
}

static void
test_tombstones_end(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_later(121 * 24 * HOUR);
	cx_restart();
	assert_int_equal(cx.cp->n_tombs, 1); /* the clock alone does not say so */
	beat(cx.f->wall_ns - 3600 * S);
	assert_int_equal(cx.cp->n_tombs, 1);
	beat(cx.f->wall_ns);
	assert_int_equal(cx.cp->n_tombs, 0);
	cx_restart();
	assert_int_equal(cx.cp->n_tombs, 0);
}

/* A gateway without a clock of its own starts in the past: what it deletes then counts from the
 * time of the control plane. */
static void
test_tombstones_clock(void **state)
{
	uint64_t right = cx.f->wall_ns + 1000 * 24 * HOUR * S;

	cx_snapshot(10, CX_BASE);
	beat(right);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx.f->wall_ns = right; /* set by now */
	cx_restart();
	beat(right);
	assert_int_equal(cx.cp->n_tombs, 1);
}

static void
test_damaged_tombstones(void **state)
{
	char path[128];
	FILE *o;

	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_stop();
	cx_state_path("control-revoked", path);
	o = fopen(path, "a");
	fputs("nonsense\n+ peer 1 2\n+ peer 1 12 3 1700000000 carol\n+ pe", o);
	fclose(o);
	cx_start();
	assert_int_equal(cx.cp->n_tombs, 2); /* the whole lines count */
}

/** A transaction as it comes over the wire. @return what the gateway says at once */
static int
raw_txn(const char *text)
{
	json_t *t = cx_json(text);
	int rc = cp_sub_ops.txn(cx.cp, t, &cx.f->e);

	json_decref(t);
	cx_turns(100000);
	return rc;
}

/* Each deletion is a line of a file, and what a line says was confirmed here, by a person: no id
 * can write one. */
static void
test_lines_in_ids(void **state)
{
	unsigned n;
	json_t *v;

	cx_snapshot(10, CX_BASE);
	raw_txn("{'seq':11,'prev':10,'chain':'b2b:01','ops':[{'op':'put','kind':'peer','id':'x\\n"
		"A 1 " CX_EPOCH2 "','rev':5,'obj':{'interface':'wg0','public_key':'%3'}}]}");
	raw_txn("{'seq':12,'prev':11,'chain':'b2b:02','ops':[{'op':'del','kind':'peer','id':'x\\n"
		"A 1 " CX_EPOCH2 "','rev':6}]}");
	assert_int_equal(raw_txn("{'seq':13,'prev':12,'chain':'b2b:03\\n-peer\\tbob','ops':[]}"),
			 -EBADMSG);
	n = cx.n_done;
	v = cx_json("[{'kind':'peer','id':'x\\n- peer bob','rev':1,'obj':{'interface':'wg0',"
		    "'public_key':'%3'}}]");
	assert_int_equal(cp_sub_ops.snapshot_begin(cx.cp, &cx.epoch, 20, "test", &cx.f->e), 0);
	assert_int_equal(cp_sub_ops.snapshot_part(cx.cp, v, &cx.f->e), 0);
	json_decref(v);
	cx_turns(1000);
	assert_int_equal(cx.n_done, n + 2);
	assert_int_equal(cx.rc, -EBADMSG);
	assert_string_equal(cx.e.reason, "object_invalid");
	cx_restart();
	assert_int_equal(cx.cp->accepted.number, 0);
	assert_int_equal(cx.cp->n_tombs, 0);
	cx_advance(4);
	assert_true(cx_has_peer("bob")); /* as it was before all that */
}

/* The disk takes nothing for a while: what was to be written is written when it does. */
static void
test_tombstones_again(void **state)
{
	char path[128], text[4096] = "";
	FILE *o;

	cx_snapshot(10, CX_BASE);
	cx_advance(1);
	cx_state_path("control-revoked", path);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0); /* no file can be there */
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_advance(1);
	cx_txn(12, "{'op':'del','kind':'peer','id':'alice','rev':5}");
	cx_advance(12); /* tried again, and failed again */
	assert_int_equal(rmdir(path), 0);
	cx_advance(12);
	o = fopen(path, "r");
	assert_non_null(o);
	assert_true(fread(text, 1, sizeof(text) - 1, o) > 0);
	fclose(o);
	assert_non_null(strstr(text, " bob\n"));
	assert_non_null(strstr(text, " alice\n"));
	cx_restart();
	assert_int_equal(cx.cp->n_tombs, 2);
}

/* It ends while the disk takes nothing: no wait, no harm. */
static void
test_tombstones_never(void **state)
{
	char path[128];

	cx_snapshot(10, CX_BASE);
	cx_advance(1);
	cx_state_path("control-revoked", path);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':5}");
	cx_advance(1);
	cx_txn(12, "{'op':'del','kind':'peer','id':'alice','rev':5}");
	cx_stop();
	assert_int_equal(rmdir(path), 0);
	cx_start();
	assert_int_equal(cx.cp->n_tombs, 0);
}

/* --- epochs --------------------------------------------------------------------------------------
 */

static void
test_epochs(void **state)
{
	struct sl_epoch e = {.number = 5, .id = CX_EPOCH1};

	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), 0);
	cx_restore_backup(5, CX_BASE);
	e = cx.epoch;
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), 0);
	e.number = 6; /* an id belongs to one number */
	fx_refused(cx.f, cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM, "epoch_diverged", "/epoch");
	e = (struct sl_epoch){.number = 6, .id = CX_EPOCH2};
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), 0);
	e = (struct sl_epoch){.number = 5, .id = CX_EPOCH2};
	fx_refused(cx.f, cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM, "epoch_diverged", "/epoch");
	e = (struct sl_epoch){.number = 4, .id = CX_EPOCH1};
	cx_restart(); /* it is remembered, with or without a cache */
	fx_refused(cx.f, cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM, "epoch_lower", "/epoch");
	fx_refused(cx.f, sl_cp_epoch_accept(cx.cp, CX_EPOCH2, &cx.f->e), -ENOENT, "epoch_unknown",
		   "/id");
	assert_int_equal(sl_cp_epoch_accept(cx.cp, CX_EPOCH1, &cx.f->e), 0);
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), 0);
	e.number = 3; /* not what was accepted */
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM);
	e.number = 4;
	cx.epoch = e;
	cx_snapshot(3, CX_BASE);
	cx_acked();
	assert_int_equal(cx.cp->seen.number, 4);
	e = (struct sl_epoch){.number = 4, .id = CX_EPOCH2};
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM);
}

static struct sl_epoch
accept_lower(void)
{
	struct sl_epoch e = {.number = 4, .id = CX_EPOCH1};

	cx_restore_backup(5, CX_BASE);
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM);
	assert_int_equal(sl_cp_epoch_accept(cx.cp, e.id, &cx.f->e), 0);
	while (sl_cp_saved(cx.cp, &cx.f->e) == 1)
		fx_turn(cx.f);
	return e;
}

static int
epoch_of(uint64_t number, const char *id)
{
	struct sl_epoch e = {.number = number};

	snprintf(e.id, sizeof(e.id), "%s", id);
	return cp_sub_ops.epoch(cx.cp, &e, &cx.f->e);
}

/* What an operator has accepted is known to the next run, and is that epoch alone. */
static void
test_accepted_epoch_stays(void **state)
{
	struct sl_epoch e = accept_lower();

	for (unsigned i = 0; i < 2; i++) {
		cx_die();
		cx_restart();
		assert_int_equal(epoch_of(4, CX_EPOCH1), 0);
		assert_int_equal(epoch_of(4, CX_EPOCH2), -EPERM);
		assert_int_equal(epoch_of(3, CX_EPOCH1), -EPERM);
	}
	/* until another one is entered */
	cx_restore_backup(6, CX_BASE);
	cx_restart();
	assert_int_equal(cp_sub_ops.epoch(cx.cp, &e, &cx.f->e), -EPERM);
}

static void
copy_file(const char *name, const char *to)
{
	char from_path[128], to_path[128], cmd[300];

	cx_state_path(name, from_path);
	cx_state_path(to, to_path);
	snprintf(cmd, sizeof(cmd), "cp %s %s", from_path, to_path);
	assert_int_equal(system(cmd), 0);
}

/* The gateway dies in the accepted epoch before the boot cache is of it: the former cache serves,
 * and the source is followed all the same. */
static void
test_accepted_epoch_old_cache(void **state)
{
	struct sl_epoch e = accept_lower();

	copy_file("control-cache", "kept");
	cx.epoch = e;
	cx_snapshot(3, CX_BASE);
	cx_acked();
	cx_turns(1000);
	cx_die();
	cx_stop();
	copy_file("kept", "control-cache");
	cx_start();
	for (unsigned i = 0; i < 2; i++) {
		cx_restart();
		assert_int_equal(cx.cp->epoch.number, 5);
		assert_int_equal(epoch_of(4, CX_EPOCH1), 0);
		assert_int_equal(epoch_of(3, CX_EPOCH2), -EPERM);
		cx_die();
	}
	cx_snapshot(4, CX_BASE);
	cx_acked();
	cx_restart();
	assert_int_equal(cx.cp->epoch.number, 4);
	assert_int_equal(cx.cp->seen.number, 4);
}

/* Or before the entry is noted: the cache is of what was accepted, and serves. */
static void
test_accepted_epoch_new_cache(void **state)
{
	struct sl_epoch e = accept_lower();

	copy_file("control-revoked", "kept");
	cx.epoch = e;
	cx_snapshot(3, CX_BASE);
	cx_acked();
	cx_turns(1000);
	cx_stop();
	copy_file("kept", "control-revoked");
	cx_start();
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_true(cx_has_peer("alice"));
	assert_int_equal(cx.cp->seen.number, 4);
}

/* A note of an epoch that was lost, where a cache is of it, lets no source of before in. */
static void
test_epoch_note_lost(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_turns(1000);
	copy_file("control-revoked", "kept");
	cx_restore_backup(5, CX_BASE);
	cx_turns(1000);
	cx_stop();
	copy_file("kept", "control-revoked");
	cx_start();
	cx_restart();
	assert_int_equal(cx.cp->epoch.number, 5);
	assert_int_equal(epoch_of(1, CX_EPOCH1), -EPERM);
}

/* A cache of another epoch with the number of the one that was seen last, as before an operator
 * accepted that one, serves nobody. */
static void
test_cache_of_another_epoch(void **state)
{
	char path[128];
	FILE *f;

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	cx_stop();
	cx_state_path("control-revoked", path);
	f = fopen(path, "a");
	fprintf(f, "E 1 " CX_EPOCH2 "\n");
	fclose(f);
	cx_start();
	cx_restart();
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_peers, 0);
	assert_int_equal(cx.cp->epoch.number, 0);
	assert_non_null(strstr(cx.cp->cache_error, "another epoch"));
}

/* A snapshot under our id and another number is no continuation: who is not in it was not deleted.
 */
static void
test_snapshot_of_another_number(void **state)
{
	cx_snapshot(10, CX_BASE "," SERVES("['wg0']"));
	cx.epoch.number = 2;
	cx_snapshot(20, CX_IFACE CX_POLICY CX_ALICE SERVES("['wg0']"));
	assert_int_equal(cx.cp->n_tombs, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, cx_setup_state, cx_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(cache),
		T(cache_confirmed),
		T(cache_old),
		T(cache_from_the_future),
		T(cache_changed),
		T(cache_cut),
		T(cache_key_readable),
		T(cache_of_another),
		T(cache_is_sealed),
		T(cache_off),
		T(cache_before_a_deletion),
		T(backup_brings_nobody_back),
		T(scope_brings_nobody_back),
		T(put_again),
		T(blocked_in_pieces),
		T(deny_rule_comes_back),
		T(deny_rule_was_allow),
		T(allow_rule_was_deny),
		T(left),
		T(snapshot_deletes),
		T(barred_cache_deletes),
		T(tombstones_end),
		T(tombstones_clock),
		T(damaged_tombstones),
		T(lines_in_ids),
		T(tombstones_again),
		T(tombstones_never),
		T(epochs),
		T(accepted_epoch_stays),
		T(accepted_epoch_old_cache),
		T(accepted_epoch_new_cache),
		T(epoch_note_lost),
		T(cache_of_another_epoch),
		T(snapshot_of_another_number),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
