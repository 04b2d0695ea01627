/* The configuration protocol on a device without packets: what a set leaves behind can be got. */
#include <stdlib.h>

#include "app/tunnel/device.h"
#include "app/tunnel/uapi.h"
#include "base/err.h"

static struct device *make(void)
{
	static struct log silent;
	struct device_conf conf = {
		.name = "f0", .log = &silent, .no_tun = true, .crypto = "openssl", .threads = 0
	};
	struct err err;
	struct device *d = device_create(&conf, &err);

	if (!d)
		abort();
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct device *d; /* the process is the test: one device serves all inputs */
	struct bytes input = bytes_of(data, n);
	struct buf out;
	size_t length;

	if (!d)
		d = make();
	buf_init(&out, UAPI_ANSWER_MAX);
	while ((length = uapi_request_length(input)) > 0) {
		if (!uapi_answer(d, bytes_of(input.p, length), &out))
			break;
		input = bytes_from(input, length);
	}
	buf_clear(&out);
	if (!uapi_answer(d, bytes_str("get=1\n\n"), &out))
		abort();
	buf_fini(&out);
	device_remove_peers(d);
	device_commit(d);
	return 0;
}
