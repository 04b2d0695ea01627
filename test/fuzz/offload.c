/*
 * Split and merge: a frame from the device splits within its announced sizes, and whatever packets
 * came out merge and split again to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/offload/offload.h"

enum { PACKETS = 64 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void write_out(struct offload_group *g)
{
	static uint8_t frame[OFFLOAD_HDR_LEN + 65535], out[65535];
	struct offload_split s;
	struct offload_hdr h;
	size_t length = 0;

	for (int i = 0, n = offload_group_finish(g); i < n; i++) {
		memcpy(frame + length, g->iov[i].iov_base, g->iov[i].iov_len);
		length += g->iov[i].iov_len;
	}
	if (g->n < 2)
		return;
	offload_hdr_decode(&h, frame);
	must(offload_split_begin(&s, &h,
				 bytes_of(frame + OFFLOAD_HDR_LEN, length - OFFLOAD_HDR_LEN)));
	must(s.count == g->n);
	for (unsigned i = 0; i < g->n; i++) {
		size_t n = offload_split_next(&s, out);
		struct bytes want = offload_group_single(g, i);

		if (out[0] >> 4 == 4) { /* the id of those that do not count it */
			memcpy(out + 4, want.p + 4, 2);
			memcpy(out + 10, want.p + 10, 2);
		}
		must(n == want.n && memcmp(out, want.p, n) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t packets[PACKETS][2048];
	struct offload_group g;
	struct offload_split s;
	struct offload_hdr h;

	if (n < OFFLOAD_HDR_LEN || n > 16384)
		return 0;
	offload_hdr_decode(&h, data);
	if (!offload_split_begin(&s, &h, bytes_of(data + OFFLOAD_HDR_LEN, n - OFFLOAD_HDR_LEN)) ||
	    offload_split_size(&s) > sizeof(packets[0]) || s.count > PACKETS)
		return 0;
	offload_group_init(&g, true, true);
	for (unsigned i = 0; !offload_split_done(&s); i++) {
		size_t length = offload_split_next(&s, packets[i]);

		must(length <= offload_split_size(&s));
		if (offload_group_add(&g, packets[i], length))
			continue;
		write_out(&g);
		offload_group_clear(&g);
		must(offload_group_add(&g, packets[i], length));
	}
	write_out(&g);
	return 0;
}
