// Package signin holds every effect of a sign-in and everything that follows
// from one. The pages, the OpenID endpoints, the API and the proxy translate
// to and from HTTP; what happens is decided here, once.
//
//	portal --- Choose, Password, Code, Passkey,
//	           Second, EnrolTOTP, NewPassword,
//	           ChangePassword, SignOut -----------+
//	openid --- Authorize, Redeem, Refresh,        |
//	           BeginDevice, RedeemDevice,         |
//	           ProveKey, Present, Inspect --------+--> Service --> login, session,
//	proxy ---- Knock, Enter, HostSession, Bearer -+                grant, token, pool,
//	api ------ APICaller, Person, EndUser --------+                selfservice, audit
//	jobs ----- Redeliver (logout tokens) ---------+
//
// An access token, a JWT or an opaque one, becomes a Bearer: Bearer takes none that
// is bound to a key, Present takes it with its proof (DPoP), Inspect only looks.
// Before a code is issued a session that is too weak or too old is raised by a
// step-up, and a client that is not trusted needs the person's consent.
//
// A step that needs the browser returns an [Outcome]: where to go and which
// cookies to set.
package signin
