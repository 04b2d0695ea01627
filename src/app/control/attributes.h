/*
 * app/control/attributes.h - custom posture attributes of a node: "custom:tier" and the like, set
 * through the API, some with an end. Kept as one JSON text per node, usable in policies.
 */
#pragma once

#include <stdbool.h>

#include "base/wall.h"

struct err;
struct json;
struct json_out;
struct tn_node;

enum { ATTRIBUTES_MAX = 64, ATTRIBUTE_KEY_MAX = 128, ATTRIBUTE_TEXT_MAX = 256 };

/* changes: {"custom:key": {"value": ..., "expiry": time} or null}. Nothing changes on an error. */
int attributes_merge(struct tn_node *n, const struct json *changes, struct wall now,
		     struct err *err);
/* Takes out what has ended; true when something did. */
bool attributes_prune(struct tn_node *n, struct wall now);
/* "attributes": {...}, "expiries": {...} */
void attributes_put(const struct tn_node *n, struct json_out *o);
/* After loading: when the first one ends. */
void attributes_restore(struct tn_node *n);
