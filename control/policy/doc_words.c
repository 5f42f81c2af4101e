/* SPDX-License-Identifier: BSD-3-Clause */
/* Times and protocols as texts. */
#include <stdio.h>

#include "sl_policy_doc.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define YEAR_MAX 2500 /* 64 bits of nanoseconds end in 2554 */

static const struct {
	const char *name;
	unsigned proto;
} protos[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"any", SL_POL_PROTO_ANY}};

/** Exactly n digits. @return -1 if they are none */
static int
digits(const char *s, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

static bool
leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int year, int month)
{
	static const uint8_t n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return n[month - 1] + (month == 2 && leap(year));
}

/** "YYYY-MM-DD" as days since 1970; -1: no date. */
static int64_t
parse_date(const char *s)
{
	int year = digits(s, 4), month, day;
	int64_t days;

	if (year < 1970 || year > YEAR_MAX || s[4] != '-')
		return -1;
	month = digits(s + 5, 2);
	if (month < 1 || month > 12 || s[7] != '-')
		return -1;
	day = digits(s + 8, 2);
	if (day < 1 || day > month_days(year, month))
		return -1;
	days = day - 1;
	for (int y = 1970; y < year; y++)
		days += 365 + leap(y);
	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days;
}

/** ".f" to ".fffffffff" as milliseconds, nothing as 0; -1: none of these. @param s moved behind it
 */
static int
parse_fraction(const char **s)
{
	unsigned n = 0, ms = 0;

	if (**s != '.')
		return 0;
	for (++*s; **s >= '0' && **s <= '9'; ++*s, n++)
		ms = n < 3 ? ms * 10 + (unsigned)(**s - '0') : ms;
	for (unsigned k = n; k < 3; k++)
		ms *= 10;
	return n >= 1 && n <= 9 ? (int)ms : -1;
}

/** "Thh:mm:ss[.f]Z" as milliseconds; -1: no time. */
static int
parse_clock(const char *s)
{
	int h, m, sec, ms;

	if (s[0] != 'T')
		return -1;
	h = digits(s + 1, 2);
	m = h >= 0 && s[3] == ':' ? digits(s + 4, 2) : -1;
	sec = m >= 0 && s[6] == ':' ? digits(s + 7, 2) : -1;
	if (sec < 0 || h > 23 || m > 59 || sec > 59)
		return -1;
	s += 9;
	ms = parse_fraction(&s);
	return ms >= 0 && strcmp(s, "Z") == 0 ? ((h * 60 + m) * 60 + sec) * 1000 + ms : -1;
}

int
sl_time_parse(const char *s, uint64_t *wall_ns)
{
	int64_t days = parse_date(s);
	int ms;

	if (days < 0)
		return -EINVAL;
	ms = s[10] == '\0' ? 0 : parse_clock(s + 10);
	if (ms < 0 || (days == 0 && ms == 0)) /* 0 means never */
		return -EINVAL;
	*wall_ns = (uint64_t)days * 86400 * NS_PER_S + (uint64_t)ms * NS_PER_MS;
	return 0;
}

const char *
sl_time_str(uint64_t wall_ns, char buf[32])
{
	uint64_t s = wall_ns / NS_PER_S;
	int64_t days = (int64_t)(s / 86400);
	int year = 1970, month = 1;
	unsigned clock = (unsigned)(s % 86400), ms = (unsigned)(wall_ns / NS_PER_MS % 1000);
	char fraction[8] = "";

	for (; days >= 365 + leap(year); year++)
		days -= 365 + leap(year);
	for (; days >= month_days(year, month); month++)
		days -= month_days(year, month);
	if (ms != 0)
		snprintf(fraction, sizeof(fraction), ".%03u", ms);
	snprintf(buf, 32, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)year % 10000,
		 (unsigned)month % 100, ((unsigned)days + 1) % 100, clock / 3600, clock / 60 % 60,
		 clock % 60, fraction);
	return buf;
}

int
sl_proto_parse(const char *s)
{
	size_t n = strlen(s);
	int v;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(protos); i++) {
		if (strcmp(protos[i].name, s) == 0)
			return (int)protos[i].proto;
	}
	if (n < 1 || n > 3 || (s[0] == '0' && n > 1))
		return -1;
	v = digits(s, (unsigned)n);
	return v <= 255 ? v : -1;
}

const char *
sl_proto_str(unsigned proto, char buf[8])
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(protos); i++) {
		if (protos[i].proto == proto)
			return protos[i].name;
	}
	snprintf(buf, 8, "%u", proto);
	return buf;
}
