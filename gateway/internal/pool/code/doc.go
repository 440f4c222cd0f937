// Package code makes and takes one-time codes: the short numbers that a message
// carries to a person who types them in.
//
//	Issue --> digits --> message --> the person types them
//	  |                                |
//	  v                                v  limit.Guard counts first
//	record (HMAC, expiry) <-- compare -- Peek, Find (stays) or Take (one wins)
//
// A record is stored below the pool's epoch and the user, by type: a new code
// kills the former one, but of addresses to be verified each may have one. What
// is stored is an HMAC under the key ring, so the store alone opens no account.
//
// Every failure is [ErrWrong], and tries at nobody do the same work and are
// counted the same way as tries at somebody.
package code
