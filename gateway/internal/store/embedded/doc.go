// Package embedded keeps records in one file of the machine, by bbolt.
//
//	Insert, Replace, Delete, Sweep           Get, Scan, Count, Due
//	  encode, queue                            read transaction, never waits for a writer
//	    |
//	    v  one goroutine
//	  take what is queued (at most 2000 rows) -> one transaction -> fsync -> answer each
//
//	rows/<table>           tenant id                  -> revision, version, times, keys, JSON
//	ix/<table>/<index>     tenant equal order id      -> (empty)
//	expiry/<table>         milliseconds tenant id     -> (empty)
//	due/<table>            milliseconds tenant id     -> (empty)
//
// Writers that arrive while a transaction is being written share the next one,
// so the cost of a sync is divided among them and a lone writer never waits for
// company. A write that is refused (exists, stale, gone) changes nothing and so
// never disturbs the others in its transaction.
//
// One process at a time may open a file. Without a path the same code runs on
// a file that has no name and is gone with the process: the mode for tests and
// for trying things out.
package embedded
