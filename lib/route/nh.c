/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_route.h"

#include <sys/mman.h>

#include "sl_latch.h"

_Static_assert(sizeof(struct sl_nh_copy) % 4 == 0, "latched by words");

struct sl_nh_table *
sl_nh_table_new(void)
{
	struct sl_nh_table *t;

	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t == MAP_FAILED)
		return NULL;
	t->taken[0] = 1; /* id 0 */
	return t;
}

void
sl_nh_table_free(struct sl_nh_table *t)
{
	if (t != NULL)
		munmap(t, sizeof(*t));
}

void
sl_nh_read(const struct sl_nh_table *t, uint32_t id, struct sl_nh_copy *out)
{
	const struct sl_nh *nh;

	if (sl_unlikely(id == 0 || id >= SL_NH_MAX)) { /* SL_NH_ID_NONE, or nonsense */
		memset(out, 0, sizeof(*out));
		return;
	}
	nh = &t->nh[id];
	sl_latch_read(&nh->seq, &nh->v[0], &nh->v[1], out, sizeof(*out));
}

uint32_t
sl_nh_alloc(struct sl_nh_table *t)
{
	uint32_t id, i;

	for (i = 1; i <= SL_NH_MAX; i++) {
		id = (t->last + i) % SL_NH_MAX;
		if ((t->taken[id / 64] >> (id % 64) & 1) == 0) {
			t->taken[id / 64] |= UINT64_C(1) << (id % 64);
			t->last = id;
			return id;
		}
	}
	return 0;
}

void
sl_nh_free(struct sl_nh_table *t, uint32_t id)
{
	if (id == 0 || id >= SL_NH_MAX)
		return;
	sl_nh_write(t, id, SL_NH_FREE, SL_NH_INCOMPLETE, NULL, NULL, NULL);
	t->taken[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

/** Destination, source and tag; the EtherType stays zero for the transmitter. */
static void
write_l2(struct sl_nh_copy *c, const struct sl_att *att, const uint8_t *dst_mac)
{
	if (dst_mac != NULL)
		memcpy(c->l2, dst_mac, 6);
	memcpy(c->l2 + 6, att->mac, 6);
	c->l2_len = SL_ETH_HDR;
	if (att->vlan != 0) {
		sl_store_be16(c->l2 + 12, SL_ETHERTYPE_VLAN);
		sl_store_be16(c->l2 + 14, att->vlan);
		c->l2_len = SL_L2_MAX;
	}
}

void
sl_nh_write(struct sl_nh_table *t, uint32_t id, enum sl_nh_type type, enum sl_nh_state state,
	    const struct sl_att *att, const struct sl_ip *ip, const uint8_t dst_mac[6])
{
	struct sl_nh_copy c = {.type = (uint8_t)type, .state = (uint8_t)state};
	struct sl_nh *nh;

	if (id == 0 || id >= SL_NH_MAX)
		return;
	nh = &t->nh[id];
	if (att != NULL) {
		c.att = att->id;
		c.port = att->port;
		c.mtu = att->mtu;
		write_l2(&c, att, dst_mac);
	}
	t->ip[id] = ip != NULL ? *ip : (struct sl_ip){0};
	sl_latch_write(&nh->seq, &nh->v[0], &nh->v[1], &c, sizeof(c));
}
