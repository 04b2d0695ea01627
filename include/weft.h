/*
 * weft.h - a node of a tailnet inside your process: no TUN device, no root, no other process.
 *
 *   struct weft *w = weft_new();
 *   weft_set_state_dir(w, "/var/lib/myapp/weft");
 *   weft_set_control_url(w, "https://control.example.com");
 *   weft_set_auth_key(w, getenv("WEFT_AUTH_KEY"));
 *   if (weft_up(w, 30000) < 0)
 *           weft_error(w, why, sizeof(why));
 *   int fd = weft_packet_fd(w);      raw IP packets, one per read() and write()
 *   ...
 *   weft_free(w);
 *
 * What is here: login, the network map, identities, and encrypted IP packets to and from peers as
 * the tailnet's policy allows. What is not here yet: a TCP/IP stack of its own. You bring packets
 * or a stack (lwIP, smoltcp, gVisor); dialling and listening by name follow in a later version.
 *
 * Every function may be called from any thread; nobody may use a node after weft_free() began, but
 * for a weft_up() that is waiting already. Functions return 0, or -1 with a sentence from
 * weft_error(). Each node has threads of its own with all signals blocked. Nothing is printed, no
 * signal handler is set, no state is global: a process may hold nodes of several tailnets.
 */
#ifndef WEFT_H
#define WEFT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#else
#define WEFT_API
#endif

struct weft;

WEFT_API const char *weft_version(void);

/* Never fails. */
WEFT_API struct weft *weft_new(void);
/* Stops and forgets the node; an ephemeral one is removed from its tailnet by the server later.
 * A weft_up() that waits in another thread fails first. NULL is a no-op. */
WEFT_API void weft_free(struct weft *w);

/* ---- before weft_start() or weft_up(); texts are copied ---- */

WEFT_API int weft_set_state_dir(struct weft *w, const char *dir); /* required; keys live there */
WEFT_API int weft_set_control_url(struct weft *w,
				  const char *url); /* default: the hosted service */
WEFT_API int weft_set_auth_key(struct weft *w, const char *key);
WEFT_API int weft_set_hostname(struct weft *w, const char *name); /* default: the system's */
WEFT_API int weft_set_ephemeral(struct weft *w, int on);
WEFT_API int weft_set_ca_file(struct weft *w, const char *file); /* for the control server */
WEFT_API int weft_set_port(struct weft *w, unsigned short port); /* UDP; default 0: any */
WEFT_API int weft_set_log_fd(struct weft *w, int fd); /* default -1: no log; stays yours */

/* ---- running ---- */

WEFT_API int weft_start(struct weft *w); /* goes on in the background */
/* Starts if need be and waits until the node is in its network. timeout_ms < 0: for ever. When a
 * person has to log in, the error says where. */
WEFT_API int weft_up(struct weft *w, int timeout_ms);

/* "NoState", "NeedsLogin", "NeedsMachineAuth", "Stopped", "Starting", "Running". */
WEFT_API const char *weft_state(struct weft *w);
/* The page where a person logs this node in; "" when none is needed. */
WEFT_API int weft_login_url(struct weft *w, char *buf, size_t size);
/* "100.64.0.1,fd7a:115c:a1e0::1" */
WEFT_API int weft_addresses(struct weft *w, char *buf, size_t size);
/* Addresses of a peer, by its name ("db") or full name ("db.example.ts.net"). */
WEFT_API int weft_lookup(struct weft *w, const char *name, char *buf, size_t size);
/* Who has this address: the node's full name and its user's login name, or its first tag. */
WEFT_API int weft_whois(struct weft *w, const char *address, char *node, size_t node_size,
			char *user, size_t user_size);

/*
 * A descriptor that carries one raw IP packet per message, from 20 to 1280 bytes: what you write
 * goes to the peer that owns the destination address, what you read came from peers and passed
 * the filter. Non-blocking; poll() works. It belongs to the node: do not close it. Packets that
 * nobody reads in time are dropped, as on any network.
 */
WEFT_API int weft_packet_fd(struct weft *w);

/* Why the call of yours that failed last did so. */
WEFT_API int weft_error(struct weft *w, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
