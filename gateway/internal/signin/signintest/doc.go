// Package signintest builds a gateway without its edge, for tests of what stands
// on sign-ins: every keeper over one store in memory, filled by setup.Demo.
//
//	New --> store (faulty on demand), clock, keepers --> Demo --> World
//	Serve --> World on a listener of its own, with the areas that the test mounts
package signintest
