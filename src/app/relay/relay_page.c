/* The page of the region, beside the numbers: never for strangers. */
#include <inttypes.h>

#include "app/relay/relay_mesh.h"
#include "app/relay/relay_numbers.h"
#include "app/relay/relay_shards.h"
#include "base/text.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Relays of this "
    "region</title>\n"
    "<meta http-equiv=\"refresh\" content=\"5\"><style>body{font:15px "
    "system-ui,sans-serif;margin:2em}\n"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em 1em .2em 0;text-align:left}\n"
    "td+td{font-variant-numeric:tabular-nums}.down{color:#a00}</style></head><body>\n";

static void put_row(struct buf *out, const char *what, uint64_t v)
{
	(void)buf_append_str(out, "<tr><td>");
	text_html(out, bytes_str(what));
	(void)buf_printf(out, "</td><td>%" PRIu64 "</td></tr>\n", v);
}

static void put_links(const struct relay_mesh *m, struct buf *out)
{
	struct relay_mesh_link l;

	(void)buf_append_str(out, "<h2>Other relays of the region</h2>\n");
	if (!relay_mesh_link(m, 0, &l)) {
		(void)buf_append_str(out, "<p>There are none.</p>\n");
		return;
	}
	(void)buf_append_str(out, "<table><tr><th>relay</th><th>link</th></tr>\n");
	for (size_t i = 0; relay_mesh_link(m, i, &l); i++) {
		(void)buf_append_str(out, "<tr><td>");
		text_html(out, bytes_str(l.host));
		(void)buf_printf(out, ":%u</td><td%s>%s", l.port, l.up ? "" : " class=\"down\"",
				 l.up ? "up" : "down");
		if (!l.up && l.why_down[0]) {
			(void)buf_append_str(out, ": ");
			text_html(out, bytes_str(l.why_down));
		}
		(void)buf_append_str(out, "</td></tr>\n");
	}
	(void)buf_append_str(out, "</table>\n");
}

static void put_drops(const struct relay_stats *st, struct buf *out)
{
	uint64_t all = 0;

	(void)buf_append_str(out, "<h2>Packets dropped</h2>\n<table>\n");
	for (int i = 0; i < RELAY_DROP_COUNT; i++) {
		if (st->drops[i])
			put_row(out, relay_drop_text((enum relay_drop)i), st->drops[i]);
		all += st->drops[i];
	}
	put_row(out, "all", all);
	(void)buf_append_str(out, "</table>\n");
}

void relay_numbers_page(const struct relay_numbers *n, struct buf *out)
{
	const struct relay_stats *st = &n->report->derp.relay;

	(void)buf_append_str(out, head);
	(void)buf_append_str(out, "<h1>This relay</h1>\n<table>\n");
	put_row(out, "clients", st->clients);
	put_row(out, "of them at home here", st->home);
	put_row(out, "clients known to be at other relays", st->remote_keys);
	put_row(out, "packets from clients", st->packets_in);
	put_row(out, "packets to clients and other relays", st->packets_out);
	put_row(out, "packets handed to other relays", st->packets_forwarded_out);
	put_row(out, "bytes that wait in queues", st->queued_bytes);
	put_row(out, "threads", n->report->threads);
	(void)buf_append_str(out, "</table>\n");
	put_links(n->mesh, out);
	put_drops(st, out);
	(void)buf_append_str(out,
			     "<p><a href=\"/metrics\">metrics</a>, <a href=\"/status?clients=1\">"
			     "status with clients</a></p></body></html>\n");
}
