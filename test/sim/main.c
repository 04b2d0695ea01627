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
#include "base/mem.h"
#include "base/opt.h"
#include "sim/host.h"
#include "sim/scenario.h"

struct values {
	const char *scenario, *plant;
	int64_t seed, nodes;
	bool verbose, list, planted, twice;
};

/* One run of one scenario, and what came out of it. */
struct trial {
	const struct scenario *scenario;
	uint64_t seed;
	size_t nodes;
	enum fault fault;
	bool verbose, quiet;
	unsigned violations;
	uint64_t trace;
};

static const struct {
	const char *name, *scenario, *sentence;
} faults[] = { { NULL, NULL, NULL },
#define X(id, name, scenario, sentence) { name, scenario, sentence },
	       FAULTS(X)
#undef X
};

/* Seeds that found something, and what. */
static const struct {
	const char *scenario;
	uint64_t seed;
	size_t nodes;
	const char *why;
} kept[] = {
	{ "bad-weather", 16, 36, "a pair loses its handshake twice: the bound was one loss" },
};

#define FIELD(f) offsetof(struct values, f)
static const struct opt opts[] = {
	{ "scenario", OPT_STRING, FIELD(scenario), NULL, "NAME", "run only this one" },
	{ "seed", OPT_INT, FIELD(seed), NULL, "N", "run only this seed" },
	{ "nodes", OPT_INT, FIELD(nodes), "40", "N", "hosts in the city" },
	{ "plant", OPT_STRING, FIELD(plant), NULL, "FAULT", "with a mistake made on purpose" },
	{ "planted", OPT_FLAG, FIELD(planted), NULL, NULL,
	  "plant every fault; each must be noticed" },
	{ "twice", OPT_FLAG, FIELD(twice), NULL, NULL,
	  "run each seed twice and compare the traces" },
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

static void run(struct trial *t)
{
	enum { LARGE_CITY = 2000 };
	clock_t start = clock();
	struct city c;

	city_init(&c, t->seed, t->nodes);
	c.w.verbose = t->verbose;
	c.w.quiet = t->quiet;
	c.w.fault = t->fault;
	if (t->nodes > LARGE_CITY)
		c.talk_every = 5;
	t->scenario->run(&c);
	t->violations = c.w.violations;
	t->trace = c.w.trace;
	if (!t->quiet)
		(void)printf(
		    "%s %s seed %llu, %zu hosts: %llu packets, %llu by relay, %llu events, "
		    "trace %016llx, %.1f s\n",
		    t->violations ? "not ok" : "ok", t->scenario->name, (unsigned long long)t->seed,
		    t->nodes, (unsigned long long)c.delivered, (unsigned long long)c.by_relay,
		    (unsigned long long)c.w.fired, (unsigned long long)c.w.trace,
		    (double)(clock() - start) / CLOCKS_PER_SEC);
	city_fini(&c);
}

/* True when nothing was wrong, and a second run went exactly as the first. */
static bool run_checked(struct trial *t, bool twice)
{
	struct trial again = *t;

	run(t);
	if (!twice)
		return !t->violations;
	again.quiet = true;
	run(&again);
	if (again.trace == t->trace)
		return !t->violations;
	(void)printf("not ok %s seed %llu: another trace the second time, %016llx\n",
		     t->scenario->name, (unsigned long long)t->seed,
		     (unsigned long long)again.trace);
	return false;
}

static const struct scenario *scenario_named(const char *name)
{
	for (size_t i = 0; i < scenario_count; i++)
		if (strcmp(name, scenarios[i].name) == 0)
			return &scenarios[i];
	return NULL;
}

static size_t hosts(const struct scenario *s, int64_t nodes)
{
	return s->shrink && nodes / (int64_t)s->shrink > 1 ? (size_t)nodes / s->shrink
							   : (size_t)nodes;
}

static int list(void)
{
	for (size_t i = 0; i < scenario_count; i++)
		(void)printf("%-16s %s\n", scenarios[i].name, scenarios[i].sentence);
	(void)printf("\nfaults to plant:\n");
	for (size_t i = 1; i < array_len(faults); i++)
		(void)printf("%-16s %s; noticed by %s\n", faults[i].name, faults[i].sentence,
			     faults[i].scenario);
	return 0;
}

static bool is_noticed(enum fault fault, int64_t nodes)
{
	const struct scenario *s = scenario_named(faults[fault].scenario);
	struct trial t = {
		.scenario = s, .seed = 1, .nodes = hosts(s, nodes), .fault = fault, .quiet = true
	};
	struct trial again = t;

	run(&t);
	if (t.violations)
		return true;
	run(&again);
	return again.trace != t.trace;
}

static int plant_all(int64_t nodes)
{
	unsigned missed = 0;

	for (size_t i = 1; i < array_len(faults); i++) {
		bool noticed = is_noticed((enum fault)i, nodes);

		missed += !noticed;
		(void)printf("%s planted %s: %s\n", noticed ? "ok" : "not ok", faults[i].name,
			     noticed ? "noticed" : "went unnoticed");
	}
	return missed != 0;
}

static bool fault_named(const char *name, enum fault *out)
{
	for (size_t i = 1; i < array_len(faults); i++)
		if (strcmp(name, faults[i].name) == 0) {
			*out = (enum fault)i;
			return true;
		}
	return false;
}

/* Failures. */
static unsigned run_seeds(const struct values *v, const struct scenario *s, enum fault fault)
{
	int64_t first = v->seed ? v->seed : 1, last = v->seed ? v->seed : 3;
	unsigned failed = 0;

	for (int64_t seed = first; seed <= last; seed++) {
		struct trial t = { .scenario = s,
				   .seed = (uint64_t)seed,
				   .nodes = hosts(s, v->nodes),
				   .fault = fault,
				   .verbose = v->verbose };

		failed += !run_checked(&t, v->twice || (!v->seed && seed == 1));
	}
	return failed;
}

static unsigned run_kept(void)
{
	unsigned failed = 0;

	for (size_t i = 0; i < array_len(kept); i++) {
		struct trial t = { .scenario = scenario_named(kept[i].scenario),
				   .seed = kept[i].seed,
				   .nodes = kept[i].nodes };

		(void)printf("kept: %s\n", kept[i].why);
		failed += !run_checked(&t, false);
	}
	return failed;
}

static int wrong(const char *what)
{
	(void)fprintf(stderr, "sim: %s\n", what);
	return 2;
}

int main(int argc, char **argv)
{
	struct values v = { 0 };
	enum fault fault = FAULT_NONE;
	unsigned failed = 0;
	struct err err;
	int status;

	if (opt_common(&program, "", argc, argv, &status))
		return status;
	argc--;
	argv++;
	if (opt_parse(opts, program.opt_count, &v, &argc, &argv, &err) < 0)
		return wrong(err.text);
	if (argc > 0)
		return wrong("unexpected argument");
	if (v.nodes < 2)
		return wrong("a city has at least two hosts");
	if (v.scenario && !scenario_named(v.scenario))
		return wrong("no scenario of that name; --list shows all");
	if (v.plant && !fault_named(v.plant, &fault))
		return wrong("no fault of that name; --list shows all");
	if (v.list)
		return list();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (v.planted)
		return plant_all(v.nodes);
	if (v.plant && !v.scenario)
		v.scenario = faults[fault].scenario;
	for (size_t i = 0; i < scenario_count; i++)
		if (!v.scenario || strcmp(v.scenario, scenarios[i].name) == 0)
			failed += run_seeds(&v, &scenarios[i], fault);
	if (!v.scenario && !v.seed)
		failed += run_kept();
	return failed != 0;
}
