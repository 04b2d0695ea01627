/* What an engine that was taken over may write to its helper: decoded, checked, never run. */
#include <string.h>

#include "base/err.h"
#include "node/privops_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct privops_request r;
	static uint8_t again[PRIVOPS_REQUEST_MAX];
	struct err err;

	for (int fd = 0; fd < 2; fd++) {
		if (privops_request_decode(&r, bytes_of(data, n), fd, &err) < 0)
			continue;
		if (privops_request_encode(again, r.op, r.body) != n || memcmp(again, data, n) != 0)
			__builtin_trap();
	}
	(void)privops_reply_decode(bytes_of(data, n), NULL, 0, &err);
	(void)privops_reply_decode(bytes_of(data, n), again, 4, &err);
	return 0;
}
