/* SPDX-License-Identifier: BSD-3-Clause */
/* wg0.conf and CSV as peers; only what was read is checked here, the control plane checks the rest.
 */
#include "import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_secret.h"

#define COLUMNS_MAX 16
#define LINE_ROOM 8192

struct reader {
	const char *file;
	FILE *f;
	unsigned line;
	char text[LINE_ROOM];
	struct sl_error *e;
};

static int
wrong(struct reader *r, const char *what)
{
	return sl_fail(r->e, -EINVAL, "import", "", "%.150s:%u: %s", r->file, r->line, what);
}

static int
reader_open(struct reader *r, const char *file, struct sl_error *e)
{
	*r = (struct reader){.file = file, .f = fopen(file, "re"), .e = e};
	if (!r->f)
		return sl_fail(e, -errno, "file", "", "%.200s: %s", file, strerror(errno));
	return 0;
}

static void
reader_close(struct reader *r)
{
	if (r->f)
		fclose(r->f);
	sl_wipe(r->text, sizeof(r->text)); /* it may have held a private key */
}

/** @return 1 a line without its end, 0 the end, -EINVAL */
static int
reader_next(struct reader *r)
{
	static const char mark[] = "\xef\xbb\xbf"; /* spreadsheets begin so */
	size_t n;

	if (!fgets(r->text, sizeof(r->text), r->f))
		return ferror(r->f) ? sl_fail(r->e, -errno, "file", "", "%.200s: %s", r->file,
					      strerror(errno))
				    : 0;
	r->line++;
	if (r->line == 1 &&
	    (strncmp(r->text, "\xff\xfe", 2) == 0 || strncmp(r->text, "\xfe\xff", 2) == 0))
		return wrong(r, "this is UTF-16: save it as UTF-8");
	n = strlen(r->text);
	if (n == sizeof(r->text) - 1 && r->text[n - 1] != '\n')
		return wrong(r, "the line is longer than 8 KiB");
	r->text[strcspn(r->text, "\r\n")] = 0;
	if (r->line == 1 && strncmp(r->text, mark, strlen(mark)) == 0)
		memmove(r->text, r->text + strlen(mark), strlen(r->text + strlen(mark)) + 1);
	return 1;
}

static char *
trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = 0;
	return s;
}

/** A name as the control plane takes it, from what people write: "Alice's laptop" ->
 * alice-s-laptop. */
static bool
name_of(const char *text, char out[64])
{
	size_t n = 0;

	for (; *text && n < 63; text++) {
		char c = (char)tolower((unsigned char)*text);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = c;
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = 0;
	return n > 0;
}

/** @return NULL where an item is not UTF-8 */
static json_t *
list_of(char *text, const char *separators)
{
	json_t *list = json_array();
	char *save = NULL, *word;

	for (word = strtok_r(text, separators, &save); word;
	     word = strtok_r(NULL, separators, &save))
		if (*trim(word) && json_array_append_new(list, json_string(trim(word)))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* --- wg0.conf ------------------------------------------------------------------------------- */

/** Whose name comments tell, and how surely. */
enum said { SAID_NOTHING, SAID_TEXT, SAID_NAME };

struct wg {
	struct reader r;
	json_t *peers, *peer;
	char name[64];	   /* of comments that have come, for the next section */
	enum said next;	   /* ... what they were */
	enum said current; /* what named w->peer */
	bool close;	   /* nothing but comments stands between here and a line of w->peer */
	unsigned *secrets;
};

/** "AllowedIPs = 10.7.0.2/32", "[Peer]": a line that somebody took out of use. */
static bool
is_unused_line(const char *text)
{
	static const char *const keys[] = {"PublicKey",	 "AllowedIPs",	 "PersistentKeepalive",
					   "Endpoint",	 "PresharedKey", "PrivateKey",
					   "ListenPort", "FwMark",	 "Address",
					   "DNS",	 "MTU",		 "Table",
					   "PreUp",	 "PostUp",	 "PreDown",
					   "PostDown",	 "SaveConfig"};
	size_t n;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(keys); i++) {
		n = strlen(keys[i]);
		if (strncasecmp(text, keys[i], n) == 0 && text[n + strspn(text + n, " \t")] == '=')
			return true;
	}
	return text[0] == '[';
}

/** Skip the word before a name, as people and scripts write it: "Name = alice", "Client alice",
 * "BEGIN_PEER alice", "begin alice ###". */
static enum said
skip_word(char **text)
{
	static const char *const words[] = {"friendly_name", "client",	   "name",
					    "peer",	     "begin_peer", "begin"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i]);

		if (strncasecmp(*text, words[i], n) == 0 && strchr(" \t=:", (*text)[n]) &&
		    (*text)[n]) {
			*text += n;
			*text += strspn(*text, " \t=:");
			return SAID_NAME;
		}
	}
	return SAID_TEXT;
}

/** "# alice", "# Name = alice", "### Client alice". What says that it is a name goes before what
 * does not; else the last one counts. */
static void
take_comment(struct wg *w, char *text)
{
	bool inside = w->peer && !json_object_get(w->peer, "public_key");
	enum said said;
	char name[64];

	text += strspn(text, "#; \t");
	if (is_unused_line(text)) { /* and what was said before it was about that */
		w->name[0] = 0;
		w->next = SAID_NOTHING;
		return;
	}
	said = skip_word(&text);
	if (strncasecmp(text, "end_peer", 8) == 0 || strncasecmp(text, "end ", 4) == 0 ||
	    !name_of(text, name))
		return;
	if (inside && said >= w->current) {
		json_object_set_new(w->peer, "name", json_string(name));
		w->current = said;
	} else if (!inside && said >= w->next) {
		snprintf(w->name, sizeof(w->name), "%s", name);
		w->next = said;
	}
}

/** A blank line, or the end: comments that stand right below the lines of a peer are about it. */
static void
end_block(struct wg *w)
{
	if (w->close && w->peer && w->next > w->current)
		json_object_set_new(w->peer, "name", json_string(w->name));
	if (w->close) {
		w->name[0] = 0;
		w->next = SAID_NOTHING;
	}
	w->close = false;
}

static void
begin_peer(struct wg *w)
{
	w->peer = json_pack("{s:i, s:[]}", "line", (int)w->r.line, "allowed_ips");
	if (w->name[0])
		json_object_set_new(w->peer, "name", json_string(w->name));
	w->name[0] = 0;
	w->current = w->next;
	w->next = SAID_NOTHING;
	json_array_append_new(w->peers, w->peer);
}

static int
take_number(struct wg *w, const char *key, const char *value)
{
	char *end;
	long v = strcasecmp(value, "off") == 0 ? 0 : strtol(value, &end, 10);

	if (strcasecmp(value, "off") != 0 && (*end || end == value || v < 0 || v > 65535))
		return wrong(&w->r, "PersistentKeepalive is 0 to 65535 or off");
	return json_object_set_new(w->peer, key, json_integer(v));
}

static int
take_peer_line(struct wg *w, const char *key, char *value)
{
	uint8_t public_key[SL_KEY_LEN];

	if (strcasecmp(key, "PublicKey") == 0) {
		if (sl_key_from_base64(value, public_key))
			return wrong(&w->r, "PublicKey is no key: 44 characters of base64");
		return json_object_set_new(w->peer, "public_key", json_string(value));
	}
	if (strcasecmp(key, "AllowedIPs") == 0) {
		json_t *more = list_of(value, ",");

		if (!more)
			return wrong(&w->r, "AllowedIPs is not UTF-8");
		json_array_extend(json_object_get(w->peer, "allowed_ips"), more);
		json_decref(more);
		return 0;
	}
	if (strcasecmp(key, "PersistentKeepalive") == 0)
		return take_number(w, "keepalive_s", value);
	if (strcasecmp(key, "PresharedKey") == 0) {
		(*w->secrets)++;
		return json_object_set_new(w->peer, "psk_ref", json_true()); /* its name, later */
	}
	if (strcasecmp(key, "Endpoint") == 0)
		return 0; /* clients roam; gateways learn where they are */
	return wrong(&w->r, "a [Peer] has PublicKey, AllowedIPs, PersistentKeepalive, PresharedKey "
			    "and Endpoint");
}

/** "[Peer]", also with a comment behind it. */
static int
take_section(struct wg *w, char *text)
{
	char *comment = strchr(text, '#');

	if (comment)
		*comment++ = 0;
	text = trim(text);
	w->peer = NULL;
	if (strcasecmp(text, "[Peer]") == 0)
		begin_peer(w);
	else if (strcasecmp(text, "[Interface]") != 0)
		return wrong(&w->r, "sections are [Interface] and [Peer]");
	if (comment && w->peer)
		take_comment(w, comment);
	return 0;
}

static int
take_line(struct wg *w)
{
	char *text = trim(w->r.text), *value;

	if (text[0] == '#' || text[0] == ';') {
		take_comment(w, text);
		return 0;
	}
	if (!text[0]) {
		end_block(w);
		return 0;
	}
	w->close = false;
	if (text[0] == '[')
		return take_section(w, text);
	value = strchr(text, '=');
	if (!value)
		return wrong(&w->r, "a line is KEY = VALUE");
	*value++ = 0;
	if (!w->peer) /* [Interface]: what is there stays on its host */
		return 0;
	value[strcspn(value, "#")] = 0;
	w->close = true;
	return take_peer_line(w, trim(text), trim(value));
}

/** Of who has no other name: made of the key, so that it is the same in every file. */
static json_t *
name_of_key(const json_t *public_key)
{
	char name[] = "peer-xxxxxxxx", *out = strchr(name, 'x');

	for (const char *k = json_string_value(public_key); *k && *out; k++)
		if (isalnum((unsigned char)*k))
			*out++ = (char)tolower((unsigned char)*k);
	return json_string(name);
}

/** Each has its key, a name, and its preshared key is called as it is. */
static int
finish_peers(struct wg *w)
{
	json_t *p;
	size_t i;

	end_block(w);
	if (json_array_size(w->peers) == 0)
		return wrong(&w->r, "no [Peer] up to here, the end");
	json_array_foreach (w->peers, i, p) {
		if (!json_object_get(p, "public_key")) {
			w->r.line = (unsigned)json_integer_value(json_object_get(p, "line"));
			return wrong(&w->r, "the [Peer] that begins here has no PublicKey");
		}
		if (!json_object_get(p, "name"))
			json_object_set_new(p, "name",
					    name_of_key(json_object_get(p, "public_key")));
		if (json_object_get(p, "psk_ref"))
			json_object_set(p, "psk_ref", json_object_get(p, "name"));
	}
	return 0;
}

json_t *
import_wg_conf(const char *file, unsigned *secrets, struct sl_error *e)
{
	struct wg w = {.peers = json_array(), .secrets = secrets};
	int rc = reader_open(&w.r, file, e);

	*secrets = 0;
	while (rc == 0 && (rc = reader_next(&w.r)) > 0)
		rc = take_line(&w);
	rc = rc ? rc : finish_peers(&w);
	reader_close(&w.r);
	if (rc == 0)
		return w.peers;
	json_decref(w.peers);
	return NULL;
}

/* --- CSV ------------------------------------------------------------------------------------ */

static const char *const columns[] = {"name",	     "public_key",  "allowed_ips",
				      "roles",	     "keepalive_s", "expires_at",
				      "description", "enabled",	    NULL};

/** Cut a line into its fields, in place. @return how many, or -EINVAL */
static int
split(struct reader *r, char *fields[COLUMNS_MAX])
{
	char *in = r->text, *out;
	int n = 0;

	do {
		bool quoted;

		if (n == COLUMNS_MAX)
			return wrong(r, "more than 16 columns");
		in += strspn(in, " \t");
		quoted = *in == '"';
		in += quoted;
		fields[n++] = out = in;
		while (*in && (quoted || *in != ',')) {
			if (quoted && *in == '"') {
				if (in[1] != '"')
					break;
				in++;
			}
			*out++ = *in++;
		}
		if (quoted && *in != '"')
			return wrong(r, "a quote is not closed");
		in += quoted;
		in += strspn(in, " \t");
		if (*in && *in != ',')
			return wrong(r, "something stands behind a closing quote");
		quoted = *in == ',';
		in += quoted;
		*out = 0;
		fields[n - 1] = trim(fields[n - 1]);
		if (!quoted)
			break;
	} while (true);
	return n;
}

static int
read_header(struct reader *r, int which[COLUMNS_MAX])
{
	char *fields[COLUMNS_MAX];
	unsigned seen = 0;
	int n = split(r, fields);

	for (int i = 0; i < n; i++) {
		which[i] = -1;
		for (int c = 0; columns[c]; c++)
			if (strcasecmp(fields[i], columns[c]) == 0)
				which[i] = c;
		if (which[i] < 0)
			return wrong(r, "columns, with commas between, are name, "
					"public_key, allowed_ips, roles, keepalive_s, "
					"expires_at, description, enabled");
		if (seen & 1u << which[i])
			return wrong(r, "a column is there twice");
		seen |= 1u << which[i];
	}
	if (n > 0 && (seen & 7) != 7)
		return wrong(r, "the first line must name at least name, public_key, allowed_ips");
	return n;
}

static json_t *
value_of(struct reader *r, const char *column, char *text)
{
	char *end;
	long v;

	if (strcmp(column, "allowed_ips") == 0 || strcmp(column, "roles") == 0)
		return list_of(text, " ;");
	if (strcmp(column, "keepalive_s") == 0) {
		v = strtol(text, &end, 10);
		if (*end || v < 0 || v > 65535) {
			wrong(r, "keepalive_s is 0 to 65535");
			return NULL;
		}
		return json_integer(v);
	}
	if (strcmp(column, "enabled") == 0) {
		if (strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0)
			return json_true();
		if (strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0)
			return json_false();
		wrong(r, "enabled is yes or no");
		return NULL;
	}
	return json_string(text);
}

static json_t *
read_row(struct reader *r, const int which[COLUMNS_MAX], int n)
{
	json_t *row = json_pack("{s:i}", "line", (int)r->line), *value;
	char *fields[COLUMNS_MAX];
	int have = split(r, fields);

	if (have >= 0 && have != n)
		have = wrong(r, "the line has another number of fields than the first");
	for (int i = 0; have > 0 && i < n; i++) {
		if (!fields[i][0])
			continue;
		value = value_of(r, columns[which[i]], fields[i]);
		if (!value) {
			if (!r->e->err)
				wrong(r, "a field is not UTF-8");
			have = -EINVAL;
			break;
		}
		json_object_set_new(row, columns[which[i]], value);
	}
	if (have > 0 && (!json_object_get(row, "name") || !json_object_get(row, "public_key")))
		have = wrong(r, "name and public_key must not be empty");
	if (have > 0)
		return row;
	json_decref(row);
	return NULL;
}

json_t *
import_csv(const char *file, struct sl_error *e)
{
	json_t *rows = json_array(), *row;
	int which[COLUMNS_MAX], n = 0, rc;
	struct reader r;

	rc = reader_open(&r, file, e);
	while (rc == 0 && (rc = reader_next(&r)) > 0) {
		rc = 0;
		if (!*trim(r.text))
			continue;
		if (n == 0) {
			n = read_header(&r, which);
			rc = SL_MIN(n, 0);
			continue;
		}
		row = read_row(&r, which, n);
		rc = row ? json_array_append_new(rows, row) : -EINVAL;
	}
	if (rc == 0 && json_array_size(rows) == 0)
		rc = wrong(&r, "no peer up to here, the end");
	reader_close(&r);
	if (rc == 0)
		return rows;
	json_decref(rows);
	return NULL;
}
