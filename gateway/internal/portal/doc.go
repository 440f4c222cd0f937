// Package portal serves the pages for people: signing in, signing out, the
// account, and the first set-up.
//
//	GET  /{tid}/{wid}/login            which way to sign in
//	GET  /{tid}/identity/{pool}/login  identifier and password, or a new password
//	POST ... --> same origin? token? --> signin --> cookies, next address
//	GET  /{tid}/{wid}/oidc/logout      sign out, asked first where nothing proves it
//	GET  /{tid}/{wid}/app              who you are, where you are signed in
//	GET  /setup?token=                 the first operator
//
// Every form carries the state of its login or a token of its session, and is
// taken from this origin only. The pages work without JavaScript.
package portal
