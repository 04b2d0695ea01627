/*
 * The 32-bit type word is one type byte and three zero bytes: one le32 compare checks all four.
 *
 *   type 1, 148 bytes                type 2, 92 bytes            type 3, 64 bytes
 *   off  len  field                  off  len  field             off  len  field
 *     0    4  type                     0    4  type                0    4  type
 *     4    4  sender index             4    4  sender index        4    4  receiver index
 *     8   32  ephemeral                8    4  receiver index      8   24  nonce
 *    40   48  sealed static key       12   32  ephemeral          32   32  sealed cookie
 *    88   28  sealed timestamp        44   16  sealed nothing
 *   116   16  mac1                    60   16  mac1
 *   132   16  mac2                    76   16  mac2
 *
 *   type 4: type, receiver index (4), counter (8), sealed packet (n + 16)
 */
#include "engine/wg/wg_message.h"

unsigned wg_message_type(struct bytes datagram)
{
	struct reader r = reader_of(datagram);
	uint32_t type = read_le32(&r);

	return !r.bad && type <= WG_TRANSPORT ? type : 0;
}

void wg_initiation_encode(const struct wg_initiation *m, uint8_t out[WG_INITIATION_LEN])
{
	struct writer w = writer_of(out, WG_INITIATION_LEN);

	write_le32(&w, WG_INITIATION);
	write_le32(&w, m->sender);
	write_copy(&w, m->ephemeral, sizeof(m->ephemeral));
	write_copy(&w, m->sealed_static, sizeof(m->sealed_static));
	write_copy(&w, m->sealed_timestamp, sizeof(m->sealed_timestamp));
	write_zeros(&w, 2 * (size_t)WG_MAC_LEN);
}

bool wg_initiation_decode(struct wg_initiation *m, struct bytes datagram)
{
	struct reader r = reader_of(datagram);

	if (datagram.n != WG_INITIATION_LEN || read_le32(&r) != WG_INITIATION)
		return false;
	m->sender = read_le32(&r);
	read_copy(&r, m->ephemeral, sizeof(m->ephemeral));
	read_copy(&r, m->sealed_static, sizeof(m->sealed_static));
	read_copy(&r, m->sealed_timestamp, sizeof(m->sealed_timestamp));
	return !r.bad;
}

void wg_response_encode(const struct wg_response *m, uint8_t out[WG_RESPONSE_LEN])
{
	struct writer w = writer_of(out, WG_RESPONSE_LEN);

	write_le32(&w, WG_RESPONSE);
	write_le32(&w, m->sender);
	write_le32(&w, m->receiver);
	write_copy(&w, m->ephemeral, sizeof(m->ephemeral));
	write_copy(&w, m->sealed_empty, sizeof(m->sealed_empty));
	write_zeros(&w, 2 * (size_t)WG_MAC_LEN);
}

bool wg_response_decode(struct wg_response *m, struct bytes datagram)
{
	struct reader r = reader_of(datagram);

	if (datagram.n != WG_RESPONSE_LEN || read_le32(&r) != WG_RESPONSE)
		return false;
	m->sender = read_le32(&r);
	m->receiver = read_le32(&r);
	read_copy(&r, m->ephemeral, sizeof(m->ephemeral));
	read_copy(&r, m->sealed_empty, sizeof(m->sealed_empty));
	return !r.bad;
}

void wg_cookie_reply_encode(const struct wg_cookie_reply *m, uint8_t out[WG_COOKIE_REPLY_LEN])
{
	struct writer w = writer_of(out, WG_COOKIE_REPLY_LEN);

	write_le32(&w, WG_COOKIE_REPLY);
	write_le32(&w, m->receiver);
	write_copy(&w, m->nonce, sizeof(m->nonce));
	write_copy(&w, m->sealed_cookie, sizeof(m->sealed_cookie));
}

bool wg_cookie_reply_decode(struct wg_cookie_reply *m, struct bytes datagram)
{
	struct reader r = reader_of(datagram);

	if (datagram.n != WG_COOKIE_REPLY_LEN || read_le32(&r) != WG_COOKIE_REPLY)
		return false;
	m->receiver = read_le32(&r);
	read_copy(&r, m->nonce, sizeof(m->nonce));
	read_copy(&r, m->sealed_cookie, sizeof(m->sealed_cookie));
	return !r.bad;
}
