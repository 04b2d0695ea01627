/* part/control_client/control_c2n.h - requests that control makes of a node; pure. */
#pragma once

#include "base/bytes.h"

/* payload: a textual HTTP/1.x request. Appends the textual response to out. */
void control_c2n_answer(struct bytes payload, struct buf *out);
