/* weft - the command line of a node. */
#include "app/cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
