/*
 * app/relay/relay_mesh.h - links to the other relays of the region, dialed again when lost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/secret.h"

struct derp_server;
struct json_out;
struct log;
struct loop;
struct relay_mesh;
struct tls_ctx;

struct relay_mesh_conf {
	struct loop *loop;
	struct derp_server *server;
	const struct secret32 *private_key, *mesh_key; /* copied */
	struct tls_ctx *tls;                           /* NULL: plain */
	const struct log *log;
};

struct relay_mesh *relay_mesh_create(const struct relay_mesh_conf *conf);
void relay_mesh_destroy(struct relay_mesh *m);
void relay_mesh_add(struct relay_mesh *m, const char *host, uint16_t port);
struct relay_mesh_link {
	const char *host;
	uint16_t port;
	bool up;
	const char *why_down; /* "" when it is not known */
};
/* The i-th link; false past the last. m may be NULL. */
bool relay_mesh_link(const struct relay_mesh *m, size_t i, struct relay_mesh_link *out);
void relay_mesh_status(const struct relay_mesh *m, struct json_out *o); /* an array */
