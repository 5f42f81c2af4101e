/* SPDX-License-Identifier: BSD-3-Clause */
/* The authority, seen by the openssl program: chain, identity, usage, key files, renewal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_ca.h"

static char dir[64];

static const char *
at(const char *file)
{
	static char buf[64][128];
	static unsigned i;

	i = (i + 1) % 64;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, file);
	return buf[i];
}

/** Run a shell command; what it prints is compared with `want` (a part of it). */
static void
says(const char *want, const char *fmt, ...)
{
	char cmd[1024], text[8192];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	pclose(f);
	if (!strstr(text, want))
		fail_msg("%s\nprinted: %s\nwanted: %s", cmd, text, want);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/sl_ca.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static void
make(void)
{
	struct sl_error e = {0};

	if (sl_ca_init(at("ca"), "test authority", 30, &e))
		fail_msg("%s", e.message);
}

static void
issue(enum sl_ca_kind kind, const char *name, const char *const *hosts, unsigned n)
{
	struct sl_ca_want w = {.kind = kind,
			       .name = name,
			       .hosts = hosts,
			       .n_hosts = n,
			       .days = 7,
			       .cert_out = at("node.pem"),
			       .key_out = at("node.key")};
	struct sl_error e = {0};

	if (sl_ca_issue(at("ca"), &w, &e))
		fail_msg("%s", e.message);
}

static void
chain_and_identity(void **state)
{
	static const char *const hosts[] = {"cp1.example.net", "192.0.2.7", "2001:db8::7"};
	struct stat st;

	(void)state;
	make();
	issue(SL_CA_CONTROL, "cp1", hosts, 3);
	says("node.pem: OK",
	     "openssl verify -x509_strict -CAfile %s -purpose sslserver -verify_hostname "
	     "cp1.example.net %s 2>&1",
	     at("ca/ca.pem"), at("node.pem"));
	says("node.pem: OK",
	     "openssl verify -CAfile %s -purpose sslclient -verify_ip 192.0.2.7 %s 2>&1",
	     at("ca/ca.pem"), at("node.pem"));
	says("URI:sluice://control/cp1, DNS:cp1.example.net, IP Address:192.0.2.7, IP "
	     "Address:2001:DB8:0:0:0:0:0:7",
	     "openssl x509 -in %s -noout -ext subjectAltName", at("node.pem"));
	says("subject=CN = cp1", "openssl x509 -in %s -noout -subject", at("node.pem"));
	assert_int_equal(stat(at("node.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(at("ca/ca.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
usage_of_kinds(void **state)
{
	(void)state;
	make();
	issue(SL_CA_OPERATOR, "alice", NULL, 0);
	says("OK", "openssl verify -CAfile %s -purpose sslclient %s 2>&1", at("ca/ca.pem"),
	     at("node.pem"));
	says("unsuitable certificate purpose",
	     "openssl verify -CAfile %s -purpose sslserver %s 2>&1", at("ca/ca.pem"),
	     at("node.pem"));
	/* a node signs nothing */
	says("CA:FALSE", "openssl x509 -in %s -noout -ext basicConstraints", at("node.pem"));
}

static void
request_of_the_node(void **state)
{
	struct sl_ca_want w = {.kind = SL_CA_GATEWAY,
			       .name = "gw-1",
			       .csr_file = at("csr.pem"),
			       .cert_out = at("csr-cert.pem")};
	struct sl_error e = {0};
	char cmd[512];

	(void)state;
	make();
	snprintf(cmd, sizeof(cmd),
		 "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
		 "/CN=attacker/O=x -keyout %s -out %s 2>/dev/null",
		 at("own.key"), w.csr_file);
	assert_int_equal(system(cmd), 0);
	if (sl_ca_issue(at("ca"), &w, &e))
		fail_msg("%s", e.message);
	/* the name is ours to give, not the request's */
	says("subject=CN = gw-1\n", "openssl x509 -in %s -noout -subject", w.cert_out);
	snprintf(cmd, sizeof(cmd), "sed -i '3s/^.../AAA/' %s", w.csr_file);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(sl_ca_issue(at("ca"), &w, &e), -EINVAL);
	assert_string_equal(e.reason, "csr_invalid");
}

static void
renewal(void **state)
{
	static const char *const hosts[] = {"gw.example.net", "192.0.2.9"};
	struct sl_error e = {0};
	json_t *list;

	(void)state;
	make();
	issue(SL_CA_GATEWAY, "gw-1", hosts, 2);
	says("", "cp %s %s; cp %s %s", at("node.pem"), at("old.pem"), at("node.key"),
	     at("old.key"));
	assert_int_equal(sl_ca_renew(at("ca"), at("node.pem"), NULL, 90, &e), 0);
	says("same",
	     "a=$(openssl x509 -in %s -noout -pubkey); b=$(openssl x509 -in %s -noout -pubkey); [ "
	     "\"$a\" = \"$b\" ] && echo same",
	     at("node.pem"), at("old.pem"));
	says("URI:sluice://gateway/gw-1, DNS:gw.example.net, IP Address:192.0.2.9",
	     "openssl x509 -in %s -noout -ext subjectAltName", at("node.pem"));
	says("Certificate will not expire", "openssl x509 -in %s -noout -checkend 7000000",
	     at("node.pem"));
	assert_int_equal(sl_ca_renew(at("ca"), at("node.pem"), at("node.key"), 0, &e), 0);
	says("new",
	     "a=$(openssl x509 -in %s -noout -pubkey); b=$(openssl pkey -in %s -pubout); "
	     "c=$(openssl x509 -in %s -noout -pubkey); [ \"$a\" = \"$b\" ] && [ \"$a\" != \"$c\" ] "
	     "&& echo new",
	     at("node.pem"), at("node.key"), at("old.pem"));
	assert_int_equal(sl_ca_list(at("ca"), &list, &e), 0);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "name")),
			    "gw-1");
	json_decref(list);
	/* another authority's certificate is not renewed here */
	assert_int_equal(sl_ca_init(at("other"), "other", 30, &e), 0);
	assert_int_equal(sl_ca_renew(at("other"), at("node.pem"), NULL, 0, &e), -EPERM);
	assert_string_equal(e.reason, "cert_foreign");
}

static void
refusals(void **state)
{
	static const char *const bad_hosts[] = {"a,DNS:evil.example", "*.example.net", "",
						"-x.example", "a..b"};
	struct sl_ca_want w = {.kind = SL_CA_GATEWAY,
			       .name = "gw-1",
			       .cert_out = at("c.pem"),
			       .key_out = at("c.key")};
	struct sl_error e = {0};

	(void)state;
	assert_int_equal(sl_ca_issue(at("none"), &w, &e), -ENOENT);
	assert_string_equal(e.reason, "ca_missing");
	assert_true(strstr(e.hint, "sluicectl ca init") != NULL);
	make();
	assert_int_equal(sl_ca_init(at("ca"), "x", 30, &e), -EEXIST);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad_hosts); i++) {
		w.hosts = &bad_hosts[i];
		w.n_hosts = 1;
		assert_int_equal(sl_ca_issue(at("ca"), &w, &e), -EINVAL);
		assert_string_equal(e.reason, "host_invalid");
		assert_int_not_equal(access(w.cert_out, F_OK), 0);
	}
	w.n_hosts = 0;
	w.name = "gw_1/../x";
	assert_int_equal(sl_ca_issue(at("ca"), &w, &e), -EINVAL);
	assert_string_equal(e.reason, "name_invalid");
	w.name = "gw-1";
	w.days = 40000;
	assert_int_equal(sl_ca_issue(at("ca"), &w, &e), -EINVAL);
	assert_string_equal(e.reason, "days_range");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(chain_and_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(usage_of_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(request_of_the_node, setup, teardown),
		cmocka_unit_test_setup_teardown(renewal, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
