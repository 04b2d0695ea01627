/* crypto/aeadvec_provider.h - what a provider of crypto/aeadvec.h implements; for those files only.
 */
#pragma once

#include "crypto/aeadvec.h"

struct aeadvec_ops {
	const char *name;
	void *(*create)(struct err *err); /* NULL: it cannot run here */
	void (*destroy)(void *ctx);
	void (*seal)(void *ctx, struct aeadvec_pkt *pkts, unsigned n);
	void (*open)(void *ctx, struct aeadvec_pkt *pkts, unsigned n);
};

extern const struct aeadvec_ops aeadvec_avx512;
extern const struct aeadvec_ops aeadvec_ipsecmb;
extern const struct aeadvec_ops aeadvec_openssl;

static inline void aeadvec_nonce(uint8_t nonce[12], uint64_t counter)
{
	for (int i = 0; i < 4; i++)
		nonce[i] = 0;
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}
