// Package flag keeps feature flags: switches that are declared in code and have
// a value in each tenant.
//
//	Set(tenant, name, value, by)              On(tenant, name)
//	  | declared? what it requires on?          | cached for the tenant, or read
//	  v                                         v
//	record of the tenant, compare-and-swap    tenant's value, else the
//	  |                                       configuration's default, else the
//	  v                                       declaration's; and all it requires on
//	Changed --> change log --> Drop(tenant) on every gateway
//
// A name that is not declared is an error everywhere and never reads as off: a
// misspelt flag must not open or close anything in silence.
package flag
