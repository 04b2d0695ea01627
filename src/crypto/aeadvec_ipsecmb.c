#include "crypto/aeadvec_provider.h"

#include <assert.h>
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/*
 * The library is loaded, not linked: it exists on amd64 only and a router does without. Only three
 * of its functions are called by name, everything else goes through the manager's table.
 */
struct ipsecmb {
	void *lib;
	IMB_MGR *mgr;
	void (*free_mgr)(IMB_MGR *mgr);
	uint8_t nonce[AEADVEC_MAX][16];
	uint8_t tag[AEADVEC_MAX][AEADVEC_TAG_LEN];
	IMB_JOB *jobs[AEADVEC_MAX];
};

static void ipsecmb_destroy(void *arg)
{
	struct ipsecmb *m = arg;

	if (m->mgr)
		m->free_mgr(m->mgr);
	/* Not closed: the library keeps 3.5 MB of pages warm and other threads may be in it. */
	mem_free(m);
}

/* memcpy because ISO C has no cast from object to function pointers. */
static bool find(void *lib, const char *name, void *fn)
{
	void *symbol = dlsym(lib, name);

	memcpy(fn, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static bool load(struct ipsecmb *m)
{
	IMB_MGR *(*alloc)(uint64_t flags);
	void (*init)(IMB_MGR * mgr, IMB_ARCH * arch);
	IMB_ARCH arch = IMB_ARCH_NONE;

	m->lib = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!m->lib || !find(m->lib, "alloc_mb_mgr", &alloc) ||
	    !find(m->lib, "free_mb_mgr", &m->free_mgr) || !find(m->lib, "init_mb_mgr_auto", &init))
		return false;
	m->mgr = alloc(0);
	if (!m->mgr)
		return false;
	init(m->mgr, &arch);
	return arch >= IMB_ARCH_AVX2 && m->mgr->imb_errno == 0;
}

static void *ipsecmb_create(struct err *err)
{
	struct ipsecmb *m = mem_alloc(sizeof(*m));

	if (!__builtin_cpu_supports("avx2") || !load(m)) {
		err_set(err, ERR_REFUSED,
			"ipsec-mb needs AVX2 and libIPSec_MB.so.1, which is not here");
		ipsecmb_destroy(m);
		return NULL;
	}
	return m;
}

static void fill(IMB_JOB *job, const struct aeadvec_pkt *k, uint8_t *nonce, uint8_t *tag, bool seal)
{
	aeadvec_nonce(nonce, k->counter);
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = job->dec_keys = k->key->b;
	job->key_len_in_bytes = sizeof(k->key->b);
	job->src = job->dst = k->p;
	job->cipher_start_src_offset_in_bytes = 0;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = k->len;
	job->iv = nonce;
	job->iv_len_in_bytes = 12;
	job->u.CHACHA20_POLY1305.aad = nonce; /* not read: its length is 0 */
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = AEADVEC_TAG_LEN;
}

/* The caller keeps to AEADVEC_MAX and lengths were checked, so nothing is left to validate. */
static void run(struct ipsecmb *m, struct aeadvec_pkt *pkts, unsigned n, bool seal)
{
	uint32_t got = IMB_GET_NEXT_BURST(m->mgr, n, m->jobs), done;

	assert(got == n); /* the queue holds 256 and is empty between calls */
	for (unsigned i = 0; i < n; i++) {
		fill(m->jobs[i], &pkts[i], m->nonce[i], m->tag[i], seal);
		m->jobs[i]->user_data = &pkts[i];
		pkts[i].ok = false;
	}
	done = IMB_SUBMIT_BURST_NOCHECK(m->mgr, n, m->jobs);
	for (unsigned at = 0; at < n && done;) {
		for (uint32_t i = 0; i < done; i++) {
			struct aeadvec_pkt *k = m->jobs[i]->user_data;

			k->ok = m->jobs[i]->status == IMB_STATUS_COMPLETED;
		}
		at += done;
		done = at < n ? IMB_FLUSH_BURST(m->mgr, n - at, m->jobs) : 0;
	}
}

static void ipsecmb_seal(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct ipsecmb *m = arg;

	if (n == 0)
		return;
	run(m, pkts, n, true);
	for (unsigned i = 0; i < n; i++) {
		if (pkts[i].ok)
			memcpy(pkts[i].p + pkts[i].len, m->tag[i], AEADVEC_TAG_LEN);
		else /* never let plaintext leave because a library call failed */
			secret_wipe(pkts[i].p, pkts[i].len + AEADVEC_TAG_LEN);
	}
}

static void ipsecmb_open(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct ipsecmb *m = arg;

	if (n == 0)
		return;
	run(m, pkts, n, false);
	for (unsigned i = 0; i < n; i++)
		pkts[i].ok =
		    pkts[i].ok && secret_equal(m->tag[i], pkts[i].p + pkts[i].len, AEADVEC_TAG_LEN);
}

const struct aeadvec_ops aeadvec_ipsecmb = {
	.name = "ipsec-mb",
	.create = ipsecmb_create,
	.destroy = ipsecmb_destroy,
	.seal = ipsecmb_seal,
	.open = ipsecmb_open,
};
