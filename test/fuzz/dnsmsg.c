/* Any bytes: reading ends, records stay inside, a cut message is well-formed and no longer. */
#include "wire/dnsmsg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n + 1);
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	struct dnsname name;
	struct dnsmsg m;
	size_t cut;

	if (n)
		memcpy(copy, data, n);
	if (dnsmsg_open(&m, bytes_of(data, n)) && m.header.questions == 1 &&
	    dnsmsg_question(&m, &q)) {
		while (dnsmsg_next(&m, &r) == DNSMSG_RECORD) {
			char text[DNSNAME_TEXT_MAX];

			if (r.data_at + r.data.n > n || r.ttl_at + 4 > n || m.at > n)
				abort();
			dnsname_format(&r.name, text);
			if (r.type == DNSMSG_CNAME && !dnsmsg_data_name(&m, &r, &name))
				abort();
		}
		if (m.at > n)
			abort();
	}
	cut = dnsmsg_truncate(copy, n);
	if (cut > n || (cut && !dnsmsg_open(&m, bytes_of(copy, cut))))
		abort();
	free(copy);
	return 0;
}
