/* part/control_client/control_c2n.c - see control_c2n.h. Upstream: ipn/ipnlocal/c2n.go. */
#include "part/control_client/control_c2n.h"

#include "base/text.h"

static void respond(struct buf *out, unsigned status, const char *reason, struct bytes body)
{
	(void)buf_printf(
	    out, "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
	    status, reason, body.n);
	(void)buf_append(out, body);
}

static struct bytes body_of(struct bytes payload)
{
	for (size_t i = 0; i + 4 <= payload.n; i++)
		if (payload.p[i] == '\r' && bytes_has_prefix(bytes_from(payload, i), "\r\n\r\n"))
			return bytes_from(payload, i + 4);
	return (struct bytes){ NULL, 0 };
}

void control_c2n_answer(struct bytes payload, struct buf *out)
{
	struct bytes rest = payload, line, method, target, path;

	if (!text_split(&rest, '\n', &line) || !text_split(&line, ' ', &method) ||
	    !text_split(&line, ' ', &target) || !text_split(&target, '?', &path)) {
		respond(out, 400, "Bad Request", bytes_str("malformed request\n"));
		return;
	}
	if (bytes_equal_str(path, "/echo"))
		respond(out, 200, "OK", body_of(payload));
	else
		respond(out, 400, "Bad Request", bytes_str("unknown c2n path\n"));
}
