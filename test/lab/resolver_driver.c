/*
 * Runs os/resolver on a lab host without the rest of a node:
 *
 *   resolver-driver [--device NAME] [--state-dir DIR] [--no-bus] [--match DOMAIN]... [--all]
 *                   --server ADDRESS --search DOMAIN
 *
 * Prints the status after every change, as one line "status ..." and lines of detail; ends on
 * SIGTERM.
 */
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "os/resolver/resolver.h"

static void print(const struct resolver_status *s)
{
	char text[IP_TEXT_MAX];

	printf("status state=%s manager=%s split=%d effect=%d foreign=%u\n",
	       resolver_state_name(s->state), resolver_manager_name(s->manager), s->can_split,
	       s->in_effect, s->foreign);
	printf("why %s\n", s->why);
	if (s->trouble[0])
		printf("trouble %s\n", s->trouble);
	for (unsigned i = 0; i < s->upstreams.count; i++)
		printf("upstream %s\n", ip_format(s->upstreams.servers[i], text));
	for (unsigned i = 0; i < s->upstreams.search_count; i++)
		printf("upstream-search %s\n", s->upstreams.search[i]);
	(void)fflush(stdout);
}

static void add(char (*list)[RESOLVER_DOMAIN_MAX], uint8_t *n, const char *name)
{
	if (*n < RESOLVER_DOMAINS_MAX)
		(void)snprintf(list[(*n)++], RESOLVER_DOMAIN_MAX, "%s", name);
}

static void parse(int argc, char **argv, struct resolver_want *want, struct resolver_conf *conf)
{
	static const struct option options[] = {
		{ "device", 1, NULL, 'd' }, { "state-dir", 1, NULL, 'D' },
		{ "no-bus", 0, NULL, 'b' }, { "match", 1, NULL, 'm' },
		{ "all", 0, NULL, 'a' },    { "server", 1, NULL, 's' },
		{ "search", 1, NULL, 'S' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			want->index = if_nametoindex(optarg);
		else if (c == 'D')
			conf->state_dir = optarg;
		else if (c == 'b')
			conf->ignore_bus = true;
		else if (c == 'a')
			want->override_all = true;
		else if (c == 'm')
			add(want->match, &want->match_count, optarg);
		else if (c == 'S')
			add(want->search, &want->search_count, optarg);
		else if (c != 's' || want->server_count >= RESOLVER_SERVERS_MAX ||
			 !ip_parse(&want->servers[want->server_count++], bytes_str(optarg)))
			exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct resolver_want want;
	static struct resolver_status status;
	struct resolver_conf conf = { 0 };
	struct log_sink sink;
	struct log log;
	struct resolver *r;
	struct err err;
	sigset_t set;
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	uint64_t n;

	parse(argc, argv, &want, &conf);
	log_sink_init(&sink, STDERR_FILENO);
	log = log_of(&sink, "resolver", NULL);
	conf.log = &log;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fds[0].fd = signalfd(-1, &set, SFD_CLOEXEC);
	r = resolver_create(&conf, &err);
	if (!r) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	fds[1].fd = resolver_fd(r);
	resolver_set(r, &want);
	while (poll(fds, 2, -1) > 0 && !fds[0].revents) {
		(void)!read(fds[1].fd, &n, sizeof(n));
		resolver_get_status(r, &status);
		print(&status);
	}
	resolver_destroy(r);
	return 0;
}
