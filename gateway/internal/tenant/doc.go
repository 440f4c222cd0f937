// Package tenant keeps tenants and their workspaces: the records, what they may
// hold, what is filled in when a member is missing, and how they end.
//
//	Tenant ----+ epoch
//	           v
//	Workspace: JSON --> Decode, Default, Check --> seal secrets --> table --> change log
//	                                                                      \-> audit event
//
//	delete: mark --> revocations --> Purge (everything below) --> row gone
//
// A workspace is what the published API calls a server or authorization server.
// A deletion that stops half-way leaves a marked record that nobody can read;
// Finish carries it on. Tenant records live in the root tenant, so that purging
// a tenant does not lose the mark.
package tenant
