/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_remote_tokens.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sl_remote.h"
#include "sl_secret.h"

#define TOKENS_MAX 1024
#define HASH 32
#define SECRET 43
#define PREFIX "slt_"

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

struct token {
	char id[SL_REMOTE_TOKEN_ID + 1];
	uint8_t hash[HASH];
	enum sl_service_role role;
	int64_t until_s; /* 0: never */
};

struct sl_remote_tokens {
	struct token *token;
	unsigned n;
};

static bool
is_base62(const char *s, size_t n)
{
	return strspn(s, alphabet) >= n;
}

/** slt_ID_SECRET and nothing else. */
static bool
is_token(const char *text)
{
	return strlen(text) == SL_REMOTE_TOKEN_TEXT && memcmp(text, PREFIX, 4) == 0 &&
	       is_base62(text + 4, SL_REMOTE_TOKEN_ID) && text[4 + SL_REMOTE_TOKEN_ID] == '_' &&
	       is_base62(text + 5 + SL_REMOTE_TOKEN_ID, SECRET);
}

static void
hash_of(const char text[SL_REMOTE_TOKEN_TEXT + 1], uint8_t out[HASH])
{
	crypto_generichash(out, HASH, (const uint8_t *)text, SL_REMOTE_TOKEN_TEXT, NULL, 0);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int
parse_until(const char *s, int64_t *out)
{
	struct tm tm = {0};
	char again[24];

	*out = 0;
	if (strcmp(s, "-") == 0)
		return 0;
	if (strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
		return -EINVAL;
	*out = timegm(&tm);
	strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return *out > 0 && strcmp(again, s) == 0 ? 0 : -EINVAL;
}

/** @return NULL, or what is wrong */
static const char *
parse_line(char *line, struct token *out)
{
	char *save = NULL, *word[4];
	uint8_t hash[SL_KEY_LEN];

	for (unsigned i = 0; i < 4; i++) {
		word[i] = strtok_r(i ? NULL : line, " \t", &save);
		if (!word[i])
			return "it needs ID HASH ROLE END";
	}
	if (strtok_r(NULL, " \t", &save))
		return "there is more than ID HASH ROLE END";
	if (strlen(word[0]) != SL_REMOTE_TOKEN_ID || !is_base62(word[0], SL_REMOTE_TOKEN_ID))
		return "the id has 10 characters of 0-9 A-Z a-z";
	if (sl_key_from_hex(word[1], hash))
		return "the hash has 64 hex digits";
	if (sl_remote_role_parse(word[2], &out->role))
		return "the role is viewer, auditor, approver, operator or admin";
	if (parse_until(word[3], &out->until_s))
		return "the end is - or a time as 2027-01-31T00:00:00Z";
	memcpy(out->id, word[0], SL_REMOTE_TOKEN_ID + 1);
	memcpy(out->hash, hash, HASH);
	return NULL;
}

static const struct token *
find(const struct sl_remote_tokens *t, const char *id)
{
	for (unsigned i = 0; t && i < t->n; i++) {
		if (memcmp(t->token[i].id, id, SL_REMOTE_TOKEN_ID) == 0)
			return &t->token[i];
	}
	return NULL;
}

static int
read_lines(FILE *f, const char *file, struct sl_remote_tokens *t, struct sl_error *e)
{
	char *line = NULL;
	size_t room = 0;
	unsigned n = 0;
	int rc = 0;

	while (rc == 0 && getline(&line, &room, f) >= 0) {
		struct token token = {{0}};
		const char *wrong;

		n++;
		line[strcspn(line, "#\r\n")] = 0;
		if (line[strspn(line, " \t")] == 0)
			continue;
		wrong = parse_line(line, &token);
		if (!wrong && find(t, token.id))
			wrong = "this id is there twice";
		if (wrong)
			rc = sl_fail(e, -EINVAL, "tokens_invalid", "/tokens_file", "%s:%u: %s",
				     file, n, wrong);
		else if (t->n == TOKENS_MAX)
			rc = sl_fail(e, -ENOSPC, "tokens_many", "/tokens_file",
				     "%s has more than %u tokens", file, TOKENS_MAX);
		else
			t->token[t->n++] = token;
	}
	free(line);
	return rc;
}

/** Of an open file. */
static int
check_mode(int fd, const char *file, struct sl_error *e)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return sl_fail(e, -EINVAL, "file", "/tokens_file", "%s is no regular file", file);
	if (st.st_mode & 0177) {
		sl_fail(e, -EINVAL, "key_mode", "/tokens_file",
			"%s has mode %04o; others may read or change it", file,
			(unsigned)st.st_mode & 07777);
		sl_hint(e, "chmod 0600 %s", file);
		return -EINVAL;
	}
	return 0;
}

int
sl_remote_tokens_load(const char *file, struct sl_remote_tokens **out, struct sl_error *e)
{
	struct sl_remote_tokens *t = NULL;
	FILE *f = fopen(file, "re");
	int rc;

	*out = NULL;
	if (!f) {
		rc = -errno;
		sl_fail(e, rc, "file", "/tokens_file", "%s: %s", file, strerror(-rc));
		sl_hint(e, "sluicectl token new %s --role viewer makes it", file);
		return rc;
	}
	rc = check_mode(fileno(f), file, e);
	if (rc == 0) {
		t = calloc(1, sizeof(*t));
		if (t)
			t->token = calloc(TOKENS_MAX, sizeof(*t->token));
		rc = t && t->token ? read_lines(f, file, t, e)
				   : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	fclose(f);
	if (rc)
		sl_remote_tokens_free(t);
	else
		*out = t;
	return rc;
}

void
sl_remote_tokens_free(struct sl_remote_tokens *t)
{
	if (t)
		free(t->token);
	free(t);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool
is_over(const struct token *k, int64_t now_s)
{
	return k->until_s && now_s >= k->until_s;
}

int
sl_remote_tokens_check(const struct sl_remote_tokens *t, const char *text, int64_t now_s,
		       struct sl_principal *who, int64_t *until_s)
{
	static const struct token nobody;
	const struct token *k;
	uint8_t hash[HASH];
	bool equal;

	if (!is_token(text))
		return -EACCES;
	k = find(t, text + 4);
	hash_of(text, hash);
	equal = sl_ct_equal(hash, k ? k->hash : nobody.hash, HASH);
	sl_wipe(hash, sizeof(hash));
	if (!k || !equal || is_over(k, now_s))
		return -EACCES;
	*who = (struct sl_principal){.roles = SL_SR_BIT(k->role)};
	snprintf(who->name, sizeof(who->name), "token:%s", k->id);
	*until_s = k->until_s;
	return 0;
}

bool
sl_remote_tokens_hold(const struct sl_remote_tokens *t, const struct sl_principal *who,
		      int64_t now_s)
{
	const struct token *k = find(t, who->name + strlen("token:"));

	return k && who->roles == SL_SR_BIT(k->role) && !is_over(k, now_s);
}

/* --- making ----------------------------------------------------------------------------------- */

static void
random_base62(char *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[randombytes_uniform(sizeof(alphabet) - 1)];
}

/** Whether the file's last line lacks its end. */
static bool
is_open_ended(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last;

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

static int
append(const char *file, const char *line, struct sl_error *e)
{
	int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc;
	size_t len = strlen(line);
	bool ok;

	if (fd < 0) {
		rc = -errno;
		return sl_fail(e, rc, "file", "/tokens_file", "%s: %s", file, strerror(-rc));
	}
	rc = check_mode(fd, file, e);
	if (rc == 0) {
		ok = !is_open_ended(fd) || write(fd, "\n", 1) == 1;
		ok = ok && write(fd, line, len) == (ssize_t)len && fsync(fd) == 0;
		if (!ok)
			rc = sl_fail(e, -EIO, "file", "/tokens_file", "%s cannot be written", file);
	}
	close(fd);
	return rc;
}

int
sl_remote_tokens_make(const char *file, enum sl_service_role role, int64_t until_s,
		      char text[SL_REMOTE_TOKEN_TEXT + 1], struct sl_error *e)
{
	char id[SL_REMOTE_TOKEN_ID + 1] = "", hex[SL_KEY_HEX_LEN + 1], end[24] = "-", line[160];
	time_t until = until_s;
	uint8_t hash[HASH];
	struct tm tm;

	if (sodium_init() < 0)
		return sl_fail(e, -EIO, "crypto", "", "no random numbers");
	random_base62(id, SL_REMOTE_TOKEN_ID);
	snprintf(text, SL_REMOTE_TOKEN_TEXT + 1, PREFIX "%s_", id);
	random_base62(text + 5 + SL_REMOTE_TOKEN_ID, SECRET);
	text[SL_REMOTE_TOKEN_TEXT] = 0;
	hash_of(text, hash);
	sl_key_to_hex(hash, hex);
	if (until_s && gmtime_r(&until, &tm))
		strftime(end, sizeof(end), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(line, sizeof(line), "%s %s %s %s\n", id, hex, sl_service_role_name(role), end);
	return append(file, line, e);
}
