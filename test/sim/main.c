/*
 * The simulator: real engines, virtual time, one seed.
 *
 *   sim                                   the fixed set that ./check sim runs
 *   sim --scenario roaming --seed 7 --nodes 100 [--verbose]
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/opt.h"
#include "sim/host.h"
#include "sim/scenario.h"

struct values {
	const char *scenario;
	int64_t seed, nodes;
	bool verbose, list;
};

#define FIELD(f) offsetof(struct values, f)
static const struct opt opts[] = {
	{ "scenario", OPT_STRING, FIELD(scenario), NULL, "NAME", "run only this one" },
	{ "seed", OPT_INT, FIELD(seed), NULL, "N", "run only this seed" },
	{ "nodes", OPT_INT, FIELD(nodes), "60", "N", "hosts in the city" },
	{ "verbose", OPT_FLAG, FIELD(verbose), NULL, NULL, "print every event that counts" },
	{ "list", OPT_FLAG, FIELD(list), NULL, NULL, "list the scenarios" },
};

static const struct opt_program program = {
	.name = "sim",
	.help = "run many nodes in one process on a virtual clock",
	.opts = opts,
	.opt_count = sizeof(opts) / sizeof(opts[0]),
	.example = "  sim --scenario cold-start --nodes 1000 --seed 3\n",
};

static bool run(const struct scenario *s, uint64_t seed, size_t nodes, bool verbose)
{
	clock_t start = clock();
	struct city c;
	unsigned violations;

	city_init(&c, seed, nodes);
	c.w.verbose = verbose;
	s->run(&c);
	violations = c.w.violations;
	(void)printf("%s %s seed %llu, %zu hosts: %llu packets, %llu by relay, %llu events, trace "
		     "%016llx, %.1f s\n",
		     violations ? "not ok" : "ok", s->name, (unsigned long long)seed, nodes,
		     (unsigned long long)c.delivered, (unsigned long long)c.by_relay,
		     (unsigned long long)c.w.fired, (unsigned long long)c.w.trace,
		     (double)(clock() - start) / CLOCKS_PER_SEC);
	city_fini(&c);
	return violations == 0;
}

static int list(void)
{
	for (size_t i = 0; i < scenario_count; i++)
		(void)printf("%-16s %s\n", scenarios[i].name, scenarios[i].sentence);
	return 0;
}

static size_t hosts(const struct scenario *s, int64_t nodes)
{
	return s->shrink && nodes / (int64_t)s->shrink > 1 ? (size_t)nodes / s->shrink
							   : (size_t)nodes;
}

int main(int argc, char **argv)
{
	struct values v = { 0 };
	unsigned failed = 0, ran = 0;
	struct err err;
	int status;

	if (opt_common(&program, "", argc, argv, &status))
		return status;
	argc--;
	argv++;
	if (opt_parse(opts, program.opt_count, &v, &argc, &argv, &err) < 0 || argc > 0 ||
	    v.nodes < 2) {
		(void)fprintf(stderr, "sim: %s\n", argc > 0 ? "unexpected argument" : err.text);
		return 2;
	}
	if (v.list)
		return list();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < scenario_count; i++) {
		if (v.scenario && strcmp(v.scenario, scenarios[i].name) != 0)
			continue;
		for (int64_t seed = v.seed ? v.seed : 1; seed <= (v.seed ? v.seed : 3);
		     seed++, ran++)
			failed += !run(&scenarios[i], (uint64_t)seed, hosts(&scenarios[i], v.nodes),
				       v.verbose);
	}
	if (!ran)
		(void)fprintf(stderr, "sim: no scenario of that name; --list shows all\n");
	return failed || !ran;
}
