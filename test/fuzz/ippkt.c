/* The header walk: every offset it reports lies inside the packet, and all readers agree. */
#include <stdlib.h>

#include "wire/ippkt.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes b = bytes_of(data, n);
	struct ippkt p;
	struct ip ip;

	if (!ippkt_parse(&p, b))
		return 0;
	must(p.length == ippkt_length(b) && p.length <= n);
	must(p.transport <= p.payload && p.payload <= p.length);
	must(ippkt_src(&ip, b) && ip_equal(ip, p.src));
	must(ippkt_dst(&ip, b) && ip_equal(ip, p.dst));
	must(p.has_ports || (p.src_port == 0 && p.dst_port == 0 && p.tcp_flags == 0));
	must(!(p.fragment == IPPKT_LATER && p.has_ports));
	return 0;
}
