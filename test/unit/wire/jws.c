#include "wire/jws.h"

#include "base/arena.h"
#include "base/err.h"

#include "kit/kit.h"

/* Made by latchset jose 11, an implementation of others. */
static const char rs256_key[] =
    "{\"alg\":\"RS256\",\"e\":\"AQAB\",\"key_ops\":[\"verify\"],\"kid\":\"k-RS256\",\"kty\":"
    "\"RSA\",\"n\":\"00x3HduY8Av4aYstQC9sZeSCSv0MQH4ZvCR9FWHg_"
    "htZRQQx01BgwPBq5FdpSXzDCjVkRbgyIkCTPBtVS6uFWQ6-htzMAX0nP-ewTlobgZB-"
    "ZuNBG3U3w67ReSBLqHPoGpW8wSvPgdCNNca-2OosOYRDt0KdCldU6Oo_TZJUgEuYjIWkr_C1S_"
    "BXZeiKWKKPA1SzkNE5zYFboJA9YFSYck_vl9iU5Y62D093TBsKCgwzqhGzScZjsBp4GKT8viEW4bZ5VL_"
    "276IZxfwbSbSiynHERkVk0GuQV8f74agPMGrlZ6i_6NN3sV0NAbTI7Jr9J9SluvR6S61gJbgIbi427w\"}";
static const char rs256_token[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImstUlMyNTYifQ."
    "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiI0MiJ9.GjOXE7k26Oc-QJMQNli2v9jwPnRrmERN_Mzq_"
    "j2MKA_4tRx9fcnJDgL3ZNx2UKWxkG_IMryGW72nrva-nyYSREhm2-"
    "xyWzZ3jabuRKtXedP5Bk8DdNYNfTCTdHlrzKjYScHWtEVQpV3o0JRb4W2jiigj2Mx-ezuoUiLLKGRiI0WP4V_"
    "PIUx50sH8neLzAHuzCb_NLUH3IbW_mCsVQ5qm8xdSw9OFN6N0eIvYRYuXX_pANvsgqC2oa38_TDaB1ffv8xnOR_A_"
    "N6SOjlPs_Suuk8Bf9l3Pi8Cx4OTY4kttgjxdBXgrElUyuyQastes9XQ9Ltdw6ao9fryp-u-gyVxlwQ";
static const char es256_key[] =
    "{\"alg\":\"ES256\",\"crv\":\"P-256\",\"key_ops\":[\"verify\"],\"kid\":\"k-ES256\",\"kty\":"
    "\"EC\",\"x\":\"HyzLWoW3O3jeSXEXkMTdY0nUjnDxv7JG5upLDvvctbU\",\"y\":"
    "\"nJQkK5r84uAbtZMipjkhx8VGLBDKUFnoQVx8akOER1c\"}";
static const char es256_token[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImstRVMyNTYifQ."
    "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiI0MiJ9.XbHYEzJRgjr6q8nYSYb8O5Ao4__-"
    "Rx3mOOduPBBMGP8NX0g_g4VWxTDN5_zQzFKTTHHbz8tLnJIVDSJ1eCKZnA";
/* RFC 8037, appendix A.4 */
static const char eddsa_key[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
				"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
static const char eddsa_token[] =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

static struct jwks *set_of(const char *a, const char *b, const char *c)
{
	struct jwks *set;
	struct err err;
	struct buf text;

	buf_init(&text, 1 << 16);
	(void)buf_printf(&text, "{\"keys\":[%s%s%s%s%s]}", a, b[0] ? "," : "", b, c[0] ? "," : "",
			 c);
	set = jwks_decode(buf_bytes(&text), &err);
	buf_fini(&text);
	return set;
}

static enum jws_verdict verdict_of(const char *text, const struct jwks *set)
{
	enum jws_verdict verdict;
	struct arena arena;
	struct jws token;
	struct err err;

	arena_init(&arena, 1 << 20);
	CHECK(jws_decode(&token, &arena, bytes_str(text), &err) == 0);
	verdict = jws_verify(&token, set);
	arena_fini(&arena);
	return verdict;
}

TEST(jws_of_others_verify)
{
	struct jwks *set = set_of(rs256_key, es256_key, eddsa_key);

	CHECK_INT(jwks_count(set), 3);
	CHECK_INT(verdict_of(rs256_token, set), JWS_GOOD);
	CHECK_INT(verdict_of(es256_token, set), JWS_GOOD);
	CHECK_INT(verdict_of(eddsa_token, set), JWS_GOOD);
	jwks_destroy(set);
}

TEST(jws_keys_are_found_by_name_and_algorithm)
{
	struct jwks *rs = set_of(rs256_key, "", ""), *es = set_of(es256_key, "", "");

	CHECK_INT(verdict_of(rs256_token, es), JWS_UNKNOWN_KEY);
	CHECK_INT(verdict_of(es256_token, rs), JWS_UNKNOWN_KEY);
	CHECK_INT(verdict_of(eddsa_token, rs), JWS_UNKNOWN_KEY);
	jwks_destroy(rs);
	jwks_destroy(es);
}

TEST(jws_any_changed_letter_is_seen)
{
	struct jwks *set = set_of(rs256_key, es256_key, eddsa_key);
	char text[1024];

	for (size_t i = 0; i < strlen(es256_token); i++) {
		struct arena arena;
		struct jws token;

		memcpy(text, es256_token, sizeof(es256_token));
		text[i] = text[i] == 'A' ? 'B' : 'A';
		arena_init(&arena, 1 << 20);
		if (jws_decode(&token, &arena, bytes_str(text), NULL) == 0)
			CHECK(jws_verify(&token, set) != JWS_GOOD);
		arena_fini(&arena);
	}
	jwks_destroy(set);
}

static void refused(const char *text, const char *why)
{
	struct arena arena;
	struct jws token;
	struct err err = { 0 };

	arena_init(&arena, 1 << 20);
	CHECK(jws_decode(&token, &arena, kit_copy(bytes_str(text)), &err) < 0);
	if (!CHECK(strstr(err.text, why) != NULL))
		CHECK_STR(err.text, why);
	arena_fini(&arena);
}

TEST(jws_wrong_algorithms_and_shapes)
{
	refused("eyJhbGciOiJub25lIn0.e30.", "algorithm none");                 /* {"alg":"none"} */
	refused("eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "algorithm HS256");           /* {"alg":"HS256"} */
	refused("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYiJdfQ.e30.AA", "extension"); /* crit */
	refused("eyJhbGciOiJFUzI1NiIsImFsZyI6ImEifQ.e30.AA", "no JSON");       /* alg twice */
	refused("e30.e30.AA", "no JSON with alg");
	refused("", "three parts");
	refused("a.b", "three parts");
	refused("a.b.c.d", "three parts");
	refused("e30=.e30.AA", "base64url");
	for (size_t n = 0; n < 40; n++) {
		struct arena arena;
		struct jws token;

		arena_init(&arena, 1 << 20);
		CHECK(jws_decode(&token, &arena, kit_copy(bytes_of(rs256_token, n)), NULL) < 0);
		arena_fini(&arena);
	}
}

TEST(jwks_leaves_out_what_it_cannot_use)
{
	struct jwks *set =
	    set_of("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", /* far too short */
		   "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
		   "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}");
	struct err err;

	CHECK_INT(jwks_count(set), 0);
	jwks_destroy(set);
	/* x and y that are no point of the curve */
	set = set_of("{\"kty\":\"EC\",\"crv\":\"P-256\","
		     "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		     "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		     "{\"use\":\"enc\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		     "{\"alg\":\"RS256\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
	CHECK_INT(jwks_count(set), 0);
	jwks_destroy(set);
	CHECK(jwks_decode(bytes_str("{}"), &err) == NULL);
	CHECK(jwks_decode(bytes_str("no"), &err) == NULL);
}

TEST(jwks_has_limits)
{
	struct buf text;
	struct jwks *set;
	struct err err;

	for (int n = JWKS_KEYS_MAX; n <= JWKS_KEYS_MAX + 1; n++) {
		buf_init(&text, 1 << 20);
		(void)buf_append_str(&text, "{\"keys\":[");
		for (int i = 0; i < n; i++)
			(void)buf_printf(&text, "%s%s", i ? "," : "", eddsa_key);
		(void)buf_append_str(&text, "]}");
		set = jwks_decode(buf_bytes(&text), &err);
		CHECK((set != NULL) == (n == JWKS_KEYS_MAX));
		jwks_destroy(set);
		buf_fini(&text);
	}
	buf_init(&text, 1 << 20);
	CHECK(buf_reserve(&text, JWKS_MAX + 1) != NULL);
	memset(text.p, ' ', JWKS_MAX + 1);
	text.n = JWKS_MAX + 1;
	CHECK(jwks_decode(buf_bytes(&text), &err) == NULL && err.code == ERR_LIMIT);
	buf_fini(&text);
}
