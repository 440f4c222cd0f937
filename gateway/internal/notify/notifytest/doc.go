// Package notifytest runs a real mail server for tests and reads what it got.
//
//	Start(t) --> go install mailpit@Version (once a machine) --> process on free loopback ports
//	                                                                 ^            ^
//	the code under test --------------- SMTP ------------------------'            |
//	Messages, Wait, Message.Raw, Refuse, Accept ------- REST ---------------------'
//
// Mailpit was not written for this project: what it accepts and shows is judged
// from outside. Where it cannot be built a test is skipped and says so; where CI
// is set it fails instead.
package notifytest
