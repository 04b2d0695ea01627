/* weft-control: the coordination server and its command line. */
#include "app/control/main.h"

extern char **environ;

int main(int argc, char **argv)
{
	return control_main(argc, argv, environ);
}
