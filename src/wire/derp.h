/*
 * wire/derp.h - DERP frames, both directions (upstream: derp/derp.go).
 *
 *   frame = type u8, length be32 of what follows, body
 *
 * Encoders append a whole frame to a writer; decoders take a body. The stream parser keeps only
 * what is incomplete and checks an announced length before it waits for the body.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/box.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"

enum {
	DERP_VERSION = 2,
	DERP_HEADER_LEN = 5,
	DERP_KEY_LEN = 32,
	DERP_PACKET_MAX = 64 << 10,
	DERP_FRAME_MAX = 1 << 20,        /* what a client takes, and what anyone skips */
	DERP_CLIENT_INFO_MAX = 16 << 10, /* upstream: 256 KiB; no client sends more than 1 KiB */
	DERP_CLIENT_INFO_MIN = DERP_KEY_LEN + BOX_NONCE_LEN,
	DERP_GREETING_MAX = 1024,
	DERP_PING_LEN = 8,
	DERP_PING_MAX = 1000,
	DERP_APP_MAX = 64,
	/* The longest frame that an encoder below writes. */
	DERP_FRAME_OUT_MAX = DERP_HEADER_LEN + 2 * DERP_KEY_LEN + DERP_PACKET_MAX,
	DERP_DISCO_MIN = 62, /* magic, sender's key, nonce */
};

enum derp_type {
	DERP_SERVER_KEY = 0x01,
	DERP_CLIENT_INFO = 0x02,
	DERP_SERVER_INFO = 0x03,
	DERP_SEND_PACKET = 0x04,
	DERP_RECV_PACKET = 0x05,
	DERP_KEEP_ALIVE = 0x06,
	DERP_NOTE_PREFERRED = 0x07,
	DERP_PEER_GONE = 0x08,
	DERP_PEER_PRESENT = 0x09,
	DERP_FORWARD_PACKET = 0x0a,
	DERP_WATCH_CONNS = 0x10,
	DERP_CLOSE_PEER = 0x11,
	DERP_PING = 0x12,
	DERP_PONG = 0x13,
	DERP_HEALTH = 0x14,
	DERP_RESTARTING = 0x15,
};

enum derp_gone {
	DERP_GONE_DISCONNECTED = 0,
	DERP_GONE_NOT_HERE = 1,
	DERP_GONE_MESH_BROKEN = 0xf0, /* made by a client library, never on the wire */
};

enum derp_present_flag {
	DERP_PRESENT_REGULAR = 1,
	DERP_PRESENT_MESH = 2,
	DERP_PRESENT_PROBER = 4,
	DERP_PRESENT_NOT_IDEAL = 8,
};

const char *derp_type_name(uint8_t type); /* "SendPacket", or "unknown" */

/* ---- the stream ---- */

struct derp_frame {
	uint8_t type;
	struct bytes body;
};

enum derp_take {
	DERP_TAKE_KEEP,
	DERP_TAKE_SKIP,   /* read and thrown away, never held */
	DERP_TAKE_REFUSE, /* too long or too short: the connection cannot go on */
};

/* What each side makes of an announced frame. Unknown types are skipped as upstream does. */
enum derp_take derp_take_by_server(uint8_t type, uint32_t len);
enum derp_take derp_take_by_client(uint8_t type, uint32_t len);

enum derp_parse { DERP_PARSE_FRAME, DERP_PARSE_MORE, DERP_PARSE_BAD };

struct derp_reader {
	enum derp_take (*take)(uint8_t type, uint32_t len);
	struct buf held; /* an incomplete frame from its first byte */
	struct bytes in; /* borrowed: what was fed and is not yet parsed */
	size_t skip;
	uint8_t bad_type; /* why DERP_PARSE_BAD: the announced type and length */
	uint32_t bad_len;
	bool held_done, bad;
};

void derp_reader_init(struct derp_reader *r, enum derp_take (*take)(uint8_t type, uint32_t len));
void derp_reader_fini(struct derp_reader *r);
/* Feed once, then call next until it does not say FRAME; data must live that long. */
void derp_reader_feed(struct derp_reader *r, struct bytes data);
/* The body is valid until the next call. */
enum derp_parse derp_reader_next(struct derp_reader *r, struct derp_frame *out);
/* What was fed and not parsed, when the owner stops in the middle. Held bytes are not in it. */
struct bytes derp_reader_rest(const struct derp_reader *r);

/* ---- frames ---- */

void derp_put_header(struct writer *w, uint8_t type, size_t body_len);
void derp_put_server_key(struct writer *w, const struct key *server);
void derp_put_packet(struct writer *w, enum derp_type type, const struct key *peer,
		     struct bytes payload); /* SendPacket or RecvPacket */
void derp_put_forward(struct writer *w, const struct key *src, const struct key *dst,
		      struct bytes payload);
void derp_put_empty(struct writer *w, enum derp_type type); /* KeepAlive, WatchConns */
void derp_put_note_preferred(struct writer *w, bool home);
void derp_put_peer_gone(struct writer *w, const struct key *peer, uint8_t reason);
void derp_put_peer_present(struct writer *w, const struct key *peer, struct addrport from,
			   uint8_t flags);
void derp_put_close_peer(struct writer *w, const struct key *peer);
void derp_put_ping(struct writer *w, enum derp_type type, const uint8_t data[DERP_PING_LEN]);
void derp_put_health(struct writer *w, const char *problem);
void derp_put_restarting(struct writer *w, uint32_t reconnect_in_ms, uint32_t try_for_ms);

struct derp_present {
	struct key peer;
	struct addrport from; /* family 0 when not given */
	uint8_t flags;
};

bool derp_get_server_key(struct bytes body, struct key *server);
bool derp_get_packet(struct bytes body, struct key *peer, struct bytes *payload);
bool derp_get_forward(struct bytes body, struct key *src, struct key *dst, struct bytes *payload);
bool derp_get_note_preferred(struct bytes body, bool *home);
bool derp_get_peer_gone(struct bytes body, struct key *peer, uint8_t *reason);
bool derp_get_peer_present(struct bytes body, struct derp_present *out);
bool derp_get_close_peer(struct bytes body, struct key *peer);
bool derp_get_ping(struct bytes body, uint8_t data[DERP_PING_LEN]);
bool derp_get_restarting(struct bytes body, uint32_t *reconnect_in_ms, uint32_t *try_for_ms);

/* ---- the greeting, sealed with the box of client and server key ---- */

struct derp_client_info {
	struct key key; /* proven by the box */
	struct secret32 mesh_key;
	bool has_mesh_key;
	int64_t version;
	bool can_ack_pings, is_prober;
	/* Knows the Restarting frame: said so, or wrote CanAckPings as upstream's Go client does.
	 */
	bool knows_restarting;
	char app[DERP_APP_MAX];
};

struct derp_server_info {
	int64_t version;
	uint64_t bytes_per_second, burst; /* 0: no limit */
};

/* Appends the whole frame; w->bad when it does not fit. shared: box of both keys. */
void derp_put_client_info(struct writer *w, const struct derp_client_info *info,
			  const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN]);
/* shared is written on success and wiped by the caller. */
bool derp_get_client_info(struct bytes body, const struct secret32 *server_priv,
			  struct derp_client_info *info, struct secret32 *shared);
void derp_put_server_info(struct writer *w, const struct derp_server_info *info,
			  const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN]);
bool derp_get_server_info(struct bytes body, const struct secret32 *shared,
			  struct derp_server_info *info);

/* Path discovery rides on relays before anything else works, so queues treat it apart. */
bool derp_is_disco(struct bytes payload);
