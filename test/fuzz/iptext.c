/* Addresses, prefixes, ranges, times and keys as text: what parses prints, and parses back to the
 * same. */
#include <stdlib.h>

#include "base/ip.h"
#include "base/wall.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = bytes_of(data, n);
	char out[RANGE_TEXT_MAX];
	struct ip ip, ip2;
	struct prefix p, p2;
	struct ip_range r, r2;
	struct addrport a, a2;
	struct wall t, t2;

	if (ip_parse(&ip, text))
		must(ip_parse(&ip2, bytes_str(ip_format(ip, out))) && ip_equal(ip, ip2));
	if (prefix_parse(&p, text))
		must(prefix_parse(&p2, bytes_str(prefix_format(p, out))) && prefix_equal(p, p2));
	if (addrport_parse(&a, text))
		must(addrport_parse(&a2, bytes_str(addrport_format(a, out))) &&
		     addrport_equal(a, a2));
	if (range_parse(&r, text)) {
		bool done = false;

		must(range_parse(&r2, bytes_str(range_format(r, out))) &&
		     ip_equal(r.last, r2.last));
		for (int i = 0; range_next_prefix(&r2, &p, &done); i++)
			must(i < 256); /* at most two per bit */
	}
	if (wall_parse(&t, text))
		must(wall_parse(&t2, bytes_str(wall_format(t, out))) && t.ns == t2.ns);
	return 0;
}
