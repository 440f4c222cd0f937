// Package idp keeps the connections of workspaces to their sources of
// identities, and turns what a source knows of a person into the base of an
// authentication context.
//
//	API, setup --> Keeper.Create --> claim (workspace, pool) --> IDP --> change log
//	                                 one IDP a pool: 422             \-> audit event
//
//	pool user --> Attributes --> mappings of the IDP --> seal sub, idp_sub,
//	                                                     amr (static_amr), acr,
//	                                                     auth_time, tenant, pool
//	                                                         |
//	                                                         v
//	                                                   authctx.Context
//
// The only kind there is now is the identity-pool IDP, which stands for exactly
// one pool; a pool has at most one IDP in a workspace (published API 16). An IDP
// carries the epochs of its workspace and pool: one whose workspace was deleted
// and made again is not there any more.
package idp
