// Package selfservice is what people do to their own membership of an identity
// pool, and what proves that it is they who do it: a one-time code that reached
// an address of theirs.
//
//	register --> user "new" --> code (activation) --> message: link, code
//	                                                      |
//	activate  <-------------------------------------------'   new -> active, address verified
//
//	request (reset, enrol, challenge, verify)  --> code --> message     silent: same answer for anybody
//	complete                                   <-- code                  one bare refusal, whatever is wrong
//
// Every code is good once. What a completion writes is prepared first (policy,
// hash), then the code is taken, then it is written: a refusal by policy leaves
// the code alive, and of racing completions one writes.
//
// Answers to strangers take at least the time of credential.Verifier.Floor and
// do not tell whether somebody exists. Operations of administrators fail loudly.
package selfservice
