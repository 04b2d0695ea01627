/* bench/control/report.h - the figures of a run, as a table and as JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Latencies: from the deed to the last affected node, over the repetitions; node_: to each node. */
struct figure {
	const char *name;
	size_t times, affected; /* affected nodes per event */
	double p50_ms, p99_ms, node_p50_ms, node_p99_ms;
	double cpu_ms, bytes; /* of the server; TCP payload both ways; per event */
	size_t errors;        /* that a node saw */
	size_t deaf;          /* events whose news did not reach all in time */
};

enum { FIGURES_MAX = 16 };

struct report {
	const char *name; /* of the server */
	size_t nodes, group;
	double idle_cpu_percent;
	long rss_kib, generator_rss_kib, rss_end_kib;
	struct figure figures[FIGURES_MAX];
	size_t n;
	char first_error[700];
};

/* Sorts v. 0 when there are none. */
double report_percentile(double *v, size_t n, double p);
void report_print(const struct report *r);
/* The peer's figures divided by ours: above 1, ours is better. */
void report_compare(const struct report *ours, const struct report *peer);
/* peer: NULL when there was none. */
int report_write(const struct report *r, const struct report *peer, const char *path,
		 struct err *err);
