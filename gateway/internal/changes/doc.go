// Package changes is the change log: one gapless order of configuration changes
// and revocations that every gateway follows.
//
//	Append(e1) -.                       table "changes"
//	Append(e2) --+-- one group -------> 00000000000000000041 [e0]
//	Append(e3) -'    create slot n+1;   00000000000000000042 [e1 e2 e3]
//	                 taken: read it,    (43: nobody has it yet)
//	                 try the next              |
//	                                           v  every Interval: slot position+1?
//	                      each gateway: apply in order, once --> Subscribe(fn)
//
// The order rests on one promise of the store: of several creators of one id one
// wins. A gateway creates only the slot after the last one that it has applied,
// so a slot exists only when all slots before it do, on every server and without
// a transaction. One turn (a lock) covers both reading and writing, so what this
// process appends is applied here before Append returns.
//
// Slots older than Retention are removed from the front, never the last one:
// numbers go on where they were however long nothing happens. A gateway that
// could not read for half of Retention, whose next slot is gone, or that finds
// another slot where it stands (a backup was put back, a server lost its last
// writes) goes to the end and tells its subscribers to drop every cache.
package changes
