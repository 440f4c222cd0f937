// Package signin holds every effect of a sign-in and everything that follows
// from one. The pages, the OpenID endpoints, the API and the proxy translate
// to and from HTTP; what happens is decided here, once.
//
//	portal --- Password, NewPassword, Choose --+
//	openid --- Authorize, Redeem, Refresh -----+--> Service --> login, session,
//	proxy ---- Knock, Enter, Session, Bearer --+               grant, token,
//	api ------ APICaller, EndUser -------------+               pool, idp, audit
//
// A step that needs the browser returns an [Outcome]: where to go and which
// cookies to set.
package signin
