// Package proxy is the data path: it answers for app hosts, lets those pass whom
// the route's policy admits, and carries requests to upstreams with a proven
// identity.
//
//	web.Visit --> ownPath? -- yes --> callback, sign-in, sign-out, session (Door)
//	                 | no
//	route.Table.Match --> inbound.read --> admit (Door: session or bearer) -- no --> refuse: 302, 401, page
//	                                         | yes
//	     one builder of heads: inbound.appendHead   drops what only we may set, then sets it
//	                                         |
//	               upstream.Pool.Take/Dial --> Conn.Write --> (upload) --> Conn.ReadHead
//	                                                                           |
//	                       tunnel (101) <-- relay: whole answer, or stream <---+
//
// # Who may speak for whom
//
// Header names are compared as the most forgiving server reads them: without
// case and with every character that is neither letter nor digit as a hyphen.
// What then equals an identity header, ours or one that some route of the host
// sets, or a forwarding header, is dropped from every request: on public routes,
// on upgrades, on retries. Gatepost's cookies never reach an app, and an app
// cannot set them. A bearer token that was the credential is not passed on.
//
// Identity values are UTF-8. What a header cannot carry, or would lose (control
// characters, outer spaces, a comma inside a group's name), is percent-encoded,
// so that two people or groups never look the same; so is a percent sign before
// two hexadecimal digits. An app that decodes every "%XX", of a list after it has
// split it at the commas, gets the exact values; so does one that reads the
// assertion.
//
// A session that came as a cookie opens no upgraded connection to a page of
// another origin, unless the route allows that origin.
//
// # Streams
//
// Nothing is buffered that could go on: an answer that is there as a whole is
// sent as a whole, any other follows byte for byte. An exchange that waits looks
// around about once a second: whether its client left, its session ended or its
// time is over. A session's end interrupts streams and upgraded connections at
// once; a WebSocket client is told by close code 4401. A request that was cut
// behind its app is never said not to have been processed.
//
// When the gateway stops, Drain ends event streams and upgraded connections
// (close code 1001) and lets the others go on; Close ends those that are left,
// with 503 where nothing was answered yet.
//
// # Limits
//
// Upstreams are spoken to in HTTP/1.1; there is no HTTP/2, no gRPC and no
// trailers. Cookies whose names begin with "gp-" or "__Host-gp-" are Gatepost's;
// an app cannot use such names. Names of headers reach apps as the client spelt
// them, and clients in the canonical spelling.
package proxy
