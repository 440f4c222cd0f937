// Package session keeps browsers signed in: one session per browser and
// workspace on the base host, and a child of it on every app host.
//
//	sign-in --> Start ------> record (id = SHA-256 of the cookie's secret)
//	app host -> Child ------> record that ends with its parent
//	request --> Find -------> cache --> store (re-read every 30 s)
//	                            ^
//	changes log --> Apply ------+--> watchers: streams and WebSockets close
//
// Which clients took part is kept beside a session, so that back-channel logout
// reaches them when it ends. A step-up raises the session; it does not make one.
//
// A cookie is a 256-bit random secret, never stored. A session that has ended
// is dead at once on every gateway through the marks that grant keeps; deleting
// the record only tidies up.
package session
