/* What decodes must come out the same after encoding. */
#include "wire/stun.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(data, n);
	struct addrport seen = { 0 }, again = { 0 };
	struct stun_unknown unknown = { 0 };
	struct stun_txid t, t2;
	uint8_t out[STUN_ERROR_MAX];

	(void)stun_is(in);
	if (stun_request_decode(in, &t, &unknown) == STUN_UNKNOWN &&
	    !stun_error_encode(out, &t, &unknown))
		abort();
	if (stun_response_decode(in, &t, &seen)) {
		size_t len = stun_response_encode(out, &t, seen);

		if (!stun_response_decode(bytes_of(out, len), &t2, &again) ||
		    !addrport_equal(seen, again) || memcmp(&t, &t2, sizeof(t)) != 0)
			abort();
	}
	return 0;
}
