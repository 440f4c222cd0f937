// Package setup makes tenants and workspaces whole: it joins what the packages
// below keep apart. It also does what a gateway does once in its life, the first
// set-up, and fills the demo.
//
//	every start ----> Root        tenant system: workspaces admin and system
//	                  Finish      what a crash left half-made
//
//	API, demo ------> Tenant ---> note what is begun --> tenant --> schemas
//	                                   |                   admin, system, (default)
//	                  Workspace --> (the same) -----------> workspace --> services, scopes, claims
//	                                   |                                  portal client, (demo client)
//	                                   |                                  API clients and their role
//	                                 note gone <-- all there
//	                                 failed:   what was made is deleted again
//	                                 crashed:  Finish completes it
//
//	delete ---------> Purge       what others keep under a workspace or tenant
//
//	first start:      NewLink --> Look --> Complete --> root pool operators, first operator,
//	                  (one record, a hash, one hour)    first tenant and its API client
//	                              Unattended -----'     then never again
//
// Every step looks first and creates what is missing, so steps may be repeated
// and may run twice at once: ids of clients that a workspace comes with are
// computed from its epoch, and whoever comes second finds them.
//
// The note is written before the thing it is about and says who is to be
// completed; it becomes due two minutes later. What Finish completes is whole,
// but nobody has been shown its client secrets: whoever wanted a tenant deletes
// it and creates it again, or reads the secret as its administrator.
package setup
