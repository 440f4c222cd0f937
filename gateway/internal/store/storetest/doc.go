// Package storetest judges the backends of package store and helps to test
// what is built on them.
//
//	embedded_test ----.                     .-- New(t): a store for a test, in memory
//	                   Run(t, Harness) -----|
//	wiretest (mongo) -'   each case: an     |-- Clock: time that moves when told
//	                      empty backend,    |-- Faulty: a driver that fails on demand
//	                      a Clock, a table  '-- Bench: the same numbers for every backend
//
// The suite is what a backend promises. One that cannot keep a promise says so
// in its [Caps] with the reason; the report then names the server and what it
// could not show, and a case without its ability is skipped, never passed.
//
// Only tests import this package: it links testing.
package storetest
