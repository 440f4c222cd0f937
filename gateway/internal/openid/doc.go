// Package openid is the OAuth 2.0 and OpenID Connect face of every workspace,
// at {base}/{tenant}/{workspace}.
//
//	GET  /.well-known/openid-configuration, /.well-known/jwks.json
//	GET  /oauth2/authorize  --> check client and redirect URI (errors: a page)
//	                        --> check the rest (errors: back to the client)
//	                        --> signin.Authorize --> code, or the sign-in pages
//	POST /par               --> authenticate the client --> the same checks --> a
//	                        request_uri for /oauth2/authorize, once
//	POST /oauth2/token      --> authenticate the client --> grant --> tokens
//	POST /device/authorization  --> the same --> a code for people, one for the device
//	POST /oauth2/introspect, /oauth2/revoke  --> a client or a token asks --> signin
//	POST /oauth2/register   --> flag, workspace, initial token --> client.Register
//	     /oauth2/register/{client}  --> its registration token --> read, replace, delete
//	GET  /userinfo          --> Bearer, or DPoP and a proof --> signin.Present --> claims
//
// Pages of a workspace's clients may read what they need (CORS), also of the
// self-service. The pages of consent, devices and sign-out are portal's.
//
// It parses and renders; signin decides. The handlers are our own rather than a
// library's: the library at hand reads client secrets from the query, accepts
// repeated parameters and cannot say error_code, error_hint or WWW-Authenticate.
package openid
