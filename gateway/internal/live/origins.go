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
// of an Origin header, compared as it is; "null" is nobody's. As with redirects,
// the port of a native client's loopback address is whatever it got (RFC 8252,
// section 7.3). An unknown workspace has no clients. The clients of a workspace are read when the first such page
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
	all, err := lookup(c, c.origins, key, func() (*origins, error) {
		list, err := c.ClientsOf(ctx, key)
		return originsOf(list), err
	})
	if err != nil {
		return false, err
	}
	return all.has(origin), nil
}

// maxOrigin bounds what is looked up, in bytes: a scheme, a name as long as DNS
// has them, and a port.
const maxOrigin = 300

// origins are those of a workspace's clients.
type origins struct {
	exact   map[string]bool
	anyPort map[string]bool // loopback origins of native clients, without their port
}

func (o *origins) has(origin string) bool {
	if o.exact[origin] {
		return true
	}
	bare, ok := client.WithoutPort(origin)
	return ok && o.anyPort[bare]
}

func originsOf(list []client.Client) *origins {
	all := &origins{exact: map[string]bool{}, anyPort: map[string]bool{}}
	for i := range list {
		if !list[i].Active() {
			continue
		}
		for _, uri := range list[i].RedirectURIs {
			o, ok := originOf(uri)
			if !ok {
				continue
			}
			all.exact[o] = true
			if bare, ok := client.WithoutPort(o); ok && list[i].ApplicationType == client.Native {
				all.anyPort[bare] = true
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
