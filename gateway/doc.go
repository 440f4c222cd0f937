// Package gateway puts the parts of Gatepost together and runs them. Programs
// may embed it: everything else is in internal packages.
//
//	Config --> New: key ring, store, change log
//	             |
//	             v
//	           keepers (tenants, clients, pools, routes, sessions, grants ...)
//	             |              ^
//	             v              '-- change log: what others wrote, what ended
//	           signin <-- portal, openid, api, proxy <-- web: one listener
//	             |
//	Run ---------+--> listeners, change log, periodic jobs, until ctx ends
package gateway
