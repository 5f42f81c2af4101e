/* SPDX-License-Identifier: BSD-3-Clause */
/* key=value as people type it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "args.h"
#include "sl_schema_gateway.h"

static struct sl_error e;

/** Parse words up to "" into parameters of a method; compare with JSON, or expect a reason. */
static void
args(const char *method, const char *const *words, const char *want, const char *reason)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);
	json_t *params = json_object(), *w = want ? json_loads(want, 0, NULL) : NULL;
	int rc = 0;

	memset(&e, 0, sizeof(e));
	for (; rc == 0 && (*words)[0]; words++)
		rc = sl_args_parse(params, m, *words, &e);
	if (want && (rc || !json_equal(params, w)))
		fail_msg("%s: %s %s, wanted %s", method, e.message, json_dumps(params, 0), want);
	if (!want && (rc != -EINVAL || strcmp(e.reason, reason) || !e.message[0]))
		fail_msg("%s: %d %s (%s), wanted %s", method, rc, e.reason, e.message, reason);
	json_decref(params);
	json_decref(w);
}

#define W(...) ((const char *const[]){__VA_ARGS__, ""})

static void
test_values(void **state)
{
	args("interface.set",
	     W("interface=wg0", "listen-port=51820", "isolation=no", "mss_clamp=on",
	       "addresses=10.7.0.1/24,fd00::1/64", "inside.port=lan",
	       "inside.prefixes=10.20.0.0/24", "inside.vlan=7", "outer-udp-checksum=auto"),
	     "{\"interface\":\"wg0\",\"listen_port\":51820,\"isolation\":false,\"mss_clamp\":true,"
	     "\"addresses\":[\"10.7.0.1/24\",\"fd00::1/"
	     "64\"],\"inside\":{\"port\":\"lan\",\"prefixes\":"
	     "[\"10.20.0.0/24\"],\"vlan\":7},\"outer_udp_checksum\":\"auto\"}",
	     NULL);
	args("interface.set", W("interface=1", "addresses=", "inside={\"port\":\"lan\"}", "mtu=-5"),
	     "{\"interface\":\"1\",\"addresses\":[],\"inside\":{\"port\":\"lan\"},\"mtu\":-5}",
	     NULL);
	args("peer.set",
	     W("public_key=HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
	       "allowed_ips=[\"10.0.0.0/8\"]", "endpoint=", "name=a=b"),
	     "{\"public_key\":\"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\",\"allowed_ips\":"
	     "[\"10.0.0.0/8\"],\"endpoint\":\"\",\"name\":\"a=b\"}",
	     NULL);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const yes[] = {"all=true", "all=yes", "all=on", "all=1"};
		static const char *const no[] = {"all=false", "all=no", "all=off", "all=0"};

		args("drops.get", W(yes[i]), "{\"all\":true}", NULL);
		args("drops.get", W(no[i]), "{\"all\":false}", NULL);
	}
}

static void
test_refusals(void **state)
{
	static const char long_key[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1";

	args("peer.set", W("peer"), NULL, "usage");
	args("peer.set", W("=x"), NULL, "usage");
	args("peer.set", W(long_key), NULL, "usage");
	args("peer.set", W("nane=x"), NULL, "param_unknown");
	assert_non_null(strstr(e.hint, "name"));
	args("rpc.ping", W("x=1"), NULL, "param_unknown");
	args("peer.set", W("name.x=1"), NULL, "param_unknown");
	args("interface.set", W("inside.prot=x"), NULL, "param_unknown");
	assert_non_null(strstr(e.hint, "prefixes"));
	args("interface.set", W("inside=lan"), NULL, "param_type");
	args("interface.set", W("inside=[]"), NULL, "param_type");
	args("interface.set", W("mtu=12x"), NULL, "param_type");
	args("interface.set", W("mtu="), NULL, "param_type");
	args("interface.set", W("mtu= 5"), NULL, "param_type");
	args("interface.set", W("mtu=99999999999999999999"), NULL, "param_type");
	args("interface.set", W("isolation=maybe"), NULL, "param_type");
	args("interface.set", W("isolation="), NULL, "param_type");
	args("interface.set", W("interface=\xff"), NULL, "param_type");
	args("interface.set", W("addresses=[1"), NULL, "param_type");
	args("interface.set", W("mtu=1300", "mtu=1400"), NULL, "param_twice");
	args("interface.set", W("inside.port=a", "inside.port=b"), NULL, "param_twice");
	args("interface.set", W("inside.port=a", "inside={}"), NULL, "param_twice");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
