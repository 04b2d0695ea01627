/*
 * The datapath's cipher: every provider, sealing and opening vectors of one length under one key.
 *
 *   bench-aead          nanoseconds per packet and GB/s, with ratios to OpenSSL; some ten seconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mono.h"
#include "base/rand.h"
#include "crypto/aeadvec.h"

enum { LENGTH_MAX = 8912, ROUND_MS = 60, ROUNDS = 3 };

static uint8_t space[AEADVEC_MAX][LENGTH_MAX + AEADVEC_TAG_LEN];

/* The best of some rounds, in ns per packet: what disturbs only makes it slower. */
static double measure(struct aeadvec *v, const struct secret32 *key, uint32_t len, unsigned n,
		      bool seal)
{
	struct aeadvec_pkt pkts[AEADVEC_MAX];
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		struct mono start = mono_now();
		unsigned long done = 0;
		double spent;

		do {
			for (unsigned i = 0; i < n; i++)
				pkts[i] = (struct aeadvec_pkt){
					.p = space[i], .len = len, .counter = i, .key = key
				};
			/* Opening what does not verify would be cheap: sealed anew it verifies. */
			aeadvec_seal(v, pkts, n);
			if (!seal)
				aeadvec_open(v, pkts, n);
			if (!pkts[0].ok)
				abort();
			done += n;
			spent = (double)(mono_now().ns - start.ns);
		} while (spent < ROUND_MS * 1e6);
		if (spent / (double)done < best)
			best = spent / (double)done;
	}
	return best;
}

int main(void)
{
	static const uint32_t lengths[] = { 64, 512, 1280, 1424, 8912 };
	static const unsigned vectors[] = { 1, 16, 44 };
	struct rng rng = rng_seeded(5);
	struct secret32 key;

	secret32_random(&key, &rng);
	for (size_t v = 0; v < sizeof(vectors) / sizeof(*vectors); v++)
		for (size_t l = 0; l < sizeof(lengths) / sizeof(*lengths); l++) {
			double seal0 = 0, open0 = 0;

			for (int p = 2; p >= 0; p--) {
				static const char *const names[] = { "avx512", "ipsec-mb",
								     "openssl" };
				struct err err;
				struct aeadvec *a = aeadvec_create(names[p], &err);
				double seal, both;

				if (!a)
					continue;
				seal = measure(a, &key, lengths[l], vectors[v], true);
				both = measure(a, &key, lengths[l], vectors[v], false);
				if (p == 2)
					seal0 = seal, open0 = both - seal;
				(void)printf("%2u x %4u  %-8s  seal %7.0f ns %5.2f GB/s %5.2fx   "
					     "open %7.0f ns %5.2fx\n",
					     vectors[v], lengths[l], aeadvec_name(a), seal,
					     lengths[l] / seal, seal0 / seal, both - seal,
					     open0 / (both - seal));
				aeadvec_destroy(a);
			}
		}
	return 0;
}
