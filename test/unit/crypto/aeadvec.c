#include "crypto/aeadvec.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/aead.h"
#include "kit/kit.h"

enum { LENGTH_MAX = 9000, KEYS = 5 };

struct batch {
	struct aeadvec_pkt pkts[AEADVEC_MAX];
	uint8_t *plain[AEADVEC_MAX];
	struct secret32 keys[KEYS];
	unsigned n;
};

static void batch_make(struct batch *b, struct rng *rng, unsigned n)
{
	b->n = n;
	for (unsigned k = 0; k < KEYS; k++)
		secret32_random(&b->keys[k], rng);
	for (unsigned i = 0; i < n; i++) {
		struct aeadvec_pkt *p = &b->pkts[i];
		uint32_t max = rng_below(rng, 3) ? 1500 : LENGTH_MAX;

		p->len = i % 16 == 0 ? 0 : (uint32_t)rng_below(rng, max);
		p->counter = rng_u64(rng);
		p->key = &b->keys[rng_below(rng, KEYS)];
		b->plain[i] = mem_alloc(p->len + 1);
		rng->fill(rng, b->plain[i], p->len);
		p->p = mem_alloc(p->len + AEADVEC_TAG_LEN); /* exact: ASan sees an overrun */
		memcpy(p->p, b->plain[i], p->len);
	}
}

static void batch_free(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		mem_free(b->plain[i]);
		mem_free(b->pkts[i].p);
	}
}

/* Every packet as the single-message cipher of crypto/aead.h (libsodium) seals it. */
static bool is_sealed_right(const struct batch *b)
{
	uint8_t want[LENGTH_MAX + AEADVEC_TAG_LEN], nonce[12];

	for (unsigned i = 0; i < b->n; i++) {
		const struct aeadvec_pkt *p = &b->pkts[i];

		aead_nonce_le(nonce, p->counter);
		aead_seal(want, p->key, nonce, bytes_of(b->plain[i], p->len), bytes_of(NULL, 0));
		if (!p->ok || memcmp(want, p->p, p->len + AEADVEC_TAG_LEN) != 0)
			return false;
	}
	return true;
}

static struct aeadvec *provider(const char *name)
{
	struct err err;
	struct aeadvec *v = aeadvec_create(name, &err);

	if (!v)
		kit_skip(err.text);
	return v;
}

static void round_trips(const char *name)
{
	struct aeadvec *v = provider(name);
	struct rng rng = rng_seeded(11);
	struct batch b;

	for (unsigned n = 0; n <= AEADVEC_MAX; n += n < 65 ? 1 : 21) {
		batch_make(&b, &rng, n);
		aeadvec_seal(v, b.pkts, n);
		CHECK(is_sealed_right(&b));
		for (unsigned i = 0; i < n; i += 3) /* forge text, tag, counter or key */
			switch (rng_below(&rng, 4)) {
			case 0:
				b.pkts[i].p[rng_below(&rng, b.pkts[i].len + AEADVEC_TAG_LEN)] ^= 4;
				break;
			case 1:
				b.pkts[i].p[b.pkts[i].len + 15] ^= 0x80;
				break;
			case 2:
				b.pkts[i].counter++;
				break;
			default:
				b.pkts[i].key = b.pkts[i].key == b.keys ? b.keys + 1 : b.keys;
				break;
			}
		aeadvec_open(v, b.pkts, n);
		for (unsigned i = 0; i < n; i++) {
			CHECK(b.pkts[i].ok == (i % 3 != 0));
			CHECK(!b.pkts[i].ok || memcmp(b.pkts[i].p, b.plain[i], b.pkts[i].len) == 0);
		}
		batch_free(&b);
	}
	aeadvec_destroy(v);
}

/* Vectors of one length take the short cuts of a provider. */
static void equal_lengths(const char *name)
{
	static const uint32_t lengths[] = { 0, 1, 15, 16, 17, 48, 63, 64, 65, 127, 128, 1424 };
	struct aeadvec *v = provider(name);
	struct rng rng = rng_seeded(12);
	struct batch b;

	for (size_t l = 0; l < sizeof(lengths) / sizeof(*lengths); l++)
		for (unsigned n = 1; n <= 34; n++) {
			batch_make(&b, &rng, n);
			for (unsigned i = 0; i < n; i++) {
				struct aeadvec_pkt *p = &b.pkts[i];

				mem_free(p->p);
				mem_free(b.plain[i]);
				p->len = lengths[l];
				b.plain[i] = mem_alloc(p->len + 1);
				rng.fill(&rng, b.plain[i], p->len);
				p->p = mem_alloc(p->len + AEADVEC_TAG_LEN);
				memcpy(p->p, b.plain[i], p->len);
			}
			aeadvec_seal(v, b.pkts, n);
			CHECK(is_sealed_right(&b));
			b.pkts[n / 2].p[0] ^= 1;
			aeadvec_open(v, b.pkts, n);
			for (unsigned i = 0; i < n; i++)
				CHECK(i == n / 2 ? !b.pkts[i].ok
						 : b.pkts[i].ok && memcmp(b.pkts[i].p, b.plain[i],
									  b.pkts[i].len) == 0);
			batch_free(&b);
		}
	aeadvec_destroy(v);
}

TEST(openssl_agrees_with_the_single_message_cipher)
{
	round_trips("openssl");
	equal_lengths("openssl");
}

TEST(avx512_agrees_with_the_single_message_cipher)
{
	round_trips("avx512");
	equal_lengths("avx512");
}

TEST(ipsec_mb_agrees_with_the_single_message_cipher)
{
	round_trips("ipsec-mb");
	equal_lengths("ipsec-mb");
}

TEST(a_key_that_changes_in_place_is_noticed)
{
	struct aeadvec *v = provider(NULL);
	struct rng rng = rng_seeded(3);
	struct batch b;

	batch_make(&b, &rng, 4);
	aeadvec_seal(v, b.pkts, 4);
	CHECK(is_sealed_right(&b));
	for (unsigned k = 0; k < KEYS; k++)
		secret32_random(&b.keys[k], &rng);
	for (unsigned i = 0; i < 4; i++)
		memcpy(b.pkts[i].p, b.plain[i], b.pkts[i].len);
	aeadvec_seal(v, b.pkts, 4);
	CHECK(is_sealed_right(&b));
	batch_free(&b);
	aeadvec_destroy(v);
}

TEST(unknown_providers_are_refused_by_name)
{
	struct err err;

	CHECK(!aeadvec_create("rot13", &err));
	CHECK_STR(err.text, "no crypto provider is called 'rot13'");
}
