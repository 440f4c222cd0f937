// Package egress makes the one kind of outbound HTTP client that the gateway
// uses for addresses that people write: fetch in scripts, discovery, key sets,
// webhooks, back-channel logout. (The proxy has its own transport and uses
// [Guard] alone.)
//
//	caller -- Get https://name/ --> Client
//	                                  | resolve name, dial
//	                                  v
//	                                Guard.Control(address as dialled)  --no--> ErrRefused
//	                                  | yes
//	                                  v
//	                                answer -- redirect? --> next origin: again from the top,
//	                                  |                     without headers and body of ours
//	                                  v
//	                                body, cut at Limits.Body; everything within Limits.Time
//
// The check is made on the address that the socket connects to, after the name
// was resolved: a name that changes its address between a check and its use
// (DNS rebinding) gains nothing. Everything that is not a public unicast address
// is refused unless it was granted. No environment variable is read: a proxy
// would dial in our place, and unchecked.
package egress
