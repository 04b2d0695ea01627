/* weft-relay - DERP relay and STUN server. */
#include "app/relay/relay_main.h"

int main(int argc, char **argv)
{
	return relay_main(argc, argv);
}
