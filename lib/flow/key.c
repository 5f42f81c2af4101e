/* SPDX-License-Identifier: BSD-3-Clause */
#include "table_int.h"

bool
sl_flow_key_make(struct sl_flow_key *k, uint8_t version, uint8_t proto, uint16_t iface,
		 const uint8_t *src, const uint8_t *dst, uint16_t sport, uint16_t dport)
{
	bool swapped = sport > dport;
	uint64_t s, d;

	*k = (struct sl_flow_key){.iface = iface, .proto = proto, .version = version};
	if (version == 4) {
		s = sl_load_be32(src);
		d = sl_load_be32(dst);
		swapped = s != d ? s > d : swapped;
		memcpy(swapped ? k->b : k->a, src, 4);
		memcpy(swapped ? k->a : k->b, dst, 4);
	} else {
		s = sl_load_be64(src);
		d = sl_load_be64(dst);
		if (s == d) {
			s = sl_load_be64(src + 8);
			d = sl_load_be64(dst + 8);
		}
		swapped = s != d ? s > d : swapped;
		memcpy(swapped ? k->b : k->a, src, 16);
		memcpy(swapped ? k->a : k->b, dst, 16);
	}
	k->pa = swapped ? dport : sport;
	k->pb = swapped ? sport : dport;
	return swapped;
}

uint32_t
sl_flow_hash(const struct sl_flow_table *t, const struct sl_flow_key *k)
{
	uint64_t h = sl_hash(&t->key, k, sizeof(*k) / sizeof(uint64_t));

	return (uint32_t)(h ^ h >> 32);
}
