#include "io/http_events.h"

#include "http_support.h"
#include "kit/kit.h"

TEST(http_events_on_the_wire)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	http_events_start(site.parked[0]);
	http_events_send(site.parked[0], NULL, NULL, bytes_str("one"));
	http_events_send(site.parked[0], "change", "7", bytes_str("a\nb\r\nevent: forged"));
	http_events_send(site.parked[0], "x\ndata: forged", NULL, bytes_str(""));
	http_events_ping(site.parked[0]);
	site_turns(&site, 3);
	got = buf_cstr(&ear.got);
	CHECK(strstr(got, "content-type: text/event-stream\r\n") != NULL);
	CHECK(strstr(got, "cache-control: no-store\r\n") != NULL);
	CHECK(strstr(got, "\r\ndata: one\n\n\r\n") != NULL);
	CHECK(strstr(got, "event: change\nid: 7\ndata: a\ndata: b \ndata: event: forged\n\n") !=
	      NULL);
	CHECK(strstr(got, "event: x data: forged\ndata: \n\n") != NULL);
	CHECK(strstr(got, "\r\n:\n\n\r\n") != NULL);
	ear_fini(&ear);
	site_fini(&site);
}
