/* The stream parser must see the same frames however the bytes are cut; every decoder gets every
 * body. The first byte says who reads and how big the pieces are. */
#include "wire/derp.h"

#include <stdlib.h>

static uint64_t mix(uint64_t sum, struct derp_frame f)
{
	sum = sum * 0x100000001b3 + f.type;
	for (size_t i = 0; i < f.body.n; i++)
		sum = sum * 0x100000001b3 + f.body.p[i];
	return sum * 31 + f.body.n;
}

static void decode_all(struct bytes body)
{
	struct derp_present present;
	struct derp_client_info client;
	struct derp_server_info server;
	struct secret32 priv = { { 7 } }, shared = { { 9 } }, out;
	struct bytes payload;
	struct key a, b;
	uint8_t small[8];
	uint32_t x, y;
	bool home;

	(void)derp_get_server_key(body, &a);
	(void)derp_get_packet(body, &a, &payload);
	(void)derp_get_forward(body, &a, &b, &payload);
	(void)derp_get_note_preferred(body, &home);
	(void)derp_get_peer_gone(body, &a, small);
	(void)derp_get_peer_present(body, &present);
	(void)derp_get_close_peer(body, &a);
	(void)derp_get_ping(body, small);
	(void)derp_get_restarting(body, &x, &y);
	(void)derp_get_server_info(body, &shared, &server);
	if (body.n < 200)
		(void)derp_get_client_info(body, &priv, &client, &out);
	(void)derp_is_disco(body);
}

static uint64_t run(struct bytes in, size_t step, bool client, bool decode)
{
	struct derp_reader r;
	struct derp_frame f;
	uint64_t sum = 1;

	derp_reader_init(&r, client ? derp_take_by_client : derp_take_by_server);
	for (size_t at = 0; at < in.n; at += step) {
		derp_reader_feed(&r, bytes_of(in.p + at, in.n - at < step ? in.n - at : step));
		while (derp_reader_next(&r, &f) == DERP_PARSE_FRAME) {
			sum = mix(sum, f);
			if (decode)
				decode_all(f.body);
		}
	}
	sum = sum * 2 + r.bad;
	derp_reader_fini(&r);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in;
	bool client;

	if (n < 2)
		return 0;
	in = bytes_of(data + 1, n - 1);
	client = data[0] & 1;
	if (run(in, in.n, client, true) != run(in, 1 + (data[0] >> 1), client, false))
		abort();
	return 0;
}
