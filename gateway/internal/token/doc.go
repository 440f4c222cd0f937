// Package token makes and checks every JWT of a workspace. There is one table
// of kinds, and a check always names the kind it expects, so that no kind can
// ever be taken for another (RFC 8725, section 3.11).
//
//	kind        typ                      keys        who accepts it
//	Access      at+jwt (RFC 9068)        sig         API, introspection, userinfo, proxy
//	ID          JWT (OpenID Connect)     sig         the client; id_token_hint here
//	UserInfo    JWT, without exp         sig         the client; never here
//	Logout      logout+jwt               sig         the client; never here
//	Assertion   gatepost-assertion+jwt   assertion   the app behind the proxy
//
//	claims -> Sign(kind) -> current key of (workspace, use) -> compact JWS
//	compact JWS -> Verify(kind) -> typ, alg, kid, signature, iss, aud, time
//
// Opaque access tokens are grant's: they carry no claims. A bound token says its
// key or certificate in cnf; who proves it is signin's.
//
// Keys live sealed in the store, are made on first use, and the next one is
// published before it signs. The keys of a use and algorithm are numbered, and one
// head record says which of them sign:
//
//	n-2 revoked   n-1 rotated   n current   n+1 next      Rotate: publish n+2, then head n -> n+1
//	(gone)        (verifies)    (signs)     (published)
package token
