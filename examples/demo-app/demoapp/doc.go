// Package demoapp is the app that `gatepost demo` protects: the smallest web
// app that trusts the identity headers of the gateway in front of it.
//
//	browser --> gatepost --> GET /          page: who is signed in, sign-out link
//	             sets        GET /headers   {"Name": ["value"]} as received
//	             X-Auth-     GET /events    server-sent events
//	             Request-*   GET /echo      WebSocket that answers what it hears
//
// It knows nothing of OAuth, cookies or sessions. An app may read the headers
// like this only when nobody can reach it but through the gateway; otherwise it
// must check X-Gatepost-Assertion.
package demoapp
