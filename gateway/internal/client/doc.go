// Package client keeps what an authorization server knows of applications: the
// OAuth clients of a workspace, and the services, scopes and claims they ask
// for.
//
//	JSON --> Decode --> fill, check --> secrets: hash + sealed copy --> table --> change log
//	                                                                     \-> audit event
//	token endpoint: client id --> Get --> Prove(client or nil, secret) --> same answer for
//	                                                                       unknown and wrong
//	                assertion, DPoP proof, TLS certificate --> their checks
//	authorize:      AllowsRedirect(uri): exact, or a native client's loopback address
//	                on any port
//	registration:   Register, and its registration access token (RFC 7591, RFC 7592)
//
//	new workspace --> Seed --> services, scopes and claims that it starts with
//
// A client id is unique in the whole tenant. Everything carries the epochs of
// its tenant and workspace and is not found under a workspace that was made
// again.
package client
