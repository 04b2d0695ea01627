/*
 * Two nodes of a tailnet in one process, without root or a device, and an ICMP echo between them.
 * Also the smallest program that uses libweft: builds with cc two_nodes.c $(pkg-config --cflags
 * --libs weft)
 *
 *   two-nodes CONTROL_URL AUTH_KEY_FILE STATE_DIR
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

enum { ECHO_LEN = 20 + 8 + 16, UP_MS = 30000, ECHO_MS = 20000 };

static void die(struct weft *w, const char *what)
{
	char why[256] = "";

	(void)weft_error(w, why, sizeof(why));
	(void)fprintf(stderr, "two-nodes: %s: %s\n", what, why);
	exit(1);
}

static struct weft *node(const char *url, const char *key, const char *dir, const char *name)
{
	struct weft *w = weft_new();
	char state[512];

	(void)snprintf(state, sizeof(state), "%s/%s", dir, name);
	if (weft_set_state_dir(w, state) < 0 || weft_set_control_url(w, url) < 0 ||
	    weft_set_auth_key(w, key) < 0 || weft_set_hostname(w, name) < 0 ||
	    weft_set_ca_file(w, getenv("SSL_CERT_FILE")) < 0 || weft_set_ephemeral(w, 1) < 0)
		die(w, name);
	return w;
}

static uint32_t ipv4_of(struct weft *w)
{
	char text[128];
	struct in_addr in;

	if (weft_addresses(w, text, sizeof(text)) < 0)
		die(w, "addresses");
	(void)printf("%s\n", text);
	*strchr(text, ',') = '\0';
	(void)inet_pton(AF_INET, text, &in);
	return in.s_addr;
}

static uint16_t sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void make_echo(uint8_t *p, uint32_t from, uint32_t to, uint8_t type)
{
	uint16_t s;

	memset(p, 0, ECHO_LEN);
	p[0] = 0x45;
	p[3] = ECHO_LEN;
	p[8] = 64;
	p[9] = 1;
	memcpy(p + 12, &from, 4);
	memcpy(p + 16, &to, 4);
	s = sum(p, 20);
	memcpy(p + 10, &s, 2);
	p[20] = type;
	p[25] = 7; /* identifier */
	memcpy(p + 28, "two nodes, one p", 16);
	s = sum(p + 20, ECHO_LEN - 20);
	memcpy(p + 22, &s, 2);
}

/* Sends until the other side has it: the first packets may be lost while a path is found. */
static void carry(struct weft *from, struct weft *to, const uint8_t *packet)
{
	struct pollfd p = { .fd = weft_packet_fd(to), .events = POLLIN };
	uint8_t got[2048];

	for (int waited = 0; waited < ECHO_MS; waited += 200) {
		if (write(weft_packet_fd(from), packet, ECHO_LEN) != ECHO_LEN)
			die(from, "write a packet");
		while (poll(&p, 1, 200) > 0)
			if (read(p.fd, got, sizeof(got)) == ECHO_LEN &&
			    !memcmp(got + 20, packet + 20, ECHO_LEN - 20))
				return;
	}
	die(to, "no packet came");
}

static char *read_key(const char *path)
{
	static char key[256];
	FILE *f = fopen(path, "r");

	if (!f || !fgets(key, sizeof(key), f)) {
		(void)fprintf(stderr, "two-nodes: cannot read %s\n", path);
		exit(1);
	}
	(void)fclose(f);
	key[strcspn(key, "\n")] = '\0';
	return key;
}

int main(int argc, char **argv)
{
	struct weft *a, *b;
	char name[256], user[256], found[128];
	uint8_t packet[ECHO_LEN];
	uint32_t ip_a, ip_b;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: two-nodes CONTROL_URL AUTH_KEY_FILE STATE_DIR\n");
		return 2;
	}
	a = node(argv[1], read_key(argv[2]), argv[3], "inner-a");
	b = node(argv[1], read_key(argv[2]), argv[3], "inner-b");
	if (weft_up(a, UP_MS) < 0)
		die(a, "first node");
	if (weft_up(b, UP_MS) < 0)
		die(b, "second node");
	ip_a = ipv4_of(a);
	ip_b = ipv4_of(b);
	make_echo(packet, ip_a, ip_b, 8);
	carry(a, b, packet);
	make_echo(packet, ip_b, ip_a, 0);
	carry(b, a, packet);
	if (weft_lookup(a, "inner-b", found, sizeof(found)) < 0)
		die(a, "look up inner-b");
	*strchr(found, ',') = '\0';
	if (weft_whois(a, found, name, sizeof(name), user, sizeof(user)) < 0)
		die(a, "whois");
	(void)printf("echo went both ways; %s is %s of %s\n", found, name, user);
	if (weft_lookup(a, "nobody", found, sizeof(found)) == 0)
		return 1;
	weft_free(a);
	weft_free(b);
	return 0;
}
