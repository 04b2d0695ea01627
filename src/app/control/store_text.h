/* app/control/store_text.h - small lists as one column: words with a space between. */
#pragma once

#include "base/bytes.h"

struct prefix_set;
struct text_set;
struct tn_node;

void store_text_tags(const struct text_set *set, struct buf *out);
void store_text_prefixes(const struct prefix_set *set, struct buf *out);
void store_text_endpoints(const struct tn_node *n, struct buf *out);
/* What does not parse is left out: it is our own writing. */
void store_read_tags(struct text_set *set, struct bytes text);
void store_read_prefixes(struct prefix_set *set, struct bytes text);
void store_read_endpoints(struct tn_node *n, struct bytes text);
