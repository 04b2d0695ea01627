/* weftd - the node's daemon. A table of what it can be asked to do, and nothing else. */
#include <stdio.h>
#include <string.h>

#include "app/tunnel/tunnel.h"
#include "base/mem.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *sentence;
} commands[] = {
	{ "tunnel", tunnel_main, "run a plain WireGuard interface from a wg-quick file" },
};

static void usage(FILE *out)
{
	(void)fputs("usage: weftd COMMAND [options]\n\n", out);
	for (size_t i = 0; i < array_len(commands); i++)
		(void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].sentence);
	(void)fputs("\n`weftd COMMAND --help` says more.\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < array_len(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "weftd: there is no command '%s'; `weftd --help` lists them\n",
		      argv[1]);
	return 2;
}
