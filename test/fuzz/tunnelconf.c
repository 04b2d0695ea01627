/* A wg-quick file: read whole or refused with a sentence, and nothing leaks. */
#include <stdlib.h>

#include "app/tunnel/conf.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tunnel_conf conf;
	struct err err = { 0 };

	if (tunnel_conf_parse(&conf, "f", bytes_of(data, n), &err) < 0 && err.text[0] == '\0')
		abort();
	tunnel_conf_fini(&conf);
	return 0;
}
