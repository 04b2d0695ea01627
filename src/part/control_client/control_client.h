/*
 * part/control_client/control_client.h - a node's side of the control protocol.
 *
 *   key fetch -> dial race 80/443 -> Noise -> HTTP/2 -> register -> map stream, lite updates
 *
 * It runs until it is destroyed and starts over with growing pauses whenever something breaks. What
 * it learns comes up through callbacks; inside them every call below is allowed, destroying too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"

struct control_client;
struct err;
struct loop;
struct stream;
struct tailcfg_map_response;
struct tailcfg_register_response;
struct ts2021;

/*
 * The capability version we announce: what a server may send us, not what we can do best. 117 is
 * the highest whose duties all hold: named filters, `cap:` sources, HomeDERP as a number,
 * NoMeasureNoHome, DisplayMessages. From 119 on servers rank exit nodes by our say, from 120 on
 * peers expect us to speak to UDP relays; we do neither yet.
 */
enum { CONTROL_CAPVER = 117 };

enum control_state {
	CONTROL_IDLE,        /* paused, or nobody asked for a login */
	CONTROL_CONNECTING,  /* no channel yet, or it broke */
	CONTROL_REGISTERING, /* asking who we are */
	CONTROL_WAITING,     /* for a person who follows the login URL */
	CONTROL_POLLING,     /* logged in, waiting for the map */
	CONTROL_STREAMING,   /* the map stream is up */
};
const char *control_state_name(enum control_state s);

struct control_keys {
	struct secret32 node, old_node; /* zero: none */
};

struct control_client_conf {
	const char *url;     /* http:// or https:// */
	const char *ca_file; /* for the key fetch; NULL: the system's */
	struct secret32 machine;
	struct control_keys keys;
	struct key nl_key; /* public half of the tailnet lock key */
	struct rng rng;
	struct log log;
	bool ephemeral;
	/* Noise over a stream: takes both (part/noise_stream). */
	struct stream *(*noise)(struct stream *below, struct ts2021 *channel);
	/* Before each connect: to mark the socket. May be NULL. */
	bool (*on_socket)(void *arg, int fd);
	void (*on_state)(void *arg, enum control_state state);
	/* What to show to the user: a login URL ("" when it is settled), or what went wrong. */
	void (*on_auth_url)(void *arg, const char *url);
	void (*on_error)(void *arg, const char *text);
	/* The new keys must be on disk when this returns. */
	void (*on_login)(void *arg, const struct control_keys *keys,
			 const struct tailcfg_register_response *who);
	/* -1 ends the stream, with what err says. */
	int (*on_map)(void *arg, bool first, const struct tailcfg_map_response *frame,
		      struct err *err);
	void (*on_logout)(void *arg, const struct err *err); /* ERR_NONE: the server knows it */
	void *arg;
};

/* Copies conf. Idle until control_client_login(). */
struct control_client *
control_client_create(struct loop *loop, const struct control_client_conf *conf, struct err *err);
void control_client_destroy(struct control_client *c);

enum control_login_flags {
	CONTROL_LOGIN_NEW_KEY = 1, /* a person asked for it, or the saved key ran out */
};
/* auth_key may be NULL. With saved keys and no flag: the refresh that every start begins with. */
void control_client_login(struct control_client *c, unsigned flags, const char *auth_key);
/* Tells the server, then on_logout; the node key is forgotten here either way. */
void control_client_logout(struct control_client *c);
/* Paused: no map stream, so control sees us offline. */
void control_client_pause(struct control_client *c, bool paused);
/* The network changed: forget the channel and all waiting, start over now. */
void control_client_kick(struct control_client *c);

/* What we say about ourselves; a change goes out as a lite update once we are logged in. */
void control_client_set_hostinfo(struct control_client *c, struct bytes json);
struct control_endpoint {
	struct addrport at;
	uint8_t type; /* as tailcfg.EndpointType: 1 local, 2 stun, 3 portmapped, 4, 5 */
};
enum { CONTROL_ENDPOINTS_MAX = 32 };
void control_client_set_endpoints(struct control_client *c, const struct key *disco,
				  const struct control_endpoint *endpoints, size_t n);

enum control_state control_client_state(const struct control_client *c);
