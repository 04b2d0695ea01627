#include "wire/ts2021.h"

enum { INITIATION_BODY = 96, RESPONSE_BODY = 48 };

static const uint8_t early_magic[5] = { 0xff, 0xff, 0xff, 'T', 'S' };

bool ts2021_initiation_decode(struct ts2021_initiation *i, struct bytes msg)
{
	struct reader r = reader_of(msg);
	uint8_t type;
	uint16_t len;

	i->version = read_be16(&r);
	type = read_u8(&r);
	len = read_be16(&r);
	read_copy(&r, i->ephemeral, sizeof(i->ephemeral));
	read_copy(&r, i->sealed_key, sizeof(i->sealed_key));
	read_copy(&r, i->tag, sizeof(i->tag));
	return !r.bad && !reader_left(&r) && type == TS2021_INITIATION && len == INITIATION_BODY;
}

void ts2021_initiation_encode(const struct ts2021_initiation *i, uint8_t out[TS2021_INITIATION_LEN])
{
	struct writer w = writer_of(out, TS2021_INITIATION_LEN);

	write_be16(&w, i->version);
	write_u8(&w, TS2021_INITIATION);
	write_be16(&w, INITIATION_BODY);
	write_copy(&w, i->ephemeral, sizeof(i->ephemeral));
	write_copy(&w, i->sealed_key, sizeof(i->sealed_key));
	write_copy(&w, i->tag, sizeof(i->tag));
}

bool ts2021_response_decode(struct ts2021_response *r, struct bytes msg)
{
	struct reader in = reader_of(msg);
	uint8_t type = read_u8(&in);
	uint16_t len = read_be16(&in);

	read_copy(&in, r->ephemeral, sizeof(r->ephemeral));
	read_copy(&in, r->tag, sizeof(r->tag));
	return !in.bad && !reader_left(&in) && type == TS2021_RESPONSE && len == RESPONSE_BODY;
}

void ts2021_response_encode(const struct ts2021_response *r, uint8_t out[TS2021_RESPONSE_LEN])
{
	struct writer w = writer_of(out, TS2021_RESPONSE_LEN);

	write_u8(&w, TS2021_RESPONSE);
	write_be16(&w, RESPONSE_BODY);
	write_copy(&w, r->ephemeral, sizeof(r->ephemeral));
	write_copy(&w, r->tag, sizeof(r->tag));
}

static bool length_fits(uint8_t type, uint16_t len)
{
	switch (type) {
	case TS2021_RESPONSE:
		return len == RESPONSE_BODY;
	case TS2021_ERROR:
		return len <= TS2021_RECORD_MAX - TS2021_HEADER_LEN;
	case TS2021_RECORD:
		return len >= TS2021_TAG_LEN && len <= TS2021_RECORD_MAX - TS2021_HEADER_LEN;
	default:
		return false;
	}
}

enum ts2021_split ts2021_frame_split(struct ts2021_frame *f, struct bytes in)
{
	struct reader r = reader_of(in);
	uint8_t type = read_u8(&r);
	uint16_t len = read_be16(&r);

	if (r.bad)
		return TS2021_MORE;
	if (!length_fits(type, len))
		return TS2021_BAD;
	f->type = type;
	f->body = read_bytes(&r, len);
	f->size = (size_t)len + TS2021_HEADER_LEN;
	return r.bad ? TS2021_MORE : TS2021_FRAME;
}

bool ts2021_early_decode(struct bytes header, uint32_t *json_len)
{
	struct reader r = reader_of(header);
	struct bytes magic = read_bytes(&r, sizeof(early_magic));

	*json_len = read_be32(&r);
	return !r.bad && bytes_equal(magic, bytes_of(early_magic, sizeof(early_magic)));
}

void ts2021_early_encode(uint32_t json_len, uint8_t out[TS2021_EARLY_HEADER_LEN])
{
	struct writer w = writer_of(out, TS2021_EARLY_HEADER_LEN);

	write_copy(&w, early_magic, sizeof(early_magic));
	write_be32(&w, json_len);
}
