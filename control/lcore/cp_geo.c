/* SPDX-License-Identifier: BSD-3-Clause */
/* From an outer address to its country and network: looked up here, so that the address itself
 * leaves the gateway in no message. */
#include <arpa/inet.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "cp.h"

struct cp_geo {
	MMDB_s country, asn;
	bool has_country, has_asn;
};

static int
open_db(const char *file, const char *path, MMDB_s *db, bool *has, struct sl_error *e)
{
	int rc;

	if (file == NULL)
		return 0;
	rc = MMDB_open(file, MMDB_MODE_MMAP, db);
	*has = rc == MMDB_SUCCESS;
	if (*has)
		return 0;
	sl_fail(e, -EINVAL, "geo_invalid", path, "%s: %s", file, MMDB_strerror(rc));
	sl_hint(e, "name a database in MaxMind's format, or leave the line out");
	return -EINVAL;
}

int
cp_geo_init(struct sl_cp *cp, struct sl_error *e)
{
	struct cp_geo *g = cp->geo = calloc(1, sizeof(*g));
	int rc;

	if (g == NULL)
		return gw_no_memory(e);
	rc = open_db(cp->config->country_db, "/control_plane/country_db", &g->country,
		     &g->has_country, e);
	return rc != 0 ? rc
		       : open_db(cp->config->asn_db, "/control_plane/asn_db", &g->asn, &g->has_asn,
				 e);
}

void
cp_geo_free(struct sl_cp *cp)
{
	if (cp->geo == NULL)
		return;
	if (cp->geo->has_country)
		MMDB_close(&cp->geo->country);
	if (cp->geo->has_asn)
		MMDB_close(&cp->geo->asn);
	free(cp->geo);
	cp->geo = NULL;
}

static bool
look_up(const MMDB_s *db, const struct sl_ip *ip, const char *const *path, MMDB_entry_data_s *out)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	MMDB_lookup_result_s r;
	int rc = MMDB_SUCCESS;

	memcpy(&v6.sin6_addr, ip->b, 16);
	memcpy(&v4.sin_addr, ip->b, 4);
	r = MMDB_lookup_sockaddr((MMDB_s *)(uintptr_t)db,
				 ip->family == 6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
				 &rc);
	return rc == MMDB_SUCCESS && r.found_entry &&
	       MMDB_aget_value(&r.entry, out, path) == MMDB_SUCCESS && out->has_data;
}

void
cp_geo_add(const struct sl_cp *cp, const struct sl_ip *ip, json_t *o)
{
	static const char *const country[] = {"country", "iso_code", NULL};
	static const char *const asn[] = {"autonomous_system_number", NULL};
	const struct cp_geo *g = cp->geo;
	MMDB_entry_data_s d;

	if (g->has_country && look_up(&g->country, ip, country, &d) &&
	    d.type == MMDB_DATA_TYPE_UTF8_STRING)
		json_object_set_new(o, "country", json_stringn(d.utf8_string, d.data_size));
	if (g->has_asn && look_up(&g->asn, ip, asn, &d) && d.type == MMDB_DATA_TYPE_UINT32)
		json_object_set_new(o, "asn", json_integer(d.uint32));
}
