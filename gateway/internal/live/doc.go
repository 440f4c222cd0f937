// Package live keeps immutable snapshots of workspaces and clients in memory,
// so that signing in and checking tokens read no configuration from the store.
//
//	request --> Space(tenant, workspace) --> snapshot (up to 30 s old)
//	                                           |  missing or old
//	                                           v
//	                        tenant, workspace, IDPs, scopes, claims: one read each
//	changes log --> Apply --> the snapshots that an entry is about are dropped
package live
