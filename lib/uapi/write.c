/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_uapi.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "sl_env.h"

#define LINE_SIZE 160 /* the longest line is a key in hex */

static void line(const struct sl_uapi_sink *sink, const char *fmt, ...) SL_PRINTF(2, 3);

static void
line(const struct sl_uapi_sink *sink, const char *fmt, ...)
{
	char buf[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(buf))
		sink->write(sink->ctx, buf, (size_t)n);
}

/* Keys do not go through printf, whose buffers nobody wipes. */
static void
key_line(const struct sl_uapi_sink *sink, const char *name, const uint8_t key[SL_KEY_LEN])
{
	char buf[LINE_SIZE];
	size_t n = strlen(name);

	memcpy(buf, name, n);
	sl_key_to_hex(key, buf + n);
	buf[n + SL_KEY_HEX_LEN] = '\n';
	sink->write(sink->ctx, buf, n + SL_KEY_HEX_LEN + 1);
	sl_wipe(buf, sizeof(buf));
}

void
sl_uapi_write_device(const struct sl_uapi_sink *sink, const struct sl_secret *private_key,
		     uint16_t listen_port, uint32_t fwmark)
{
	if (private_key && !sl_ct_is_zero(private_key->b, sizeof(private_key->b)))
		key_line(sink, "private_key=", private_key->b);
	if (listen_port)
		line(sink, "listen_port=%u\n", listen_port);
	if (fwmark)
		line(sink, "fwmark=%" PRIu32 "\n", fwmark);
}

void
sl_uapi_write_peer(const struct sl_uapi_sink *sink, const struct sl_uapi_peer_info *p)
{
	static const uint8_t none[SL_KEY_LEN];
	char text[SL_ENDPOINT_STR];

	key_line(sink, "public_key=", p->public_key.b);
	key_line(sink, "preshared_key=", p->preshared_key ? p->preshared_key->b : none);
	line(sink, "protocol_version=1\n");
	if (p->endpoint && p->endpoint->ip.family)
		line(sink, "endpoint=%s\n", sl_endpoint_str(p->endpoint, text));
	line(sink, "last_handshake_time_sec=%" PRIu64 "\n",
	     p->last_handshake_wall_ns / SL_NS_PER_S);
	line(sink, "last_handshake_time_nsec=%" PRIu64 "\n",
	     p->last_handshake_wall_ns % SL_NS_PER_S);
	line(sink, "tx_bytes=%" PRIu64 "\n", p->tx_bytes);
	line(sink, "rx_bytes=%" PRIu64 "\n", p->rx_bytes);
	line(sink, "persistent_keepalive_interval=%u\n", p->keepalive_s);
	for (unsigned i = 0; i < p->n_allowed; i++) {
		char prefix[SL_PREFIX_STR];

		line(sink, "allowed_ip=%s\n", sl_prefix_str(&p->allowed[i], prefix));
	}
}

void
sl_uapi_write_end(const struct sl_uapi_sink *sink, enum sl_uapi_op op, int err)
{
	if (op == SL_UAPI_GET && err < 0)
		err = -err;
	line(sink, "errno=%d\n\n", err);
}
