/* weftd - the node's daemon: a node of a tailnet, or what the table of commands names. */
#include <string.h>

#include "app/tunnel/tunnel.h"
#include "app/weftd/main.h"
#include "base/mem.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *sentence;
} commands[] = {
	{ "engine", weftd_engine_main, "what weftd starts as its unprivileged half" },
	{ "tunnel", tunnel_main, "run a plain WireGuard interface from a wg-quick file" },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < array_len(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return weftd_main(argc, argv);
}
