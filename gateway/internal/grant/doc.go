// Package grant keeps what a person (or a client) allowed a client: the code
// that carries a grant to the client, the grant with its refresh family, and
// the marks that end things before their time.
//
//	signin.Issue --> Codes.Issue --> code --> Codes.Spend --> Keeper.Start
//	                                             |              |
//	                                          used twice     refresh n -> n+1
//	                                             v              v
//	               changes log <-- Marks.Append <-- the family ends
//	                    |
//	                    +--> Marks of every gateway --> Marks.Dead(token or session)
//
// Beside codes and grants it keeps, each by the hash of its secret: pushed
// authorization requests (taken once), device codes, opaque access tokens, what
// people consented to, and, so that they hold once, the ids of assertions and DPoP
// proofs.
//
// Correctness rests on unique inserts and compare-and-swap alone, so it holds
// on every store: a code is spent by creating its spent record, a refresh
// token by moving the grant's counter.
package grant
