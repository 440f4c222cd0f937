package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// A token that was granted beyond its session's end is not cut with it.
func TestBearerOutlivesItsSession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scopes []string
		want   string
	}{
		"bound to its session": {[]string{"openid"}, "s1"},
		"offline":              {[]string{"openid", signin.ScopeOffline}, ""},
	} {
		id := bearerIdentity(&route.Route{Tenant: "acme", Workspace: "web"}, &signin.Bearer{
			Claims: token.Claims{"sid": "s1"}, Session: "s1", Subject: "alice", Scopes: c.scopes, Expires: time.Unix(1, 0),
		})
		if id.Session != c.want || id.Subject != "alice" || !id.Expires.Equal(time.Unix(1, 0)) {
			t.Errorf("%s: %+v", name, id)
		}
	}
	stop := (&door{}).Watch(&proxy.Identity{Subject: "alice"}, func() { t.Error("it was cut") })
	stop()
}

// However many cookies there are, the proxy waits only so long.
func TestCookiesShareOneDeadline(t *testing.T) {
	t.Parallel()
	p := grow(t)
	table := p.routes.Table()
	release := make(chan struct{})
	defer close(release)
	p.store.Hold("get", "sessions", 1, release)
	d := &door{signin: p.signin, live: p.live, fresh: p.log.Fresh}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 4*doorWait)
	defer cancel()
	cookie := string(make([]byte, 43))
	if id, err := d.Session(ctx, table.Routes()[0], []string{cookie, cookie + "x"}); err == nil {
		t.Errorf("got %+v", id)
	}
	if took := time.Since(began); took > 2*doorWait {
		t.Errorf("it took %v", took)
	}
}
