/* io/http_events.h - server-sent events: a streamed answer that a browser's EventSource reads. */
#pragma once

#include "base/bytes.h"

struct http_exchange;

void http_events_start(struct http_exchange *x);
/* event and id may be NULL; they hold no line ends. data may have many lines. */
void http_events_send(struct http_exchange *x, const char *event, const char *id,
		      struct bytes data);
/* A comment: keeps proxies from closing a quiet stream. */
void http_events_ping(struct http_exchange *x);
