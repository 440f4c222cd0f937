// Package idp keeps the connections of workspaces to their sources of
// identities, and turns what a source knows of a person into the base of an
// authentication context.
//
//	API, setup --> Keeper.Create --> claims (workspace, pool or domain) --> IDP --> change log
//	                                 one IDP each: 422                       \-> audit event
//
//	identity_pool  pool user -----------> Attributes --\
//	oidc           Remote.Begin, Finish --> Person -----+--> mappings of the IDP --> seal sub, idp_sub,
//	static         Keeper.Verify ---------> Person -----+                            amr (static_amr), acr,
//	custom         what its page accepted -> Person ---/                             auth_time, tenant, pool
//	                                                                                     |
//	               Context (pool users), External (Persons)                              v
//	                                                                               authctx.Context
//
// An identity-pool IDP stands for exactly one pool; a pool has at most one IDP in
// a workspace, and an e-mail domain leads to at most one (published API 16). An
// IDP carries the epochs of its workspace and pool: one whose workspace was
// deleted and made again is not there any more. Whoever comes by another method
// is (IDP, subject) and never an e-mail address.
//
// Credentials are sealed in the store and in memory. Keeper.Reveal and a sign-in
// that needs them open them; lists, events and logs never have them. A custom IDP
// has a confidential client of the workspace system with the scope manage_logins,
// which goes with it.
//
// # OpenID providers
//
// Remote signs people in by coreos/go-oidc; Finish says which checks it makes and
// in which order, and RefusedError which one failed. A provider is asked only
// when somebody needs it, by one caller for all: its metadata hourly and with a
// growing pause after failures, its keys at most every ten seconds whatever key
// ids tokens name. The last good ones serve for a day while it does not answer.
// Every call goes through the egress client, and at most 64 sign-ins wait for one
// provider.
//
// The redirect URI to register at every provider is {base}/{tid}/{wid}/callback.
// Settings of well-known providers (body of createOIDCIDP; credentials.client_secret
// in all):
//
//	Google            issuer_url https://accounts.google.com
//	                  scopes openid email profile, send_login_hint true
//	Microsoft Entra   issuer_url https://login.microsoftonline.com/{directory id}/v2.0
//	                  scopes openid email profile
//	                  The id of the directory, not common or organizations: their metadata
//	                  names an issuer that no token has, and is refused. Entra sends no
//	                  email_verified: map e-mail addresses only from a directory that you trust.
//	                  Its groups come as "groups" once the registration says so: add a mapping.
//	GitLab            issuer_url https://gitlab.com (or your own); scopes openid email profile
//	                  A mapping of "groups_direct" to groups gives its groups.
//	Gitea, Forgejo    issuer_url https://{host}/; scopes openid email profile groups,
//	                  get_user_info true
//	Auth0, Okta,      issuer_url as their metadata spell it, with or without the slash at
//	Keycloak          the end; private_key_jwt where they offer it
//
// GitHub itself is no OpenID provider: it issues no ID tokens for people, so that
// nothing ties its answer to the sign-in that asked. Put a provider that can
// between the two (Dex, Keycloak), or a custom IDP.
package idp
