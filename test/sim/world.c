#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"

enum { VIOLATIONS_SHOWN = 20 };

void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){ .rng = rng_seeded(seed), .now = { 1000000000 } };
	heap_init(&w->events);
}

void world_fini(struct world *w)
{
	heap_fini(&w->events);
}

struct wg_time world_time(const struct world *w)
{
	return (struct wg_time){ w->now, { 1700000000LL * 1000000000 + w->now.ns } };
}

void world_at(struct world *w, struct event *e, struct mono at)
{
	heap_set(&w->events, &e->node, at.ns < w->now.ns ? w->now : at);
}

void world_cancel(struct world *w, struct event *e)
{
	heap_remove(&w->events, &e->node);
}

void world_run_until(struct world *w, struct mono until)
{
	struct heap_node *node;

	while ((node = heap_first(&w->events)) && node->at.ns <= until.ns) {
		struct event *e = container_of(node, struct event, node);

		heap_remove(&w->events, node);
		w->now = node->at;
		w->fired++;
		e->fire(w, e);
	}
	w->now = until;
}

int64_t world_ms(const struct world *w)
{
	return w->now.ns / 1000000 - 1000;
}

bool world_chance(struct world *w, double p)
{
	return p > 0 && (double)(rng_u64(&w->rng) >> 11) * 0x1p-53 < p;
}

void world_note(struct world *w, const char *what, uint64_t a, uint64_t b)
{
	uint64_t facts[] = { w->trace, (uint64_t)w->now.ns, a, b }, seed[2] = { 0, 0 };

	seed[0] = map_hash(seed, bytes_str(what));
	w->trace = map_hash(seed, bytes_of(facts, sizeof(facts)));
	if (w->verbose)
		(void)printf("%9lld ms  %-18s %llu %llu\n", (long long)world_ms(w), what,
			     (unsigned long long)a, (unsigned long long)b);
}

void world_violation(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->violations++ >= VIOLATIONS_SHOWN)
		return;
	(void)printf("VIOLATION at %lld ms: ", (long long)world_ms(w));
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
}
