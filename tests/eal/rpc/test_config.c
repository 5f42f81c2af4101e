/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration carried out, saved, loaded into a fresh gateway. */
#include <sys/stat.h>

#include "rpc_fixture.h"
#include "sl_config.h"

static struct rx r;
static char dir[] = "/tmp/sl-rpc-config-XXXXXX";
static char key[64], psk[64], file[64], conf[64];

static void
put(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	chmod(path, 0600);
}

static char *
slurp(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

/** Everything that can be said. */
static void
fill(void)
{
	char params[512];

	snprintf(params, sizeof(params),
		 "{\"interface\":\"wg0\",\"listen_port\":51820,\"private_key_file\":\"%s\",\"mtu\":"
		 "1380,"
		 "\"addresses\":[\"10.7.0.1/24\",\"fd00:7::1/"
		 "64\"],\"isolation\":false,\"mss_clamp\":false,"
		 "\"outer_udp_checksum\":\"auto\",\"inside\":{\"port\":\"lan\",\"prefixes\":[\"10."
		 "20.0.0/24\"]}}",
		 key);
	rx_do(&r, "interface.set", params);
	rx_do(&r, "interface.set",
	      "{\"interface\":\"wg1\",\"key_store\":\"memory\",\"inside\":{\"port\":\"lan\","
	      "\"vlan\":7}}");
	snprintf(params, sizeof(params),
		 "{\"interface\":\"wg0\",\"public_key\":\"" ALICE
		 "\",\"name\":\"alice\",\"allowed_ips\":"
		 "[\"10.7.0.2/32\",\"fd00:7::2/128\"],\"endpoint\":\"203.0.113.9:51820\","
		 "\"persistent_keepalive\":25,\"preshared_key_file\":\"%s\"}",
		 psk);
	rx_do(&r, "peer.set", params);
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"enabled\":false,"
	      "\"expires\":1900000000}");
	rx_do(&r, "peer.set", "{\"interface\":\"wg1\",\"public_key\":\"" ALICE "\"}");
	rx_do(&r, "route.add", "{\"prefix\":\"0.0.0.0/0\",\"via\":\"192.0.2.254\"}");
	rx_do(&r, "route.add",
	      "{\"prefix\":\"10.41.0.0/16\",\"via\":\"10.20.0.254\",\"interface\":\"wg0\"}");
	rx_do(&r, "route.add", "{\"prefix\":\"10.42.0.0/16\",\"blackhole\":true}");
	rx_do(&r, "neighbour.set",
	      "{\"port\":\"lan\",\"vlan\":7,\"ip\":\"10.7.0.77\",\"mac\":\"02:00:00:00:00:77\"}");
	rx_do(&r, "sys.log_level.set", "{\"level\":\"info\"}");
	fx_turn(&r.fx);
}

static int
setup(void **state)
{
	memset(&r, 0, sizeof(r));
	fx_init(&r.fx);
	rx_open(&r);
	return 0;
}

static int
teardown(void **state)
{
	rx_fini(&r);
	return 0;
}

static void
test_save_and_load(void **state)
{
	json_t *before, *after, *saved, *result;
	char params[120], *text;
	struct stat st;

	fill();
	before = rx_call(&r, "config.show", NULL);
	assert_int_equal(json_array_size(json_object_get(before, "calls")), 1 + 2 + 3 + 3 + 1);
	snprintf(params, sizeof(params), "{\"file\":\"%s\"}", file);
	result = rx_call(&r, "config.save", params);
	rx_is(result, "{\"calls\":10,\"left_out\":[]}");
	json_decref(result);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = slurp(file);
	assert_null(strstr(text, BOB "\\n")); /* the content of the key file */
	saved = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_equal(json_object_get(saved, "calls"), json_object_get(before, "calls")));
	json_decref(saved);
	free(text);
	/* another gateway */
	rx_fini(&r);
	setup(NULL);
	result = rx_call(&r, "config.load", params);
	assert_int_equal(json_integer_value(json_object_get(result, "calls")), 10);
	json_decref(result);
	fx_turn(&r.fx);
	after = rx_call(&r, "config.show", NULL);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	/* again into the same: nothing changes, the key made in memory stays */
	before = rx_call(&r, "interface.list", NULL);
	rx_do(&r, "config.load", params);
	after = rx_call(&r, "interface.list", NULL);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static void
test_pages(void **state)
{
	json_t *whole, *page, *all = json_array();
	char params[80] = "{\"limit\":1}";
	unsigned pages = 0;

	fill();
	whole = rx_call(&r, "config.show", NULL);
	for (;;) {
		page = rx_call(&r, "config.show", params);
		json_array_extend(all, json_object_get(page, "calls"));
		pages++;
		assert_true(pages < 20);
		if (!json_object_get(page, "next"))
			break;
		snprintf(params, sizeof(params), "{\"limit\":1,\"after\":%lld}",
			 (long long)json_integer_value(json_object_get(page, "next")));
		json_decref(page);
	}
	json_decref(page);
	assert_true(json_equal(all, json_object_get(whole, "calls")));
	json_decref(all);
	json_decref(whole);
}

/* Keys that came over UAPI are told about, not written; learned endpoints neither (C18). */
static void
test_left_out(void **state)
{
	struct sl_secret secret = fx_secret(1);
	struct sl_gw_iface_spec i = {.name = "wg0",
				     .fields = SL_IF_KEY,
				     .key_source = SL_KEY_UAPI,
				     .key = &secret};
	struct sl_gw_peer_spec p = {.iface = "wg0",
				    .public_key = fx_key(5),
				    .fields = SL_PF_PSK | SL_PF_NAME,
				    .name = "carol",
				    .psk = &secret};
	char params[120], hex[SL_KEY_HEX_LEN + 1], b64[SL_KEY_B64_LEN + 1], *text;
	json_t *result;

	assert_int_equal(sl_gw_iface_set(r.fx.gw, &i, &r.e), 0);
	assert_int_equal(sl_gw_peer_set(r.fx.gw, &p, &r.e), 0);
	fx_turn(&r.fx);
	snprintf(params, sizeof(params), "{\"file\":\"%s\"}", file);
	result = rx_call(&r, "config.save", params);
	rx_is(json_object_get(result, "left_out"),
	      "[\"interface wg0: its private key came over UAPI\","
	      "\"peer carol of wg0: its preshared key came over UAPI\"]");
	json_decref(result);
	text = slurp(file);
	sl_key_to_hex(secret.b, hex);
	sl_key_to_base64(secret.b, b64);
	assert_null(strstr(text, hex));
	assert_null(strstr(text, b64));
	assert_null(strstr(text, "endpoint"));
	free(text);
}

/* The gateway is root: what it writes for others, and over what, has bounds. */
static void
test_save_bounds(void **state)
{
	const struct sl_rpc_caller group = {SL_RPC_VIA_UNIX, "uid:1000", &sl_service_local};
	char params[120], *text;
	struct sl_config config = {.state_dir = dir};
	json_t *p, *result;

	put(file, "keep");
	snprintf(params, sizeof(params), "{\"file\":\"%s\"}", file);
	rx_refused(&r, "config.save", params, -EEXIST, "file_in_use", "/file");
	text = slurp(file);
	assert_string_equal(text, "keep");
	free(text);
	unlink(file);
	json_decref(rx_call(&r, "config.save", params));
	json_decref(rx_call(&r, "config.save", params)); /* one of its own is replaced */
	if (geteuid() != 0)
		return;
	p = json_loads(params, 0, NULL);
	assert_int_equal(sl_rpc_call(r.rpc, &group, "config.save", p, &result, &r.e), -EPERM);
	assert_string_equal(r.e.reason, "not_permitted");
	r.ctl.config = &config;
	assert_int_equal(sl_rpc_call(r.rpc, &group, "config.save", p, &result, &r.e), 0);
	json_decref(result);
	json_object_set_new(p, "file", json_sprintf("%s/../etc/x", dir));
	assert_int_equal(sl_rpc_call(r.rpc, &group, "config.save", p, &result, &r.e), -EPERM);
	r.ctl.config = NULL;
	json_decref(p);
}

static void
load_is(const char *content, int err, const char *reason, const char *path)
{
	char params[120];
	uint64_t generation = sl_gw_generation(r.fx.gw);

	put(file, content);
	snprintf(params, sizeof(params), "{\"file\":\"%s\"}", file);
	rx_refused(&r, "config.load", params, err, reason, path);
	assert_int_equal(sl_gw_generation(r.fx.gw), generation);
}

#define HEAD "{\"sluice_config\":1,\"calls\":["

static void
test_load_errors(void **state)
{
	char text[600];

	rx_refused(&r, "config.load", "{\"file\":\"relative.json\"}", -EINVAL, "path_relative",
		   "/file");
	rx_refused(&r, "config.save", "{\"file\":\"relative.json\"}", -EINVAL, "path_relative",
		   "/file");
	rx_refused(&r, "config.load", "{\"file\":\"/nonexistent/x\"}", -ENOENT, "file", "/file");
	rx_refused(&r, "config.save", "{\"file\":\"/nonexistent/x\"}", -ENOENT, "file", "/file");
	rx_refused(&r, "config.load", "{\"file\":\"/dev/zero\"}", -EINVAL, "file_invalid", "/file");
	rx_refused(&r, "config.load", "{\"file\":\"/tmp\"}", -EINVAL, "file_invalid", "/file");
	load_is("secret words\n", -EINVAL, "file_invalid", "/file");
	assert_null(strstr(r.e.message, "secret"));
	load_is("{}", -EINVAL, "file_invalid", "/file");
	load_is("{\"sluice_config\":2,\"calls\":[]}", -EINVAL, "file_invalid", "/file");
	load_is(HEAD "1]}", -EINVAL, "method_not_allowed", "/calls/0/params");
	load_is(HEAD "{\"method\":\"sys.shutdown\",\"params\":{}}]}", -EINVAL, "method_not_allowed",
		"/calls/0/params");
	load_is(HEAD "{\"method\":\"authz.mode.set\",\"params\":{\"default\":\"observe\"}}]}",
		-EINVAL, "method_not_allowed", "/calls/0/params");
	assert_false(r.quit);
	/* what the second call lacks is known before the first one is carried out */
	load_is(HEAD "{\"method\":\"interface.set\",\"params\":{\"interface\":\"wg5\"}},"
		     "{\"method\":\"peer.set\",\"params\":{\"interface\":\"wg5\",\"public_key\":"
		     "\"x\"}}]}",
		-EINVAL, "key_invalid", "/calls/1/params/public_key");
	assert_non_null(strstr(r.e.message, "call 2 (peer.set)"));
	assert_non_null(strstr(r.e.message, "nothing was changed"));
	snprintf(text, sizeof(text),
		 HEAD "{\"method\":\"interface.set\",\"params\":{\"interface\":\"wg5\"}},"
		      "{\"method\":\"interface.set\",\"params\":{\"interface\":\"wg6\",\"private_"
		      "key_file\":\"%s/none\"}}]}",
		 dir);
	load_is(text, -ENOENT, "key_file", "/calls/1/params/private_key_file");
	rx_refused(&r, "interface.get", "{\"interface\":\"wg5\"}", -ENOENT, "not_found",
		   "/interface");
	/* what only the gateway can know stops there, and says so */
	put(file, HEAD
	    "{\"method\":\"interface.set\",\"params\":{\"interface\":\"wg5\"}},"
	    "{\"method\":\"peer.set\",\"params\":{\"interface\":\"wg6\",\"public_key\":\"" ALICE
	    "\"}}]}");
	snprintf(text, sizeof(text), "{\"file\":\"%s\"}", file);
	rx_refused(&r, "config.load", text, -ENOENT, "interface_unknown",
		   "/calls/1/params/interface");
	assert_non_null(strstr(r.e.message, "the calls before it are in effect"));
	rx_do(&r, "interface.get", "{\"interface\":\"wg5\"}");
}

/* --- the file of the start ------------------------------------------------------------------- */

static int
apply(const char *content)
{
	struct sl_config *c;
	int rc;

	put(conf, content);
	rc = sl_config_load(conf, &c, &r.e);
	if (rc)
		return rc;
	rc = sl_config_apply(c, r.fx.gw, r.rpc, &r.e);
	sl_config_free(c);
	return rc;
}

#define PORTS                                                                                      \
	"ports = ( { name = \"wan\"; device = \"net_null0\"; }, { name = \"lan\"; device = "       \
	"\"net_null1\"; addresses = [ \"10.20.0.1/24\" ]; } );\n"

static void
test_apply(void **state)
{
	uint64_t generation = sl_gw_generation(r.fx.gw);
	char text[1024];
	json_t *p;

	snprintf(text, sizeof(text),
		 PORTS "interfaces = ( { name = \"wg0\"; private_key_file = \"%s\";\n"
		       "inside = { port = \"lan\"; prefixes = [ \"10.20.0.0/24\" ]; };\n"
		       "peers = ( { name = \"alice\"; public_key = \"" ALICE
		       "\"; allowed_ips = [ \"10.7.0.2\" ];\n"
		       "  endpoint = \"203.0.113.9:1\"; } ); } );\n"
		       "authz = { mode = \"enforce\"; };\n",
		 key);
	if (apply(text))
		fail_msg("%s", r.e.message);
	fx_turn(&r.fx);
	assert_int_equal(sl_gw_generation(r.fx.gw), generation + 1); /* one change */
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	rx_is(json_object_get(p, "allowed_ips"), "[\"10.7.0.2/32\"]");
	json_decref(p);
	/* on start the gateway shakes hands with the peers whose endpoint it knows */
	assert_int_equal(fx_last(&r.fx, SL_HS_PEER_ADD)->initiate, 1);
	assert_string_equal(r.log,
			    "2 audit: authz.mode.set by config: default: observe -> enforce\n");
}

static void
apply_fails(const char *content, unsigned line, const char *reason)
{
	char place[96];

	assert_true(apply(content) < 0);
	snprintf(place, sizeof(place), "%s:%u: ", conf, line);
	if (strcmp(r.e.reason, reason) || strncmp(r.e.message, place, strlen(place)))
		fail_msg("%s: %s, wanted line %u %s", r.e.reason, r.e.message, line, reason);
}

static void
test_apply_errors(void **state)
{
	/* a message of the gateway names its line as those of the file do */
	apply_fails(PORTS "neighbours = ( { port = \"lan\"; ip = \"10.20.0.77\";\n"
			  "mac = \"ff:ff:ff:ff:ff:ff\"; } );\n",
		    3, "mac_invalid");
	apply_fails(PORTS "interfaces = ( { name = \"wg0\";\n"
			  "peers = ( { public_key = \"" ALICE "\";\n"
			  "allowed_ips = [ \"10.7.0.2/32\",\n"
			  "\"10.7.0.9/24\" ]; } ); } );\n",
		    5, "allowed_host_bits");
	apply_fails(PORTS "routes = ( { prefix = \"10.0.0.0/8\"; blackhole = true; },\n"
			  "{ prefix = \"10.1.0.0/16\";\nvia = \"172.16.0.1\"; } );\n",
		    4, "via_unreachable");
	apply_fails(PORTS "interfaces = ( { name = \"wg7\"; listen_port = 7777;\n"
			  "addresses = [ \"224.0.0.1/24\" ]; } );\n",
		    3, "address_invalid");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_save_and_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply_errors, setup, teardown),
	};
	char tidy[80];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(key, sizeof(key), "%s/wg0.key", dir);
	snprintf(psk, sizeof(psk), "%s/psk", dir);
	snprintf(file, sizeof(file), "%s/saved.json", dir);
	snprintf(conf, sizeof(conf), "%s/sluice.conf", dir);
	put(key, BOB "\n");
	put(psk, ALICE "\n");
	fx_start("test_rpc_config");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(tidy, sizeof(tidy), "rm -r %s", dir);
	return system(tidy) || rc;
}
