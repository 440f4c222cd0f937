// Package store keeps records in typed tables over one of two drivers.
//
//	row 2..8                store                    drivers
//	  Table[T].Create --> key, revision, expiry --> embedded (bbolt)
//	  Table[T].Swap   --> encode once           --> mongo
//	  Table[T].Find   --> bounds, keyset page
//
// A table needs no transaction: every operation touches one document, and
// correctness rests on three of them alone: create (a second one with the same
// id fails), swap (succeeds only at the revision that was read) and take (of
// two racing callers one gets the record). All behaviour that both drivers
// share lives here; a [Driver] only moves documents, and storetest judges it.
//
// Tenant is an argument of every operation: no query can cross tenants, except
// Due and Sweep, which the gateway's own janitor uses.
package store
