// Package pool keeps a tenant's identity pools: their schemas, their users, and
// what users sign in with.
//
//	Schemas                Pools                     Users
//	  JSON Schema  <------   payload, metadata  <---   payload, metadata (validated)
//	                         policy, mechanisms <---   credentials --> credential (hash, policy)
//	                                                   identifiers, verified addresses
//	                                                     |
//	                                                   claims: one record per pool and name
//
//	sign-in   "Alice@Example.com" --canonical--> claim --> user --> credential.Verifier
//
//	passkey   credential id --------claim "webauthn"---> user --> UsedPasskey (counter, flags)
//	register  ----> new --code--> Activate --> active      second factor: CheckTOTP, UseRecoveryCode
//	                 ^--- register again                     `--> MFASessions, for mfa_session_ttl
//
// A user is one document, so what belongs together changes together. The only
// thing that spans documents is the uniqueness of names; claim.go tells how it
// holds without transactions, and interleave_test.go tries every order.
//
// Groups of users stand in trees; a membership is a record of its own, found from
// the group by its id and from the user by an index. groups.go tells how moves,
// deletions and creations in a tree keep out of each other's way.
//
// What hangs below a pool is stored under the pool's epoch, a random id of one
// life of the pool: a pool that is deleted and created again under the same id
// finds nothing of its former life, also when the deletion stopped half-way.
//
// Writes tell the change log and the audit log; a write that ends sign-ins
// (password, status, deletion) announces the revocation before it happens, and
// ends MFA sessions. Every guess at a secret counts with the Guard first.
package pool
