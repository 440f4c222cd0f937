// Package route keeps the protected apps: which host belongs to which
// workspace, and which upstream stands behind a path of it under which policy.
//
//	API, portal --> Keeper.Create/Update/Delete --> "hosts", "routes", "allowances"
//	                        |                             |
//	configuration file      v                             v
//	   (read-only) --> Changed (change log) --> Keeper.Load --> compile --> Table
//	                                                                         ^
//	request --> host, canonical path --> Table.Match --> *Route (or nothing) |
//	                                     no lock, no allocation; swapped by atomic pointer
//
// A host is one record in the root tenant, so that two workspaces can never hold
// the same one. What a tenant may claim and reach is an Allowance, granted by
// the root tenant. Routes of the configuration file count as root's; while their
// workspace does not exist they wait for it.
//
// Everything that no route covers is refused: there is no default route.
package route
