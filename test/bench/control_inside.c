/*
 * N nodes of one tailnet against weft-control, all in one process and thread: the real protocol
 * over loopback, so the figures hold both sides' work.
 *
 * usage: bench-control_inside [NODES [none]]     (default 200; every node sees every other, by a
 * policy that allows all, or as one user's nodes without a policy)
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/text.h"
#include "unit/app/control/control_bench.h"

static double seconds_since(struct mono then)
{
	return (double)mono_since_ms(mono_now(), then) / 1000;
}

static double cpu_seconds(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long rss_mib(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss / 1024;
}

static void peer_make(struct peer *p, struct bench *b, uint32_t i)
{
	uint32_t machine = i << 3; /* X25519 does not look at the lowest three bits */

	peer_init(p, b, 1);
	memcpy(p->machine.b, &machine, sizeof(machine));
	memcpy(p->node_key.b, &i, sizeof(i));
	memcpy(p->disco.b, &i, sizeof(i));
}

/* Until nothing was written and nothing arrived for a while. */
static void settle(struct bench *b, struct peer *peers, size_t n)
{
	struct mono quiet = mono_now();
	uint64_t seen = 0;

	while (mono_since_ms(mono_now(), quiet) < 150) {
		uint64_t now = b->c->count.frames;

		loop_turn(b->loop, false);
		for (size_t i = 0; i < n; i++)
			now += peers[i].frames.n;
		if (now != seen || b->c->flush_due) {
			seen = now;
			quiet = mono_now();
		}
	}
}

static void report(const char *what, struct mono start, double cpu, struct bench *b,
		   const struct counters *was)
{
	printf("%-28s %7.2f s %7.2f s CPU %8llu frames %9.1f KiB\n", what,
	       seconds_since(start) - 0.15, cpu_seconds() - cpu,
	       (unsigned long long)(b->c->count.frames - was->frames),
	       (double)(b->c->count.frame_bytes - was->frame_bytes) / 1024);
}

static void drop_frames(struct peer *peers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_clear(&peers[i].frames);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
	struct peer *peers = mem_alloc((n + 1) * sizeof(*peers));
	struct counters was = { 0 };
	struct bench b;
	struct mono start;
	double cpu;
	char key[128], host[32];

	bench_start(&b);
	b.c->connect_rate.per_minute = UINT32_MAX;
	bench_key(&b, "alice", "--reusable", key);
	if (argc < 3)
		(void)bench_command(
		    &b, "policy set",
		    "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"*\"],\"ip\":[\"*\"]}]}");
	start = mono_now();
	cpu = cpu_seconds();
	for (size_t i = 0; i < n; i++) {
		peer_make(&peers[i], &b, (uint32_t)i);
		(void)snprintf(host, sizeof(host), "host%zu", i);
		if (!peer_connect(&peers[i]) ||
		    !strstr(peer_register(&peers[i], key, host), "true")) {
			(void)fprintf(stderr, "node %zu did not register\n", i);
			return 1;
		}
		(void)peer_update(&peers[i], "\"Endpoints\":[\"192.0.2.1:41641\"]");
	}
	printf("%zu nodes registered in %.2f s, %.2f s CPU\n", n, seconds_since(start),
	       cpu_seconds() - cpu);
	start = mono_now();
	cpu = cpu_seconds();
	was = b.c->count;
	for (size_t i = 0; i < n; i++)
		peer_poll(&peers[i]);
	settle(&b, peers, n);
	report("all poll, maps complete", start, cpu, &b, &was);
	drop_frames(peers, n);
	start = mono_now();
	cpu = cpu_seconds();
	was = b.c->count;
	(void)peer_update(&peers[0], "\"Endpoints\":[\"192.0.2.2:41641\"]");
	settle(&b, peers, n);
	report("one endpoint change", start, cpu, &b, &was);
	drop_frames(peers, n);
	start = mono_now();
	cpu = cpu_seconds();
	was = b.c->count;
	peer_make(&peers[n], &b, (uint32_t)n);
	(void)peer_connect(&peers[n]);
	(void)peer_register(&peers[n], key, "late");
	peer_poll(&peers[n]);
	settle(&b, peers, n);
	report("one node joins", start, cpu, &b, &was);
	drop_frames(peers, n);
	start = mono_now();
	cpu = cpu_seconds();
	was = b.c->count;
	for (size_t i = 0; i < n / 10; i++)
		peer_hang_up(&peers[i]);
	for (size_t i = 0; i < n / 10; i++)
		peer_poll(&peers[i]);
	settle(&b, peers, n);
	report("a tenth reconnects", start, cpu, &b, &was);
	printf("RSS of server and nodes: %ld MiB\n", rss_mib());
	for (size_t i = 0; i <= n; i++)
		peer_fini(&peers[i]);
	bench_stop(&b);
	mem_free(peers);
	return 0;
}
