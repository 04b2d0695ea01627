/*
 * app/tunnel/conf.h - a wg-quick file, read whole or refused with the line that is wrong.
 *
 * [Interface] PrivateKey ListenPort FwMark Address MTU Table
 * [Peer]      PublicKey PresharedKey AllowedIPs Endpoint PersistentKeepalive
 *
 * Keys are matched without regard to case, '#' starts a comment. What runs commands (PreUp and so
 * on), changes the resolver (DNS) or writes the file back (SaveConfig) is refused by name: ignoring
 * it would bring up a tunnel that is not what its file says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"

struct err;

enum {
	TUNNEL_FILE_MAX = 16 << 20,
	TUNNEL_ADDRESSES_MAX = 64,
	TUNNEL_ENDPOINT_MAX = 280, /* host name, colon, port */
	TUNNEL_TABLE_AUTO = -1,
	TUNNEL_TABLE_OFF = -2,
};

struct tunnel_peer_conf {
	struct key public_key;
	struct secret32 psk;                /* zero: none */
	char endpoint[TUNNEL_ENDPOINT_MAX]; /* "", "1.2.3.4:5", "[::1]:5", "host:5" */
	uint16_t keepalive_s;
	struct prefix *allowed;
	size_t allowed_count, allowed_cap;
	unsigned line; /* of its [Peer] */
};

struct tunnel_conf {
	struct secret32 private_key;
	uint16_t listen_port; /* 0: any */
	uint32_t fwmark;
	unsigned mtu;  /* 0: not said */
	int64_t table; /* a number, TUNNEL_TABLE_AUTO or TUNNEL_TABLE_OFF */
	struct prefix addresses[TUNNEL_ADDRESSES_MAX];
	size_t address_count;
	bool default4, default6; /* some peer is allowed 0.0.0.0/0, ::/0 */
	struct tunnel_peer_conf *peers;
	size_t peer_count, peer_cap;
};

/* name is for messages: "wg0.conf:3: ListenPort: ...". *conf is initialised either way. */
int tunnel_conf_parse(struct tunnel_conf *conf, const char *name, struct bytes text,
		      struct err *err);
/* Once they are configured: they take more memory than the device needs for them, and hold keys. */
void tunnel_conf_forget_peers(struct tunnel_conf *conf);
void tunnel_conf_fini(struct tunnel_conf *conf); /* wipes the keys */

/* 32 bytes from base64 or, for UAPI, from hex. */
bool tunnel_key_base64(struct bytes text, uint8_t out[32]);
