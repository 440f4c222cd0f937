package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// What is decided and how the app took it is told once each.
func TestOutcomesAreTold(t *testing.T) {
	t.Parallel()
	quick := func(r *route.Route) { r.Timeouts.Response = store.Duration(route.MinTimeout) }
	for _, c := range []struct {
		name    string
		change  func(*route.Route)
		request []string // method, path, body, headers
		door    error
		want    string
	}{
		{"public", public, []string{"GET", "/", ""}, nil, "allow ok"},
		{"signed in", nil, append([]string{"GET", "/", ""}, signedIn()...), nil, "allow ok"},
		{"own path", nil, []string{"GET", "/.gatepost/sign-out", ""}, nil, ""},
		{"stranger", nil, []string{"GET", "/", ""}, nil, "sign_in"},
		{"nobody may", nil, append([]string{"GET", "/", ""}, signedIn()...), fault.New(fault.Denied, "no", nil), "deny"},
		{"no route", func(r *route.Route) { r.PathPrefix = "/x" }, []string{"GET", "/", ""}, nil, "refuse"},
		{"too large", func(r *route.Route) { public(r); r.MaxBody = 1 }, []string{"POST", "/", "two"}, nil, "refuse"},
		{"door closed", nil, append([]string{"GET", "/", ""}, signedIn()...), fault.New(fault.Unavailable, "later", nil), "error"},
		{"broken app", public, []string{"GET", "/broken", ""}, nil, "allow error"},
		{"slow app", func(r *route.Route) { public(r); quick(r) }, []string{"GET", "/slow", ""}, nil, "allow timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := to(app(t, func(_ http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/broken":
					panic(http.ErrAbortHandler)
				case "/slow":
					<-r.Context().Done()
				}
			}))
			if c.change != nil {
				c.change(&r)
			}
			g := open(t, r)
			g.door.err = c.door
			g.do(g.request(c.request[0], "http://app.test"+c.request[1], strings.NewReader(c.request[2]), c.request[3:]...))
			close(g.told)
			var told []string
			for outcome := range g.told {
				told = append(told, outcome)
			}
			if got := strings.Join(told, " "); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// A client that leaves is not the app's failure.
func TestAbortIsTold(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), public))
	c, _ := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	wait(t, "request at the app", arrived)
	c.Close()
	for _, want := range []string{"allow", "aborted"} {
		if got := wait(t, want, g.told); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}
