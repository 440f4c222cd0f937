// Package portal serves the pages for people: signing in and out, registering,
// what to do when a credential is lost, the account, and the first set-up.
//
//	GET /{tid}/{wid}/login       which way to sign in
//	GET /{tid}/identity/{pool}
//	      /login                 the first factor, the second, a new password
//	      /register              a new account
//	      /activate              what a message begins: registration, invitation
//	      /verify-address        an address is the person's
//	      /reset                 a lost password, passkey, authenticator app:
//	      /passkey, /reset-totp  asked for, then replaced by what a message says
//	GET /{tid}/{wid}/app         who you are, how and where you are signed in;
//	      /...                   one address for each change, see mountAccount
//	GET /{tid}/{wid}/oidc/logout sign out, asked first where nothing proves it
//	GET /{tid}/{wid}/signed-out  it is done; POST /sign-out does it
//	GET /setup?token=            the first operator
//	GET /.well-known/webauthn    origins that share passkeys with this one
//
//	POST form --> same origin? token? --> signin, selfservice, pool --> cookies, next address
//	POST .../webauthn/{options,begin,finish} --> the same, in JSON, for webauthn.js
//
// Every form carries the state of its login or a token of its session, and is
// taken from this origin only. The pages work without JavaScript.
package portal
