#include "app/relay/relay_mesh.h"

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/tls.h"
#include "part/derp_client.h"
#include "part/derp_server/derp_server.h"

enum { RETRY_MS = 1000 }; /* clients that moved here need the others at once */

struct relay_mesh {
	struct relay_mesh_conf conf;
	struct secret32 private_key, mesh_key;
	struct list links;
};

struct link {
	struct relay_mesh *mesh;
	struct list node;
	char *host;
	uint16_t port;
	struct derp_client *client;
	struct io_timer retry;
	uint64_t id; /* at the server; 0: not up */
	char last[256];
};

static void dial(struct link *l);

static void write_frames(void *arg, struct bytes frames)
{
	struct link *l = arg;

	derp_client_write(l->client, frames);
}

static size_t queued(void *arg)
{
	struct link *l = arg;

	return derp_client_queued(l->client);
}

static void dial_later(struct link *l)
{
	l->id = 0;
	derp_client_destroy(l->client);
	l->client = NULL;
	io_timer_in_ms(l->mesh->conf.loop, &l->retry, RETRY_MS);
}

static void on_dropped(void *arg)
{
	struct link *l = arg;

	log_warn(l->mesh->conf.log, "link to %s:%u was dropped by our side", l->host, l->port);
	dial_later(l);
}

static void on_up(void *arg)
{
	struct link *l = arg;
	struct derp_link link = { write_frames, queued, DERP_CLIENT_MARK, on_dropped, l };

	log_info(l->mesh->conf.log, "link to %s:%u up", l->host, l->port);
	l->last[0] = 0;
	l->id = derp_server_link_up(l->mesh->conf.server, &link);
}

static void on_frame(void *arg, const struct derp_frame *f)
{
	struct link *l = arg;

	derp_server_link_frame(l->mesh->conf.server, l->id, f);
}

static void on_drain(void *arg)
{
	struct link *l = arg;

	derp_server_link_drain(l->mesh->conf.server, l->id);
}

static void on_down(void *arg, const struct err *why)
{
	struct link *l = arg;

	/* The same reason again and again is said once. */
	if (strcmp(l->last, why->text) != 0)
		log_warn(l->mesh->conf.log, "link to %s:%u down, retrying every %d ms: %s", l->host,
			 l->port, RETRY_MS, why->text);
	(void)bytes_to_cstr(bytes_str(why->text), l->last, sizeof(l->last));
	if (l->id)
		derp_server_link_down(l->mesh->conf.server, l->id);
	dial_later(l);
}

static void on_retry(struct io_timer *t)
{
	dial(container_of(t, struct link, retry));
}

static void dial(struct link *l)
{
	struct relay_mesh *m = l->mesh;
	struct derp_client_conf conf = {
		.host = l->host,
		.port = l->port,
		.tls = m->conf.tls,
		.app = "weft-relay",
		.private_key = &m->private_key,
		.mesh_key = &m->mesh_key,
		.log = m->conf.log,
		.on_up = on_up,
		.on_frame = on_frame,
		.on_drain = on_drain,
		.on_down = on_down,
		.arg = l,
	};

	l->client = derp_client_create(m->conf.loop, &conf);
}

struct relay_mesh *relay_mesh_create(const struct relay_mesh_conf *conf)
{
	struct relay_mesh *m = mem_alloc(sizeof(*m));

	m->conf = *conf;
	m->private_key = *conf->private_key;
	m->mesh_key = *conf->mesh_key;
	if (conf->tls)
		(void)tls_ctx_ref(conf->tls);
	list_init(&m->links);
	return m;
}

void relay_mesh_destroy(struct relay_mesh *m)
{
	struct list *it;

	if (!m)
		return;
	while ((it = list_pop(&m->links)) != NULL) {
		struct link *l = list_entry(it, struct link, node);

		if (l->id)
			derp_server_link_down(m->conf.server, l->id);
		derp_client_destroy(l->client);
		io_timer_stop(&l->retry);
		mem_free(l->host);
		loop_free_later(m->conf.loop, l);
	}
	if (m->conf.tls)
		tls_ctx_unref(m->conf.tls);
	secret32_wipe(&m->private_key);
	secret32_wipe(&m->mesh_key);
	mem_free(m);
}

void relay_mesh_add(struct relay_mesh *m, const char *host, uint16_t port)
{
	struct link *l = mem_alloc(sizeof(*l));

	l->mesh = m;
	l->host = mem_strdup(host);
	l->port = port;
	io_timer_init(&l->retry, on_retry);
	list_init(&l->node);
	list_append(&m->links, &l->node);
	dial(l);
}

bool relay_mesh_link(const struct relay_mesh *m, size_t i, struct relay_mesh_link *out)
{
	if (m)
		list_each (it, &m->links) {
			const struct link *l = list_entry(it, struct link, node);

			if (i--)
				continue;
			*out = (struct relay_mesh_link){ l->host, l->port, l->id != 0, l->last };
			return true;
		}
	return false;
}

void relay_mesh_status(const struct relay_mesh *m, struct json_out *o)
{
	struct relay_mesh_link l;

	json_open_array(o);
	for (size_t i = 0; relay_mesh_link(m, i, &l); i++) {
		json_open_object(o);
		json_key(o, "host");
		json_put_cstr(o, l.host);
		json_key(o, "port");
		json_put_u64(o, l.port);
		json_key(o, "up");
		json_put_bool(o, l.up);
		if (l.why_down[0]) {
			json_key(o, "why_down");
			json_put_cstr(o, l.why_down);
		}
		json_close_object(o);
	}
	json_close_array(o);
}
