package grant_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/grant"
)

func requests(t *testing.T, w *world) *grant.Requests {
	t.Helper()
	r, err := grant.OpenRequests(t.Context(), w.store, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pushed() grant.Pushed {
	return grant.Pushed{Workspace: "w", WorkspaceEpoch: "we", Client: "c", ClientEpoch: "ce", Params: "scope=openid", DPoPKey: "k"}
}

func push(t *testing.T, r *grant.Requests) string {
	t.Helper()
	uri, err := r.Push(t.Context(), "t", pushed(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}

func TestPushedRequest(t *testing.T) {
	t.Parallel()
	w := build(t)
	r := requests(t, w)
	uri := push(t, r)
	for name, alter := range map[string]func(*grant.Pushed){
		"another client":                 func(p *grant.Pushed) { p.Client = "d" },
		"a client made again":            func(p *grant.Pushed) { p.ClientEpoch = "x" },
		"another workspace":              func(p *grant.Pushed) { p.Workspace = "x" },
		"a workspace that was made anew": func(p *grant.Pushed) { p.WorkspaceEpoch = "x" },
	} {
		mine := pushed()
		alter(&mine)
		if _, err := r.Take(t.Context(), "t", uri, mine); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "x", grant.PushedPrefix, grant.PushedPrefix + strings.Repeat("A", 43), strings.TrimPrefix(uri, "urn:"), uri + "A"} {
		if _, err := r.Take(t.Context(), "t", bad, pushed()); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := r.Take(t.Context(), "u", uri, pushed()); !errors.Is(err, grant.ErrInvalid) {
		t.Errorf("another tenant: %v", err)
	}
	got, err := r.Take(t.Context(), "t", uri, pushed())
	if err != nil {
		t.Fatal(err) // those who had no right to it left it
	}
	got.Expires = time.Time{}
	if diff := cmp.Diff(pushed(), got); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Take(t.Context(), "t", uri, pushed()); !errors.Is(err, grant.ErrInvalid) {
		t.Errorf("again: %v", err)
	}
	old := push(t, r)
	w.pass(time.Minute)
	if _, err := r.Take(t.Context(), "t", old, pushed()); !errors.Is(err, grant.ErrInvalid) {
		t.Errorf("expired: %v", err)
	}
}

// Of 100 browsers that come with one request_uri one goes on (RFC 9126, section
// 7.3).
func TestPushedRequestIsTakenOnce(t *testing.T) {
	t.Parallel()
	w := build(t)
	r := requests(t, w)
	uri := push(t, r)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			switch _, err := r.Take(t.Context(), "t", uri, pushed()); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, grant.ErrInvalid):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d took it", won.Load())
	}
}
