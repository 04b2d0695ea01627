#include "crypto/aeadvec.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/aeadvec_provider.h"

struct aeadvec {
	const struct aeadvec_ops *ops;
	void *ctx;
};

static const struct aeadvec_ops *const providers[] = { /* the fastest first */
#ifdef WEFT_AVX512
						       &aeadvec_avx512,
#endif
#ifdef WEFT_IPSECMB
						       &aeadvec_ipsecmb,
#endif
						       &aeadvec_openssl
};

static struct aeadvec *try(const struct aeadvec_ops *ops, struct err *err)
{
	void *ctx = ops->create(err);
	struct aeadvec *v;

	if (!ctx)
		return NULL;
	v = mem_alloc(sizeof(*v));
	v->ops = ops;
	v->ctx = ctx;
	return v;
}

struct aeadvec *aeadvec_create(const char *provider, struct err *err)
{
	struct aeadvec *v = NULL;
	bool known = false;

	for (size_t i = 0; i < array_len(providers) && !v; i++) {
		if (provider && strcmp(provider, providers[i]->name) != 0)
			continue;
		known = true;
		v = try(providers[i], err);
	}
	if (!known)
		err_set(err, ERR_USAGE, "no crypto provider is called '%s'", provider);
	return v;
}

void aeadvec_destroy(struct aeadvec *v)
{
	if (!v)
		return;
	v->ops->destroy(v->ctx);
	mem_free(v);
}

const char *aeadvec_name(const struct aeadvec *v)
{
	return v->ops->name;
}

const char *const *aeadvec_providers(void)
{
	static const char *const names[] = {
#ifdef WEFT_AVX512
		"avx512",
#endif
#ifdef WEFT_IPSECMB
		"ipsec-mb",
#endif
		"openssl", NULL
	};
	return names;
}

void aeadvec_seal(struct aeadvec *v, struct aeadvec_pkt *pkts, unsigned n)
{
	v->ops->seal(v->ctx, pkts, n);
}

void aeadvec_open(struct aeadvec *v, struct aeadvec_pkt *pkts, unsigned n)
{
	v->ops->open(v->ctx, pkts, n);
}
