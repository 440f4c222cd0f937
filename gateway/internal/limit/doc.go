// Package limit keeps one party from using up what all share.
//
//	password hash --> Gate      at most Parallel at once; a bounded queue, fair by tenant
//	                    tenant a  [w w w w] --\
//	                    tenant b  [w]       ----> next free place, one tenant after the other --> fn
//	                    tenant c  [w w]     --/
//
//	guess, code   --> Attempts  counters in the store, one truth for all gateways,
//	                            counted before the work: tenant / kind / key
//
//	request       --> Buckets   tokens in memory, per address and process, bounded in size
//
// All three refuse with a fault that says when to come again.
package limit
