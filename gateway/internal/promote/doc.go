// Package promote carries configuration and people from one place to another:
// users row by row, and what of a tenant belongs to identity as one document.
//
//	another system --NDJSON--> Users.Import --+--> pool.Users.Import: new users
//	                                          |    (claims of names as ever)
//	                           Users.Export <-+--- pages of users
//
//	TenantDump --> read, check all of it --> write: schemas, pools, users, groups, codes
//	    ^   ^                                  |
//	    |   +-- JSON Patch (RFC 6902) ---------+ what differs
//	    +------ pages of each kind
//
// What it writes goes through the keepers, so names stay one user's, logs are
// told, and what must end ends. A dump and an export with credentials hold
// password hashes and TOTP secrets: without these nobody could move. They are
// secrets as a whole, and operations that hand them out need a right of their
// own.
package promote
