#include "app/control/derpmap.h"

#include <stdio.h>

#include "app/control/config.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/file.h"
#include "wire/tailcfg_derp.h"

static int check_region(const struct id_object *entry, struct err *err)
{
	const struct tailcfg_derp_region *r = entry->object;
	long long id = entry->id;

	if (!r)
		return err_set(err, ERR_USAGE, "region %lld is null", id);
	if (r->region_id != entry->id)
		return err_set(err, ERR_USAGE, "region %lld has the RegionID %lld", id,
			       (long long)r->region_id);
	if (id <= 0 || id > DERPMAP_REGION_MAX)
		return err_set(err, ERR_USAGE, "region %lld: ids go from 1 to %d", id,
			       DERPMAP_REGION_MAX);
	for (size_t i = 0; i < r->nodes.n; i++)
		if (r->nodes.v[i].region_id != entry->id || !r->nodes.v[i].host_name.n)
			return err_set(err, ERR_USAGE,
				       "region %lld: node %zu has another RegionID or no HostName",
				       id, i + 1);
	return 0;
}

static int read_file(const char *path, struct tailcfg_derp_map *map, struct arena *arena,
		     struct err *err)
{
	struct bytes text;
	struct buf file;
	int ret;

	if (file_read(path, DERPMAP_MAX, &file, err) < 0)
		return -1;
	text = arena_bytes(arena, buf_bytes(&file));
	buf_fini(&file);
	ret = schema_decode(map, &tailcfg_derp_map_schema, arena, text, err);
	for (size_t i = 0; ret == 0 && i < map->regions.n; i++)
		ret = check_region(&map->regions.v[i], err);
	if (ret == 0 && !map->regions.n)
		ret = err_set(err, ERR_USAGE, "no regions");
	return ret < 0 ? err_wrap(err, "%s", path) : 0;
}

static uint16_t port_of_url(const char *url, bool tls)
{
	const char *colon = strrchr(url + (tls ? 8 : 7), ':');
	uint64_t port;

	if (colon && text_u64(bytes_str(colon + 1), 65535, &port))
		return (uint16_t)port;
	return tls ? 443 : 80;
}

/* What our own relay looks like from outside: the same host and port as the server. */
static struct tailcfg_derp_region *own_region(const struct config *conf, const char *pin,
					      struct arena *arena)
{
	bool tls = bytes_has_prefix(bytes_str(conf->server_url), "https://");
	struct tailcfg_derp_region *r = arena_alloc(arena, sizeof(*r));
	struct tailcfg_derp_node *n = arena_alloc(arena, sizeof(*n));
	struct ip ip;

	*n = (struct tailcfg_derp_node){
		.name = bytes_str("900a"),
		.region_id = DERPMAP_OWN_REGION,
		.host_name = bytes_str(conf->relay_host),
		.derp_port = port_of_url(conf->server_url, tls),
		.stun_port = conf->stun_port ? conf->stun_port : -1,
		.cert_name = bytes_str(pin),
	};
	if (ip_parse(&ip, n->host_name) && ip.family == 4)
		n->ipv4 = n->host_name;
	*r = (struct tailcfg_derp_region){
		.region_id = DERPMAP_OWN_REGION,
		.region_code = bytes_str("weft"),
		.region_name = bytes_str("Weft"),
		.nodes = { n, 1, true },
	};
	return r;
}

int derpmap_build(const struct config *conf, const char *pin, struct buf *out, struct err *err)
{
	struct tailcfg_derp_map map = { 0 };
	struct id_object *regions;
	struct json_out o;
	struct arena arena;
	int ret = 0;

	buf_init(out, DERPMAP_MAX);
	arena_init(&arena, 4 * DERPMAP_MAX);
	if (conf->derp_map[0])
		ret = read_file(conf->derp_map, &map, &arena, err);
	if (ret == 0 && conf->relay) {
		regions = arena_array(&arena, map.regions.n + 1, sizeof(*regions));
		for (size_t i = 0; i < map.regions.n; i++)
			regions[i] = map.regions.v[i];
		regions[map.regions.n] =
		    (struct id_object){ DERPMAP_OWN_REGION, own_region(conf, pin, &arena) };
		map.regions = (struct id_object_list){ regions, map.regions.n + 1, true };
	}
	map.regions.set = true;
	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_derp_map_schema, &map);
	arena_fini(&arena);
	return ret;
}
