/* Certificates we make ourselves, and what certificates say to people. */
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/ip.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "io/tls_ctx.h"

enum {
	BACKDATE_S = 3600, /* clocks of clients may be slow */
	VALID_DAYS = 3650, /* pinned, never renewed while the process runs */
	NAMES_MAX = 32,
	PEM_MAX = 64 << 10,
};

static bool add_name(GENERAL_NAMES *san, struct bytes name)
{
	GENERAL_NAME *gen = GENERAL_NAME_new();
	struct ip ip;
	ASN1_STRING *value = NULL;
	bool is_ip = ip_parse(&ip, name), ok;

	if (is_ip)
		value = ASN1_OCTET_STRING_new();
	else
		value = ASN1_IA5STRING_new();
	ok = gen && value &&
	     ASN1_STRING_set(value, is_ip ? (const void *)ip.b : (const void *)name.p,
			     (int)(is_ip ? ip_len(ip) : name.n));
	if (ok) {
		GENERAL_NAME_set0_value(gen, is_ip ? GEN_IPADD : GEN_DNS, value);
		value = NULL;
		ok = sk_GENERAL_NAME_push(san, gen) > 0;
		if (ok)
			gen = NULL;
	}
	ASN1_STRING_free(value);
	GENERAL_NAME_free(gen);
	return ok;
}

static int add_names(X509 *cert, const char *names, struct err *err)
{
	struct bytes rest = bytes_str(names), name;
	GENERAL_NAMES *san = sk_GENERAL_NAME_new_null();
	X509_NAME *subject = X509_get_subject_name(cert);
	bool ok = san != NULL;
	int n = 0;

	while (ok && text_split(&rest, ',', &name)) {
		name = text_trim(name);
		if (!name.n || name.n > 253 || n == NAMES_MAX) {
			sk_GENERAL_NAME_pop_free(san, GENERAL_NAME_free);
			return err_set(err, ERR_USAGE,
				       "certificate names \"%.100s\": 1 to %d names with commas "
				       "between them",
				       names, NAMES_MAX);
		}
		if (!n++ && name.n <= 64) /* the limit of a common name */
			ok = X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name.p,
							(int)name.n, -1, 0);
		ok = ok && add_name(san, name);
	}
	ok = ok && n && X509_set_issuer_name(cert, subject) &&
	     X509_add1_ext_i2d(cert, NID_subject_alt_name, san, 0, X509V3_ADD_DEFAULT) > 0;
	sk_GENERAL_NAME_pop_free(san, GENERAL_NAME_free);
	return ok ? 0 : tls_openssl_err(err, ERR_INTERNAL, "make certificate");
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = ext && X509_add_ext(cert, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static bool fill_in(X509 *cert, EVP_PKEY *key)
{
	uint64_t serial;

	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
		return false;
	return X509_set_version(cert, X509_VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_S) &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), VALID_DAYS, 0, NULL) &&
	       X509_set_pubkey(cert, key) &&
	       add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(cert, NID_ext_key_usage, "serverAuth");
}

int tls_cert_create(const char *names, X509 **cert, EVP_PKEY **key, struct err *err)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *c = X509_new();

	if (!k || !c || !fill_in(c, k)) {
		tls_openssl_err(err, ERR_INTERNAL, "make certificate");
		goto fail;
	}
	if (add_names(c, names, err) < 0)
		goto fail;
	if (!X509_sign(c, k, EVP_sha256())) {
		tls_openssl_err(err, ERR_INTERNAL, "sign certificate");
		goto fail;
	}
	*cert = c;
	*key = k;
	return 0;
fail:
	X509_free(c);
	EVP_PKEY_free(k);
	return -1;
}

static bool take_pem(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return n > 0 && buf_append(out, bytes_of(p, (size_t)n));
}

int tls_self_signed(const char *names, struct buf *cert_pem, struct buf *key_pem, struct err *err)
{
	BIO *bio[2] = { BIO_new(BIO_s_mem()), BIO_new(BIO_s_secmem()) };
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int ret = -1;

	buf_init(cert_pem, PEM_MAX);
	buf_init(key_pem, PEM_MAX);
	if (tls_cert_create(names, &cert, &key, err) < 0)
		goto out;
	if (!PEM_write_bio_X509(bio[0], cert) ||
	    !PEM_write_bio_PrivateKey(bio[1], key, NULL, NULL, 0, NULL, NULL) ||
	    !take_pem(bio[0], cert_pem) || !take_pem(bio[1], key_pem)) {
		tls_openssl_err(err, ERR_INTERNAL, "write certificate");
		secret_wipe(key_pem->p, key_pem->n);
		buf_fini(cert_pem);
		buf_fini(key_pem);
		goto out;
	}
	ret = 0;
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio[0]);
	BIO_free(bio[1]);
	return ret;
}

static void print_name(struct writer *w, const GENERAL_NAME *name)
{
	int type;
	ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	const uint8_t *p = ASN1_STRING_get0_data(value);
	int n = ASN1_STRING_length(value);
	char text[IP_TEXT_MAX];
	struct ip ip = { .family = n == 4 ? 4 : 6 };
	struct bytes b = bytes_of(p, (size_t)n);

	if (type == GEN_IPADD && (n == 4 || n == 16)) {
		memcpy(ip.b, p, (size_t)n);
		b = bytes_str(ip_format(ip, text));
	} else if (type != GEN_DNS) {
		return;
	}
	if (w->n)
		write_bytes(w, bytes_str(", "));
	for (size_t i = 0; i < b.n; i++) /* the peer chose it and a person reads it */
		write_u8(w, b.p[i] > ' ' && b.p[i] < 0x7f ? b.p[i] : '?');
}

void tls_cert_names(X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct writer w = writer_of(out, size - 1);

	for (int i = 0; san && i < sk_GENERAL_NAME_num(san) && !w.bad; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(san, i);
		int type;

		(void)GENERAL_NAME_get0_value(name, &type);
		if (type == GEN_DNS || type == GEN_IPADD)
			print_name(&w, name);
	}
	out[w.n] = '\0';
	sk_GENERAL_NAME_pop_free(san, GENERAL_NAME_free);
	if (!w.n)
		(void)snprintf(out, size, "nobody");
}
