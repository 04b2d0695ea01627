#include "crypto/secret.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/rand.h"

void secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

bool secret_is_zero(const void *p, size_t n)
{
	return sodium_is_zero(p, n) == 1;
}

void secret32_random(struct secret32 *s, struct rng *rng)
{
	rng->fill(rng, s->b, sizeof(s->b));
}

/* Leak detection reads its own process from outside, which is what this forbids. */
#if defined(__SANITIZE_ADDRESS__)
enum { DUMPABLE = 1 };
#else
enum { DUMPABLE = 0 };
#endif

int secret_harden_process(struct err *err)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(err, "forbid core dumps, which would hold keys");
	if (prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) < 0)
		return err_sys(err, "close this process to debuggers");
	return 0;
}
