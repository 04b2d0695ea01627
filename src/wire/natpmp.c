/*
 *   request               off  len          response              off  len
 *   version = 0             0    1          version = 0             0    1
 *   op: 0 address, 1 UDP    1    1          128 + op                1    1
 *   reserved                2    2          result                  2    2
 *   internal port           4    2          epoch, seconds          4    4
 *   external port           6    2          address                 8    4   to op 0
 *   lifetime, seconds       8    4          internal port           8    2   to op 1
 *                                           external port          10    2
 *                                           lifetime               12    4
 *
 * An address request ends after its op. Refusals may end after the epoch.
 */
#include "wire/natpmp.h"

enum { VERSION = 0, OP_ADDRESS = 0, OP_MAP_UDP = 1, OP_ANSWER = 128 };

size_t natpmp_address_request_encode(uint8_t out[NATPMP_ADDRESS_REQUEST_LEN])
{
	struct writer w = writer_of(out, NATPMP_ADDRESS_REQUEST_LEN);

	write_u8(&w, VERSION);
	write_u8(&w, OP_ADDRESS);
	return writer_done(&w);
}

size_t natpmp_map_request_encode(uint8_t out[NATPMP_MAP_REQUEST_LEN],
				 const struct natpmp_map_request *m)
{
	struct writer w = writer_of(out, NATPMP_MAP_REQUEST_LEN);

	write_u8(&w, VERSION);
	write_u8(&w, OP_MAP_UDP);
	write_be16(&w, 0);
	write_be16(&w, m->internal_port);
	write_be16(&w, m->external_port);
	write_be32(&w, m->lifetime_s);
	return writer_done(&w);
}

static enum natpmp_kind kind_of(uint8_t op)
{
	if (op == OP_ANSWER + OP_ADDRESS)
		return NATPMP_ADDRESS;
	return op == OP_ANSWER + OP_MAP_UDP ? NATPMP_MAP : NATPMP_NONE;
}

bool natpmp_response_decode(struct natpmp_response *out, struct bytes msg)
{
	struct reader r = reader_of(msg);
	uint8_t version = read_u8(&r);
	uint8_t address[4];

	*out = (struct natpmp_response){ .kind = kind_of(read_u8(&r)) };
	out->result = read_be16(&r);
	out->epoch_s = read_be32(&r);
	if (r.bad || version != VERSION || out->kind == NATPMP_NONE)
		return false;
	if (out->result != NATPMP_OK)
		return true;
	if (out->kind == NATPMP_ADDRESS) {
		read_copy(&r, address, sizeof(address));
		out->address = ip_v4(address[0], address[1], address[2], address[3]);
	} else {
		out->internal_port = read_be16(&r);
		out->external_port = read_be16(&r);
		out->lifetime_s = read_be32(&r);
	}
	return !r.bad;
}
