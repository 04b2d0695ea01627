/* app/relay/relay_numbers.h - everything the relay counts, as Prometheus text and as JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct derp_server;
struct relay_admission;
struct relay_mesh;
struct relay_report;
struct stun_server;

struct relay_numbers {
	const struct derp_server *derp; /* any of them: whose key it is, and since when */
	const struct relay_report *report;
	const struct relay_admission *admission;
	const struct relay_mesh *mesh; /* NULL: none */
	struct stun_server *const *stun;
	size_t stun_count;
};

void relay_numbers_metrics(const struct relay_numbers *n, struct buf *out);
/* The region for a person: this relay, the others it has links to, what was dropped and why. */
void relay_numbers_page(const struct relay_numbers *n, struct buf *out);
/* With clients when the report has them. */
void relay_numbers_status(const struct relay_numbers *n, struct buf *out, bool clients);
