#include "wire/derp.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

enum {
	HELD_KEEP = 2 << 10, /* a bigger reassembly buffer is given back after its frame */
	INFO_JSON_MAX = 64 << 10,
	PRESENT_WITH_ADDR = DERP_KEY_LEN + 18,
};

/* "DERP" and U+1F511, the key */
static const uint8_t magic[8] = { 0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91 };
static const uint8_t disco_magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

const char *derp_type_name(uint8_t type)
{
	static const char *const names[] = {
		[DERP_SERVER_KEY] = "ServerKey",
		[DERP_CLIENT_INFO] = "ClientInfo",
		[DERP_SERVER_INFO] = "ServerInfo",
		[DERP_SEND_PACKET] = "SendPacket",
		[DERP_RECV_PACKET] = "RecvPacket",
		[DERP_KEEP_ALIVE] = "KeepAlive",
		[DERP_NOTE_PREFERRED] = "NotePreferred",
		[DERP_PEER_GONE] = "PeerGone",
		[DERP_PEER_PRESENT] = "PeerPresent",
		[DERP_FORWARD_PACKET] = "ForwardPacket",
		[DERP_WATCH_CONNS] = "WatchConns",
		[DERP_CLOSE_PEER] = "ClosePeer",
		[DERP_PING] = "Ping",
		[DERP_PONG] = "Pong",
		[DERP_HEALTH] = "Health",
		[DERP_RESTARTING] = "Restarting",
	};

	return type < array_len(names) && names[type] ? names[type] : "unknown";
}

/* ---- the stream ---- */

static enum derp_take between(uint32_t len, uint32_t min, uint32_t max)
{
	return len >= min && len <= max ? DERP_TAKE_KEEP : DERP_TAKE_REFUSE;
}

enum derp_take derp_take_by_server(uint8_t type, uint32_t len)
{
	switch (type) {
	case DERP_CLIENT_INFO:
		return between(len, DERP_CLIENT_INFO_MIN, DERP_CLIENT_INFO_MAX);
	case DERP_SEND_PACKET:
		return between(len, DERP_KEY_LEN, DERP_KEY_LEN + DERP_PACKET_MAX);
	case DERP_FORWARD_PACKET:
		return between(len, 2 * DERP_KEY_LEN, 2 * DERP_KEY_LEN + DERP_PACKET_MAX);
	case DERP_NOTE_PREFERRED:
		return between(len, 1, 1);
	case DERP_WATCH_CONNS:
		return between(len, 0, 0);
	case DERP_CLOSE_PEER:
		return between(len, DERP_KEY_LEN, DERP_KEY_LEN);
	case DERP_PING:
		return between(len, DERP_PING_LEN, DERP_PING_MAX);
	default: /* also Pong, which upstream's server does not read either */
		return len <= DERP_FRAME_MAX ? DERP_TAKE_SKIP : DERP_TAKE_REFUSE;
	}
}

enum derp_take derp_take_by_client(uint8_t type, uint32_t len)
{
	switch (type) {
	case DERP_SERVER_KEY:
		return between(len, sizeof(magic) + DERP_KEY_LEN, DERP_GREETING_MAX);
	case DERP_SERVER_INFO:
		return between(len, BOX_OVERHEAD, DERP_FRAME_MAX);
	case DERP_RECV_PACKET:
		return between(len, DERP_KEY_LEN, DERP_KEY_LEN + DERP_PACKET_MAX);
	case DERP_KEEP_ALIVE:
	case DERP_PEER_GONE:
	case DERP_PEER_PRESENT:
	case DERP_PING:
	case DERP_PONG:
	case DERP_HEALTH:
	case DERP_RESTARTING:
		return between(len, 0, DERP_FRAME_MAX);
	default:
		return len <= DERP_FRAME_MAX ? DERP_TAKE_SKIP : DERP_TAKE_REFUSE;
	}
}

void derp_reader_init(struct derp_reader *r, enum derp_take (*take)(uint8_t type, uint32_t len))
{
	*r = (struct derp_reader){ .take = take };
	buf_init(&r->held, DERP_HEADER_LEN + DERP_FRAME_MAX);
}

void derp_reader_fini(struct derp_reader *r)
{
	buf_fini(&r->held);
}

void derp_reader_feed(struct derp_reader *r, struct bytes data)
{
	r->in = data;
}

struct bytes derp_reader_rest(const struct derp_reader *r)
{
	return r->in;
}

static void release_held(struct derp_reader *r)
{
	if (r->held.cap > HELD_KEEP) {
		buf_fini(&r->held);
		buf_init(&r->held, DERP_HEADER_LEN + DERP_FRAME_MAX);
	}
	buf_clear(&r->held);
	r->held_done = false;
}

/* Moves input behind the held bytes until there are `want` of them. */
static bool hold(struct derp_reader *r, size_t want)
{
	size_t n = want > r->held.n ? want - r->held.n : 0;

	if (n > r->in.n)
		n = r->in.n;
	(void)buf_append(&r->held, bytes_of(r->in.p, n));
	r->in = bytes_from(r->in, n);
	return r->held.n >= want;
}

static bool skip(struct derp_reader *r)
{
	size_t n = r->skip < r->in.n ? r->skip : r->in.n;

	r->in = bytes_from(r->in, n);
	r->skip -= n;
	return r->skip == 0;
}

static enum derp_parse refuse(struct derp_reader *r, uint8_t type, uint32_t len)
{
	r->bad = true;
	r->bad_type = type;
	r->bad_len = len;
	r->in = bytes_of(NULL, 0);
	return DERP_PARSE_BAD;
}

/* The frame at the start of the input, which holds at least a header. */
static enum derp_parse next_in_place(struct derp_reader *r, struct derp_frame *out, bool *again)
{
	struct reader h = reader_of(r->in);
	uint8_t type = read_u8(&h);
	uint32_t len = read_be32(&h);

	*again = false;
	switch (r->take(type, len)) {
	case DERP_TAKE_REFUSE:
		return refuse(r, type, len);
	case DERP_TAKE_SKIP:
		r->in = bytes_from(r->in, DERP_HEADER_LEN);
		r->skip = len;
		*again = true;
		return DERP_PARSE_MORE;
	case DERP_TAKE_KEEP:
		break;
	}
	if (reader_left(&h) < len) {
		(void)hold(r, r->in.n);
		return DERP_PARSE_MORE;
	}
	*out = (struct derp_frame){ type, read_bytes(&h, len) };
	r->in = bytes_from(r->in, DERP_HEADER_LEN + (size_t)len);
	return DERP_PARSE_FRAME;
}

/* Goes on with a frame that began in an earlier feed. */
static enum derp_parse next_held(struct derp_reader *r, struct derp_frame *out, bool *again)
{
	struct reader h;
	uint8_t type;
	uint32_t len;

	*again = false;
	if (!hold(r, DERP_HEADER_LEN))
		return DERP_PARSE_MORE;
	h = reader_of(buf_bytes(&r->held));
	type = read_u8(&h);
	len = read_be32(&h);
	switch (r->take(type, len)) {
	case DERP_TAKE_REFUSE:
		return refuse(r, type, len);
	case DERP_TAKE_SKIP:
		release_held(r);
		r->skip = len;
		*again = true;
		return DERP_PARSE_MORE;
	case DERP_TAKE_KEEP:
		break;
	}
	if (!hold(r, DERP_HEADER_LEN + (size_t)len))
		return DERP_PARSE_MORE;
	*out = (struct derp_frame){ type, bytes_from(buf_bytes(&r->held), DERP_HEADER_LEN) };
	r->held_done = true;
	return DERP_PARSE_FRAME;
}

enum derp_parse derp_reader_next(struct derp_reader *r, struct derp_frame *out)
{
	enum derp_parse ret = DERP_PARSE_MORE;
	bool again = true;

	if (r->bad)
		return DERP_PARSE_BAD;
	if (r->held_done)
		release_held(r);
	while (again) {
		if (!skip(r))
			return DERP_PARSE_MORE;
		if (!r->held.n && r->in.n >= DERP_HEADER_LEN)
			ret = next_in_place(r, out, &again);
		else
			ret = next_held(r, out, &again);
	}
	return ret;
}

/* ---- frames ---- */

void derp_put_header(struct writer *w, uint8_t type, size_t body_len)
{
	write_u8(w, type);
	write_be32(w, (uint32_t)body_len);
}

void derp_put_server_key(struct writer *w, const struct key *server)
{
	derp_put_header(w, DERP_SERVER_KEY, sizeof(magic) + DERP_KEY_LEN);
	write_copy(w, magic, sizeof(magic));
	write_copy(w, server->b, DERP_KEY_LEN);
}

bool derp_get_server_key(struct bytes body, struct key *server)
{
	struct reader r = reader_of(body);
	uint8_t got[sizeof(magic)];

	read_copy(&r, got, sizeof(got));
	read_copy(&r, server->b, DERP_KEY_LEN); /* what follows is for the future */
	return !r.bad && memcmp(got, magic, sizeof(magic)) == 0;
}

void derp_put_packet(struct writer *w, enum derp_type type, const struct key *peer,
		     struct bytes payload)
{
	derp_put_header(w, (uint8_t)type, DERP_KEY_LEN + payload.n);
	write_copy(w, peer->b, DERP_KEY_LEN);
	write_bytes(w, payload);
}

bool derp_get_packet(struct bytes body, struct key *peer, struct bytes *payload)
{
	struct reader r = reader_of(body);

	read_copy(&r, peer->b, DERP_KEY_LEN);
	*payload = read_rest(&r);
	return !r.bad && payload->n <= DERP_PACKET_MAX;
}

void derp_put_forward(struct writer *w, const struct key *src, const struct key *dst,
		      struct bytes payload)
{
	derp_put_header(w, DERP_FORWARD_PACKET, 2 * DERP_KEY_LEN + payload.n);
	write_copy(w, src->b, DERP_KEY_LEN);
	write_copy(w, dst->b, DERP_KEY_LEN);
	write_bytes(w, payload);
}

bool derp_get_forward(struct bytes body, struct key *src, struct key *dst, struct bytes *payload)
{
	struct reader r = reader_of(body);

	read_copy(&r, src->b, DERP_KEY_LEN);
	read_copy(&r, dst->b, DERP_KEY_LEN);
	*payload = read_rest(&r);
	return !r.bad && payload->n <= DERP_PACKET_MAX;
}

void derp_put_empty(struct writer *w, enum derp_type type)
{
	derp_put_header(w, (uint8_t)type, 0);
}

void derp_put_note_preferred(struct writer *w, bool home)
{
	derp_put_header(w, DERP_NOTE_PREFERRED, 1);
	write_u8(w, home);
}

bool derp_get_note_preferred(struct bytes body, bool *home)
{
	struct reader r = reader_of(body);

	*home = read_u8(&r) != 0;
	return !r.bad;
}

void derp_put_peer_gone(struct writer *w, const struct key *peer, uint8_t reason)
{
	derp_put_header(w, DERP_PEER_GONE, DERP_KEY_LEN + 1);
	write_copy(w, peer->b, DERP_KEY_LEN);
	write_u8(w, reason);
}

bool derp_get_peer_gone(struct bytes body, struct key *peer, uint8_t *reason)
{
	struct reader r = reader_of(body);

	read_copy(&r, peer->b, DERP_KEY_LEN);
	/* Servers before 2023 sent no reason; it meant Disconnected. */
	*reason = reader_left(&r) ? read_u8(&r) : DERP_GONE_DISCONNECTED;
	return !r.bad;
}

/*
 * PeerPresent body:
 *
 *   off  len  field
 *     0   32  peer
 *    32   16  its address, IPv4 as ::ffff:a.b.c.d; absent in old servers
 *    48    2  its port
 *    50    1  flags; absent in old servers
 */
void derp_put_peer_present(struct writer *w, const struct key *peer, struct addrport from,
			   uint8_t flags)
{
	struct ip ip = ip_unmap(from.ip);

	derp_put_header(w, DERP_PEER_PRESENT, PRESENT_WITH_ADDR + 1);
	write_copy(w, peer->b, DERP_KEY_LEN);
	if (ip.family == 6) {
		write_copy(w, ip.b, 16);
	} else { /* also for "no address": ::ffff:0.0.0.0 */
		write_zeros(w, 10);
		write_be16(w, 0xffff);
		write_copy(w, ip.b, 4);
	}
	write_be16(w, from.port);
	write_u8(w, flags);
}

bool derp_get_peer_present(struct bytes body, struct derp_present *out)
{
	struct reader r = reader_of(body);
	uint8_t addr[16];

	*out = (struct derp_present){ 0 };
	read_copy(&r, out->peer.b, DERP_KEY_LEN);
	if (reader_left(&r) >= 18) {
		read_copy(&r, addr, sizeof(addr));
		out->from.ip = ip_unmap(ip_v6_of(addr));
		out->from.port = read_be16(&r);
	}
	if (reader_left(&r))
		out->flags = read_u8(&r);
	return !r.bad;
}

void derp_put_close_peer(struct writer *w, const struct key *peer)
{
	derp_put_header(w, DERP_CLOSE_PEER, DERP_KEY_LEN);
	write_copy(w, peer->b, DERP_KEY_LEN);
}

bool derp_get_close_peer(struct bytes body, struct key *peer)
{
	struct reader r = reader_of(body);

	read_copy(&r, peer->b, DERP_KEY_LEN);
	return !r.bad;
}

void derp_put_ping(struct writer *w, enum derp_type type, const uint8_t data[DERP_PING_LEN])
{
	derp_put_header(w, (uint8_t)type, DERP_PING_LEN);
	write_copy(w, data, DERP_PING_LEN);
}

bool derp_get_ping(struct bytes body, uint8_t data[DERP_PING_LEN])
{
	struct reader r = reader_of(body);

	read_copy(&r, data, DERP_PING_LEN); /* longer pings are legal; only 8 bytes come back */
	return !r.bad;
}

void derp_put_health(struct writer *w, const char *problem)
{
	derp_put_header(w, DERP_HEALTH, strlen(problem));
	write_bytes(w, bytes_str(problem));
}

void derp_put_restarting(struct writer *w, uint32_t reconnect_in_ms, uint32_t try_for_ms)
{
	derp_put_header(w, DERP_RESTARTING, 8);
	write_be32(w, reconnect_in_ms);
	write_be32(w, try_for_ms);
}

bool derp_get_restarting(struct bytes body, uint32_t *reconnect_in_ms, uint32_t *try_for_ms)
{
	struct reader r = reader_of(body);

	*reconnect_in_ms = read_be32(&r);
	*try_for_ms = read_be32(&r);
	return !r.bad;
}

bool derp_is_disco(struct bytes payload)
{
	return payload.n >= DERP_DISCO_MIN &&
	       memcmp(payload.p, disco_magic, sizeof(disco_magic)) == 0;
}

/* ---- the greeting ---- */

static void put_sealed(struct writer *w, const struct secret32 *shared, const uint8_t *nonce,
		       struct bytes json)
{
	size_t n = json.n + BOX_OVERHEAD;

	if (w->bad || w->cap - w->n < n) {
		w->bad = true;
		return;
	}
	box_seal(w->p + w->n, shared, nonce, json);
	w->n += n;
}

void derp_put_client_info(struct writer *w, const struct derp_client_info *info,
			  const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN])
{
	char hex[TEXT_HEX_LEN(32) + 1];
	struct json_out o;
	struct buf json;

	buf_init(&json, DERP_CLIENT_INFO_MAX / 2);
	json_out_init(&o, &json);
	json_open_object(&o);
	if (info->has_mesh_key) {
		text_hex(bytes_of(info->mesh_key.b, 32), hex);
		json_key(&o, "meshKey");
		json_put_cstr(&o, hex);
		secret_wipe(hex, sizeof(hex));
	}
	json_key(&o, "version");
	json_put_i64(&o, info->version);
	json_key(&o, "CanAckPings");
	json_put_bool(&o, info->can_ack_pings);
	if (info->is_prober) {
		json_key(&o, "IsProber");
		json_put_bool(&o, true);
	}
	if (info->app[0]) {
		json_key(&o, "AppName");
		json_put_cstr(&o, info->app);
	}
	json_close_object(&o);
	w->bad |= json.bad;
	derp_put_header(w, DERP_CLIENT_INFO, DERP_KEY_LEN + BOX_OVERHEAD + json.n);
	write_copy(w, info->key.b, DERP_KEY_LEN);
	put_sealed(w, shared, nonce, buf_bytes(&json));
	if (json.p)
		secret_wipe(json.p, json.n);
	buf_fini(&json);
}

/* False when a mesh key is there and is not 64 digits: upstream refuses such a client. */
static bool get_mesh_key(const struct json *v, struct derp_client_info *info)
{
	struct bytes text;

	v = json_get_nocase(v, "meshKey");
	if (!v || json_is(v, JSON_NULL))
		return true;
	if (!json_string(v, &text))
		return false;
	if (!text.n)
		return true;
	info->has_mesh_key = text_unhex(text, info->mesh_key.b, 32);
	return info->has_mesh_key;
}

/* Members that nobody knows are ignored: tailscale-rs sends can_ack_pings and the like. */
static bool get_client_json(struct bytes text, struct derp_client_info *info)
{
	struct arena arena;
	struct json *v;
	struct bytes app;
	bool ok;

	arena_init(&arena, 1 << 20);
	v = json_parse(&arena, text, 0, NULL);
	ok = json_is(v, JSON_OBJECT) && get_mesh_key(v, info);
	(void)json_i64(json_get_nocase(v, "version"), &info->version);
	(void)json_bool(json_get_nocase(v, "CanAckPings"), &info->can_ack_pings);
	(void)json_bool(json_get_nocase(v, "IsProber"), &info->is_prober);
	info->knows_restarting = json_is(json_get(v, "CanAckPings"), JSON_BOOL);
	if (json_string(json_get_nocase(v, "AppName"), &app) &&
	    !bytes_to_cstr(app, info->app, sizeof(info->app)))
		info->app[0] = 0;
	arena_fini(&arena);
	return ok;
}

bool derp_get_client_info(struct bytes body, const struct secret32 *server_priv,
			  struct derp_client_info *info, struct secret32 *shared)
{
	struct reader r = reader_of(body);
	struct bytes sealed;
	uint8_t *json;
	bool ok;

	*info = (struct derp_client_info){ 0 };
	read_copy(&r, info->key.b, DERP_KEY_LEN);
	sealed = read_rest(&r);
	if (r.bad || sealed.n < BOX_OVERHEAD || body.n > DERP_CLIENT_INFO_MAX)
		return false;
	if (!box_shared(shared, server_priv, info->key.b))
		return false;
	json = mem_try_alloc(sealed.n);
	ok = json && box_open(json, shared, sealed) &&
	     get_client_json(bytes_of(json, sealed.n - BOX_OVERHEAD), info);
	if (json)
		secret_wipe(json, sealed.n);
	mem_free(json);
	if (!ok)
		secret32_wipe(shared);
	return ok;
}

void derp_put_server_info(struct writer *w, const struct derp_server_info *info,
			  const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN])
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 1024);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "version");
	json_put_i64(&o, info->version);
	if (info->bytes_per_second) {
		json_key(&o, "TokenBucketBytesPerSecond");
		json_put_u64(&o, info->bytes_per_second);
	}
	if (info->burst) {
		json_key(&o, "TokenBucketBytesBurst");
		json_put_u64(&o, info->burst);
	}
	json_close_object(&o);
	w->bad |= json.bad;
	derp_put_header(w, DERP_SERVER_INFO, BOX_OVERHEAD + json.n);
	put_sealed(w, shared, nonce, buf_bytes(&json));
	buf_fini(&json);
}

bool derp_get_server_info(struct bytes body, const struct secret32 *shared,
			  struct derp_server_info *info)
{
	struct arena arena;
	const struct json *v = NULL;
	uint8_t *text;
	bool ok;

	*info = (struct derp_server_info){ 0 };
	if (body.n < BOX_OVERHEAD || body.n > INFO_JSON_MAX)
		return false;
	text = mem_try_alloc(body.n);
	arena_init(&arena, 1 << 20);
	if (text && box_open(text, shared, body))
		v = json_parse(&arena, bytes_of(text, body.n - BOX_OVERHEAD), 0, NULL);
	ok = json_is(v, JSON_OBJECT);
	(void)json_i64(json_get_nocase(v, "version"), &info->version);
	(void)json_u64(json_get_nocase(v, "TokenBucketBytesPerSecond"), &info->bytes_per_second);
	(void)json_u64(json_get_nocase(v, "TokenBucketBytesBurst"), &info->burst);
	arena_fini(&arena);
	mem_free(text);
	return ok;
}
