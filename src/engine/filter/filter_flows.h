/* engine/filter/filter_flows.h - UDP and SCTP flows we opened; inside the engine only. */
#pragma once

#include <stdbool.h>

#include "engine/filter/filter.h"

/* Remembers that answers to this outbound packet are welcome. */
void flows_note(struct filter_flows *t, const struct ippkt *outbound);
bool flows_expects(struct filter_flows *t, const struct ippkt *inbound);
