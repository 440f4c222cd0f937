// Package ops answers those who run the gateway, on a listener of its own that is
// on loopback by default.
//
//	probe   --> /healthz --> 200 while the process answers
//	balancer -> /readyz  --> every Check at once, each with a deadline --> 200 | 503, JSON with each
//	scraper --> /metrics --> Metrics' own registry --> text
//	                                  ^      ^
//	          counted as they happen: |      | read at the scrape:
//	   web's answers and refusals, the       the hashing gate's load,
//	   proxy's decisions and upstreams,      the place in the change log,
//	   sign-ins, tokens, jobs, failures      routes, exchanges that last
//
// A check that is only reported (an identity provider, say) never takes the
// gateway out of service. Draining does, before the first connection is closed.
package ops
