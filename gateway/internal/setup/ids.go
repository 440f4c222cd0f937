package setup

import "github.com/gatepost/gatepost/gateway/internal/tenant"

// PortalID returns the id of the client of a workspace's account page.
func PortalID(w *tenant.Workspace) string { return derived(w, "portal") }
