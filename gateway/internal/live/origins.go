package live

import (
	"context"
	"net/url"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// AllowsOrigin tells whether pages of an origin may read what a workspace answers
// them with: an active client of it has a redirect URI there. origin is the value
// of an Origin header, compared as it is; "null" is nobody's. An unknown workspace
// has no clients. The clients of a workspace are read when the first such page
// asks, and again as a snapshot is.
func (c *Cache) AllowsOrigin(ctx context.Context, tenantID, workspace, origin string) (bool, error) {
	if len(origin) > maxOrigin || !strings.HasPrefix(origin, "http") {
		return false, nil
	}
	key := tenant.Key{Tenant: tenantID, Workspace: workspace}
	_, err := c.Space(ctx, tenantID, workspace)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	all, err := lookup(c, c.origins, key, func() (*map[string]bool, error) {
		list, err := c.ClientsOf(ctx, key)
		found := originsOf(list)
		return &found, err
	})
	if err != nil {
		return false, err
	}
	return (*all)[origin], nil
}

// maxOrigin bounds what is looked up, in bytes: a scheme, a name as long as DNS
// has them, and a port.
const maxOrigin = 300

func originsOf(list []client.Client) map[string]bool {
	all := map[string]bool{}
	for i := range list {
		if !list[i].Active() {
			continue
		}
		for _, uri := range list[i].RedirectURIs {
			if o, ok := originOf(uri); ok {
				all[o] = true
			}
		}
	}
	return all
}

// originOf returns the origin of a web address as browsers write it (RFC 6454,
// section 6.1): in lower case, without the scheme's own port. Addresses of native
// applications have none.
func originOf(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return "", false
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":"), true
}
