#include <weft.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/kit.h"

static const char *why(struct weft *w, char buf[256])
{
	(void)weft_error(w, buf, 256);
	return buf;
}

TEST(a_node_without_a_folder_says_what_to_call)
{
	struct weft *w = weft_new();
	char text[256];

	CHECK(weft_up(w, 10) == -1);
	CHECK_STR(why(w, text),
		  "weft_set_state_dir() was not called: the node needs a folder for its keys");
	CHECK(weft_packet_fd(w) == -1);
	CHECK_STR(why(w, text), "the node was not started");
	CHECK(weft_addresses(w, text, sizeof(text)) == -1);
	weft_free(w);
	weft_free(NULL);
}

/* Nobody listens there: the node comes up, waits in vain, and ends cleanly; again and again. */
TEST(a_server_that_is_not_there_is_a_timeout_and_no_leak)
{
	char dir[] = "/tmp/weft-unit-XXXXXX", text[256], small[4];

	CHECK(mkdtemp(dir));
	for (int i = 0; i < 3; i++) {
		struct weft *w = weft_new();

		CHECK(weft_set_state_dir(w, dir) == 0);
		CHECK(weft_set_control_url(w, "http://127.0.0.1:9") == 0);
		CHECK(weft_set_auth_key(w, "weft-auth-nonsense") == 0);
		CHECK(weft_up(w, 200) == -1);
		CHECK(strstr(why(w, text), "the node is not up after 200 ms: ") == text);
		CHECK(weft_set_port(w, 1) == -1);
		CHECK_STR(why(w, text), "settings must be made before the node is started");
		CHECK(weft_packet_fd(w) >= 0);
		CHECK_STR(weft_state(w), "NeedsLogin");
		CHECK(weft_login_url(w, small, sizeof(small)) == 0 && !small[0]);
		CHECK(weft_addresses(w, text, sizeof(text)) == -1);
		CHECK_STR(why(w, text), "the node has no map of its network yet");
		CHECK(weft_whois(w, "100.64", text, sizeof(text), small, sizeof(small)) == -1);
		CHECK_STR(why(w, text), "'100.64' is not an IP address");
		weft_free(w);
	}
	CHECK(chdir(dir) == 0);
	(void)unlink("weftd.state");
	(void)unlink("lock");
	CHECK(chdir("/") == 0);
	CHECK(rmdir(dir) == 0);
}

TEST(two_nodes_may_not_share_a_folder)
{
	char dir[] = "/tmp/weft-unit-XXXXXX", text[256];
	struct weft *a = weft_new(), *b = weft_new();

	CHECK(mkdtemp(dir));
	CHECK(weft_set_state_dir(a, dir) == 0 && weft_set_state_dir(b, dir) == 0);
	CHECK(weft_set_control_url(a, "http://127.0.0.1:9") == 0);
	CHECK(weft_start(a) == 0);
	CHECK(weft_start(b) == -1);
	CHECK(strlen(why(b, text)) > 0);
	weft_free(a);
	weft_free(b);
	CHECK(chdir(dir) == 0);
	(void)unlink("weftd.state");
	(void)unlink("lock");
	CHECK(chdir("/") == 0);
	CHECK(rmdir(dir) == 0);
}
