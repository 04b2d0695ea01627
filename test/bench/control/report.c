#include "bench/control/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"
#include "io/file.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double report_percentile(double *v, size_t n, double p)
{
	size_t at;

	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), compare);
	at = (size_t)(p * (double)n);
	return v[at < n ? at : n - 1];
}

void report_print(const struct report *r)
{
	printf("\n%s: %zu nodes, each sees up to %zu peers; server %.1f MiB resident when all were "
	       "in, "
	       "%.1f MiB at the end; idle CPU %.2f %%; generator %.1f MiB\n\n",
	       r->name, r->nodes, r->group - 1, (double)r->rss_kib / 1024,
	       (double)r->rss_end_kib / 1024, r->idle_cpu_percent,
	       (double)r->generator_rss_kib / 1024);
	printf("%-26s %5s %8s %10s %10s %10s %10s %11s %12s %6s %5s\n", "event", "times",
	       "affected", "last p50", "last p99", "node p50", "node p99", "CPU", "bytes", "errors",
	       "deaf");
	for (size_t i = 0; i < r->n; i++) {
		const struct figure *f = &r->figures[i];

		printf("%-26s %5zu %8zu %7.1f ms %7.1f ms %7.1f ms %7.1f ms %8.2f ms %12.0f %6zu "
		       "%5zu\n",
		       f->name, f->times, f->affected, f->p50_ms, f->p99_ms, f->node_p50_ms,
		       f->node_p99_ms, f->cpu_ms, f->bytes, f->errors, f->deaf);
	}
	printf(
	    "\nlast: from the deed to the last affected node, over the repetitions; node: to each "
	    "of them.\nCPU (server) and bytes (TCP payload, both ways) are per event. deaf: "
	    "events whose news did not reach all in time.\n");
	if (r->first_error[0])
		printf("the first error: %s\n", r->first_error);
}

static void put(struct json_out *o, const char *key, double v)
{
	json_key(o, key);
	json_put_real(o, v);
}

static void put_figure(struct json_out *o, const struct figure *f)
{
	json_open_object(o);
	json_key(o, "event");
	json_put_cstr(o, f->name);
	put(o, "times", (double)f->times);
	put(o, "affected", (double)f->affected);
	put(o, "last_p50_ms", f->p50_ms);
	put(o, "last_p99_ms", f->p99_ms);
	put(o, "node_p50_ms", f->node_p50_ms);
	put(o, "node_p99_ms", f->node_p99_ms);
	put(o, "cpu_ms", f->cpu_ms);
	put(o, "bytes", f->bytes);
	put(o, "errors", (double)f->errors);
	put(o, "deaf", (double)f->deaf);
	json_close_object(o);
}

static const struct figure *find(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->figures[i].name, name) == 0)
			return &r->figures[i];
	return NULL;
}

static void put_ratio(double peer, double ours)
{
	if (ours > 0 && peer > 0)
		printf(" %9.1fx", peer / ours);
	else
		printf(" %10s", "-");
}

void report_compare(const struct report *ours, const struct report *peer)
{
	printf("\n%s in multiples of %s\n\n%-26s %10s %10s %10s %10s  %s\n", peer->name, ours->name,
	       "event", "last p50", "last p99", "CPU", "bytes", "");
	for (size_t i = 0; i < ours->n; i++) {
		const struct figure *a = &ours->figures[i], *b = find(peer, a->name);

		printf("%-26s", a->name);
		if (!b) {
			printf(" not reached by %s\n", peer->name);
			continue;
		}
		put_ratio(b->p50_ms, a->p50_ms);
		put_ratio(b->p99_ms, a->p99_ms);
		put_ratio(b->cpu_ms, a->cpu_ms);
		put_ratio(b->bytes, a->bytes);
		printf("  %s\n", b->deaf ? "its news did not reach all in time" : "");
	}
	printf("%-26s", "resident, idle CPU");
	put_ratio((double)peer->rss_kib, (double)ours->rss_kib);
	put_ratio(peer->idle_cpu_percent, ours->idle_cpu_percent);
	printf("\n");
}

static void put_report(struct json_out *o, const struct report *r)
{
	put(o, "nodes", (double)r->nodes);
	put(o, "group", (double)r->group);
	put(o, "rss_kib", (double)r->rss_kib);
	put(o, "rss_end_kib", (double)r->rss_end_kib);
	put(o, "generator_rss_kib", (double)r->generator_rss_kib);
	put(o, "idle_cpu_percent", r->idle_cpu_percent);
	json_key(o, "first_error");
	json_put_cstr(o, r->first_error);
	json_key(o, "events");
	json_open_array(o);
	for (size_t i = 0; i < r->n; i++)
		put_figure(o, &r->figures[i]);
	json_close_array(o);
}

int report_write(const struct report *r, const struct report *peer, const char *path,
		 struct err *err)
{
	struct json_out o;
	struct buf text;
	int ret;

	buf_init(&text, 1 << 20);
	json_out_init(&o, &text);
	json_open_object(&o);
	put_report(&o, r);
	if (peer) {
		json_key(&o, peer->name);
		json_open_object(&o);
		put_report(&o, peer);
		json_close_object(&o);
	}
	json_close_object(&o);
	ret = file_write(path, buf_bytes(&text), 0644, err);
	buf_fini(&text);
	return ret;
}
