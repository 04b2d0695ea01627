/* app/tunnel/uapi_socket.h - /var/run/wireguard/NAME.sock: where `wg` finds an interface. */
#pragma once

#include <poll.h>
#include <stdbool.h>

struct device;
struct err;
struct uapi_socket;

#define UAPI_FOLDER "/var/run/wireguard" /* is there before a socket is made */

enum { UAPI_CLIENTS_MAX = 8, UAPI_POLL_MAX = 1 + UAPI_CLIENTS_MAX };

/* Replaces a socket that nobody listens on; refuses one that is in use. */
struct uapi_socket *uapi_socket_create(struct device *d, const char *name, struct err *err);
void uapi_socket_destroy(struct uapi_socket *u); /* removes it; NULL: no-op */
/* What to poll for, and what to do when poll() is back. */
int uapi_socket_fds(struct uapi_socket *u, struct pollfd fds[UAPI_POLL_MAX]);
void uapi_socket_serve(struct uapi_socket *u, const struct pollfd *fds, int n);
