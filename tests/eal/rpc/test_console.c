/* SPDX-License-Identifier: BSD-3-Clause */
/* The console on a pipe, on a file and on a terminal. */
#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>

#include "rpc_fixture.h"
#include "sl_gw_policy.h"
#include "sl_env.h"

static struct rx r;
static struct event_base *base;
static struct sl_console *console;
static int to, from; /* our ends */
static char out[65536];
static size_t n_out;
static unsigned quits;
static bool terminal;

static void
on_quit(void *ctx)
{
	quits++;
}

static int
setup(void **state)
{
	memset(&r, 0, sizeof(r));
	rx_init(&r);
	base = event_base_new();
	n_out = 0;
	out[0] = 0;
	quits = 0;
	terminal = false;
	to = from = -1;
	return 0;
}

static int
teardown(void **state)
{
	sl_console_free(console);
	console = NULL;
	event_base_free(base);
	rx_fini(&r);
	if (to >= 0)
		close(to);
	if (from >= 0 && from != to)
		close(from);
	return 0;
}

/** Run the loop and take what comes out. A terminal hands its bytes on when it likes. */
static void
gather(void)
{
	uint64_t end = sl_clock_mono_ns() + (terminal ? SL_NS_PER_S / 4 : 0);
	ssize_t n;

	do {
		for (unsigned i = 0; i < 10; i++) {
			event_base_loop(base, EVLOOP_NONBLOCK);
			sl_ctl_poll(&r.ctl);
		}
		while ((n = read(from, out + n_out, sizeof(out) - 1 - n_out)) > 0)
			n_out += (size_t)n;
		usleep(terminal ? 1000 : 0);
	} while (sl_clock_mono_ns() < end);
	out[n_out] = 0;
}

static void
on_pipe(void)
{
	int in[2], o[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(o, O_CLOEXEC), 0);
	fcntl(o[0], F_SETFL, O_NONBLOCK);
	to = in[1];
	from = o[0];
	console = sl_console_new(base, r.rpc, in[0], o[1], on_quit, NULL, &r.e);
	assert_non_null(console);
}

/** What one command prints. */
static const char *
say(const char *line)
{
	n_out = 0;
	assert_int_equal(write(to, line, strlen(line)), (ssize_t)strlen(line));
	gather();
	return out;
}

/** Turns of the gateway and the loop until `text` has come out. */
static void
until(const char *text)
{
	for (unsigned i = 0; i < 20000 && !strstr(out, text); i++) {
		sl_gw_poll(r.fx.gw);
		gather();
		usleep(500);
	}
	if (!strstr(out, text))
		fail_msg("no \"%s\" in: %s", text, out);
}

/* A policy is compiled while the loop goes on; what stands behind it in the pipe waits for it. */
static void
test_load(void **state)
{
	char file[] = "/tmp/sl-test-console-XXXXXX", line[128];
	int fd = mkstemp(file);
	const char *at;

	assert_int_equal(dprintf(fd, "{\"version\":41}"), 14);
	on_pipe();
	snprintf(line, sizeof(line), "policy load %s\nshow policy\nhelp\n", file);
	say(line);
	assert_string_equal(out, ""); /* nobody has taken a turn of the gateway */
	until("show port stats");
	at = strstr(out, "lints total"); /* of the load, */
	assert_non_null(at);
	at = strstr(at + 1, "loaded"); /* then of the status */
	assert_non_null(at);
	assert_non_null(strstr(at, "41"));
	/* an error, and the end of the input behind it */
	n_out = 0;
	out[0] = 0;
	assert_int_equal(ftruncate(fd, 5), 0);
	snprintf(line, sizeof(line), "policy validate %s", file);
	say(line);
	close(to);
	to = -1;
	gather();
	assert_int_equal(quits, 0);
	until("json_syntax");
	gather();
	assert_int_equal(quits, 1);
	close(fd);
	unlink(file);
}

/* It goes while a command waits. */
static void
test_load_gone(void **state)
{
	char file[] = "/tmp/sl-test-console-XXXXXX", line[128];
	int fd = mkstemp(file);

	assert_int_equal(dprintf(fd, "{\"version\":42}"), 14);
	on_pipe();
	snprintf(line, sizeof(line), "policy load %s\nversion\n", file);
	say(line);
	sl_console_free(console);
	console = NULL;
	for (unsigned i = 0; i < 20000 && !sl_gw_policy(r.fx.gw); i++) {
		sl_gw_poll(r.fx.gw);
		usleep(500);
	}
	assert_int_equal(sl_gw_policy(r.fx.gw)->version, 42); /* what was begun is done */
	close(fd);
	unlink(file);
}

static void
test_show(void **state)
{
	static const char *const lines[] = {
		"show port\n",
		"show port all\n",
		"show port info\n",
		"show port info all\n",
		"show port lan\n",
		"show port info wan\n",
		"show port stats\n",
		"show port stats wan\n",
		"show port stats all\n",
		"show lcore\n",
		"show interface\n",
		"show interface all\n",
		"show interface wg0\n",
		"show peer\n",
		"show peer all\n",
		"show peer alice\n",
		"show session\n",
		"show route\n",
		"show neigh\n",
		"show drops\n",
		"show stats\n",
		"show mode\n",
		"show config\n",
		"show health\n",
		"mem\n",
		"version\n",
		"call rpc.ping\n",
		"call port.stats port=lan\n",
	};

	on_pipe();
	for (unsigned i = 0; i < SL_ARRAY_SIZE(lines); i++) {
		say(lines[i]);
		if (!out[0] || strstr(out, "error:") || out[strlen(out) - 1] != '\n')
			fail_msg("%s gave: %s", lines[i], out);
	}
	assert_non_null(
		strstr(say("show interface wg0\n"), "listen port                     51820\n"));
	say("show peer\n");
	assert_non_null(strstr(out, "alice"));
	assert_non_null(strstr(out, "10.7.0.2/32,fd00:7::2/128"));
	say("help\n");
	assert_non_null(strstr(out, "show port stats"));
	assert_non_null(strstr(out, "mode panic on#off"));
	/* no prompt, no echo: each line is an answer */
	assert_string_equal(say("# a comment\n\n   \n"), "");
	assert_string_equal(say("call rpc.ping\ncall rpc.ping\n"), "ok\nok\n");
	assert_string_equal(say("  call   rpc.ping  # why\r\n"), "ok\n");
}

/** The workers, played: they show what they are asked for. */
static void
play_workers(void)
{
	for (unsigned i = 0; i < r.fx.dp->n_workers; i++) {
		struct sl_worker *w = r.fx.dp->worker[i];

		if (sl_flow_view_lent(w->view))
			sl_flow_view_step(w->view, w->flows, sl_tick_of(r.fx.now_ns), r.fx.now_ns);
	}
}

/* Workers are asked, page by page; what stands behind it in the pipe waits. */
static void
test_flow(void **state)
{
	struct sl_flow_table *t = r.fx.dp->worker[1]->flows;
	struct sl_flow_key k;
	unsigned rows = 0;

	on_pipe();
	for (unsigned i = 0; i < 300; i++) {
		uint8_t src[4] = {10, 7, 0, 2}, dst[4] = {10, 20, 0, (uint8_t)i};

		sl_flow_key_make(&k, 4, 17, 1, src, dst, (uint16_t)(20000 + i), 53);
		sl_flow_add(t, &k, sl_flow_hash(t, &k), sl_tick_of(r.fx.now_ns), NULL, NULL)
			->flags = SL_FLOW_FROM_TUNNEL | SL_FLOW_ALLOW;
	}
	assert_string_equal(say("show flow verdict=allow\ncall rpc.ping\n"), "");
	for (unsigned i = 0; i < 20000 && !strstr(out, "\nok\n"); i++) {
		play_workers();
		gather();
		usleep(500); /* the helper makes the table */
	}
	for (const char *at = out; (at = strstr(at, " tunnel ")) != NULL; at++)
		rows++;
	assert_int_equal(rows, 300);
	assert_non_null(strstr(out, "\nok\n"));
	assert_non_null(strstr(say("show flow peer=carol\n"), "(peer_unknown) at /peer"));
}

static void
test_peer(void **state)
{
	json_t *p;

	on_pipe();
	say("peer add wg0 " BOB
	    " name bob allowed 10.7.0.3/32,10.7.0.4/32 endpoint 203.0.113.9:1 keepalive 25\n");
	if (strstr(out, "error"))
		fail_msg("%s", out);
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	rx_is(json_object_get(p, "allowed_ips"), "[\"10.7.0.3/32\",\"10.7.0.4/32\"]");
	rx_is(json_object_get(p, "endpoint"), "\"203.0.113.9:1\"");
	rx_is(json_object_get(p, "persistent_keepalive"), "25");
	json_decref(p);
	say("peer set wg0 " BOB " enabled no keepalive 0\n");
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	rx_is(json_object_get(p, "enabled"), "false");
	json_decref(p);
	assert_string_equal(say("peer add wg0 " BOB "\n"),
			    "error: wg0 has the peer " BOB " already (exists) at /public_key\n");
	assert_string_equal(say("peer kick wg0 bob\n"), "ok\n");
	assert_string_equal(say("peer del wg0 bob\n"), "ok\n");
	assert_string_equal(
		say("peer del wg0 bob\n"),
		"error: wg0 has no peer with the name or key \"bob\" (not_found) at /peer\n");
	assert_string_equal(say("show peer bob\n"),
			    "error: no interface has a peer \"bob\" (not_found); "
			    "remedy: show peer all\n");
	assert_string_equal(
		say("peer add wg0 short\n"),
		"error: public_key is not a public key (key_invalid) at /public_key; remedy: 44 "
		"characters of base64, as `wg pubkey` prints\n");
	say("peer add wg0 " BOB " allowed\n");
	assert_non_null(strstr(out, "error: \"allowed\" needs a value (usage)"));
	say("peer add wg0 " BOB " colour red\n");
	assert_non_null(strstr(out, "(param_unknown) at /colour; remedy: known are: "));
	say("peer add wg0 " BOB " keepalive soon\n");
	assert_non_null(strstr(out, "(param_type)"));
}

static void
test_mode(void **state)
{
	on_pipe();
	assert_non_null(strstr(say("mode force\n"), "default                         enforce\n"));
	assert_non_null(strstr(say("mode observe 10.20.0.10/32\n"), "10.20.0.10/32  observe  -\n"));
	/* to give it up is to enforce, of which the evidence says too little */
	assert_non_null(strstr(say("mode default 10.20.0.10/32\n"), "(not_covered)"));
	assert_non_null(strstr(say("mode observe\n"), "default                         observe\n"));
	assert_non_null(strstr(say("mode default 10.20.0.10/32\n"), "no prefixes\n"));
	assert_non_null(
		strstr(say("mode panic on\n"), "panic                           observe\n"));
	assert_non_null(strstr(say("mode panic off\n"), "panic                           off\n"));
	assert_non_null(strstr(say("mode observe 10.20.0.10/8\n"),
			       "(prefix_host_bits) at /targets/0; remedy: 10.0.0.0/8"));
	assert_non_null(strstr(r.log, "authz.mode.set by console: default: observe -> enforce"));
}

static void
test_errors(void **state)
{
	static char longest[9000];

	on_pipe();
	assert_string_equal(say("frobnicate\n"),
			    "error: no command \"frobnicate\" (command_unknown); remedy: help\n");
	assert_non_null(strstr(say("show\n"), "(usage); remedy: help\n"));
	assert_non_null(strstr(say("mode maybe\n"), "(usage); remedy: help\n"));
	assert_non_null(strstr(say("show port stats nowhere\n"),
			       "error: no port \"nowhere\" (port_unknown) at /port; remedy: "
			       "port.list names them\n"));
	assert_non_null(strstr(say("show port nowhere\n"), "(port_unknown)"));
	assert_non_null(strstr(say("call no.such\n"), "(method_unknown)"));
	assert_non_null(strstr(say("call peer.get interface=wg0\n"), "(param_missing) at /peer"));
	memset(longest, 'x', sizeof(longest) - 2);
	longest[sizeof(longest) - 2] = '\n';
	assert_string_equal(say(longest), "error: the line is too long (usage)\n");
	assert_string_equal(say("call rpc.ping\n"), "ok\n");
	assert_int_equal(quits, 0);
}

static void
test_quit(void **state)
{
	on_pipe();
	assert_string_equal(say("call rpc.ping\nquit\ncall rpc.ping\n"), "ok\n");
	assert_int_equal(quits, 1);
}

static void
test_end_of_input(void **state)
{
	on_pipe();
	assert_int_equal(write(to, "call rpc.ping", 13), 13); /* its last line has no end */
	close(to);
	to = -1;
	gather();
	assert_string_equal(out, "ok\n");
	assert_int_equal(quits, 1);
}

static void
test_file(void **state)
{
	char name[] = "/tmp/sl-console-XXXXXX";
	int in = mkstemp(name), o[2];

	assert_int_equal(write(in, "call rpc.ping\nversion\n", 22), 22);
	lseek(in, 0, SEEK_SET);
	assert_int_equal(pipe2(o, O_CLOEXEC), 0);
	fcntl(o[0], F_SETFL, O_NONBLOCK);
	from = o[0];
	console = sl_console_new(base, r.rpc, in, o[1], on_quit, NULL, &r.e);
	gather();
	assert_int_equal(strncmp(out, "ok\nversion  ", 12), 0);
	assert_int_equal(quits, 1);
	unlink(name);
}

/* A reader that has gone to sleep costs nothing, and gets all when it is awake again. */
static void
test_stuck_reader(void **state)
{
	uint64_t begin;
	unsigned n = 0;

	on_pipe();
	begin = sl_clock_mono_ns();
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(write(to, "help\n", 5), 5);
	for (unsigned i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(sl_clock_mono_ns() - begin < SL_NS_PER_S / 4);
	for (unsigned i = 0; i < 100; i++) {
		n_out = 0;
		gather();
		for (const char *at = out; (at = strstr(at, "end the gateway\n")) != NULL; at++)
			n++;
	}
	assert_true(n >= 39); /* one may stand on the border of two reads */
	assert_string_equal(say("call rpc.ping\n"), "ok\n");
}

static size_t big; /* bytes */

static int
much(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
     struct sl_error *e)
{
	char *text = calloc(1, big + 1);

	memset(text, 'x', big);
	*result = json_pack("{s:s, s:s}", "text", text, "last", "the end");
	free(text);
	return 0;
}

/** Output of three commands with big answers. */
static void
three_commands(unsigned *found, unsigned *lost, size_t *bytes)
{
	*found = *lost = 0;
	*bytes = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(write(to, "call rpc.ping\n", 14), 14);
	for (unsigned i = 0; i < 40000 && *found + *lost < 3; i++) {
		n_out = 0;
		gather();
		*bytes += n_out;
		*found += strstr(out, "the end") != NULL;
		*lost += strstr(out, "is lost") != NULL;
		usleep(500);
	}
}

/* One command after the other: its output waits for the reader. What is too much to wait is lost,
 * and that is said. */
static void
test_much(void **state)
{
	unsigned found, lost;
	size_t bytes;

	assert_int_equal(sl_rpc_bind(r.rpc, "rpc.ping", much), 0);
	on_pipe();
	big = 300000;
	three_commands(&found, &lost, &bytes);
	assert_int_equal(found, 3);
	assert_true(bytes > 3 * big);
	big = 20000000;
	three_commands(&found, &lost, &bytes);
	assert_int_equal(lost, 3);
	assert_true(bytes > 48000000 && bytes < 60000000);
	big = 10;
	assert_non_null(strstr(say("call rpc.ping\n"), "xxxxxxxxxx\n"));
}

static void
on_terminal(void)
{
	int slave;

	terminal = true;
	assert_int_equal(openpty(&to, &slave, NULL, NULL, NULL), 0);
	from = to;
	fcntl(to, F_SETFL, O_NONBLOCK);
	console = sl_console_new(base, r.rpc, slave, slave, on_quit, NULL, &r.e);
	assert_non_null(console);
	gather();
}

static void
test_terminal(void **state)
{
	on_terminal();
	assert_non_null(strstr(out, "sluice> "));
	/* words, then names complete */
	assert_non_null(strstr(say("sho\t"), "show"));
	assert_non_null(strstr(say("por\t"), "port"));
	assert_non_null(strstr(say("st\t"), "stats"));
	assert_non_null(strstr(say("wa\t"), "wan"));
	assert_non_null(strstr(say("\n"), "rx packets"));
	assert_non_null(strstr(say("show peer al\t\n"), "alice"));
	assert_null(strstr(out, "error"));
	assert_non_null(strstr(say("show interface w\t\n"), "51820"));
	/* ? lists what may follow */
	say("show peer ?");
	assert_non_null(strstr(out, "<peer>"));
	assert_non_null(strstr(out, "alice"));
	say("\x01\x0b"); /* ^A ^K */
	say("mode ?");
	assert_non_null(strstr(out, "panic"));
	say("\x04"); /* ^D on what is typed deletes; on an empty line it ends */
	assert_int_equal(quits, 0);
	say("\x01\x0b");
	say("\x04");
	assert_int_equal(quits, 1);
}

static void
test_terminal_quit(void **state)
{
	on_terminal();
	say("quit\n");
	assert_int_equal(quits, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_load),	  T(test_load_gone),	 T(test_show), T(test_peer),
		T(test_mode),	  T(test_errors),	 T(test_quit), T(test_end_of_input),
		T(test_file),	  T(test_stuck_reader),	 T(test_much), T(test_flow),
		T(test_terminal), T(test_terminal_quit),
	};

	fx_start("test_rpc_console");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
