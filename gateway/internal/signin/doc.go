// Package signin holds every effect of a sign-in and everything that follows
// from one. The pages, the OpenID endpoints, the API and the proxy translate
// to and from HTTP; what happens is decided here, once.
//
//	portal --- Choose, Password, Code, Passkey,
//	           Second, EnrolTOTP, NewPassword,
//	           ChangePassword, SignOut -----------+
//	openid --- Authorize, Redeem, Refresh, Bearer +--> Service --> login, session,
//	proxy ---- Knock, Enter, HostSession, Bearer -+                grant, token, pool,
//	api ------ APICaller, Person, EndUser --------+                selfservice, audit
//
// A step that needs the browser returns an [Outcome]: where to go and which
// cookies to set.
package signin
