/* io/http_events.c - see http_events.h and the HTML standard, section 9.2. */
#include "io/http_events.h"

#include "base/text.h"
#include "io/httpd.h"

void http_events_start(struct http_exchange *x)
{
	http_add_header(x, "cache-control", "no-store");
	http_add_header(x, "x-accel-buffering", "no"); /* nginx in front passes events at once */
	http_reply_start(x, 200, "text/event-stream");
}

/* A line end of any kind would start a field of the sender's choice: CR counts as one too. */
static void put_field(struct buf *out, const char *name, struct bytes value)
{
	buf_append_str(out, name);
	buf_append(out, bytes_of(": ", 2));
	for (size_t i = 0; i < value.n; i++)
		buf_append_u8(out, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
	buf_append_u8(out, '\n');
}

void http_events_send(struct http_exchange *x, const char *event, const char *id, struct bytes data)
{
	struct bytes line;
	struct buf out;

	buf_init(&out, SIZE_MAX / 4);
	if (event)
		put_field(&out, "event", bytes_str(event));
	if (id)
		put_field(&out, "id", bytes_str(id));
	if (!data.n)
		put_field(&out, "data", data);
	while (data.n && text_split(&data, '\n', &line))
		put_field(&out, "data", line);
	buf_append_u8(&out, '\n');
	http_reply_send(x, buf_bytes(&out));
	buf_fini(&out);
}

void http_events_ping(struct http_exchange *x)
{
	http_reply_send(x, bytes_str(":\n\n"));
}
