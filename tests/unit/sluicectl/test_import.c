/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers out of wg0.conf and CSV: what is taken, what is not, and where an error stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "import.h"

#define KEY_A "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_B "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define SECRET "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

static char path[] = "/tmp/sl_import.XXXXXX";

static void
file(const char *text)
{
	int fd;

	strcpy(path, "/tmp/sl_import.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int
cleanup(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static const char *
text_at(const json_t *rows, size_t i, const char *key)
{
	const char *s = json_string_value(json_object_get(json_array_get(rows, i), key));

	return s ? s : "";
}

static void
wg_conf(void **state)
{
	struct sl_error e = {0};
	unsigned secrets;
	json_t *rows;
	char *all;

	(void)state;
	file("[Interface]\nAddress = 10.7.0.1/24\nPrivateKey = " SECRET
	     "\nPostUp = iptables -A x # y\n\n"
	     "# Alice's laptop\n[Peer]\nPublicKey = " KEY_A "\nPresharedKey = " SECRET
	     "\nAllowedIPs = 10.7.0.2/32 , fd00:7::2/128\nAllowedIPs=10.9.0.0/24\n"
	     "\n[peer]\n### Client bob\npublickey=" KEY_B
	     " # his key\nPersistentKeepalive = 25\nEndpoint = 192.0.2.1:51820\n\n"
	     "[Peer]\nPublicKey = " KEY_A "\n");
	rows = import_wg_conf(path, &secrets, &e);
	if (!rows)
		fail_msg("%s", e.message);
	assert_int_equal(json_array_size(rows), 3);
	assert_string_equal(text_at(rows, 0, "name"), "alice-s-laptop");
	assert_string_equal(text_at(rows, 0, "psk_ref"), "alice-s-laptop");
	assert_string_equal(text_at(rows, 1, "name"), "bob");
	assert_string_equal(text_at(rows, 1, "public_key"), KEY_B);
	assert_string_equal(text_at(rows, 2, "name"), "peer-xtiba5rb");
	assert_int_equal(json_array_size(json_object_get(json_array_get(rows, 0), "allowed_ips")),
			 3);
	assert_int_equal(json_integer_value(
				 json_object_get(json_array_get(rows, 1), "keepalive_s")),
			 25);
	assert_int_equal(secrets, 1);
	all = json_dumps(rows, 0);
	assert_null(strstr(all, SECRET)); /* neither the private nor the preshared key */
	free(all);
	json_decref(rows);
}

/** Each key by its owner's name, or by none: a wrong one would give away somebody's roles. */
static void
wg_conf_names(void **state)
{
	static const struct {
		const char *text, *names[2];
	} files[] = {
		{"[Peer] # alice\nPublicKey = " KEY_A "\n[Peer]#bob\nPublicKey = " KEY_B "\n",
		 {"alice", "bob"}},
		/* commented out: neither its lines nor its name are the next one's */
		{"#[Peer]\n## old\n#PublicKey = " KEY_A "\n#AllowedIPs = 10.0.0.9/32\n\n"
		 "[Peer]\nPublicKey = " KEY_A "\n[Peer]\n# bob\n#AllowedIPs = 10.0.0.8/32\n"
		 "PublicKey = " KEY_B "\n",
		 {"peer-xtiba5rb", "bob"}},
		/* below its lines, and above the next one's */
		{"[Peer]\nPublicKey = " KEY_A "\n# alice\n\n[Peer]\nPublicKey = " KEY_B "\n# bob",
		 {"alice", "bob"}},
		{"[Peer]\nPublicKey = " KEY_A "\n# bob\n[Peer]\nPublicKey = " KEY_B "\n",
		 {"peer-xtiba5rb", "bob"}},
		{"# alice\n[Peer]\nPublicKey = " KEY_A "\n# laptop\n\n[Peer]\nPublicKey = " KEY_B
		 "\n",
		 {"alice", "peer-trmvsop4"}},
		/* what says that it is a name goes before what does not */
		{"### Client alice\n# since 2021\n[Peer]\nPublicKey = " KEY_A "\n\n"
		 "# friendly_name=bob\n[Peer]\n# phone\nPublicKey = " KEY_B "\n",
		 {"alice", "bob"}},
		{"# BEGIN_PEER alice\n[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.0.0.2/32\n"
		 "# END_PEER alice\n[Peer]\nPublicKey = " KEY_B "\n# END_PEER bob\n",
		 {"alice", "peer-trmvsop4"}},
		{"### begin alice ###\n[Peer]\nPublicKey = " KEY_A "\n### end alice ###\n"
		 "### begin bob ###\n[Peer]\nPublicKey = " KEY_B "\n### end bob ###\n",
		 {"alice", "bob"}},
	};
	unsigned secrets;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(files); i++) {
		struct sl_error e = {0};
		json_t *rows;

		file(files[i].text);
		rows = import_wg_conf(path, &secrets, &e);
		unlink(path);
		if (!rows)
			fail_msg("file %u: %s", i, e.message);
		assert_int_equal(json_array_size(rows), 2);
		for (unsigned k = 0; k < 2; k++)
			if (strcmp(text_at(rows, k, "name"), files[i].names[k]) != 0)
				fail_msg("file %u: \"%s\" instead of \"%s\"", i,
					 text_at(rows, k, "name"), files[i].names[k]);
		json_decref(rows);
	}
}

static void
wg_conf_errors(void **state)
{
	static const struct {
		const char *text, *line;
	} bad[] = {
		{"[Peer]\nPublicKey = short\n", ":2:"},
		{"[Peer]\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = " KEY_A "\n", ":1:"},
		{"[Peer]\nPublicKey = " KEY_A "\nPersistentKeepalive = 70000\n", ":3:"},
		{"[Peer]\nnonsense\n", ":2:"},
		{"[Peers]\n", ":1:"},
		{"", ": no [Peer]"},
		{"[Interface]\n", ":1: no [Peer]"},
		{"\xff\xfe[", ":1: this is UTF-16"},
		{"[Peer]\nPrivateKey = " SECRET "\n", ":2:"},
		{"[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.7.0.2/32, \xff\n", ":3:"},
	};
	unsigned secrets;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error e = {0};

		file(bad[i].text);
		assert_null(import_wg_conf(path, &secrets, &e));
		if (!strstr(e.message, bad[i].line))
			fail_msg("%s does not name %s", e.message, bad[i].line);
		assert_null(strstr(e.message, SECRET));
		unlink(path);
	}
}

static void
csv(void **state)
{
	struct sl_error e = {0};
	json_t *rows, *row;

	(void)state;
	file("Name, public_key, allowed_ips, roles, enabled, description, keepalive_s\r\n"
	     "alice," KEY_A ",10.7.0.2/32 fd00::2/128,eng;ops,yes,\"Alice, \"\"A\"\"\",\r\n\r\n"
	     "bob," KEY_B ",10.7.0.3/32,,no,,25\r\n");
	rows = import_csv(path, &e);
	if (!rows)
		fail_msg("%s", e.message);
	assert_int_equal(json_array_size(rows), 2);
	row = json_array_get(rows, 0);
	assert_string_equal(text_at(rows, 0, "description"), "Alice, \"A\"");
	assert_int_equal(json_array_size(json_object_get(row, "allowed_ips")), 2);
	assert_int_equal(json_array_size(json_object_get(row, "roles")), 2);
	assert_null(json_object_get(row, "keepalive_s"));
	assert_true(json_is_false(json_object_get(json_array_get(rows, 1), "enabled")));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "line")), 4);
	json_decref(rows);
}

static void
csv_errors(void **state)
{
	static const char head[] = "name,public_key,allowed_ips\n";
	static const struct {
		const char *head, *text, *line;
	} bad[] = {
		{"", "name,key\n", ":1:"},
		{"", "name;public_key;allowed_ips\n", "with commas between"},
		{head, "", ":1: no peer"},
		{"", "name,public_key,allowed_ips,name\n", ":1:"},
		{"", "name,public_key\n", ":1:"},
		{head, "alice," KEY_A "\n", ":2:"},
		{head, "a," KEY_A ",1.2.3.4/32\nb,\"x,1.2.3.5/32\n", ":3:"},
		{head, "\"a\"b," KEY_A ",1.2.3.4/32\n", ":2:"},
		{head, "," KEY_A ",1.2.3.4/32\n", ":2:"},
		{head, "a,,1.2.3.4/32\n", ":2:"},
		{"name,public_key,allowed_ips,enabled\n", "a," KEY_A ",1.2.3.4/32,perhaps\n",
		 ":2:"},
		{"name,public_key,allowed_ips,keepalive_s\n", "a," KEY_A ",1.2.3.4/32,70000\n",
		 ":2:"},
		{head, "a," KEY_A ",1.2.3.4/32 \xfe\n", ":2:"},
		{"", ",,,,,,,,,,,,,,,,,,,,,,,\n", ":1:"},
	};

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error e = {0};
		char text[512];

		snprintf(text, sizeof(text), "%s%s", bad[i].head, bad[i].text);
		file(text);
		assert_null(import_csv(path, &e));
		if (!strstr(e.message, bad[i].line))
			fail_msg("case %u: %s does not name %s", i, e.message, bad[i].line);
		unlink(path);
	}
}

/** Not a word of what a broken file holds may crash the reader. */
static void
garbage(void **state)
{
	unsigned secrets, seed = 1;
	char text[2048];

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		static const char words[] = "[Peer]\n=,\"#;\r name public_key allowed_ips";
		struct sl_error e = {0};
		size_t n = 1 + rand_r(&seed) % (sizeof(text) - 1);

		for (size_t i = 0; i < n; i++)
			text[i] = rand_r(&seed) % 4 ? words[rand_r(&seed) % (sizeof(words) - 1)]
						    : (char)(1 + rand_r(&seed) % 255);
		text[n - 1] = 0;
		file(text);
		json_decref(import_csv(path, &e));
		e = (struct sl_error){0};
		json_decref(import_wg_conf(path, &secrets, &e));
		unlink(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(wg_conf, cleanup),
		cmocka_unit_test(wg_conf_names),
		cmocka_unit_test(wg_conf_errors),
		cmocka_unit_test_teardown(csv, cleanup),
		cmocka_unit_test(csv_errors),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
