#include "app/relay/relay_options.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/keytext.h"
#include "crypto/x25519.h"
#include "io/file.h"
#include "part/derp_server/derp_bus.h"

enum { CONNECTIONS_MAX = 8 << 20 }; /* a slot fits into 24 bits of an id */

#define FIELD(f) offsetof(struct relay_options, f)
#define CHECK_FIELD(f) offsetof(struct relay_check_options, f)

/* clang-format off */
const struct opt relay_opts[] = {
	{ "listen", OPT_LIST, FIELD(listen), NULL, "ADDR:PORT", "where clients connect; several (default :443, or :3340 with --plain)" },
	{ "http", OPT_LIST, FIELD(http), NULL, "ADDR:PORT", "plain port for captive portal checks and probes, usually :80; no relaying there" },
	{ "stun", OPT_LIST, FIELD(stun), NULL, "ADDR:PORT", "where STUN is answered; 'none' turns it off (default :3478)" },
	{ "plain-stun", OPT_FLAG, FIELD(plain_stun), "true", NULL, "answer ordinary STUN clients too, slowly" },
	{ "status", OPT_STRING, FIELD(status), "127.0.0.1:9109", "ADDR:PORT", "metrics and JSON status; 'none' turns it off; never open it to strangers" },
	{ "hostname", OPT_STRING, FIELD(hostname), "localhost", "NAMES", "comma list of names and addresses in a self-signed certificate" },
	{ "cert", OPT_STRING, FIELD(cert), NULL, "FILE", "certificate chain, PEM; without it a self-signed one is made" },
	{ "key", OPT_STRING, FIELD(key), NULL, "FILE", "its private key, PEM" },
	{ "plain", OPT_FLAG, FIELD(plain), NULL, NULL, "no TLS: a proxy in front of us does it, or it is a test" },
	{ "proxy", OPT_LIST, FIELD(proxy), NULL, "PREFIX", "whose X-Forwarded-For is believed; several" },
	{ "state", OPT_STRING, FIELD(state), "/var/lib/weft-relay", "DIR", "where the relay's own key is kept" },
	{ "verify", OPT_LIST, FIELD(verify), NULL, "URL", "ask there who may use the relay (POST /verify); several: one yes is enough" },
	{ "verify-ca", OPT_STRING, FIELD(verify_ca), NULL, "FILE", "who signs the certificates of those URLs" },
	{ "verify-fail-open", OPT_FLAG, FIELD(verify_fail_open), NULL, NULL, "let everyone in while no URL can be reached" },
	{ "allow", OPT_STRING, FIELD(allow), NULL, "FILE", "node keys that may use the relay, one a line; read again on SIGHUP" },
	{ "open", OPT_FLAG, FIELD(open), NULL, NULL, "let everyone in" },
	{ "mesh-key", OPT_STRING, FIELD(mesh_key), NULL, "FILE", "64 hex digits that all relays of the region share" },
	{ "mesh-with", OPT_LIST, FIELD(mesh_with), NULL, "HOST[:PORT]", "another relay of the region; several" },
	{ "mesh-ca", OPT_STRING, FIELD(mesh_ca), NULL, "FILE", "who signs their certificates" },
	{ "mesh-plain", OPT_FLAG, FIELD(mesh_plain), NULL, NULL, "reach them without TLS: inside a private network only" },
	{ "threads", OPT_INT, FIELD(threads), "0", "N", "that pass packets; 0: one for each core" },
	{ "congestion", OPT_STRING, FIELD(congestion), "bbr", "NAME", "how TCP to clients shares its path, where the kernel knows it; 'system' leaves it" },
	{ "connections", OPT_INT, FIELD(connections), "65536", "N", "clients at a time" },
	{ "memory", OPT_INT, FIELD(memory_mib), "256", "MIB", "for all packets that wait" },
	{ "queue", OPT_INT, FIELD(queue_kib), "512", "KIB", "for packets that wait for one client" },
	{ "handshakes", OPT_INT, FIELD(handshakes), "256", "N", "TLS handshakes at a time; more wait" },
	{ "client-rate", OPT_INT, FIELD(client_rate), "0", "BYTES", "read from one client per second; 0: no limit" },
	{ "client-burst", OPT_INT, FIELD(client_burst), "0", "BYTES", "what a client may send at once (at least one largest packet)" },
	{ "total-rate", OPT_INT, FIELD(total_rate), "0", "BYTES", "read from all clients per second; 0: no limit" },
	{ "drain", OPT_DURATION, FIELD(drain_ms), "3s", "TIME", "on SIGTERM clients are moved away over this time" },
	{ "verbose", OPT_FLAG, FIELD(verbose), NULL, NULL, "say who comes and goes" },
	{ "log-json", OPT_FLAG, FIELD(log_json), NULL, NULL, "log JSON lines" },
};

const struct opt relay_check_opts[] = {
	{ "ca", OPT_STRING, CHECK_FIELD(ca), NULL, "FILE", "who signs its certificate (default: the system's CAs)" },
	{ "pin", OPT_STRING, CHECK_FIELD(pin), NULL, "HEX", "SHA-256 its certificate must have, instead of a CA" },
	{ "insecure", OPT_FLAG, CHECK_FIELD(insecure), NULL, NULL, "take any certificate" },
	{ "plain", OPT_FLAG, CHECK_FIELD(plain), NULL, NULL, "no TLS" },
	{ "ip", OPT_STRING, CHECK_FIELD(ip), NULL, "ADDR", "connect to this address instead of asking DNS" },
	{ "node-key", OPT_STRING, CHECK_FIELD(key), NULL, "FILE", "private key of a node that is admitted (privkey:...); else a new one" },
	{ "stun-port", OPT_INT, CHECK_FIELD(stun_port), "3478", "PORT", "where it answers STUN" },
	{ "no-stun", OPT_FLAG, CHECK_FIELD(no_stun), NULL, NULL, "do not ask for STUN" },
	{ "no-throughput", OPT_FLAG, CHECK_FIELD(no_throughput), NULL, NULL, "do not measure throughput" },
	{ "seconds", OPT_INT, CHECK_FIELD(seconds), "2", "N", "how long throughput is measured" },
};
/* clang-format on */

const size_t relay_opt_count = array_len(relay_opts);
const size_t relay_check_opt_count = array_len(relay_check_opts);

int relay_parse_listen(const char *text, struct addrport *out, struct err *err)
{
	struct bytes port = bytes_str(text);
	uint64_t n;

	if (addrport_parse(out, port))
		return 0;
	if (port.n && port.p[0] == ':')
		port = bytes_from(port, 1);
	if (!text_u64(port, 65535, &n))
		return err_set(err, ERR_USAGE,
			       "'%s' is no address: try :443, 192.0.2.1:443 or [2001:db8::1]:443",
			       text);
	*out = (struct addrport){ .port = (uint16_t)n };
	return 0;
}

int relay_parse_host(const char *text, uint16_t usual_port, char out[256], uint16_t *port,
		     struct err *err)
{
	struct bytes host = bytes_str(text), number = { 0 };
	const char *colon = strrchr(text, ':');
	uint64_t n = usual_port;
	bool bracket = text[0] == '[';

	if (colon && (bracket ? colon[-1] == ']' : strchr(text, ':') == colon)) {
		number = bytes_str(colon + 1);
		host.n = (size_t)(colon - text);
	}
	if (bracket && host.n > 2 && host.p[host.n - 1] == ']')
		host = bytes_of(host.p + 1, host.n - 2);
	if (!host.n || !bytes_to_cstr(host, out, 256) || (number.p && !text_u64(number, 65535, &n)))
		return err_set(err, ERR_USAGE,
			       "'%s' is no host: try relay.example.com or [::1]:443", text);
	*port = (uint16_t)n;
	return 0;
}

static int check_admission(const struct relay_options *o, struct err *err)
{
	bool asks = o->verify.n || o->allow;

	if (o->open && asks)
		return err_set(err, ERR_USAGE,
			       "--open lets everyone in; drop it or drop --verify "
			       "and --allow");
	if (!o->open && !asks && !o->mesh_key)
		return err_set(err, ERR_USAGE,
			       "nobody could use this relay: say --verify URL, --allow FILE or "
			       "--open");
	if (o->verify_fail_open && !o->verify.n)
		return err_set(err, ERR_USAGE, "--verify-fail-open needs --verify");
	for (size_t i = 0; i < o->verify.n; i++)
		if (strncmp(o->verify.items[i], "https://", 8) != 0 &&
		    strncmp(o->verify.items[i], "http://", 7) != 0)
			return err_set(err, ERR_USAGE, "--verify %s is no http or https URL",
				       o->verify.items[i]);
	return 0;
}

int relay_options_check(const struct relay_options *o, struct err *err)
{
	if (!o->cert != !o->key)
		return err_set(err, ERR_USAGE, "--cert and --key go together");
	if (o->plain && o->cert)
		return err_set(err, ERR_USAGE, "--plain speaks no TLS; drop it or drop --cert");
	if (o->mesh_with.n && !o->mesh_key)
		return err_set(err, ERR_USAGE, "--mesh-with needs --mesh-key");
	if (o->connections < 1 || o->memory_mib < 1 || o->queue_kib < 65 || o->handshakes < 1 ||
	    o->connections > CONNECTIONS_MAX || o->client_rate < 0 || o->client_burst < 0 ||
	    o->total_rate < 0)
		return err_set(err, ERR_USAGE,
			       "limits are positive, and a queue holds 65 KiB at least: one "
			       "largest packet");
	if (o->threads < 0 || o->threads > DERP_BUS_MAX)
		return err_set(err, ERR_USAGE, "--threads is a number up to %d", DERP_BUS_MAX);
	return check_admission(o, err);
}

static int make_key(const char *path, struct secret32 *key, struct err *err)
{
	struct rng rng = rng_system();
	char text[KEYTEXT_MAX + 1];
	int ret;

	x25519_generate(key, &rng);
	keytext_format_private(key, text);
	strncat(text, "\n", sizeof(text) - strlen(text) - 1);
	ret = file_write(path, bytes_str(text), 0600, err);
	secret_wipe(text, sizeof(text));
	return ret;
}

int relay_load_key(const char *folder, struct secret32 *key, struct err *err)
{
	char path[512];
	struct buf text;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/relay.key", folder) >= (int)sizeof(path))
		return err_set(err, ERR_USAGE, "--state %s is too long", folder);
	if (file_mkdirs(folder, 0700, err) < 0)
		return -1;
	if (!file_exists(path))
		return make_key(path, key, err);
	if (file_read(path, 4096, &text, err) < 0)
		return -1;
	ok = keytext_parse_private(key, text_trim(buf_bytes(&text)));
	secret_wipe(text.p, text.n);
	buf_fini(&text);
	return ok ? 0
		  : err_set(err, ERR_USAGE, "%s: line 1 is not privkey: and 64 hex digits", path);
}

int relay_load_mesh_key(const char *path, struct secret32 *key, struct err *err)
{
	struct buf text;
	bool ok;

	if (file_read(path, 4096, &text, err) < 0)
		return err_wrap(err, "mesh key");
	ok = text_unhex(text_trim(buf_bytes(&text)), key->b, sizeof(key->b)) &&
	     !secret_is_zero(key->b, sizeof(key->b));
	secret_wipe(text.p, text.n);
	buf_fini(&text);
	return ok ? 0 : err_set(err, ERR_USAGE, "mesh key %s: not 64 hex digits", path);
}
