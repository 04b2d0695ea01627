/*
 * node/relays.h - the connections to DERP relays: home always, others while they are needed.
 *
 * A packet for a peer goes to the relay the peer lives at; when we have no connection there but the
 * peer reached us lately through another one, that one is used. Rules: upstream
 * wgengine/magicsock/derp.go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/log.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"

struct loop;
struct relays;
struct tailcfg_derp_map;

struct relays_conf {
	struct secret32 node_key;
	struct log log;
	bool (*on_socket)(void *arg, int fd); /* before connecting; or NULL */
	void (*on_packet)(void *arg, int region, const struct key *from, struct bytes pkt);
	void (*on_change)(void *arg); /* a connection came up or went down */
	void *arg;
};

struct relays *relays_create(struct loop *loop, const struct relays_conf *conf);
void relays_destroy(struct relays *r);
/* Copies what it needs; connections to regions that changed or vanished are closed. */
void relays_set_map(struct relays *r, const struct tailcfg_derp_map *map);
void relays_set_home(struct relays *r, int region); /* 0: none */
int relays_home(const struct relays *r);
/* Dials when it must; the packet waits. False when it was dropped. */
bool relays_send(struct relays *r, int region, const struct key *to, struct bytes pkt);
/* The network changed: is anybody still there? */
void relays_check(struct relays *r);
bool relays_is_up(const struct relays *r, int region);
size_t relays_up_count(const struct relays *r);
int64_t relays_heard_ms(const struct relays *r, int region);    /* ago; -1: never */
const char *relays_problem(const struct relays *r, int region); /* why it is down; "" */
