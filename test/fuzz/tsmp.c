/* What decodes must come out the same after encoding. */
#include "wire/tsmp.h"

#include <stdlib.h>
#include <string.h>

#include "wire/ippkt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t packet[TSMP_PACKET_MAX];
	struct tsmp m, again;
	struct ippkt pkt;
	struct ip ip = ip_v4(100, 64, 0, 1);
	size_t len;

	if (!tsmp_decode(&m, bytes_of(data, n)))
		return 0;
	len = tsmp_encode(packet, &m, ip, ip);
	if (!ippkt_parse(&pkt, bytes_of(packet, len)) || pkt.proto != IPPKT_TSMP ||
	    !tsmp_decode(&again, bytes_of(packet + pkt.transport, len - pkt.transport)) ||
	    memcmp(&m, &again, sizeof(m)) != 0)
		abort();
	(void)tsmp_reason_sentence(m.reason);
	return 0;
}
