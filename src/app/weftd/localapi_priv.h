/* app/weftd/localapi_priv.h - shared by the files localapi*.c. */
#pragma once

#include <sys/types.h>

#include "app/weftd/localapi.h"
#include "base/json.h"
#include "io/httpd.h"
#include "node/node.h"

struct tailcfg_node;
struct tcp_listener;

enum { LOCALAPI_BODY_MAX = 1 << 20, LOCALAPI_REPLY_MAX = 256 << 20, LOCALAPI_CAP = 117 };

struct localapi {
	struct loop *loop;
	struct node *node;
	struct log log;
	struct httpd *httpd;
	struct tcp_listener *listener;
	struct list watchers;
};

struct client { /* one connection */
	uid_t uid;
	bool known;
};

typedef void localapi_handler(struct localapi *a, struct http_exchange *x,
			      const struct http_request *req);

void localapi_reply_json(struct http_exchange *x, unsigned status,
			 struct buf *json); /* ends json */
void localapi_reply_error(struct http_exchange *x, unsigned status, const char *text);

/* JSON documents, appended. */
void localapi_status(const struct node *n, bool with_peers, struct json_out *o);
void localapi_prefs(const struct node *n, struct json_out *o);
void localapi_user_profile(const struct node *n, int64_t id, struct json_out *o);

localapi_handler localapi_explain, localapi_profiles;
localapi_handler localapi_whois, localapi_ping, localapi_watch;
localapi_handler localapi_check_forwarding, localapi_suggest_exit, localapi_netcheck;
localapi_handler localapi_dns_query, localapi_dns_osconfig, localapi_dns_status;
void localapi_drop_watchers(struct localapi *a);
