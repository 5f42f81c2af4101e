/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences of TCP segments and how long the entry then waits. */
#include <ctype.h>

#include "flow_test.h"

/**
 * Segments as words: upper case from the initiator, lower case from the responder; S SYN, A ACK,
 * F FIN, R RST, '.' none of them (data). @return the last answer of sl_flow_tcp()
 */
static bool
play(struct sl_flow *f, const char *words)
{
	bool anew = false, from_initiator = true;

	while (*words) {
		uint8_t flags = 0;

		for (; *words && *words != ' '; words++) {
			switch (tolower(*words)) {
			case 's':
				flags |= 2;
				break;
			case 'a':
				flags |= 16;
				break;
			case 'f':
				flags |= 1;
				break;
			case 'r':
				flags |= 4;
				break;
			}
			if (isalpha(*words))
				from_initiator = isupper(*words);
		}
		while (*words == ' ')
			words++;
		anew = sl_flow_tcp(f, flags, from_initiator);
	}
	return anew;
}

static const struct {
	const char *segments;
	bool midstream, anew;
	uint32_t idle;
} cases[] = {
	{"", false, false, SL_FLOW_IDLE_TCP},
	{"S", false, false, SL_FLOW_IDLE_TCP},
	{"S S S", false, false, SL_FLOW_IDLE_TCP},
	{"S sa", false, false, SL_FLOW_IDLE_TCP},
	{"S sa A", false, false, SL_FLOW_IDLE_TCP_EST},
	{"S sa sa A", false, false, SL_FLOW_IDLE_TCP_EST},
	{"S a A", false, false, SL_FLOW_IDLE_TCP},	   /* the responder never opened */
	{"S A A A", false, false, SL_FLOW_IDLE_TCP},	   /* nor here */
	{"S s SA sa", false, false, SL_FLOW_IDLE_TCP_EST}, /* both open at once */
	{"S sa A F", false, false, SL_FLOW_IDLE_TCP_EST},  /* half closed may last */
	{"S sa A FA a fa", false, false, SL_FLOW_IDLE_CLOSED},
	{"S sa A fa A FA a", false, false, SL_FLOW_IDLE_CLOSED},
	{"S sa A fa fa fa", false, false, SL_FLOW_IDLE_TCP_EST},
	{"S ra", false, false, SL_FLOW_IDLE_CLOSED},
	{"S sa A R", false, false, SL_FLOW_IDLE_CLOSED},
	{"S sa A R a A", false, false, SL_FLOW_IDLE_CLOSED},
	{"S ra S", false, true, SL_FLOW_IDLE_TCP},
	{"S ra SA", false, false, SL_FLOW_IDLE_CLOSED},	     /* no first segment */
	{"S ra SF", false, false, SL_FLOW_IDLE_CLOSED},	     /* nonsense */
	{"S ra SR", false, false, SL_FLOW_IDLE_CLOSED},	     /* a reset */
	{"S sa A FA fa A S", false, true, SL_FLOW_IDLE_TCP}, /* the port is used again */
	{"S sa A FA fa A s", false, true, SL_FLOW_IDLE_TCP}, /* or from the other side */
	{"S ra S sa A", false, false, SL_FLOW_IDLE_TCP_EST},
	{"S sa A FA fa A S sa A FA", false, false, SL_FLOW_IDLE_TCP_EST},
	{"S sa A S", false, false, SL_FLOW_IDLE_TCP_EST}, /* an old or forged SYN */
	{"S sa A s", false, false, SL_FLOW_IDLE_TCP_EST},
	{"A", true, false, SL_FLOW_IDLE_TCP},
	{"A A FA", true, false, SL_FLOW_IDLE_TCP},
	{"A a", true, false, SL_FLOW_IDLE_TCP_EST},
	{"A ra", true, false, SL_FLOW_IDLE_CLOSED},
	{"A a FA fa", true, false, SL_FLOW_IDLE_CLOSED},
	{"FA fa", true, false, SL_FLOW_IDLE_CLOSED},
	{"a s", true, true, SL_FLOW_IDLE_TCP}, /* allowed as an answer, and then begins */
	{"a sf", true, true, SL_FLOW_IDLE_TCP},
	{"a R s", true, true, SL_FLOW_IDLE_TCP},
	{"a sa", true, false, SL_FLOW_IDLE_TCP_EST},
	{"a S", true, false, SL_FLOW_IDLE_TCP_EST},
};

static void
sequences(void **state)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_flow f = {.key = {.proto = 6},
				    .flags = SL_FLOW_ALLOW |
					     (cases[i].midstream ? SL_FLOW_MIDSTREAM : 0)};
		bool anew = play(&f, cases[i].segments);

		if (anew != cases[i].anew || sl_flow_idle(&f) != cases[i].idle)
			fail_msg("%s: anew %d, idle %u", cases[i].segments, anew, sl_flow_idle(&f));
		f.flags &= ~SL_FLOW_ALLOW;
		assert_int_equal(sl_flow_idle(&f), SL_FLOW_IDLE_DENIED);
	}
}

static void
other_protocols(void **state)
{
	static const struct {
		uint8_t proto;
		uint32_t idle;
	} want[] = {{17, SL_FLOW_IDLE_UDP},
		    {1, SL_FLOW_IDLE_ICMP},
		    {58, SL_FLOW_IDLE_ICMP},
		    {47, SL_FLOW_IDLE_OTHER},
		    {132, SL_FLOW_IDLE_OTHER}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(want); i++) {
		struct sl_flow f = {.key = {.proto = want[i].proto}, .flags = SL_FLOW_ALLOW};

		assert_int_equal(sl_flow_idle(&f), want[i].idle);
		f.flags = 0;
		assert_int_equal(sl_flow_idle(&f), SL_FLOW_IDLE_DENIED);
	}
}

static unsigned reasons[SL_RR_MAX];

static void
note_reason(void *ctx, struct sl_flow *f, unsigned reason)
{
	reasons[reason]++;
}

/** The sweep tells closed connections from silent ones. */
static void
sweep_reasons(void **state)
{
	struct sl_flow_table *t = table_new(100, 1);

	for (unsigned i = 0; i < 30; i++) {
		struct sl_flow_key k;
		struct sl_flow *f;

		key_number(&k, i, i < 20 ? 6 : 17);
		f = sl_flow_add(t, &k, sl_flow_hash(t, &k), 50, NULL, NULL);
		assert_non_null(f);
		f->flags = i < 25 ? SL_FLOW_ALLOW : 0;
		if (i < 20)
			play(f, i < 8 ? "S sa A FA fa A" : i < 12 ? "S ra" : "S sa A");
	}
	sl_flow_sweep(t, 50 + SL_FLOW_IDLE_CLOSED - 1, 100, note_reason, NULL);
	assert_int_equal(sl_flow_count(t), 30);
	sl_flow_sweep(t, 50 + SL_FLOW_IDLE_CLOSED, 100, note_reason, NULL);
	assert_int_equal(reasons[SL_RR_CLOSED], 12);
	assert_int_equal(reasons[SL_RR_IDLE], 5); /* denied */
	sl_flow_sweep(t, 50 + SL_FLOW_IDLE_TCP_EST - 1, 100, note_reason, NULL);
	assert_int_equal(sl_flow_count(t), 8);
	sl_flow_sweep(t, 50 + SL_FLOW_IDLE_TCP_EST, 100, note_reason, NULL);
	assert_int_equal(sl_flow_count(t), 0);
	assert_int_equal(reasons[SL_RR_IDLE], 18);
	assert_int_equal(reasons[SL_RR_CLOSED], 12);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences),
		cmocka_unit_test(other_protocols),
		cmocka_unit_test(sweep_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
