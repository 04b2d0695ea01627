/*
 * Foreign bytes against both roles: as the initiation, as the server's answer, and as records of an
 * open channel, cut at a place that the first byte names.
 */
#include "engine/ts2021/ts2021.h"

#include "base/rand.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

static void feed(struct ts2021 *t, struct bytes data, size_t cut)
{
	struct bytes parts[] = { bytes_of(data.p, cut < data.n ? cut : data.n),
				 bytes_from(data, cut) };

	for (int i = 0; i < 2; i++) {
		struct bytes plain;

		if (ts2021_input(t, parts[i], NULL) < 0)
			return;
		while (ts2021_next_plain(t, &plain, NULL) == 0 && plain.n)
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rng rng = rng_seeded(1);
	struct secret32 node_key, server_key;
	struct ts2021 *node, *server;
	struct key server_pub;
	struct bytes in;

	if (!n)
		return 0;
	in = bytes_of(data + 1, n - 1);
	secret32_random(&node_key, &rng);
	secret32_random(&server_key, &rng);
	x25519_public(server_pub.b, &server_key);
	node = ts2021_create_client(&node_key, &server_pub, 145, (struct mono){ 1 }, &rng, NULL);
	if (in.n == TS2021_INITIATION_LEN) {
		ts2021_destroy(ts2021_create_server(&server_key, in, &rng, NULL));
	} else if (data[0] & 1) {
		feed(node, in, data[0] >> 1);
	} else {
		server = ts2021_create_server(
		    &server_key, bytes_of(ts2021_initiation(node), TS2021_INITIATION_LEN), &rng,
		    NULL);
		feed(server, in, data[0] >> 1);
		ts2021_destroy(server);
	}
	ts2021_destroy(node);
	return 0;
}
