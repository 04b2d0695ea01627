/*
 * io/websocket.h - the server's end of a WebSocket (RFC 6455) as a stream of bytes.
 *
 * Binary messages are joined, their boundaries mean nothing; what is sent leaves as binary
 * messages. Pings are answered here. A text message or a broken frame ends the stream. No
 * compression.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct stream;

enum { WEBSOCKET_ACCEPT_MAX = 32 };

/* The answer to Sec-WebSocket-Key; false when the key is none. */
bool websocket_accept(struct bytes key, char out[WEBSOCKET_ACCEPT_MAX]);
/* Takes below, which has just been upgraded. */
struct stream *websocket_server(struct stream *below);
