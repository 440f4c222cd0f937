// Package api is the JSON API for administrators and backends: the published
// operations under /api, and those that are Gatepost's own (routes, hosts).
//
//	request --> operation (one table) --> caller: token, then role or scope
//	                                 --> idempotency key, If-Match
//	                                 --> handler --> keeper of the record
//	                                 --> status, ETag, JSON
//
// Every operation names who may call it; the dispatcher checks before the
// handler runs, so no handler can forget. What an operation does is the
// keepers' affair: a handler only translates.
package api
