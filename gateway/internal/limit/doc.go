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
//	secret, code  --> Guard     the same for guessing at one person, by source:
//	                            tenant / kind / who / network or known browser --> refused for a while
//	                            tenant / kind / who                            --> slowed
//	                  Rules     how many, per tenant and kind
//
//	request       --> Buckets   tokens in memory, per address and process, bounded in size
//	                  Rates     how fast, per tenant and module
//
// All refuse with a fault that says when to come again.
package limit
