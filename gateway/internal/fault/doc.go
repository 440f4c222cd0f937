// Package fault is the one error type that crosses layers: a kind, a sentence
// for the person or program outside, and the cause for the log.
//
//	store, pool, token ...          web
//	  fault.New(kind, say, cause) --> fault.Read(err) --> status + body + log line
//	  any other error ------------->  Internal, neutral sentence, id in the log
//
// The package knows nothing of HTTP: gateway/internal/web maps kinds to
// statuses and picks the body (REST, OAuth, page).
package fault
