// Package role keeps who holds which role on what, and answers what a caller
// may do (published API, section 27).
//
//	Caller = user of a pool + the IDP they came by, or an API client
//	   |
//	   v          grants of these subjects (cached, dropped by the change log)
//	Can(permission, resource) --> same tenant? --> a grant on the resource, its
//	   |                                           workspace or its tenant?
//	   v                                        --> does that role allow it there?
//	 yes / no (the default)
//
// Roles are read at every question, never from a token. A grant carries the
// epochs of its subject and its resource: a user, client, IDP, workspace or pool
// that was made again under an old id inherits nothing.
package role
