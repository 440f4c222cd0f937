// Package audit keeps the record of what happened to whom and by whom.
//
//	web: With(ctx, Meta{ip, user agent, trace}) -.
//	caller known: WithActor(ctx, Actor)          |
//	                                             v
//	keeper: Record(ctx, Event{subject, action, payload}) --> table "audit", kept 7 days
//	                                                           id = workspace / time-ordered id
//	api:    List(tenant, workspace, Page{filters}) <---------- newest first, a page at a time
//
// An event is one AuditEvent of the administration API. Its names come from
// closed lists, so nobody who filters by them misses one through a typing error;
// unknown ones are refused when they are recorded. Recording is durable or it
// fails, and then the caller's operation fails with it.
package audit
