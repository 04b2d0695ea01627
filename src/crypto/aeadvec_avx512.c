#include "crypto/aeadvec_provider.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/chacha32.h"
#include "crypto/poly1305x16.h"

/*
 * Our own kernel: the blocks of up to sixteen packets fill 32 lanes of ChaCha regardless of
 * where one packet ends and the next begins, and their tags are computed side by side. Block 0
 * of a packet is the key of its tag. Opening verifies before it decrypts.
 */
enum { GROUP = 16, FEW = 3 };

struct avx512 {
	void *single; /* OpenSSL: faster when there is no vector to fill */
	struct chacha32 blocks;
	struct poly1305x16_job tags[GROUP];
};

static void *avx512_create(struct err *err)
{
	struct avx512 *a;

	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512vbmi2")) {
		err_set(err, ERR_REFUSED, "the avx512 cipher needs AVX-512 F, BW, IFMA and VBMI2");
		return NULL;
	}
	a = mem_alloc(sizeof(*a));
	a->single = aeadvec_openssl.create(err);
	if (!a->single) {
		mem_free(a);
		return NULL;
	}
	return a;
}

static void avx512_destroy(void *arg)
{
	struct avx512 *a = arg;

	aeadvec_openssl.destroy(a->single);
	secret_wipe(a, sizeof(*a));
	mem_free(a);
}

static void want_tag_key(struct avx512 *a, const struct aeadvec_pkt *k, struct poly1305x16_job *tag)
{
	chacha32_add(&a->blocks, &(struct chacha_run){ .key = k->key,
						       .counter = k->counter,
						       .lanes = 1,
						       .len = sizeof(tag->key),
						       .store = true,
						       .to = tag->key });
	tag->p = k->p;
	tag->n = k->len;
}

static void want_text(struct avx512 *a, const struct aeadvec_pkt *k)
{
	chacha32_add(&a->blocks,
		     &(struct chacha_run){ .key = k->key,
					   .counter = k->counter,
					   .block = 1,
					   .lanes = (k->len + CHACHA_BLOCK - 1) / CHACHA_BLOCK,
					   .len = k->len,
					   .to = k->p });
}

static void seal_group(struct avx512 *a, struct aeadvec_pkt *pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		want_tag_key(a, &pkts[i], &a->tags[i]);
		want_text(a, &pkts[i]);
	}
	chacha32_run(&a->blocks);
	poly1305x16_run(a->tags, n);
	for (unsigned i = 0; i < n; i++) {
		memcpy(pkts[i].p + pkts[i].len, a->tags[i].tag, AEADVEC_TAG_LEN);
		pkts[i].ok = true;
	}
}

static void open_group(struct avx512 *a, struct aeadvec_pkt *pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		want_tag_key(a, &pkts[i], &a->tags[i]);
	chacha32_run(&a->blocks);
	poly1305x16_run(a->tags, n);
	for (unsigned i = 0; i < n; i++) {
		pkts[i].ok = secret_equal(a->tags[i].tag, pkts[i].p + pkts[i].len, AEADVEC_TAG_LEN);
		if (pkts[i].ok)
			want_text(a, &pkts[i]);
	}
	chacha32_run(&a->blocks);
}

static void avx512_seal(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct avx512 *a = arg;

	if (n < FEW) {
		aeadvec_openssl.seal(a->single, pkts, n);
		return;
	}
	for (unsigned i = 0; i < n; i += GROUP)
		seal_group(a, pkts + i, n - i < GROUP ? n - i : GROUP);
}

static void avx512_open(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct avx512 *a = arg;

	if (n < FEW) {
		aeadvec_openssl.open(a->single, pkts, n);
		return;
	}
	for (unsigned i = 0; i < n; i += GROUP)
		open_group(a, pkts + i, n - i < GROUP ? n - i : GROUP);
}

const struct aeadvec_ops aeadvec_avx512 = {
	.name = "avx512",
	.create = avx512_create,
	.destroy = avx512_destroy,
	.seal = avx512_seal,
	.open = avx512_open,
};
