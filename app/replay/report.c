/* SPDX-License-Identifier: BSD-3-Clause */
/* What came out: the pcap of packets, the report in JSON, a few lines for people. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay.h"

#define KINDS_MAX (SL_DROP_MAX + REPLAY_SKIPS)

struct replay_report {
	const struct replay_options *o;
	pcap_t *dead;
	pcap_dumper_t *out;
	FILE *json;
	bool first, made_json, made_out;
	uint64_t packets, forwarded, local, dropped, skipped, flows, would_deny, written;
	/* by reason, in the order in which they came */
	struct {
		const char *reason;
		bool skip;
		uint64_t n;
	} kind[KINDS_MAX];
	unsigned n_kinds;
};

/** The capture is still to be read. */
static int
not_input(const struct replay_options *o, const char *path, const char *at, struct sl_error *e)
{
	struct stat in, out;

	if (stat(o->pcap, &in) || stat(path, &out) || in.st_dev != out.st_dev ||
	    in.st_ino != out.st_ino || !S_ISREG(in.st_mode))
		return 0;
	return sl_fail(e, -EEXIST, "same_file", at, "%.200s is the capture that is replayed", path);
}

/** Two writers would write over each other. */
static int
not_both(const struct replay_options *o, struct sl_error *e)
{
	struct stat out, json;

	if (stat(o->out, &out) || stat(o->json, &json) || out.st_dev != json.st_dev ||
	    out.st_ino != json.st_ino || !S_ISREG(out.st_mode))
		return 0;
	return sl_fail(e, -EEXIST, "same_file", "/json", "%.200s is the other output too", o->json);
}

static int
open_out(struct replay_report *rep, struct sl_error *e)
{
	rep->dead = pcap_open_dead_with_tstamp_precision(DLT_RAW, REPLAY_PACKET_MAX,
							 PCAP_TSTAMP_PRECISION_NANO);
	if (rep->dead)
		rep->out = pcap_dump_open(rep->dead, rep->o->out);
	rep->made_out = rep->out != NULL;
	if (rep->out)
		return 0;
	return sl_fail(e, -EIO, "out_file", "/out", "%.200s: %.150s", rep->o->out,
		       rep->dead ? pcap_geterr(rep->dead) : "no memory");
}

static int
open_json(struct replay_report *rep, struct sl_error *e)
{
	rep->json = strcmp(rep->o->json, "-") == 0 ? stdout : fopen(rep->o->json, "we");
	if (!rep->json)
		return sl_fail(e, -errno, "json_file", "/json", "%.200s: %s", rep->o->json,
			       strerror(errno));
	rep->made_json = true;
	fputs("{\"packets\":[", rep->json);
	return 0;
}

static void
remove_file(const char *path)
{
	struct stat st;

	if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		unlink(path);
}

void
replay_report_discard(struct replay_report *rep)
{
	if (rep->made_json)
		remove_file(rep->o->json);
	if (rep->made_out)
		remove_file(rep->o->out);
}

struct replay_report *
replay_report_new(const struct replay_options *o, struct sl_error *e)
{
	struct replay_report *rep = calloc(1, sizeof(*rep));
	int rc;

	if (!rep) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the report");
		return NULL;
	}
	rep->o = o;
	rep->first = true;
	rc = o->out ? not_input(o, o->out, "/out", e) : 0;
	if (rc == 0 && o->json)
		rc = not_input(o, o->json, "/json", e);
	if (rc == 0 && o->out)
		rc = open_out(rep, e);
	if (rc == 0 && o->out && o->json) /* it is there now */
		rc = not_both(o, e);
	if (rc == 0 && o->json)
		rc = open_json(rep, e);
	if (rc == 0)
		return rep;
	replay_report_discard(rep);
	replay_report_free(rep);
	return NULL;
}

void
replay_report_out(struct replay_report *rep, uint64_t ts_ns, const uint8_t *packet, uint32_t len)
{
	/* the third field is in nanoseconds: the file says so */
	struct pcap_pkthdr h = {.ts = {.tv_sec = (time_t)(ts_ns / SL_NS_PER_S),
				       .tv_usec = (suseconds_t)(ts_ns % SL_NS_PER_S)},
				.caplen = len,
				.len = len};

	rep->written++;
	if (rep->out)
		pcap_dump((u_char *)rep->out, &h, packet);
}

static void
count_reason(struct replay_report *rep, const char *reason, bool skip)
{
	unsigned i;

	for (i = 0; i < rep->n_kinds; i++)
		if (rep->kind[i].skip == skip && strcmp(rep->kind[i].reason, reason) == 0)
			break;
	if (i == KINDS_MAX)
		return;
	rep->kind[i].reason = reason;
	rep->kind[i].skip = skip;
	rep->kind[i].n++;
	rep->n_kinds = SL_MAX(rep->n_kinds, i + 1);
}

static void
set_text(json_t *o, const char *name, const char *text)
{
	if (text)
		json_object_set_new(o, name, json_string(text));
}

static void
set_address(json_t *o, const char *name, const uint8_t *b, uint8_t version)
{
	char text[SL_IP_STR];
	struct sl_ip ip = version == 4 ? sl_ip_v4(b) : sl_ip_v6(b);

	set_text(o, name, sl_ip_str(&ip, text));
}

static void
set_tuple(json_t *o, const struct replay_packet *p)
{
	if (!p->ip.src)
		return;
	set_address(o, "src", p->ip.src, p->ip.version);
	set_address(o, "dst", p->ip.dst, p->ip.version);
	json_object_set_new(o, "proto", json_integer(p->ip.proto));
	if (!p->parsed || p->ip.frag_off ||
	    (p->ip.proto != SL_PROTO_TCP && p->ip.proto != SL_PROTO_UDP))
		return;
	json_object_set_new(o, "sport", json_integer(p->ip.sport));
	json_object_set_new(o, "dport", json_integer(p->ip.dport));
}

static void
set_judgement(json_t *o, const struct replay_judgement *j)
{
	char rule[SL_POL_NAME + 16];

	json_object_set_new(o, "mode",
			    json_string(j->mode == SL_MODE_ENFORCE ? "enforce" : "observe"));
	if (!j->known)
		return;
	json_object_set_new(o, "policy", json_string(j->allow ? "allow" : "deny"));
	set_text(o, "why", j->why);
	set_text(o, "role", j->role);
	if (j->rule) {
		snprintf(rule, sizeof(rule), "%s/%u", j->rule_role, j->rule);
		set_text(o, "rule", rule);
	}
	set_text(o, "target", j->target);
	set_text(o, "zone", j->zone);
	json_object_set_new(o, "generation", json_integer((json_int_t)j->generation));
}

static void
count_packet(struct replay_report *rep, const struct replay_packet *p,
	     const struct replay_verdict *v)
{
	rep->packets++;
	if (p->skip) {
		rep->skipped++;
		count_reason(rep, replay_skip_text(p->skip), true);
		return;
	}
	rep->flows += v->new_flow;
	if (v->forwarded) {
		rep->forwarded++;
		rep->would_deny += v->j.known && !v->j.allow;
	} else if (v->local) {
		rep->local++;
	} else {
		rep->dropped++;
		count_reason(rep, v->reason ? v->reason : "none", false);
	}
}

void
replay_report_packet(struct replay_report *rep, const struct replay_packet *p,
		     const struct replay_peer *peer, bool from_inside,
		     const struct replay_verdict *v)
{
	char ts[40];
	json_t *o;

	count_packet(rep, p, v);
	if (!rep->json)
		return;
	o = json_object();
	snprintf(ts, sizeof(ts), "%llu.%09llu", (unsigned long long)(p->ts_ns / SL_NS_PER_S),
		 (unsigned long long)(p->ts_ns % SL_NS_PER_S));
	json_object_set_new(o, "n", json_integer((json_int_t)p->n));
	set_text(o, "ts", ts);
	if (peer) {
		set_text(o, "peer", peer->name);
		set_text(o, "interface", peer->iface);
		set_text(o, "from", from_inside ? "inside" : "peer");
	}
	set_tuple(o, p);
	if (p->skip) {
		set_text(o, "verdict", "skipped");
		set_text(o, "reason", replay_skip_text(p->skip));
	} else {
		set_text(o, "verdict", v->forwarded ? "forwarded" : v->local ? "local" : "dropped");
		if (!v->forwarded && !v->local)
			set_text(o, "reason", v->reason ? v->reason : "none");
		set_judgement(o, &v->j);
	}
	fputs(rep->first ? "\n" : ",\n", rep->json);
	rep->first = false;
	json_dumpf(o, rep->json, JSON_COMPACT);
	json_decref(o);
}

static json_t *
reasons(const struct replay_report *rep, bool skip)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < rep->n_kinds; i++)
		if (rep->kind[i].skip == skip)
			json_object_set_new(o, rep->kind[i].reason,
					    json_integer((json_int_t)rep->kind[i].n));
	return o;
}

static void
write_summary(struct replay_report *rep)
{
	json_t *o = json_pack("{s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "packets",
			      (json_int_t)rep->packets, "forwarded", (json_int_t)rep->forwarded,
			      "local", (json_int_t)rep->local, "dropped", reasons(rep, false),
			      "skipped", reasons(rep, true), "flows", (json_int_t)rep->flows,
			      "would_deny", (json_int_t)rep->would_deny, "written",
			      (json_int_t)rep->written);

	fputs("\n],\n\"summary\":", rep->json);
	json_dumpf(o, rep->json, JSON_COMPACT);
	fputs("}\n", rep->json);
	json_decref(o);
}

static void
say(const struct replay_report *rep)
{
	printf("%llu packets in %llu flows: %llu forwarded (%llu would be denied), %llu dropped, "
	       "%llu answered by the gateway, %llu not replayed\n",
	       (unsigned long long)rep->packets, (unsigned long long)rep->flows,
	       (unsigned long long)rep->forwarded, (unsigned long long)rep->would_deny,
	       (unsigned long long)rep->dropped, (unsigned long long)rep->local,
	       (unsigned long long)rep->skipped);
	for (unsigned i = 0; i < rep->n_kinds; i++)
		printf("  %s %s: %llu\n", rep->kind[i].skip ? "not replayed" : "dropped",
		       rep->kind[i].reason, (unsigned long long)rep->kind[i].n);
}

static int
close_file(FILE **f, const char *path, struct sl_error *e)
{
	bool bad = fflush(*f) || ferror(*f);

	if (*f != stdout)
		bad |= fclose(*f) != 0;
	*f = NULL;
	return bad ? sl_fail(e, -EIO, "write_failed", "", "%.200s: cannot be written: %s", path,
			     strerror(errno ? errno : EIO))
		   : 0;
}

int
replay_report_end(struct replay_report *rep, struct sl_error *e)
{
	int rc = 0;

	if (rep->json) {
		write_summary(rep);
		rc = close_file(&rep->json, rep->o->json, e);
	}
	if (rep->out && (pcap_dump_flush(rep->out) || ferror(pcap_dump_file(rep->out))))
		rc = sl_fail(e, -EIO, "write_failed", "/out", "%.200s: cannot be written: %s",
			     rep->o->out, strerror(errno ? errno : EIO));
	if (rc == 0 && !(rep->o->json && strcmp(rep->o->json, "-") == 0))
		say(rep);
	return rc;
}

void
replay_report_free(struct replay_report *rep)
{
	if (!rep)
		return;
	if (rep->json && rep->json != stdout)
		fclose(rep->json);
	if (rep->out)
		pcap_dump_close(rep->out);
	if (rep->dead)
		pcap_close(rep->dead);
	free(rep);
}
