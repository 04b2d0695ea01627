#include "wire/derp_cert.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "wire/derp.h"

static const char prefix[] = "derpkey";

enum { PREFIX_LEN = sizeof(prefix) - 1, NAME_LEN = PREFIX_LEN + TEXT_HEX_LEN(DERP_KEY_LEN) };

static bool set_name(X509 *cert, const struct key *server)
{
	char name[NAME_LEN + 1];
	X509_NAME *n = X509_get_subject_name(cert);

	memcpy(name, prefix, PREFIX_LEN);
	text_hex(bytes_of(server->b, DERP_KEY_LEN), name + PREFIX_LEN);
	/* A raw string type: OpenSSL would hold an MBSTRING to the 64 characters of RFC 5280. */
	return X509_NAME_add_entry_by_NID(n, NID_commonName, V_ASN1_UTF8STRING,
					  (const unsigned char *)name, NAME_LEN, -1, 0) &&
	       X509_set_issuer_name(cert, n);
}

static bool set_constraints(X509 *cert)
{
	X509_EXTENSION *ext =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:FALSE");
	bool ok = ext && X509_add_ext(cert, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static bool fill(X509 *cert, EVP_PKEY *pkey, const struct key *server, struct wall now)
{
	int64_t span = (int64_t)DERP_CERT_DAYS * 86400;

	return X509_set_version(cert, 2) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(cert), DERP_VERSION) &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(wall_s(now) - span)) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(wall_s(now) + span)) &&
	       X509_set_pubkey(cert, pkey) && set_name(cert, server) && set_constraints(cert) &&
	       X509_sign(cert, pkey, NULL) > 0;
}

size_t derp_cert_encode(uint8_t out[DERP_CERT_MAX], const struct key *server, struct wall now)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *cert = X509_new();
	unsigned char *p = out;
	int n = 0;

	if (pkey && cert && fill(cert, pkey, server, now))
		n = i2d_X509(cert, NULL);
	if (n > 0 && n <= DERP_CERT_MAX)
		n = i2d_X509(cert, &p);
	else
		n = 0;
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return n > 0 ? (size_t)n : 0;
}

/* The common name, when the certificate has one that starts with the prefix. */
static bool read_name(X509 *cert, struct bytes *name)
{
	X509_NAME *n = X509_get_subject_name(cert);
	int at = n ? X509_NAME_get_index_by_NID(n, NID_commonName, -1) : -1;
	const ASN1_STRING *s = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(n, at));

	if (!s)
		return false;
	*name = bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	return bytes_has_prefix(*name, prefix);
}

static X509 *parse(struct bytes der)
{
	const unsigned char *p = der.p;

	return der.n && der.n <= 64 << 10 ? d2i_X509(NULL, &p, (long)der.n) : NULL;
}

bool derp_cert_is(struct bytes der)
{
	X509 *cert = parse(der);
	struct bytes name;
	bool ok = cert && read_name(cert, &name);

	X509_free(cert);
	return ok;
}

bool derp_cert_decode(struct bytes der, struct key *server)
{
	X509 *cert = parse(der);
	struct bytes name;
	bool ok = cert && read_name(cert, &name) &&
		  ASN1_INTEGER_get(X509_get0_serialNumber(cert)) == DERP_VERSION &&
		  text_unhex(bytes_from(name, PREFIX_LEN), server->b, DERP_KEY_LEN);

	X509_free(cert);
	return ok;
}
