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

static void print_note(const struct note *n)
{
	(void)printf("%9lld ms  %-18s %llu %llu\n", (long long)(n->at.ns / 1000000 - 1000), n->what,
		     (unsigned long long)n->a, (unsigned long long)n->b);
}

void world_note(struct world *w, const char *what, uint64_t a, uint64_t b)
{
	uint64_t facts[] = { w->trace, (uint64_t)w->now.ns, a, b }, seed[2] = { 0, 0 };
	struct note *n = &w->notes[w->noted++ % NOTES_KEPT];

	seed[0] = map_hash(seed, bytes_str(what));
	w->trace = map_hash(seed, bytes_of(facts, sizeof(facts)));
	*n = (struct note){ w->now, what, a, b };
	if (w->verbose)
		print_note(n);
}

/* What led there; --verbose with the same seed prints all of it. */
static void print_notes(const struct world *w)
{
	uint64_t first = w->noted > NOTES_KEPT ? w->noted - NOTES_KEPT : 0;

	(void)printf("the last facts before the first violation:\n");
	for (uint64_t i = first; i < w->noted; i++)
		print_note(&w->notes[i % NOTES_KEPT]);
}

void world_violation(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->violations++ >= VIOLATIONS_SHOWN || w->quiet)
		return;
	if (w->violations == 1 && !w->verbose)
		print_notes(w);
	(void)printf("VIOLATION at %lld ms: ", (long long)world_ms(w));
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
}
