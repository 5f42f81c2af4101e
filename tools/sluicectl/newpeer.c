/* SPDX-License-Identifier: BSD-3-Clause */
/* peer add: with --new-key the keypair is made here, the public half registered, and the client's
 * configurations are completed on this machine. The private key goes into those files and the QR
 * code, nowhere else. */
#include <fcntl.h>
#include <qrencode.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control.h"
#include "sl_file.h"
#include "sl_json.h"
#include "sl_secret.h"

#define ARGS_MAX 64
#define CONFIG_MAX 8192

struct newpeer {
	bool new_key, qr;
	const char *out;
	json_t *files;	      /* what was written; NULL: it is told at once, to people */
	char *args[ARGS_MAX]; /* what is left for the operation */
	int n_args;
	struct sl_secret key;
	char public_key[SL_KEY_B64_LEN + 1], pair[SL_KEY_B64_LEN + 16];
};

static int
take_args(struct newpeer *p, int argc, char **argv, struct sl_error *e)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--new-key") == 0)
			p->new_key = true;
		else if (strcmp(argv[i], "--qr") == 0)
			p->qr = true;
		else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
			p->out = argv[++i];
		else if (strncmp(argv[i], "--out=", 6) == 0)
			p->out = argv[i] + 6;
		else if (p->n_args < ARGS_MAX - 1)
			p->args[p->n_args++] = argv[i];
	}
	if (p->new_key && !p->out && !p->qr) {
		sl_fail(e, -EINVAL, "usage", "", "a new key that goes nowhere is lost");
		sl_hint(e, "--out FILE, --qr, or both");
		return EXIT_USAGE;
	}
	if (!p->new_key && (p->out || p->qr)) {
		sl_fail(e, -EINVAL, "usage", "", "--out and --qr belong to --new-key");
		sl_hint(e, "the configuration without a key: sluicectl --control URL peer config "
			   "NAME");
		return EXIT_USAGE;
	}
	return 0;
}

static void
make_key(struct newpeer *p)
{
	uint8_t public_key[SL_KEY_LEN];

	randombytes_buf(p->key.b, sizeof(p->key.b));
	p->key.b[0] &= 248;
	p->key.b[31] = (uint8_t)((p->key.b[31] & 127) | 64);
	crypto_scalarmult_base(public_key, p->key.b);
	sl_key_to_base64(public_key, p->public_key);
	snprintf(p->pair, sizeof(p->pair), "public_key=%s", p->public_key);
	p->args[p->n_args++] = p->pair;
}

/** The template with the key as the first line of [Interface], instead of the comment that stands
 * there for it. @return false: it has no such section or is too long */
static bool
complete(const struct newpeer *p, const char *template, char out[CONFIG_MAX])
{
	static const char section[] = "[Interface]\n", comment[] = "# PrivateKey";
	const char *at = strstr(template, section), *rest;
	char b64[SL_KEY_B64_LEN + 1];
	int n;

	if (!at)
		return false;
	at += strlen(section);
	rest = strncmp(at, comment, strlen(comment)) == 0 ? at + strcspn(at, "\n") : at;
	rest += rest != at && *rest == '\n';
	sl_key_to_base64(p->key.b, b64);
	n = snprintf(out, CONFIG_MAX, "%.*sPrivateKey = %s\n%s", (int)(at - template), template,
		     b64, rest);
	sl_wipe(b64, sizeof(b64));
	return n > 0 && n < CONFIG_MAX;
}

static int
write_file(const char *path, const char *text, struct sl_error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : sl_file_put(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	if (rc == 0)
		return 0;
	if (fd >= 0)
		unlink(path);
	return sl_fail(e, rc, "file", "", "%.200s: %s", path, strerror(-rc));
}

/** Two rows of the code in one line of text; light on dark terminals, with the quiet zone. */
static int
print_qr(const char *text, struct sl_error *e)
{
	QRcode *qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int quiet = 2;

	if (!qr)
		return sl_fail(e, -E2BIG, "qr", "",
			       "the configuration does not fit into a QR code");
	for (int y = -quiet; y < qr->width + quiet; y += 2) {
		for (int x = -quiet; x < qr->width + quiet; x++) {
			bool light[2];

			for (int k = 0; k < 2; k++) {
				bool in =
					x >= 0 && x < qr->width && y + k >= 0 && y + k < qr->width;

				light[k] = !in || !(qr->data[(y + k) * qr->width + x] & 1);
			}
			fputs(light[0] ? (light[1] ? "\u2588" : "\u2580")
				       : (light[1] ? "\u2584" : " "),
			      stdout);
		}
		putchar('\n');
	}
	sl_wipe(qr->data, (size_t)qr->width * (size_t)qr->width);
	QRcode_free(qr);
	return 0;
}

/** FILE, or FILE with the gateway's name before its ending where there are several. */
static void
file_name(const char *out, const char *gateway, bool several, char *path, size_t room)
{
	const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
	int stem = (int)(dot && (!slash || dot > slash) ? dot - out : (long)strlen(out));

	if (several)
		snprintf(path, room, "%.*s-%s%s", stem, out, gateway, out + stem);
	else
		snprintf(path, room, "%s", out);
}

static int
give_one(const struct newpeer *p, const json_t *config, bool several, struct sl_error *e)
{
	const char *template = json_string_value(json_object_get(config, "text"));
	const char *gateway = json_string_value(json_object_get(config, "gateway"));
	char text[CONFIG_MAX], path[4096];
	int rc = 0;

	if (template && conf_check(template, e))
		return -EPERM;
	if (!template || !gateway || strchr(gateway, '/') || !complete(p, template, text)) {
		sl_fail(e, -EPROTO, "protocol", "", "the control plane sent no configuration");
		return -EPROTO;
	}
	if (p->out) {
		file_name(p->out, gateway, several, path, sizeof(path));
		rc = write_file(path, text, e);
		if (rc == 0 && p->files)
			json_array_append_new(p->files, json_string(path));
		else if (rc == 0)
			printf("%s\n", path);
	}
	if (rc == 0 && p->qr) {
		if (several)
			printf("%s:\n", gateway);
		rc = print_qr(text, e);
	}
	sl_wipe(text, sizeof(text));
	return rc;
}

/** A client can use it: a configuration, or the interface of a gateway that one will be made of. */
static bool
is_usable(const json_t *o)
{
	return sl_json_text(o, "public_key")[0] && sl_json_text(o, "endpoint")[0];
}

/** May a file be made there? */
static int
check_folder(const char *path, struct sl_error *e)
{
	const char *slash = strrchr(path, '/');
	char folder[4096];

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
		 slash ? path : ".");
	if (access(folder, W_OK | X_OK) == 0)
		return 0;
	sl_fail(e, -errno, "file", "", "%.200s: %s", path, strerror(errno));
	return EXIT_FAILED;
}

static int
check_file(const char *path, struct sl_error *e)
{
	if (access(path, F_OK) != 0)
		return check_folder(path, e);
	sl_fail(e, -EEXIST, "exists", "", "%.200s is there already", path);
	sl_hint(e, "name another file");
	return EXIT_CONFLICT;
}

static int
check_gateways(const struct newpeer *p, const char *iface, const json_t *items, struct sl_error *e)
{
	char path[4096];
	unsigned usable = 0;
	json_t *one;
	size_t i;
	int rc;

	json_array_foreach (items, i, one) {
		if (strcmp(sl_json_text(one, "interface"), iface) != 0)
			continue;
		usable += is_usable(one);
		if (p->out)
			file_name(p->out, sl_json_text(one, "gateway"), true, path, sizeof(path));
		rc = p->out ? check_file(path, e) : 0;
		if (rc)
			return rc;
	}
	if (usable)
		return 0;
	sl_fail(e, -ENOENT, "no_gateway", "",
		"no gateway of interface \"%.20s\" has both a public key and an endpoint", iface);
	sl_hint(e,
		"a gateway tells its key when it first connects; its endpoint: endpoint set "
		"GATEWAY:%.20s endpoint=HOST:PORT",
		iface);
	return EXIT_FAILED;
}

/** What cannot be written later, or would be of no use, must be known before the peer is made. */
static int
check_before(struct rest *r, const struct newpeer *p, const char *iface, struct sl_error *e)
{
	struct control_request q = {0};
	struct rest_answer a = {0};
	int rc = p->out ? check_file(p->out, e) : 0;

	if (rc)
		return rc;
	rc = control_parse(&q, op_find("listGatewayInterfaces"), NULL, 0, NULL, e)
		     ? EXIT_USAGE
		     : control_ask(r, &q, &a, e);
	rc = rc ? rc : check_gateways(p, iface, json_object_get(a.json, "items"), e);
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

/** The peer is there, its key is nowhere. */
static void
hint_lost(const char *name, struct sl_error *e)
{
	sl_hint(e, "its key is lost: peer remove %.60s, then add it again", name);
}

/** A client with this file reaches nothing: say so to whoever made it. */
static void
warn_incomplete(const json_t *config, const char *name)
{
	const char *gateway = sl_json_text(config, "gateway");

	if (json_array_size(json_object_get(config, "addresses")) == 0)
		fprintf(stderr,
			"sluicectl: %s has no address at %s: allocation add %s gives it one of the "
			"client_pool (peer add ... allocate=client at once)\n",
			name, gateway, name);
	if (json_array_size(json_object_get(config, "allowed_ips")) == 0)
		fprintf(stderr,
			"sluicectl: the file for %s has no AllowedIPs: no target of the policy is "
			"for %s yet; later: peer config %s\n",
			gateway, name, name);
}

static int
give_configs(struct rest *r, const struct newpeer *p, const char *name, struct sl_error *e)
{
	char *args[] = {(char *)name};
	const struct control_verb v = {.args = {"name"}};
	struct control_request q;
	struct rest_answer a = {0};
	json_t *configs, *one;
	bool agent;
	size_t i;
	int rc = control_parse(&q, op_find("getPeerConfig"), &v, 1, args, e);

	rc = rc ? EXIT_USAGE : control_ask(r, &q, &a, e);
	configs = json_object_get(a.json, "configs");
	if (rc == 0 && json_array_size(configs) == 0) {
		sl_fail(e, -ENOENT, "no_gateway", "", "no gateway serves the peer's interface yet");
		sl_hint(e, "add one, then: peer key %.60s KEY, or remove the peer and add it again",
			name);
		rc = EXIT_FAILED;
	}
	agent = json_object_get(a.json, "text") != NULL;
	json_array_foreach (configs, i, one) {
		if (agent && is_usable(one))
			continue;
		if (rc == 0 && is_usable(one)) {
			warn_incomplete(one, name);
			rc = give_one(p, one, json_array_size(configs) > 1, e) ? EXIT_FAILED : 0;
			if (rc)
				hint_lost(name, e);
		}
		if (rc == 0 && !is_usable(one))
			fprintf(stderr,
				"sluicectl: left out: %s, which has no %s yet; later: sluicectl "
				"--control URL peer config %s gateway=%s\n",
				sl_json_text(one, "gateway"),
				sl_json_text(one, "public_key")[0] ? "endpoint" : "public key",
				name, sl_json_text(one, "gateway"));
	}
	if (rc == 0 && agent) { /* one file for all gateways */
		json_object_set_new(a.json, "gateway", json_string(name));
		rc = give_one(p, a.json, false, e) ? EXIT_FAILED : 0;
		if (rc)
			hint_lost(name, e);
	}
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

/** Not in the table, nor where only a file is made: before either. */
static void
warn(json_t *made)
{
	json_t *list = json_object_get(made, "warnings"), *v;
	size_t i;

	json_array_foreach (list, i, v)
		fprintf(stderr, "sluicectl: %s\n", json_string_value(v));
	json_object_del(made, "warnings");
}

int
newpeer_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "peer add",
					      .args = {"name", "interface", "public_key"}};
	struct newpeer p = {0};
	struct rest_answer a = {0};
	struct control_request q = {0};
	int rc = take_args(&p, argc, argv, e);

	if (rc)
		return rc;
	if (json && p.qr) {
		sl_fail(e, -EINVAL, "usage", "", "a QR code is no JSON");
		sl_hint(e, "--out FILE, or leave out --json");
		return EXIT_USAGE;
	}
	p.files = json && p.out ? json_array() : NULL;
	if (p.new_key)
		make_key(&p);
	rc = control_parse(&q, op_find("createPeer"), &v, p.n_args, p.args, e) ? EXIT_USAGE : 0;
	if (rc == 0 && p.new_key)
		rc = check_before(r, &p, sl_json_text(q.body, "interface"), e);
	rc = rc ? rc : control_ask(r, &q, &a, e);
	if (rc == 0 && !json)
		warn(a.json);
	if (rc == 0 && p.new_key)
		rc = give_configs(r, &p, sl_json_text(q.body, "name"), e);
	if (rc == 0 && p.files)
		json_object_set(a.json, "files", p.files);
	if (rc == 0 && (json || !p.new_key))
		rc = control_tell(&a, json);
	json_decref(p.files);
	sl_wipe(&p.key, sizeof(p.key));
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

/** They go to a file, and wg-quick reads that. */
static int
check_files(const json_t *answer, struct sl_error *e)
{
	int rc = conf_check(sl_json_text(answer, "text"), e);
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(answer, "configs"), i, one)
		rc = rc ? rc : conf_check(sl_json_text(one, "text"), e);
	return rc ? EXIT_FAILED : 0;
}

int
peer_config_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "peer config", .args = {"name"}};
	struct control_request q = {0};
	struct rest_answer a = {0};
	const char *whole;
	json_t *one;
	size_t i;
	int rc = control_parse(&q, op_find("getPeerConfig"), &v, argc, argv, e)
			 ? EXIT_USAGE
			 : control_ask(r, &q, &a, e);

	whole = sl_json_text(a.json, "text");
	if (rc == 0)
		rc = check_files(a.json, e);
	if (rc == 0 && json)
		rc = control_tell(&a, true);
	else if (rc == 0 && whole[0])
		fputs(whole, stdout);
	json_array_foreach (json_object_get(a.json, "configs"), i, one)
		if (rc == 0 && !json && !whole[0])
			printf("%s%s", i ? "\n" : "", sl_json_text(one, "text"));
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}
