/*
 * app/control/mapstream.h - one open map poll: frames, compression, keep-alives, back-pressure
 * around a mapview.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/list.h"

struct control;
struct http_exchange;
struct mapstream;
struct tailcfg_map_request;
struct tn_node;

/* Takes x: the first frame leaves now. Older streams of the node end after it. */
void mapstream_open(struct control *c, struct tn_node *n, struct http_exchange *x,
		    const struct tailcfg_map_request *r);
/* One whole frame and the end. */
void mapstream_once(struct control *c, struct tn_node *n, struct http_exchange *x,
		    const struct tailcfg_map_request *r);
/*
 * The poll of a key that nobody knows, such as a deleted node's: an expired self node makes the
 * daemon ask for a login; a status would only make it poll for ever. Stays open, says no more.
 */
void mapstream_unknown(struct control *c, struct http_exchange *x,
		       const struct tailcfg_map_request *r);
/* For the owner of the node's list of streams. */
struct mapstream *mapstream_of(struct list *node_link);
struct mapview *mapstream_view(struct mapstream *s);
void mapstream_due(struct mapstream *s);    /* the view has something to say, soon */
void mapstream_urgent(struct mapstream *s); /* before what is only due */
void mapstream_flush(struct mapstream *s);  /* says it */
void mapstream_flush_urgent(struct mapstream *s);
struct mapstream *mapstream_of_due(struct list *due_link);
struct mapstream *mapstream_of_urgent(struct list *urgent_link);
/* A frame of its own, now, ahead of what is due. False: the reader is gone or far behind. */
bool mapstream_send(struct mapstream *s, struct buf *json);
void mapstream_goodbye(struct mapstream *s); /* last frame, end; s is gone */
void mapstream_end(struct mapstream *s);     /* s is gone */
