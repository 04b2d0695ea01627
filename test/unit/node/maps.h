/* Maps and preferences from short texts, for tests of what is made of them. */
#pragma once

#include "node/netmap.h"
#include "node/prefs.h"

struct lan;

#define MAPS_NOW ((struct wall){ 1770000000LL * 1000000000 })

/* A map of our node 1 (100.64.0.1, fd7a:115c:a1e0::1) with these members added to it, and peers. */
struct netmap *maps_make(const char *self, const char *peers);
/* One peer: id is 2..9; rest begins with a comma. Key, addresses, disco key and home are there. */
#define MAPS_PEER(id, allowed, rest)                                                               \
	"{\"ID\":" #id ",\"StableID\":\"n" #id "\",\"Name\":\"p" #id ".tail.net.\",\"User\":7,"    \
	"\"Key\":\"nodekey:" MAPS_HEX(id) "\",\"DiscoKey\":\"discokey:" MAPS_HEX(                  \
	    id) "\",\"HomeDERP\":1,\"Addresses\":[\"100.64.0." #id "/32\",\"fd7a:115c:a1e0::" #id  \
		"/128\"],\"AllowedIPs\":[\"100.64.0." #id "/32\",\"fd7a:115c:a1e0::" #id           \
		"/128\"" allowed "]" rest "}"
#define MAPS_8(id) #id #id #id #id #id #id #id #id
#define MAPS_HEX(id)                                                                               \
	MAPS_8(id) MAPS_8(id) MAPS_8(id) MAPS_8(id) MAPS_8(id) MAPS_8(id) MAPS_8(id) MAPS_8(id)

struct prefs *maps_prefs(const char *json);
struct prefix maps_prefix(const char *text);
/* "192.168.1.7/24 10.0.0.1/8" */
void maps_lan(struct lan *lan, const char *addresses);
