/* SPDX-License-Identifier: BSD-3-Clause */
#include "out.h"

#include <arpa/inet.h>

void
out_u64(struct sl_out *o, uint64_t v)
{
	char buf[20];
	unsigned n = 0;

	do {
		buf[sizeof(buf) - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	out_mem(o, buf + sizeof(buf) - n, n);
}

void
out_digits(struct sl_out *o, uint64_t v, unsigned digits)
{
	char buf[20];
	unsigned i;

	digits = SL_MIN(digits, (unsigned)sizeof(buf));
	for (i = digits; i > 0; i--) {
		buf[i - 1] = (char)('0' + v % 10);
		v /= 10;
	}
	out_mem(o, buf, digits);
}

/** Length of the UTF-8 sequence at s, 0: none that is valid. */
static unsigned
utf8_len(const uint8_t *s, size_t n)
{
	uint32_t c = s[0], min;
	unsigned len, i;

	if (c < 0x80)
		return 1;
	len = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
	if (len == 0 || len > n)
		return 0;
	min = len == 4 ? 0x10000 : len == 3 ? 0x800 : 0x80;
	c &= 0x7fU >> len;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c >= min && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? len : 0;
}

static void
out_escaped(struct sl_out *o, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	switch (c) {
	case '"':
		OUT(o, "\\\"");
		break;
	case '\\':
		OUT(o, "\\\\");
		break;
	case '\n':
		OUT(o, "\\n");
		break;
	case '\t':
		OUT(o, "\\t");
		break;
	default:
		out_mem(o, u, sizeof(u));
	}
}

void
out_str(struct sl_out *o, const char *s, size_t n)
{
	const uint8_t *b = (const uint8_t *)s;
	size_t i = 0, from = 0;
	unsigned len;

	OUT(o, "\"");
	while (i < n) {
		if (b[i] >= 0x20 && b[i] < 0x7f && b[i] != '"' && b[i] != '\\') {
			i++;
			continue;
		}
		out_mem(o, s + from, i - from);
		len = utf8_len(b + i, n - i);
		if (len > 1)
			out_mem(o, s + i, len);
		else if (len == 1)
			out_escaped(o, b[i]);
		else
			OUT(o, "\\ufffd");
		i += len ? len : 1;
		from = i;
	}
	out_mem(o, s + from, n - from);
	OUT(o, "\"");
}

void
out_ip(struct sl_out *o, unsigned version, const uint8_t *b)
{
	char text[INET6_ADDRSTRLEN];
	unsigned i;

	if (version == 4) {
		for (i = 0; i < 4; i++) {
			if (i > 0)
				OUT(o, ".");
			out_u64(o, b[i]);
		}
		return;
	}
	if (inet_ntop(AF_INET6, b, text, sizeof(text)) != NULL)
		out_text(o, text);
}
