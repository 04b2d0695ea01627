/* A header that is taken encodes to the bytes it came from, and every truncation of it asks for
 * more. */
#include "wire/websocket.h"

#include <stdlib.h>

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(data, n);
	struct websocket_header h, again;
	uint8_t out[WEBSOCKET_HEADER_MAX];
	char accept[WEBSOCKET_ACCEPT_LEN + 1];
	size_t used, other;

	for (int masked = 0; masked < 2; masked++) {
		if (websocket_header_decode(&h, in, masked, &used) != WEBSOCKET_FRAME)
			continue;
		require(websocket_header_encode(&h, out) == used && !memcmp(out, data, used));
		for (size_t cut = 0; cut < used; cut++)
			require(websocket_header_decode(&again, bytes_of(data, cut), masked,
							&other) == WEBSOCKET_MORE);
	}
	(void)websocket_accept_key(in, accept);
	return 0;
}
