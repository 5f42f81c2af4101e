/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_plan.h"

#define CPUS_MAX 256

static struct sl_plan_cpu cpus[CPUS_MAX];
static struct sl_plan plan;
static struct sl_error err;

static struct sl_plan_input
machine(unsigned n_cpus, const struct sl_plan_port_cap *ports, unsigned n_ports)
{
	struct sl_plan_input in = {.cpus = cpus,
				   .n_cpus = n_cpus,
				   .ports = ports,
				   .n_ports = n_ports};

	for (unsigned i = 0; i < CPUS_MAX; i++)
		cpus[i] = (struct sl_plan_cpu){.id = i, .numa = 0};
	return in;
}

static struct sl_plan_port_cap
port(const char *name, uint16_t rxq, uint16_t txq)
{
	struct sl_plan_port_cap p = {.max_rxq = rxq, .max_txq = txq, .rss_udp = true};

	snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

static void
make_ok(const struct sl_plan_input *in)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(sl_plan_make(in, &plan, &err), 0);
	assert_int_equal(err.err, 0);
}

static void
make_fails(const struct sl_plan_input *in, int rc, const char *reason, const char *path)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(sl_plan_make(in, &plan, &err), rc);
	assert_int_equal(err.err, rc);
	assert_string_equal(err.reason, reason);
	assert_string_equal(err.path, path);
	assert_true(err.message[0] != '\0');
	assert_true(err.message[strlen(err.message) - 1] != '.');
	assert_int_equal(sl_plan_make(in, &plan, NULL), rc);
}

/* "control@0 hs@0 worker@1" */
static void
assert_roles(const char *want)
{
	char got[1024] = "";
	size_t n = 0;

	for (unsigned i = 0; i < plan.n_lcores; i++) {
		assert_int_equal(plan.lcores[i].id, i);
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s@%u", i == 0 ? "" : " ",
				      sl_plan_role_text(plan.lcores[i].role), plan.lcores[i].cpu);
	}
	assert_string_equal(got, want);
}

/* Receive queues of a port: the lcores in order of the queue. */
static void
assert_rx(unsigned p, const char *want)
{
	char got[512] = "";
	size_t n = 0;

	for (unsigned q = 0; q < plan.ports[p].n_rxq; q++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%u", q == 0 ? "" : " ",
				      plan.ports[p].rx_lcore[q]);
	assert_string_equal(got, want);
}

/* Transmit of a port by lcore: "q3" an own queue, "v2" by way of lcore 2. */
static void
assert_tx(unsigned p, const char *want)
{
	char got[1024] = "";
	size_t n = 0;

	for (unsigned i = 0; i < plan.n_lcores; i++) {
		const struct sl_plan_tx *tx = &plan.ports[p].tx[i];

		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%c%u", i == 0 ? "" : " ",
				      tx->own ? 'q' : 'v', tx->own ? tx->queue : tx->via);
		assert_int_equal(plan.ports[p].tx_lcore[tx->queue], tx->via);
		assert_true(tx->own == (tx->via == i));
		assert_true(plan.ports[p].tx[tx->via].own);
		assert_int_equal(plan.ports[p].tx[tx->via].queue, tx->queue);
		if (!tx->own) /* never by way of control or hs */
			assert_true(tx->via >= plan.first_io);
	}
	assert_string_equal(got, want);
}

static bool
warned(const char *word)
{
	for (unsigned i = 0; i < plan.n_warnings; i++) {
		if (strstr(plan.warnings[i], word) != NULL)
			return true;
	}
	return false;
}

static void
test_two_cpus(void **state)
{
	struct sl_plan_port_cap ports[] = {port("outside", 4, 4), port("inside", 1, 1)};
	struct sl_plan_input in = machine(2, ports, 2);
	char arg[64];

	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1");
	assert_int_equal(plan.idle, SL_PLAN_IDLE_SLEEP);
	assert_rx(0, "2");
	assert_rx(1, "2");
	assert_tx(0, "q2 q1 q0");
	assert_tx(1, "v2 v2 q0");
	assert_false(plan.ports[1].steers);
	assert_int_equal(plan.n_warnings, 0);
	assert_int_equal(sl_plan_lcores_arg(&plan, arg, sizeof(arg)), 11);
	assert_string_equal(arg, "0@0,1@0,2@1");
	assert_int_equal(sl_plan_lcores_arg(&plan, arg, 4), 11);
	assert_string_equal(arg, "0@0");
}

static void
test_one_cpu(void **state)
{
	struct sl_plan_port_cap ports[] = {port("p", 2, 2)};
	struct sl_plan_input in = machine(1, ports, 1);

	make_ok(&in);
	assert_roles("control@0 hs@0 worker@0");
	assert_int_equal(plan.idle, SL_PLAN_IDLE_SLEEP);
	assert_true(warned("CPU 0 runs several"));
	in.wish.workers = 2;
	make_fails(&in, -EINVAL, "workers_too_many", "/lcores/workers");
}

static void
test_eight_cpus(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 4, 4), port("b", 4, 8)};
	struct sl_plan_input in = machine(8, ports, 2);

	in.wish.workers = 4;
	make_ok(&in);
	assert_roles("control@0 hs@1 worker@2 worker@3 worker@4 worker@5");
	assert_int_equal(plan.idle, SL_PLAN_IDLE_PAUSE);
	assert_rx(0, "2 3 4 5");
	assert_rx(1, "2 3 4 5");
	assert_tx(0, "v3 v2 q0 q1 q2 q3");
	assert_tx(1, "q5 q4 q0 q1 q2 q3");
	assert_false(plan.ports[0].steers);
	assert_int_equal(plan.n_warnings, 0);

	/* all CPUs: more workers than queues, the queues go to different workers */
	in.wish.workers = 0;
	make_ok(&in);
	assert_roles("control@0 hs@1 worker@2 worker@3 worker@4 worker@5 worker@6 worker@7");
	assert_rx(0, "2 3 4 5");
	assert_rx(1, "6 7 2 3");
	assert_tx(0, "v5 v4 q0 q1 q2 q3 v2 v3");
	assert_tx(1, "q7 q6 q0 q1 q2 q3 q4 q5");
	assert_true(plan.ports[0].steers && plan.ports[1].steers);
	assert_true(warned("port a: 4 receive queues for 6 workers"));

	/* a wish for all of them pushes hs beside control */
	in.wish.workers = 7;
	make_ok(&in);
	assert_roles(
		"control@0 hs@0 worker@1 worker@2 worker@3 worker@4 worker@5 worker@6 worker@7");
	assert_int_equal(plan.idle, SL_PLAN_IDLE_PAUSE);
}

static void
test_single_queue_ports(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 1, 1), port("b", 1, 2), port("c", 8, 8)};
	struct sl_plan_input in = machine(4, ports, 3);

	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1 worker@2 worker@3");
	assert_rx(0, "2");
	assert_rx(1, "3");
	assert_rx(2, "2 3 4");
	assert_tx(0, "v2 v2 q0 v2 v2");
	assert_tx(1, "v3 v2 q1 q0 v3");
	assert_tx(2, "q4 q3 q0 q1 q2");
	assert_true(plan.ports[0].steers && plan.ports[1].steers && !plan.ports[2].steers);
	assert_int_equal(plan.n_warnings, 2);
	assert_true(warned("port a: 1 receive queue for 3 workers"));
}

static void
test_paired_queues(void **state)
{
	struct sl_plan_port_cap ports[] = {port("tap", 16, 16), port("few", 16, 2)};
	struct sl_plan_input in = machine(4, ports, 2);

	ports[0].paired = true;
	ports[1].paired = true;
	make_ok(&in);
	assert_rx(0, "2 3 4");
	assert_int_equal(plan.ports[0].n_txq, 3);
	assert_tx(0, "v3 v2 q0 q1 q2");
	assert_rx(1, "2 3");
	assert_int_equal(plan.ports[1].n_txq, 2);
	assert_tx(1, "v2 v3 q0 q1 v2");
}

static void
test_io_wish(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 1, 1), port("b", 4, 16)};
	struct sl_plan_input in = machine(8, ports, 2);

	in.wish.io = 2;
	in.wish.workers = 3;
	make_ok(&in);
	assert_roles("control@0 hs@1 io@2 io@3 worker@4 worker@5 worker@6");
	assert_int_equal(plan.n_io, 2);
	assert_int_equal(plan.first_io, 2);
	assert_int_equal(plan.first_worker, 4);
	assert_int_equal(sl_plan_worker(&plan, 2), 6);
	assert_rx(0, "2");
	assert_rx(1, "2 3");
	assert_tx(0, "v2 v2 q0 v2 v2 v2 v2"); /* few queues: the io core has it */
	assert_tx(1, "q4 q3 q5 q6 q0 q1 q2");
	assert_true(plan.ports[0].steers && plan.ports[1].steers);
	assert_int_equal(plan.n_warnings, 0);

	in.wish.workers = 0;
	make_ok(&in);
	assert_int_equal(plan.n_workers, 4);
}

static void
test_no_udp_rss(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 4, 4)};
	struct sl_plan_input in = machine(4, ports, 1);

	ports[0].rss_udp = false;
	in.wish.io = SL_PLAN_AUTO;
	make_ok(&in);
	assert_roles("control@0 hs@0 io@1 worker@2 worker@3");
	assert_rx(0, "2");

	/* no CPU to spare: a warning is all */
	in.wish.workers = 3;
	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1 worker@2 worker@3");
	assert_true(warned("RSS does not cover UDP ports"));
	in.wish.workers = 1;
	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1");
	assert_int_equal(plan.n_warnings, 0);

	/* with good RSS auto means none */
	ports[0].rss_udp = true;
	in.wish.workers = 0;
	make_ok(&in);
	assert_int_equal(plan.n_io, 0);
	assert_int_equal(plan.n_warnings, 0);
}

static void
test_cpus_wish(void **state)
{
	static const unsigned some[] = {6, 3, 5}, twice[] = {0, 1, 1, 1}, wrong[] = {0, 77};
	struct sl_plan_port_cap ports[] = {port("a", 1, 1)};
	struct sl_plan_input in = machine(8, ports, 1);

	in.wish.cpus = some;
	in.wish.n_cpus = 3;
	make_ok(&in);
	assert_roles("control@6 hs@6 worker@3 worker@5");
	in.wish.cpus = twice;
	in.wish.n_cpus = 4;
	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1 worker@1 worker@1");
	assert_int_equal(plan.idle, SL_PLAN_IDLE_SLEEP);
	assert_true(warned("CPU 1 runs several"));
	in.wish.idle = SL_PLAN_IDLE_SPIN;
	make_ok(&in);
	assert_int_equal(plan.idle, SL_PLAN_IDLE_SPIN);
	assert_true(warned("use sleep"));
	in.wish.cpus = wrong;
	in.wish.n_cpus = 2;
	make_fails(&in, -EINVAL, "cpu_unknown", "/lcores/cpus/1");
	assert_true(strstr(err.message, "CPU 77") != NULL && err.hint[0] != '\0');
}

static void
test_numa(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 2, 4), port("b", 1, 1)};
	struct sl_plan_input in = machine(8, ports, 2);
	static const unsigned far[] = {0, 1, 2};

	for (unsigned i = 4; i < 8; i++)
		cpus[i].numa = 1;
	ports[0].numa = 1;
	ports[1].numa = 1;
	in.wish.workers = 2;
	make_ok(&in);
	assert_roles("control@0 hs@4 worker@5 worker@6");
	assert_int_equal(plan.n_warnings, 1); /* b steers */

	in.wish.cpus = far;
	in.wish.n_cpus = 3;
	make_ok(&in);
	assert_true(warned("port a is on memory node 1"));

	/* equal load: the worker on the port's node polls the single queue */
	in = machine(8, ports, 2);
	cpus[3].numa = 1;
	ports[0].numa = 0;
	in.wish.workers = 2;
	in.wish.cpus = (const unsigned[]){0, 2, 3};
	in.wish.n_cpus = 3;
	make_ok(&in);
	assert_rx(1, "3");
}

static void
test_impossible(void **state)
{
	struct sl_plan_port_cap ports[SL_PLAN_PORTS_MAX + 1] = {port("a", 1, 1), port("b", 2, 2)};
	struct sl_plan_input in = machine(4, ports, 2);

	in.wish.workers = 4;
	make_fails(&in, -EINVAL, "workers_too_many", "/lcores/workers");
	assert_string_equal(
		err.message,
		"4 workers and 0 io cores need 4 CPUs beside control's, but there are 3");
	assert_true(strstr(err.hint, "at most 3") != NULL);
	in.wish.workers = 2;
	in.wish.io = 2;
	make_fails(&in, -EINVAL, "io_too_many", "/lcores/io");
	in.wish.workers = 0;
	in.wish.io = 3;
	make_fails(&in, -EINVAL, "io_too_many", "/lcores/io");
	in.wish.io = UINT32_MAX - 1;
	make_fails(&in, -EINVAL, "io_too_many", "/lcores/io");

	/* three io cores, but the ports have queues for two */
	in = machine(16, ports, 1);
	ports[0].max_rxq = 2;
	in.wish.io = 3;
	make_fails(&in, -EINVAL, "io_too_many", "/lcores/io");
	assert_true(strstr(err.hint, "at most 2") != NULL);

	in = machine(4, ports, 2);
	ports[1].max_rxq = 0;
	make_fails(&in, -EINVAL, "port_queues", "/ports/1");
	assert_true(strstr(err.message, "receive") != NULL);
	ports[1] = port("b", 1, 0);
	make_fails(&in, -EINVAL, "port_queues", "/ports/1");
	ports[1] = ports[0];
	make_fails(&in, -EINVAL, "port_duplicate", "/ports/1");
	in.n_ports = SL_PLAN_PORTS_MAX + 1;
	make_fails(&in, -E2BIG, "ports_too_many", "/ports");

	in = machine(0, ports, 1);
	make_fails(&in, -EINVAL, "no_cpus", "/lcores");
	in.n_cpus = SL_PLAN_CPUS_MAX + 1;
	make_fails(&in, -E2BIG, "cpus_too_many", "/lcores/cpus");
}

static void
test_many_cpus(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 256, 256)};
	struct sl_plan_input in = machine(CPUS_MAX, ports, 1);

	make_ok(&in);
	assert_int_equal(plan.n_lcores, SL_PLAN_LCORES_MAX);
	assert_int_equal(plan.n_workers, SL_PLAN_LCORES_MAX - 2);
	assert_int_equal(plan.ports[0].n_rxq, SL_PLAN_LCORES_MAX - 2);
	assert_int_equal(plan.ports[0].n_txq, SL_PLAN_LCORES_MAX);
	assert_true(warned("at most 128 lcores"));
	in.wish.workers = 127;
	make_fails(&in, -E2BIG, "lcores_too_many", "/lcores");
}

static void
test_text(void **state)
{
	struct sl_plan_port_cap ports[] = {port("outside", 1, 1), port("inside", 4, 4)};
	struct sl_plan_input in = machine(3, ports, 2);
	enum sl_plan_idle idle;
	char text[2048];
	size_t n;

	cpus[2].numa = SL_PLAN_NUMA_ANY;
	make_ok(&in);
	n = sl_plan_print(&plan, text, sizeof(text));
	assert_int_equal(n, strlen(text));
	assert_string_equal(text,
			    "lcore   cpu  numa  role        outside           inside          \n"
			    "    0     0     0  control     tx via 2          tx 3            \n"
			    "    1     0     0  hs          tx via 2          tx 2            \n"
			    "    2     1     0  worker 0    rx 0 tx 0         rx 0 tx 0       \n"
			    "    3     2     -  worker 1    tx via 2          rx 1 tx 1       \n"
			    "port outside: 1 receive and 1 transmit queues, steers\n"
			    "port inside: 2 receive and 4 transmit queues\n"
			    "idle policy: pause\n"
			    "warning: port outside: 1 receive queue for 2 workers, packets change "
			    "the core by ring\n");
	assert_int_equal(sl_plan_print(&plan, text, 10), n);
	assert_int_equal(strlen(text), 9);
	assert_int_equal(sl_plan_print(&plan, NULL, 0), n);

	assert_int_equal(sl_plan_idle_parse("pause", &idle), 0);
	assert_int_equal(idle, SL_PLAN_IDLE_PAUSE);
	assert_int_equal(sl_plan_idle_parse("Pause", &idle), -EINVAL);
	assert_string_equal(sl_plan_idle_text(SL_PLAN_IDLE_SPIN), "spin");
	assert_string_equal(sl_plan_role_text(SL_PLAN_ROLE_IO), "io");
}

static void
test_without_ports(void **state)
{
	struct sl_plan_input in = machine(2, NULL, 0);

	make_ok(&in);
	assert_roles("control@0 hs@0 worker@1");
	assert_int_equal(plan.n_ports, 0);
}

/* Whatever the machine: every queue polled once, nobody without a way to transmit. */
static void
test_all_small_machines(void **state)
{
	struct sl_plan_port_cap ports[] = {port("a", 1, 1), port("b", 1, 1)};
	struct sl_plan_input in;
	unsigned made = 0;

	for (unsigned k = 0; k < 12 * 6 * 6 * 8 * 4; k++) {
		in = machine(1 + k % 12, ports, 2);
		ports[0].max_rxq = (uint16_t)(1 + k / 12 % 6);
		ports[0].max_txq = (uint16_t)(1 + k / 72 % 6);
		ports[1].max_txq = (uint16_t)(7 - ports[0].max_txq);
		ports[1].paired = k % 2 == 0;
		in.wish.workers = k / 432 % 8;
		in.wish.io = k / 3456;
		if (sl_plan_make(&in, &plan, &err) != 0)
			continue;
		made++;
		assert_int_equal(plan.n_lcores, 2 + plan.n_io + plan.n_workers);
		for (unsigned p = 0; p < 2; p++) {
			const struct sl_plan_port *port_ = &plan.ports[p];
			uint64_t rx = 0, tx = 0;

			assert_in_range(port_->n_rxq, 1, ports[p].max_rxq);
			assert_in_range(port_->n_txq, 1, ports[p].max_txq);
			assert_true(!ports[p].paired || port_->n_rxq == port_->n_txq);
			for (unsigned q = 0; q < port_->n_rxq; q++) {
				assert_false(rx >> port_->rx_lcore[q] & 1);
				rx |= UINT64_C(1) << port_->rx_lcore[q];
				assert_int_equal(plan.lcores[port_->rx_lcore[q]].role,
						 plan.n_io > 0 ? SL_PLAN_ROLE_IO
							       : SL_PLAN_ROLE_WORKER);
			}
			for (unsigned i = 0; i < plan.n_lcores; i++) {
				const struct sl_plan_tx *t = &port_->tx[i];

				assert_true(t->queue < port_->n_txq && t->via < plan.n_lcores);
				assert_true(t->own == (t->via == i));
				assert_true(port_->tx[t->via].own);
				assert_true(t->own || t->via >= plan.first_io);
				if (t->own) {
					assert_false(tx >> t->queue & 1);
					tx |= UINT64_C(1) << t->queue;
				}
			}
			assert_true(tx == (UINT64_C(1) << port_->n_txq) - 1);
		}
	}
	assert_true(made > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_cpus),      cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_eight_cpus),    cmocka_unit_test(test_single_queue_ports),
		cmocka_unit_test(test_paired_queues), cmocka_unit_test(test_io_wish),
		cmocka_unit_test(test_no_udp_rss),    cmocka_unit_test(test_cpus_wish),
		cmocka_unit_test(test_numa),	      cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_many_cpus),     cmocka_unit_test(test_text),
		cmocka_unit_test(test_without_ports), cmocka_unit_test(test_all_small_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
