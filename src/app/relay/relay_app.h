/* app/relay/relay_app.h - the relay as a program runs it: listeners, admission, mesh, numbers. */
#pragma once

#include "app/relay/relay_options.h"

struct err;

/* Until SIGTERM or SIGINT, and until the clients have moved away. */
int relay_app_run(const struct relay_options *o, struct err *err);
