/* SPDX-License-Identifier: BSD-3-Clause */
#include "repl_view.h"

static void
add_time(json_t *o, const char *name, uint64_t wall_ns)
{
	char text[SL_TIME_STR];

	if (wall_ns != 0)
		json_object_set_new(o, name, json_string(sl_time_str(wall_ns, text)));
}

static json_t *
show(const struct sl_subscriber_info *i)
{
	json_t *o =
		json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I}", "gateway",
			  i->node, "connected", i->connected, "via", i->via != NULL ? i->via : "",
			  "acked_seq", (json_int_t)i->acked_seq, "serving_seq",
			  (json_int_t)i->serving_seq, "sent_seq", (json_int_t)i->sent_seq, "head",
			  (json_int_t)i->head, "overlay", i->overlay, "hash_ok", i->hash_ok,
			  "snapshots", (json_int_t)i->snapshots, "clock_skew_ms",
			  (json_int_t)i->clock_skew_ms_abs);

	if (o == NULL)
		return NULL;
	if (i->connected && i->schema != 0)
		json_object_set_new(o, "schema", json_integer(i->schema));
	add_time(o, "connected_at", i->connected_wall_ns);
	add_time(o, "last_ack_at", i->last_ack_wall_ns);
	if (i->nack_code[0] != '\0')
		json_object_set_new(o, "nack",
				    json_pack("{s:s, s:s, s:s}", "code", i->nack_code, "path",
					      i->nack_path, "message", i->nack_message));
	return o;
}

struct search {
	const char *node; /* NULL: all */
	json_t *out;
};

static bool
each(void *ctx, const struct sl_subscriber_info *i)
{
	struct search *s = ctx;

	if (s->node == NULL) {
		json_array_append_new(s->out, show(i));
		return true;
	}
	if (strcmp(i->node, s->node) != 0)
		return true;
	s->out = show(i);
	return false;
}

json_t *
repl_view_node(const struct sl_publisher *p, const char *node)
{
	struct search s = {.node = node};

	if (p != NULL)
		sl_publisher_walk(p, each, &s);
	return s.out != NULL ? s.out : json_pack("{s:s, s:b}", "gateway", node, "connected", 0);
}

json_t *
repl_view_all(const struct sl_publisher *p)
{
	struct search s = {.out = json_array()};

	if (p != NULL && s.out != NULL)
		sl_publisher_walk(p, each, &s);
	return s.out;
}
