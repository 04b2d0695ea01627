/*
 *   off  len  header                       attribute: type be16, length be16, value,
 *     0    2  type, two top bits clear                padded to a multiple of four
 *     2    2  length of the attributes
 *     4    4  21 12 a4 42
 *     8   12  transaction id
 */
#include "wire/stun.h"

enum {
	COOKIE = 0x2112a442,
	BINDING_REQUEST = 0x0001,
	BINDING_SUCCESS = 0x0101,
	BINDING_ERROR = 0x0111,
	ATTR_MAPPED = 0x0001,
	ATTR_USERNAME = 0x0006,
	ATTR_INTEGRITY = 0x0008,
	ATTR_ERROR = 0x0009,
	ATTR_UNKNOWN = 0x000a,
	ATTR_XOR_MAPPED = 0x0020,
	ATTR_XOR_MAPPED_OLD = 0x8020,
	ATTR_SOFTWARE = 0x8022,
	ATTR_FINGERPRINT = 0x8028,
	ATTR_OPTIONAL = 0x8000, /* this bit: may be ignored by who does not know it */
	FINGERPRINT_XOR = 0x5354554e,
	FINGERPRINT_LEN = 8,
};

static const char software[] = "tailnode";

/* CRC-32/ISO-HDLC; forty bytes a message do not pay for a table. */
static uint32_t crc32_of(struct bytes b)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static uint32_t fingerprint(struct bytes before)
{
	return crc32_of(before) ^ FINGERPRINT_XOR;
}

/* Type of a message whose header is right, or 0, which is no type. r then stands after it. */
static uint16_t get_header(struct reader *r, struct stun_txid *txid, size_t *len)
{
	uint16_t type = read_be16(r);
	uint16_t n = read_be16(r);
	uint32_t cookie = read_be32(r);

	read_copy(r, txid->b, STUN_TXID_LEN);
	if (r->bad || type & 0xc000 || cookie != COOKIE)
		return 0;
	*len = n;
	return type;
}

static void put_header(struct writer *w, uint16_t type, uint16_t len, const struct stun_txid *txid)
{
	write_be16(w, type);
	write_be16(w, len);
	write_be32(w, COOKIE);
	write_copy(w, txid->b, STUN_TXID_LEN);
}

struct attr {
	uint16_t type;
	struct bytes value;
	size_t start; /* offset in the message */
};

/* False at the end and when the attribute is cut off; then r->bad tells them apart. */
static bool next_attr(struct reader *r, struct bytes msg, struct attr *out)
{
	uint16_t len;

	if (!reader_left(r))
		return false;
	out->start = msg.n - reader_left(r);
	out->type = read_be16(r);
	len = read_be16(r);
	out->value = read_bytes(r, len);
	/* Some senders leave out the padding of the last attribute. */
	if (!r->bad && len % 4)
		read_skip(r, reader_left(r) < 4u - len % 4 ? reader_left(r) : 4u - len % 4);
	return !r->bad;
}

bool stun_is(struct bytes msg)
{
	struct reader r = reader_of(msg);
	uint16_t type = read_be16(&r);

	read_skip(&r, 2);
	return read_be32(&r) == COOKIE && !(type & 0xc000) && (type & 0xff) == 1 &&
	       msg.n >= STUN_HEADER_LEN;
}

static void note_unknown(struct stun_unknown *unknown, uint16_t type)
{
	if (unknown->n < STUN_UNKNOWN_MAX)
		unknown->types[unknown->n++] = type;
}

enum stun_request stun_request_decode(struct bytes msg, struct stun_txid *txid,
				      struct stun_unknown *unknown)
{
	struct reader r = reader_of(msg);
	struct stun_unknown ours = { 0 };
	struct attr a;
	bool named = false, printed = false;
	size_t len = 0;

	if (msg.n > STUN_MESSAGE_MAX || get_header(&r, txid, &len) != BINDING_REQUEST)
		return STUN_NO_REQUEST;
	if (len != reader_left(&r))
		return STUN_NO_REQUEST;
	while (next_attr(&r, msg, &a)) {
		if (printed) /* FINGERPRINT is the last attribute or it means nothing */
			return STUN_NO_REQUEST;
		if (a.type == ATTR_SOFTWARE) {
			named |= bytes_equal_str(a.value, software);
		} else if (a.type == ATTR_FINGERPRINT) {
			struct reader v = reader_of(a.value);
			uint32_t crc = read_be32(&v);

			if (a.value.n != 4 || crc != fingerprint(bytes_of(msg.p, a.start)))
				return STUN_NO_REQUEST;
			printed = true;
		} else if (!(a.type & ATTR_OPTIONAL) && a.type != ATTR_USERNAME &&
			   a.type != ATTR_INTEGRITY) {
			note_unknown(&ours, a.type);
		}
	}
	if (r.bad)
		return STUN_NO_REQUEST;
	if (unknown)
		*unknown = ours;
	if (ours.n)
		return STUN_UNKNOWN;
	return named && printed ? STUN_TAILNODE : STUN_PLAIN;
}

size_t stun_request_encode(uint8_t out[STUN_REQUEST_LEN], const struct stun_txid *txid)
{
	struct writer w = writer_of(out, STUN_REQUEST_LEN);
	size_t n = strlen(software);

	/* The length covers FINGERPRINT already when the sum is taken. */
	put_header(&w, BINDING_REQUEST, (uint16_t)(4 + n + FINGERPRINT_LEN), txid);
	write_be16(&w, ATTR_SOFTWARE);
	write_be16(&w, (uint16_t)n);
	write_copy(&w, software, n);
	write_be16(&w, ATTR_FINGERPRINT);
	write_be16(&w, 4);
	write_be32(&w, fingerprint(bytes_of(out, STUN_REQUEST_LEN - FINGERPRINT_LEN)));
	return writer_done(&w);
}

/* The address part is XORed with cookie and transaction id. */
static void xor_ip(uint8_t *ip, size_t n, const struct stun_txid *txid)
{
	uint8_t mask[16];
	struct writer w = writer_of(mask, sizeof(mask));

	write_be32(&w, COOKIE);
	write_copy(&w, txid->b, STUN_TXID_LEN);
	for (size_t i = 0; i < n; i++)
		ip[i] ^= mask[i];
}

size_t stun_response_encode(uint8_t out[STUN_RESPONSE_MAX], const struct stun_txid *txid,
			    struct addrport seen)
{
	struct writer w = writer_of(out, STUN_RESPONSE_MAX);
	struct ip ip = ip_unmap(seen.ip);
	size_t n = ip_len(ip);

	xor_ip(ip.b, n, txid);
	put_header(&w, BINDING_SUCCESS, (uint16_t)(8 + n), txid);
	write_be16(&w, ATTR_XOR_MAPPED);
	write_be16(&w, (uint16_t)(4 + n));
	write_u8(&w, 0);
	write_u8(&w, ip.family == 4 ? 1 : 2);
	write_be16(&w, seen.port ^ (COOKIE >> 16));
	write_copy(&w, ip.b, n);
	return writer_done(&w);
}

static bool get_mapped(struct bytes value, const struct stun_txid *txid, bool xored,
		       struct addrport *out)
{
	struct reader r = reader_of(value);
	uint8_t family, ip[16] = { 0 };
	uint16_t port;
	size_t n;

	read_skip(&r, 1);
	family = read_u8(&r);
	port = read_be16(&r);
	n = family == 1 ? 4 : 16;
	if (family != 1 && family != 2)
		return false;
	read_copy(&r, ip, n);
	if (r.bad)
		return false;
	if (xored) {
		xor_ip(ip, n, txid);
		port ^= COOKIE >> 16;
	}
	out->ip = n == 4 ? ip_v4(ip[0], ip[1], ip[2], ip[3]) : ip_unmap(ip_v6_of(ip));
	out->port = port;
	return true;
}

bool stun_response_decode(struct bytes msg, struct stun_txid *txid, struct addrport *seen)
{
	struct reader r = reader_of(msg);
	struct addrport plain = { 0 };
	struct attr a;
	size_t len = 0;
	bool found = false;

	if (get_header(&r, txid, &len) != BINDING_SUCCESS || len > reader_left(&r))
		return false;
	/* What trails the announced length is ignored. */
	msg = bytes_of(msg.p, STUN_HEADER_LEN + len);
	r = reader_of(bytes_from(msg, STUN_HEADER_LEN));
	while (!found && next_attr(&r, msg, &a)) {
		if (a.type == ATTR_XOR_MAPPED || a.type == ATTR_XOR_MAPPED_OLD)
			found = get_mapped(a.value, txid, true, seen);
		else if (a.type == ATTR_MAPPED)
			(void)get_mapped(a.value, txid, false, &plain);
	}
	if (!found && ip_is_valid(plain.ip)) {
		*seen = plain;
		found = true;
	}
	return found;
}

size_t stun_error_encode(uint8_t out[STUN_ERROR_MAX], const struct stun_txid *txid,
			 const struct stun_unknown *unknown)
{
	struct writer w = writer_of(out, STUN_ERROR_MAX);
	size_t list = unknown->n * 2, padding = (4 - list % 4) % 4;

	put_header(&w, BINDING_ERROR, (uint16_t)(8 + 4 + list + padding), txid);
	write_be16(&w, ATTR_ERROR);
	write_be16(&w, 4);
	write_be16(&w, 0);
	write_be16(&w, 4 << 8 | 20);
	write_be16(&w, ATTR_UNKNOWN);
	write_be16(&w, (uint16_t)list);
	for (size_t i = 0; i < unknown->n; i++)
		write_be16(&w, unknown->types[i]);
	write_zeros(&w, padding);
	return writer_done(&w);
}
