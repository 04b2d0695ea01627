/*
 * part/noise_stream.h - the control protocol's Noise channel as a stream filter: engine/ts2021
 * joined to io/stream. HTTP/2 runs on top of it as it runs over TLS.
 */
#pragma once

#include "base/bytes.h"

struct key;
struct stream;
struct ts2021;

/*
 * The node's end. Takes below, the upgraded stream, and t, whose initiation went out in the upgrade
 * request. on_early (may be NULL) gets the JSON of the early payload when the server sends one.
 */
struct stream *noise_stream_client(struct stream *below, struct ts2021 *t,
				   void (*on_early)(void *arg, struct bytes json), void *arg);

/* The server's end. Takes below and t; the response and the early payload leave in one write. */
struct stream *noise_stream_server(struct stream *below, struct ts2021 *t, struct bytes early_json);

/* The channel in the stack under s (for the version and the machine key), or NULL. */
const struct ts2021 *noise_stream_channel(struct stream *s);
