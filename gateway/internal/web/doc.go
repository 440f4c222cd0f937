// Package web is the edge kit: the one place, besides the areas that answer
// requests, where fiber and fasthttp are used.
//
//	listener --> edge conn --> guard --> Canonical --> Visit --> Hosts --> area's handler
//	 (TLS,        (limits,      |400      |400          |         |421          |
//	  reload)      deadlines)   |         |             |         |             +-> value
//	                            |         |             |         |             +-> error
//	                            v         v             v         v                   |
//	                          refuse: status, log, count       page, log              v
//	                                                               Errors.REST | OAuth | Page
//
// The guard refuses every shape that two servers could frame or read
// differently, before anything is routed. The path is made canonical once and
// nobody computes it again. What the client says of itself is believed only as
// far as the trusted proxies go ([Read]). Handlers return errors; one function
// a family of answers turns them into a status and a body.
//
// Nothing that fiber hands out may outlive its handler: [Read], [Body],
// [Decode], [Form], [Query], [Param] and [Cookies] return copies.
package web
