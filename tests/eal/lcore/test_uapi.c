/* SPDX-License-Identifier: BSD-3-Clause */
/* The UAPI sockets, driven by the `wg` tool as users do, and by a plain socket where `wg` is too
 * polite. Interface names carry the process id: the directory is shared with the whole machine. */
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gw_fixture.h"
#include "sl_uapi_server.h"

static struct fx fx;
static struct event_base *base;
static struct sl_uapi_server *server;
static char name[16], name2[16], dir[64];
static char out[1 << 20]; /* what the last command printed */

static void
turn(struct fx *f)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	fx_turn(f);
	sl_uapi_server_sync(server);
}

/* Run a shell command while the loop turns. @return its exit status; output is in out[] */
static int run(struct fx *f, const char *fmt, ...) SL_PRINTF(2, 3);

static int
run(struct fx *f, const char *fmt, ...)
{
	char cmd[4096], path[128];
	int status, fd;
	ssize_t n;
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/out", dir);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		turn(f);
		usleep(200);
	}
	turn(f);
	fd = open(path, O_RDONLY);
	n = read(fd, out, sizeof(out) - 1);
	close(fd);
	out[SL_MAX(n, 0)] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
write_file(const char *file, const char *text)
{
	char path[128];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fp = fopen(path, "w");
	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static const char *
b64(unsigned n)
{
	static char text[4][SL_KEY_B64_LEN + 1];
	static unsigned next;
	char *t = text[next++ % 4];

	sl_key_to_base64(fx_key(n).b, t);
	return t;
}

static const char *
secret_b64(unsigned n)
{
	static char text[SL_KEY_B64_LEN + 1];

	sl_key_to_base64(fx_secret(n).b, text);
	return text;
}

static struct sl_gw_peer_info
info_of(struct fx *f, unsigned n)
{
	struct sl_pubkey key = fx_key(n);
	struct sl_gw_peer_info info;

	assert_int_equal(sl_gw_peer_info(f->gw, name, &key, &info), 0);
	return info;
}

static bool
has_peer(struct fx *f, unsigned n)
{
	struct sl_pubkey key = fx_key(n);
	struct sl_gw_peer_info info;

	return sl_gw_peer_info(f->gw, name, &key, &info) == 0;
}

static void
sock_file(const char *iface, char path[128])
{
	snprintf(path, 128, "%s/%s.sock", SL_UAPI_DIR, iface);
}

static int
setup(void **state)
{
	snprintf(name, sizeof(name), "slu%ld", (long)getpid());
	snprintf(name2, sizeof(name2), "slv%ld", (long)getpid());
	snprintf(dir, sizeof(dir), "/tmp/sl-test-uapi-%ld", (long)getpid());
	mkdir(dir, 0700);
	fx_init(&fx);
	fx_open(&fx);
	fx_ports(&fx);
	fx_iface(&fx, name, 51820);
	base = event_base_new();
	assert_non_null(base);
	server = sl_uapi_server_new(base, fx.gw, &fx.e);
	assert_non_null(server);
	*state = &fx;
	return 0;
}

static int
teardown(void **state)
{
	char path[128];

	sl_uapi_server_free(server);
	event_base_free(base);
	sock_file(name, path);
	assert_int_equal(access(path, F_OK), -1);
	fx_fini(*state);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	return system(path);
}

static void
test_show(void **state)
{
	struct fx *f = *state;
	char path[128], want[128];
	struct stat st;

	sock_file(name, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(run(f, "wg show %s", name), 0);
	snprintf(want, sizeof(want), "public key: %s", b64(9000 + 51820));
	assert_non_null(strstr(out, want));
	assert_non_null(strstr(out, "listening port: 51820"));
	assert_int_equal(run(f, "wg show interfaces"), 0);
	assert_non_null(strstr(out, name));
	/* a key that exists in memory only is not shown (D46) */
	assert_int_equal(sl_gw_iface_set(f->gw,
					 &(struct sl_gw_iface_spec){.name = name,
								    .fields = SL_IF_KEY,
								    .key_source = SL_KEY_MEMORY},
					 &f->e),
			 0);
	assert_int_equal(run(f, "wg show %s", name), 0);
	assert_null(strstr(out, "public key"));
}

static void
test_set(void **state)
{
	struct fx *f = *state;
	struct sl_gw_peer_info i;
	struct sl_secret psk;
	struct sl_pubkey key = fx_key(1);
	struct sl_gw_iface_info iface;
	struct sl_peer *p;

	write_file("psk", secret_b64(50));
	write_file("key", secret_b64(60));
	assert_int_equal(run(f,
			     "wg set %s listen-port 51999 fwmark 0x10 private-key %s/key peer %s "
			     "preshared-key %s/psk endpoint 198.51.100.1:4500 persistent-keepalive "
			     "25 allowed-ips 10.7.0.5/24,fd00::1/64",
			     name, dir, b64(1), dir),
			 0);
	assert_true(sl_gw_iface_find(f->gw, name, &iface));
	assert_int_equal(iface.listen_port, 51999);
	assert_int_equal(iface.fwmark, 0x10);
	assert_int_equal(iface.key_source, SL_KEY_UAPI);
	assert_memory_equal(iface.public_key.b, fx_key(60).b, 32);
	i = info_of(f, 1);
	assert_int_equal(i.n_allowed, 2);
	assert_true(sl_prefix_equal(&i.allowed[0], &(struct sl_prefix){fx_ip("10.7.0.0"), 24}));
	assert_int_equal(i.keepalive_s, 25);
	assert_int_equal(i.endpoint.port, 4500);
	assert_true(sl_gw_peer_psk(f->gw, name, &key, &psk));
	assert_memory_equal(psk.b, fx_secret(50).b, 32);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->fields,
			 SL_HS_F_PSK | SL_HS_F_ENDPOINT | SL_HS_F_KEEPALIVE);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->initiate, 0);
	/* and read back by wg */
	assert_int_equal(run(f, "wg show %s", name), 0);
	assert_non_null(strstr(out, "endpoint: 198.51.100.1:4500"));
	assert_non_null(strstr(out, "allowed ips: 10.7.0.0/24, fd00::/64"));
	assert_non_null(strstr(out, "persistent keepalive: every 25 seconds"));
	assert_non_null(strstr(out, "preshared key: (hidden)"));
	assert_int_equal(run(f, "wg show %s preshared-keys", name), 0);
	assert_non_null(strstr(out, secret_b64(50)));
	/* counters and handshake times */
	p = sl_peer_get(f->dp->peers, i.id);
	assert_non_null(p);
	p->rx_bytes = 1234;
	p->tx[1].bytes = 4321;
	p->hs_rx_bytes = 1000;
	p->hs_tx_bytes = 10000;
	p->last_handshake_wall_ns = f->wall_ns;
	assert_int_equal(run(f, "wg show %s transfer", name), 0);
	assert_non_null(strstr(out, "2234\t14321"));
	assert_int_equal(run(f, "wg show %s latest-handshakes", name), 0);
	assert_non_null(strstr(out, "1700000000"));
}

static void
test_moves_and_removes(void **state)
{
	struct fx *f = *state;

	assert_int_equal(run(f, "wg set %s peer %s allowed-ips 10.7.1.0/24,10.7.2.0/24", name,
			     b64(1)),
			 0);
	assert_int_equal(run(f, "wg set %s peer %s allowed-ips 10.7.2.0/24", name, b64(2)), 0);
	assert_int_equal(info_of(f, 1).n_allowed, 1);
	assert_int_equal(info_of(f, 2).n_allowed, 1);
	/* `allowed-ips` replaces */
	assert_int_equal(run(f, "wg set %s peer %s allowed-ips 10.7.9.0/24", name, b64(1)), 0);
	assert_int_equal(info_of(f, 1).n_allowed, 1);
	assert_int_equal(run(f, "wg set %s peer %s remove", name, b64(1)), 0);
	assert_false(has_peer(f, 1));
	assert_int_equal(run(f, "wg set %s peer %s remove", name, b64(1)), 0);
	/* an endpoint alone touches no AllowedIPs */
	assert_int_equal(run(f, "wg set %s peer %s endpoint 198.51.100.1:1", name, b64(2)), 0);
	assert_int_equal(info_of(f, 2).n_allowed, 1);
}

static void
test_own_key(void **state)
{
	struct fx *f = *state;

	assert_int_equal(run(f, "wg set %s peer %s peer %s", name, b64(9000 + 51820), b64(2)), 0);
	assert_false(has_peer(f, 9000 + 51820));
	assert_true(has_peer(f, 2));
	/* a new private key: its public half as peer goes; /dev/null takes the key away */
	write_file("key", secret_b64(2));
	assert_int_equal(run(f, "wg set %s private-key %s/key peer %s", name, dir, b64(2)), 0);
	assert_false(has_peer(f, 2));
	assert_int_equal(run(f, "wg set %s private-key /dev/null", name), 0);
	assert_int_equal(run(f, "wg show %s public-key", name), 0);
	assert_non_null(strstr(out, "(none)"));
}

static void
test_configs(void **state)
{
	struct fx *f = *state;
	char conf[2048];
	uint32_t id1, id3;

	assert_int_equal(run(f,
			     "wg set %s peer %s allowed-ips 10.7.1.0/24 peer %s allowed-ips "
			     "10.7.2.0/24 persistent-keepalive 9 peer %s",
			     name, b64(1), b64(2), b64(3)),
			 0);
	id1 = info_of(f, 1).id;
	id3 = info_of(f, 3).id;
	fx_turn(f);
	f->n_cmd = 0;
	/* showconf and syncconf of the same: nothing happens */
	assert_int_equal(run(f, "wg showconf %s > %s/conf", name, dir), 0);
	assert_int_equal(run(f, "cat %s/conf", dir), 0);
	assert_non_null(strstr(out, "PrivateKey"));
	assert_int_equal(run(f, "wg syncconf %s %s/conf", name, dir), 0);
	assert_int_equal(fx_count(f, SL_HS_PEER_DEL), 0);
	assert_int_equal(fx_count(f, SL_HS_PEER_ADD), 0);
	assert_int_equal(info_of(f, 2).n_allowed, 1);
	/* syncconf without peer 2, with a new one */
	snprintf(conf, sizeof(conf),
		 "[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\n"
		 "AllowedIPs = 10.7.1.0/24\n[Peer]\nPublicKey = %s\n[Peer]\nPublicKey = %s\n"
		 "AllowedIPs = 10.7.4.0/24\n",
		 secret_b64(9000 + 51820), b64(1), b64(3), b64(4));
	write_file("conf", conf);
	assert_int_equal(run(f, "wg syncconf %s %s/conf", name, dir), 0);
	assert_false(has_peer(f, 2));
	assert_true(has_peer(f, 4));
	assert_int_equal(info_of(f, 1).id, id1);
	assert_int_equal(fx_count(f, SL_HS_PEER_DEL), 1);
	assert_int_equal(fx_count(f, SL_HS_PEER_ADD), 1);
	/* addconf adds */
	snprintf(conf, sizeof(conf), "[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.5.0/24\n", b64(5));
	write_file("conf", conf);
	assert_int_equal(run(f, "wg addconf %s %s/conf", name, dir), 0);
	assert_true(has_peer(f, 1) && has_peer(f, 3) && has_peer(f, 4) && has_peer(f, 5));
	/* setconf: all that is not named goes; who stays is the same peer, bare of what is not said
	 */
	assert_int_equal(run(f, "wg set %s peer %s persistent-keepalive 7", name, b64(3)), 0);
	snprintf(conf, sizeof(conf),
		 "[Interface]\nListenPort = 51820\n[Peer]\nPublicKey = %s\n[Peer]\nPublicKey = %s\n"
		 "AllowedIPs = 10.7.5.0/24\n",
		 b64(3), b64(6));
	write_file("conf", conf);
	assert_int_equal(run(f, "wg setconf %s %s/conf", name, dir), 0);
	assert_false(has_peer(f, 1) || has_peer(f, 4) || has_peer(f, 5));
	assert_int_equal(info_of(f, 3).id, id3);
	assert_int_equal(info_of(f, 3).keepalive_s, 0);
	assert_int_equal(info_of(f, 6).n_allowed, 1);
}

static void
test_refusals(void **state)
{
	struct fx *f = *state;
	uint64_t generation;

	fx_iface(f, name2, 51821);
	turn(f);
	assert_int_equal(run(f, "wg set %s peer %s allowed-ips 10.8.0.0/16", name2, b64(9)), 0);
	generation = sl_gw_generation(f->gw);
	assert_int_not_equal(run(f, "wg set %s listen-port 443", name), 0);
	assert_int_not_equal(run(f, "wg set %s listen-port 51821", name), 0);
	assert_non_null(strstr(out, "Address already in use"));
	/* the last peer overlaps another interface: nothing at all is done */
	assert_int_not_equal(
		run(f,
		    "wg set %s listen-port 51900 peer %s allowed-ips 10.7.0.0/16 peer %s "
		    "allowed-ips 10.8.3.0/24",
		    name, b64(1), b64(2)),
		0);
	assert_false(has_peer(f, 1));
	assert_int_equal(fx_view(f, name)->listen_port, 51820);
	assert_int_equal(sl_gw_generation(f->gw), generation);
	assert_int_equal(sl_gw_iface_del(f->gw, name2, &f->e), 0);
	turn(f);
	assert_int_not_equal(run(f, "wg show %s", name2), 0);
}

static void
test_many_peers(void **state)
{
	struct fx *f = *state;
	char *p = out;
	unsigned i;

	sl_gw_begin(f->gw);
	for (i = 0; i < 900; i++)
		fx_peer(f, name, i, NULL);
	sl_gw_commit(f->gw);
	fx_turn(f);
	assert_int_equal(run(f, "wg show %s peers", name), 0);
	for (i = 0; (p = strchr(p, '\n')) != NULL; i++)
		p++;
	assert_int_equal(i, 900);
	assert_non_null(strstr(out, b64(899)));
}

/* --- plain sockets
 * --------------------------------------------------------------------------------- */

static int
dial(const char *iface)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", SL_UAPI_DIR, iface);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* What comes back within a few turns. */
static const char *
answer(struct fx *f, int fd)
{
	size_t len = 0;
	unsigned i;
	ssize_t n;

	for (i = 0; i < 50; i++) {
		turn(f);
		n = recv(fd, out + len, sizeof(out) - 1 - len, 0);
		len += (size_t)SL_MAX(n, 0);
	}
	out[len] = '\0';
	return out;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
test_raw(void **state)
{
	struct fx *f = *state;
	static const char set[] = "set=1\npersistent";
	int fd = dial(name);
	unsigned i;

	/* two requests in one piece, and one in single bytes */
	assert_int_equal(send(fd, "get=1\n\nget=1\n\n", 14, 0), 14);
	answer(f, fd);
	assert_int_equal(count(out, "errno=0\n\n"), 2);
	assert_int_equal(count(out, "listen_port=51820\n"), 2);
	for (i = 0; i < 7; i++) {
		assert_int_equal(send(fd, &"get=1\n\n"[i], 1, 0), 1);
		turn(f);
	}
	assert_int_equal(count(answer(f, fd), "errno=0\n\n"), 1);
	/* nonsense is refused, and the connection lives on */
	assert_int_equal(send(fd, "set=1\nfoo=bar\n\n", 15, 0), 15);
	assert_int_equal(count(answer(f, fd), "errno=-"), 1);
	assert_int_equal(send(fd, "get=1\n\n", 7, 0), 7);
	assert_int_equal(count(answer(f, fd), "errno=0\n\n"), 1);
	/* half a request, then silence: nothing happens */
	assert_int_equal(send(fd, set, sizeof(set) - 1, 0), sizeof(set) - 1);
	assert_int_equal(strlen(answer(f, fd)), 0);
	close(fd);
	turn(f);
}

static void
test_connection_limit(void **state)
{
	struct fx *f = *state;
	int fd[40];
	unsigned i, alive = 0;
	char c;

	for (i = 0; i < 40; i++) {
		fd[i] = dial(name);
		turn(f);
	}
	for (i = 0; i < 40; i++)
		alive += recv(fd[i], &c, 1, 0) < 0 && errno == EAGAIN;
	assert_int_equal(alive, 32);
	for (i = 0; i < 40; i++)
		close(fd[i]);
	turn(f);
	turn(f);
	assert_int_equal(run(f, "wg show %s", name), 0);
}

static int
foreign_socket(const char *iface)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", SL_UAPI_DIR, iface);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
test_stale_and_foreign(void **state)
{
	struct fx *f = *state;
	char path[128];
	struct stat before, after;
	int fd;

	sock_file(name2, path);
	close(foreign_socket(name2)); /* the file of a dead process */
	assert_int_equal(stat(path, &before), 0);
	fx_iface(f, name2, 51821);
	turn(f);
	assert_int_equal(run(f, "wg show %s", name2), 0);
	assert_int_equal(sl_gw_iface_del(f->gw, name2, &f->e), 0);
	turn(f);
	assert_int_equal(access(path, F_OK), -1);
	/* one that somebody serves is left alone, also when we go */
	fd = foreign_socket(name2);
	assert_int_equal(stat(path, &before), 0);
	fx_iface(f, name2, 51821);
	turn(f);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(sl_gw_iface_del(f->gw, name2, &f->e), 0);
	turn(f);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_show, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves_and_removes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connection_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_and_foreign, setup, teardown),
	};

	(void)argc;
	if (system("command -v wg >/dev/null") != 0 || geteuid() != 0)
		return 77; /* skipped */
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
