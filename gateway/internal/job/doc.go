// Package job runs what has to be done again and again: sweeping expired records,
// sending due messages, making the next keys.
//
//	Add(name, every, fn)
//	                          .--------------------- every ± 10 % <---------------------.
//	Run -- a while (jitter) --+--> fn(ctx with Deadline) -- nil ------------------------'
//	                          |          |
//	                          |          '-- error, panic --> log, wait every × 2ⁿ, at most Backoff
//	                          |                                   (never less than every)
//	                          '-- ctx ends: no further run; Run waits for those under way
//
// A job never runs beside itself in one process. Gateways do not know of each
// other's jobs: a job must be right when several run it at once, as the store's
// compare-and-swap makes it.
package job
