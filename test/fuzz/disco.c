/* Bodies: what decodes encodes to the same bytes, but for what a newer peer may have appended. */
#include "wire/disco.h"

#include <stdlib.h>

#include "crypto/secret.h"

static void same(struct bytes body, const uint8_t *out, size_t n)
{
	if (!n || n > body.n || memcmp(out + 2, body.p + 2, n - 2) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct secret32 shared = { { 1 } };
	struct bytes body = bytes_of(data, n);
	struct disco_ping ping;
	struct disco_pong pong;
	struct disco_call_me_maybe cmm;
	uint8_t *room = malloc(n + DISCO_ENVELOPE_LEN);

	if (disco_ping_decode(&ping, body) && ping.padding == 0)
		same(body, room, disco_ping_encode(&ping, room, n));
	if (disco_pong_decode(&pong, body) && pong.src.ip.family == 4)
		same(body, room, disco_pong_encode(&pong, room, n));
	if (disco_call_me_maybe_decode(&cmm, body) && cmm.n > DISCO_ENDPOINTS_MAX)
		abort();
	if (disco_is_envelope(body)) {
		(void)disco_sender(body);
		if (disco_open(room, body, &shared))
			abort(); /* a forgery */
	}
	free(room);
	return 0;
}
