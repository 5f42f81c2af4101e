/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of methods for people: which members in which columns. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "table.h"

#define LABEL_WIDTH 30

/** A list in a result that is shown as a table. */
struct view {
	const char *method, *member;
	const struct sl_table_column *columns;
};

static const struct sl_table_column peers[] = {
	{"interface", NULL, SL_CELL_TEXT},
	{"name", "peer", SL_CELL_TEXT},
	{"endpoint", NULL, SL_CELL_TEXT},
	{"allowed_ips", NULL, SL_CELL_TEXT},
	{"state", NULL, SL_CELL_TEXT},
	{"last_handshake", "handshake", SL_CELL_SINCE},
	{"rx_bytes", "received", SL_CELL_BYTES},
	{"tx_bytes", "sent", SL_CELL_BYTES},
	{"last_data_rx_ms", "last data", SL_CELL_MS, SL_TABLE_WIDE},
	{"enabled", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column interfaces[] = {
	{"name", "interface", SL_CELL_TEXT},
	{"listen_port", "port", SL_CELL_NUMBER},
	{"public_key", NULL, SL_CELL_TEXT},
	{"key_source", "key", SL_CELL_TEXT, SL_TABLE_WIDE},
	{"addresses", NULL, SL_CELL_TEXT},
	{"inside", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"mtu", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"isolation", NULL, SL_CELL_TEXT},
	{"peers", NULL, SL_CELL_NUMBER},
	{0},
};
static const struct sl_table_column ports[] = {
	{"name", "port", SL_CELL_TEXT},
	{"device", NULL, SL_CELL_TEXT},
	{"driver", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"mac", NULL, SL_CELL_TEXT},
	{"mtu", NULL, SL_CELL_NUMBER},
	{"rx_queues", "rxq", SL_CELL_NUMBER},
	{"tx_queues", "txq", SL_CELL_NUMBER},
	{"link", NULL, SL_CELL_TEXT},
	{"mbps", "Mbit/s", SL_CELL_NUMBER},
	{"addresses", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column port_stats[] = {
	{"name", "port", SL_CELL_TEXT},	     {"rx_packets", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"rx_bytes", "rx", SL_CELL_BYTES},   {"rx_pps", "rx pkt/s", SL_CELL_NUMBER},
	{"rx_bps", "rx rate", SL_CELL_BPS},  {"tx_packets", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"tx_bytes", "tx", SL_CELL_BYTES},   {"tx_pps", "tx pkt/s", SL_CELL_NUMBER},
	{"tx_bps", "tx rate", SL_CELL_BPS},  {"rx_missed", "missed", SL_CELL_NUMBER},
	{"rx_errors", NULL, SL_CELL_NUMBER}, {"rx_nombuf", "no mbuf", SL_CELL_NUMBER},
	{"tx_errors", NULL, SL_CELL_NUMBER}, {0},
};
static const struct sl_table_column sessions[] = {
	{"interface", NULL, SL_CELL_TEXT},
	{"peer", NULL, SL_CELL_TEXT},
	{"state", NULL, SL_CELL_TEXT},
	{"local_index", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"remote_index", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"age_ms", "age", SL_CELL_MS},
	{"initiator", NULL, SL_CELL_TEXT},
	{"worker", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"packets_encrypted", "encrypted", SL_CELL_NUMBER},
	{"packets_decrypted", "decrypted", SL_CELL_NUMBER},
	{"replay_detected", "replays", SL_CELL_NUMBER},
	{"auth_failures", NULL, SL_CELL_NUMBER},
	{"key_rotation_count", "rotations", SL_CELL_NUMBER, SL_TABLE_WIDE},
	{0},
};
static const struct sl_table_column routes[] = {
	{"prefix", NULL, SL_CELL_TEXT},
	{"via", NULL, SL_CELL_TEXT},
	{"port", NULL, SL_CELL_TEXT},
	{"vlan", NULL, SL_CELL_NUMBER},
	{"interface", NULL, SL_CELL_TEXT},
	{"kind", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column neighbours[] = {
	{"port", NULL, SL_CELL_TEXT}, {"vlan", NULL, SL_CELL_NUMBER}, {"ip", NULL, SL_CELL_TEXT},
	{"mac", NULL, SL_CELL_TEXT},  {"state", NULL, SL_CELL_TEXT},  {0},
};
static const struct sl_table_column lcores[] = {
	{"lcore", NULL, SL_CELL_NUMBER},
	{"cpu", NULL, SL_CELL_NUMBER},
	{"role", NULL, SL_CELL_TEXT},
	{"index", NULL, SL_CELL_NUMBER},
	{"busy_pct", "busy %", SL_CELL_NUMBER},
	{"rx_packets", NULL, SL_CELL_NUMBER},
	{"rx_pps", "rx pkt/s", SL_CELL_NUMBER},
	{"tx_packets", NULL, SL_CELL_NUMBER},
	{"tx_pps", "tx pkt/s", SL_CELL_NUMBER},
	{"steered_packets", "steered", SL_CELL_NUMBER},
	{"polls", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{0},
};
static const struct sl_table_column drops[] = {
	{"reason", NULL, SL_CELL_TEXT},
	{"packets", NULL, SL_CELL_NUMBER},
	{"pps", "pkt/s", SL_CELL_NUMBER},
	{"why", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column stages[] = {
	{"stage", NULL, SL_CELL_TEXT},
	{"total", NULL, SL_CELL_NUMBER},
	{"passed", NULL, SL_CELL_NUMBER},
	{"dropped", NULL, SL_CELL_NUMBER},
	{"decrypt_success", "opened", SL_CELL_NUMBER},
	{"decrypt_failure", "not opened", SL_CELL_NUMBER},
	{"pps", "pkt/s", SL_CELL_NUMBER},
	{0},
};
static const struct sl_table_column modes[] = {
	{"prefix", NULL, SL_CELL_TEXT},
	{"mode", NULL, SL_CELL_TEXT},
	{"target", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column methods[] = {
	{"name", "method", SL_CELL_TEXT},
	{"role", NULL, SL_CELL_TEXT},
	{"summary", NULL, SL_CELL_TEXT},
	{0},
};

static const struct sl_table_column rules[] = {
	{"rule", NULL, SL_CELL_TEXT},
	{"action", NULL, SL_CELL_TEXT},
	{"priority", "prio", SL_CELL_NUMBER},
	{"src", "from", SL_CELL_TEXT},
	{"to", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT},
	{"ports", NULL, SL_CELL_TEXT},
	{"flags", NULL, SL_CELL_TEXT},
	{"expires", NULL, SL_CELL_TEXT},
	{"description", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column lints[] = {
	{"code", "lint", SL_CELL_TEXT},
	{"path", NULL, SL_CELL_TEXT},
	{"text", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column roles[] = {
	{"role", NULL, SL_CELL_TEXT},
	{"id", NULL, SL_CELL_NUMBER},
	{"members", NULL, SL_CELL_NUMBER},
	{"members_beside", "beside", SL_CELL_NUMBER},
	{"rules", NULL, SL_CELL_NUMBER},
	{"description", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column members[] = {
	{"role", NULL, SL_CELL_TEXT},
	{"member", NULL, SL_CELL_TEXT},
	{"source", NULL, SL_CELL_TEXT},
	{"provider", NULL, SL_CELL_TEXT},
	{"detail", NULL, SL_CELL_TEXT},
	{"expires", NULL, SL_CELL_TEXT},
	{"state", NULL, SL_CELL_TEXT},
	{"beside", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column targets[] = {
	{"target", NULL, SL_CELL_TEXT},
	{"addresses", NULL, SL_CELL_TEXT},
	{"mode", NULL, SL_CELL_TEXT},
	{"description", NULL, SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column zones[] = {
	{"zone", NULL, SL_CELL_TEXT},
	{"id", NULL, SL_CELL_NUMBER},
	{"type", NULL, SL_CELL_TEXT},
	{"networks", NULL, SL_CELL_TEXT},
	{"default_policy", "default", SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column denied[] = {
	{"peer", NULL, SL_CELL_TEXT},	  {"from", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"src", NULL, SL_CELL_TEXT},	  {"dst", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT}, {"port", NULL, SL_CELL_NUMBER},
	{"why", NULL, SL_CELL_TEXT},	  {"rule", NULL, SL_CELL_TEXT},
	{"flows", NULL, SL_CELL_NUMBER},  {"bytes", NULL, SL_CELL_BYTES, SL_TABLE_WIDE},
	{"last", NULL, SL_CELL_SINCE},	  {0},
};
static const struct sl_table_column changes[] = {
	{"change", NULL, SL_CELL_TEXT},
	{"peer", NULL, SL_CELL_TEXT},
	{"from", NULL, SL_CELL_TEXT},
	{"src", NULL, SL_CELL_TEXT},
	{"dst", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT},
	{"port", NULL, SL_CELL_NUMBER},
	{"why", NULL, SL_CELL_TEXT},
	{"flows", NULL, SL_CELL_NUMBER},
	{"last", NULL, SL_CELL_SINCE},
	{0},
};
static const struct sl_table_column seen[] = {
	{"interface", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"peer", NULL, SL_CELL_TEXT},
	{"from", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"src", NULL, SL_CELL_TEXT},
	{"dst", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT},
	{"port", NULL, SL_CELL_NUMBER},
	{"then", NULL, SL_CELL_TEXT},
	{"now", NULL, SL_CELL_TEXT},
	{"flows", NULL, SL_CELL_NUMBER},
	{"packets", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"bytes", NULL, SL_CELL_BYTES},
	{"last", NULL, SL_CELL_SINCE},
	{0},
};
static const struct sl_table_column flows[] = {
	{"peer", NULL, SL_CELL_TEXT},
	{"from", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"src", NULL, SL_CELL_TEXT},
	{"sport", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"dst", NULL, SL_CELL_TEXT},
	{"port", NULL, SL_CELL_NUMBER},
	{"protocol", "proto", SL_CELL_TEXT},
	{"state", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"verdict", NULL, SL_CELL_TEXT},
	{"rule", NULL, SL_CELL_TEXT},
	{"why", NULL, SL_CELL_TEXT},
	{"target", NULL, SL_CELL_TEXT, SL_TABLE_WIDE},
	{"packets", NULL, SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"reply_packets", "replies", SL_CELL_NUMBER, SL_TABLE_WIDE},
	{"bytes", "sent", SL_CELL_BYTES},
	{"reply_bytes", "answered", SL_CELL_BYTES},
	{"age_ms", "age", SL_CELL_MS, SL_TABLE_WIDE},
	{"idle_ms", "idle", SL_CELL_MS},
	{"expires_ms", "ends in", SL_CELL_MS, SL_TABLE_WIDE},
	{0},
};
static const struct sl_table_column flow_tables[] = {
	{"worker", NULL, SL_CELL_NUMBER},
	{"flows", NULL, SL_CELL_NUMBER},
	{"max", "room", SL_CELL_NUMBER},
	{0},
};
static const struct sl_table_column suggested[] = {
	{"role", NULL, SL_CELL_TEXT},
	{"id", NULL, SL_CELL_NUMBER},
	{"new_role", "new", SL_CELL_TEXT},
	{"src", NULL, SL_CELL_TEXT},
	{"to", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT},
	{"ports", NULL, SL_CELL_TEXT},
	{"description", "because", SL_CELL_TEXT},
	{0},
};
static const struct sl_table_column left_out[] = {
	{"reason", NULL, SL_CELL_TEXT},
	{"peer", NULL, SL_CELL_TEXT},
	{"src", NULL, SL_CELL_TEXT},
	{"dst", NULL, SL_CELL_TEXT},
	{"protocol", NULL, SL_CELL_TEXT},
	{"port", NULL, SL_CELL_NUMBER},
	{"rule", NULL, SL_CELL_TEXT},
	{"flows", NULL, SL_CELL_NUMBER},
	{0},
};
static const struct sl_table_column considered[] = {
	{"role", NULL, SL_CELL_TEXT}, {"through", NULL, SL_CELL_TEXT}, {"vote", NULL, SL_CELL_TEXT},
	{"rule", NULL, SL_CELL_TEXT}, {"because", NULL, SL_CELL_TEXT}, {0},
};
static const struct sl_table_column records[] = {
	{"@timestamp", "time", SL_CELL_TEXT},
	{"event/action", "event", SL_CELL_TEXT},
	{"sluice/peer/name", "peer", SL_CELL_TEXT},
	{"source/ip", "src", SL_CELL_TEXT},
	{"destination/ip", "dst", SL_CELL_TEXT},
	{"network/transport", "proto", SL_CELL_TEXT},
	{"destination/port", "port", SL_CELL_NUMBER},
	{"sluice/target/name", "target", SL_CELL_TEXT, SL_TABLE_WIDE},
	{"event/reason", "why", SL_CELL_TEXT},
	{"rule/name", "rule", SL_CELL_TEXT},
	{"sluice/count", "count", SL_CELL_NUMBER, SL_TABLE_WIDE},
	{0},
};

static const struct sl_table_column rings[] = {
	{"lcore", NULL, SL_CELL_NUMBER},      {"type", NULL, SL_CELL_TEXT},
	{"seen", NULL, SL_CELL_NUMBER},	      {"recorded", NULL, SL_CELL_NUMBER},
	{"suppressed", NULL, SL_CELL_NUMBER}, {"not_selected", NULL, SL_CELL_NUMBER},
	{"taken", NULL, SL_CELL_NUMBER},      {"overwritten", NULL, SL_CELL_NUMBER},
	{"in_ring", NULL, SL_CELL_NUMBER},    {0},
};
static const struct sl_table_column sinks[] = {
	{"name", "sink", SL_CELL_TEXT},	    {"target", NULL, SL_CELL_TEXT},
	{"state", NULL, SL_CELL_TEXT},	    {"drained", NULL, SL_CELL_NUMBER},
	{"acked", NULL, SL_CELL_NUMBER},    {"queued", NULL, SL_CELL_NUMBER},
	{"dropped", NULL, SL_CELL_NUMBER},  {"drops", "why", SL_CELL_TEXT},
	{"last_error", NULL, SL_CELL_TEXT}, {0},
};

static const struct view views[] = {
	{"audit.status", "lcores", rings},
	{"audit.status", "sinks", sinks},
	{"audit.recent", "records", records},
	{"peer.list", "peers", peers},
	{"interface.list", "interfaces", interfaces},
	{"port.list", "ports", ports},
	{"port.stats", "ports", port_stats},
	{"session.list", "sessions", sessions},
	{"route.list", "routes", routes},
	{"neighbour.list", "neighbours", neighbours},
	{"sys.lcores", "lcores", lcores},
	{"drops.get", "drops", drops},
	{"stats.get", "stages", stages},
	{"authz.mode.get", "prefixes", modes},
	{"rpc.methods", "methods", methods},
	{"policy.show", "rules", rules},
	{"policy.would_deny", "rows", denied},
	{"policy.replay", "rows", changes},
	{"policy.suggest", "rules", suggested},
	{"policy.suggest", "left_out", left_out},
	{"evidence.list", "rows", seen},
	{"flow.list", "flows", flows},
	{"flow.count", "workers", flow_tables},
	{"policy.lint", "lints", lints},
	{"policy.load", "lints", lints},
	{"policy.validate", "lints", lints},
	{"policy.explain", "roles", considered},
	{"role.list", "roles", roles},
	{"role.members", "members", members},
	{"target.list", "targets", targets},
	{"zone.list", "zones", zones},
};

/** Members whose unit is not told by their name alone. */
static enum sl_cell
format_of(const char *key)
{
	size_t n = strlen(key);

	static const char *const since[] = {"last_handshake", "oldest", "newest", "newest_gap"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(since); i++)
		if (strcmp(key, since[i]) == 0)
			return SL_CELL_SINCE;
	if (strcmp(key, "revert_at") == 0)
		return SL_CELL_UNTIL;
	if (n >= 5 && strcmp(key + n - 5, "bytes") == 0)
		return SL_CELL_BYTES;
	if (strcmp(key, "bps") == 0 || (n >= 4 && strcmp(key + n - 4, "_bps") == 0))
		return SL_CELL_BPS;
	if (n >= 3 && strcmp(key + n - 3, "_ms") == 0)
		return SL_CELL_MS;
	if (n >= 2 && strcmp(key + n - 2, "_s") == 0)
		return SL_CELL_SECONDS;
	return SL_CELL_NUMBER;
}

static const struct sl_table_column *
columns_of(const char *method, const char *member)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(views); i++)
		if (strcmp(views[i].method, method) == 0 && strcmp(views[i].member, member) == 0)
			return views[i].columns;
	return NULL;
}

static void
write_list(FILE *f, const char *method, const char *key, const json_t *list, bool wide, int64_t now)
{
	char *text;

	if (json_array_size(list) == 0) {
		fprintf(f, "no %s\n", key);
		return;
	}
	text = sl_table_text(list, columns_of(method, key), wide, now);
	fputs(text ? text : "no memory\n", f);
	free(text);
}

static bool
is_list(const json_t *v)
{
	return json_is_array(v) &&
	       (json_array_size(v) == 0 || json_is_object(json_array_get(v, 0)));
}

/** "rx.last_data_ms" becomes "rx last data": the unit stands behind the value. */
static void
name_for_people(char *label, enum sl_cell format)
{
	size_t n = strlen(label);

	if (format == SL_CELL_MS)
		label[n - 3] = 0;
	else if (format == SL_CELL_SECONDS)
		label[n - 2] = 0;
	for (; *label; label++)
		*label = *label == '_' || *label == '.' ? ' ' : *label;
}

/** Members that are no lists, one a line; members of objects as NAME.MEMBER. */
static void
write_values(FILE *f, const char *method, const char *prefix, const json_t *object, int64_t now)
{
	json_t *item;
	const char *key;
	char label[96], *text;

	json_object_foreach ((json_t *)(uintptr_t)object, key, item) {
		snprintf(label, sizeof(label), "%s%s%s", prefix, prefix[0] ? "." : "", key);
		if (json_is_object(item)) {
			write_values(f, method, label, item, now);
			continue;
		}
		if (is_list(item) && (json_array_size(item) || columns_of(method, label)))
			continue; /* shown as a table */
		if (strcmp(label, "candidate") == 0)
			continue; /* a document of its own */
		text = sl_cell_text(item, format_of(key), now);
		name_for_people(label, format_of(key));
		fprintf(f, "%-*s  %s\n", LABEL_WIDTH, label, text ? text : "");
		free(text);
	}
}

/** Calls as they would be typed. */
static void
write_calls(FILE *f, const json_t *calls)
{
	json_t *call;
	size_t i;

	json_array_foreach (calls, i, call) {
		char *params = json_dumps(json_object_get(call, "params"), 0);

		fprintf(f, "%s %s\n", json_string_value(json_object_get(call, "method")),
			params ? params : "");
		free(params);
	}
}

/** A text that came in pieces. */
static void
write_pieces(FILE *f, const json_t *pieces)
{
	json_t *piece;
	size_t i;

	json_array_foreach (pieces, i, piece)
		fputs(json_string_value(piece), f);
}

/** Sentences below a table, with the object that they are about. */
static void
write_warnings(FILE *f, const json_t *list)
{
	json_t *row, *text;
	size_t i, j;

	json_array_foreach (list, i, row) {
		json_array_foreach (json_object_get(row, "warnings"), j, text)
			fprintf(f, "warning: %s: %s\n",
				json_string_value(json_object_get(row, "name")),
				json_string_value(text));
	}
}

/** What setting a mode answers: the evidence, and what is to be confirmed. */
static void
write_mode_set(FILE *f, const json_t *o)
{
	const char *id = json_string_value(json_object_get(o, "confirm_id"));

	if (json_object_get(o, "would_deny"))
		fprintf(f,
			"evidence: %" JSON_INTEGER_FORMAT
			" flows would be denied, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
			" s covered, %" JSON_INTEGER_FORMAT " flows lost\n",
			json_integer_value(json_object_get(o, "would_deny")),
			json_integer_value(json_object_get(o, "covered_s")),
			json_integer_value(json_object_get(o, "window_s")),
			json_integer_value(json_object_get(o, "lost")));
	if (id)
		fprintf(f, "taken back unless confirmed: sluicectl mode confirm %s\n", id);
}

/** Why no rule is named that decided nothing. */
static void
write_untold(FILE *f, const json_t *o)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(o, "unmatched"), "text"));

	if (text)
		fprintf(f, "\n%s\n", text);
}

/** The types of all rings, a row each; those of which nothing was seen are left out. */
static json_t *
rows_of_rings(const json_t *of)
{
	json_t *rows = json_array(), *lcore, *type, *row;
	size_t i, k;

	json_array_foreach (of, i, lcore) {
		json_array_foreach (json_object_get(lcore, "types"), k, type) {
			if (json_integer_value(json_object_get(type, "seen")) == 0)
				continue;
			row = json_copy(type);
			json_object_set(row, "lcore", json_object_get(lcore, "lcore"));
			json_array_append_new(rows, row);
		}
	}
	return rows;
}

/** Does the result say more than the rows of its list? */
static bool
says_more(const char *method)
{
	static const char *const more[] = {"audit.status",    "stats.get",	"drops.get",
					   "authz.mode.get",  "sys.lcores",	"policy.load",
					   "policy.validate", "policy.explain", "policy.would_deny",
					   "policy.replay",   "policy.suggest", "evidence.list",
					   "flow.count"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(more); i++)
		if (strcmp(method, more[i]) == 0)
			return true;
	return false;
}

static void
write_rows(FILE *f, const char *method, const char *key, const json_t *list, bool wide, int64_t now)
{
	bool flat = strcmp(method, "audit.status") == 0 && strcmp(key, "lcores") == 0;
	json_t *rows = flat ? rows_of_rings(list) : NULL;

	if (flat && json_array_size(rows) == 0)
		fputs("nothing was judged yet\n", f);
	else
		write_list(f, method, key, flat ? rows : list, wide, now);
	json_decref(rows);
}

static void
write_result(FILE *f, const char *method, const json_t *result, bool wide, int64_t now)
{
	json_t *item;
	const char *key;
	bool lists = false;

	if (json_object_size(result) == 0) {
		fputs("ok\n", f);
		return;
	}
	if (strcmp(method, "policy.show") == 0 && json_object_get(result, "text")) {
		write_pieces(f, json_object_get(result, "text"));
		return;
	}
	if (strcmp(method, "authz.mode.set") == 0) {
		write_mode_set(f, result);
		return;
	}
	if (strcmp(method, "config.show") == 0) {
		write_calls(f, json_object_get(result, "calls"));
		return;
	}
	json_object_foreach ((json_t *)(uintptr_t)result, key, item) {
		if (!columns_of(method, key) && (!is_list(item) || json_array_size(item) == 0))
			continue;
		if (strcmp(method, "policy.suggest") == 0 && strcmp(key, "tests") == 0)
			continue; /* of the candidate */
		write_rows(f, method, key, item, wide, now);
		write_warnings(f, item);
		lists |= columns_of(method, key) != NULL;
	}
	if (strcmp(method, "policy.lint") == 0)
		write_untold(f, result);
	if (lists && !says_more(method))
		return;
	if (lists)
		fputc('\n', f);
	write_values(f, method, "", result, now);
}

char *
sl_view_text(const char *method, const json_t *result, bool wide)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	write_result(f, method, result, wide, (int64_t)time(NULL));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
