package api_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
)

// race sends requests at once and counts the answers by status.
func race(requests ...func() *answer) map[int]int {
	got := make([]int, len(requests))
	var all sync.WaitGroup
	for i, send := range requests {
		all.Go(func() { got[i] = send().status })
	}
	all.Wait()
	count := map[int]int{}
	for _, status := range got {
		count[status]++
	}
	return count
}

// Of racing writers one wins, and the others hear why.
func TestRacingWriters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	const racers = 6
	tag := h.asAdmin("GET", "/pools/people/users/ann", nil).tag()
	pool := h.asAdmin("GET", "/pools/people", nil).tag()
	for name, tc := range map[string]struct {
		send func(i int) *answer
		want map[int]int
	}{
		"one identifier": {func(i int) *answer {
			return h.asAdmin("POST", "/pools/people/users", fmt.Sprintf(`{"id":"i%d","status":"new","identifiers":[{"type":"uid","identifier":"same"}]}`, i))
		}, map[int]int{201: 1, 409: racers - 1}},
		"one user id": {func(int) *answer {
			return h.asSystem("POST", "/pools/people/users", `{"id":"same","status":"new"}`)
		}, map[int]int{201: 1, 409: racers - 1}},
		"one pool name": {func(int) *answer {
			return h.asSystem("POST", "/pools", `{"name":"Same"}`)
		}, map[int]int{201: 1, 409: racers - 1}},
		"one version of a user": {func(i int) *answer {
			return h.asAdmin("PUT", "/pools/people/users/ann", fmt.Sprintf(`{"metadata":{"i":%d}}`, i), "If-Match", tag)
		}, map[int]int{200: 1, 412: racers - 1}},
		"one version of a pool": {func(i int) *answer {
			return h.asSystem("PUT", "/pools/people", fmt.Sprintf(`{"name":"people","description":"%d"}`, i), "If-Match", pool)
		}, map[int]int{200: 1, 412: racers - 1}},
		"one idempotency key": {func(int) *answer {
			return h.asSystem("POST", "/pools/people/users", `{"id":"once","status":"new"}`, "X-Idempotency-Key", "0123456789012345678901234567890123")
		}, nil},
	} {
		sends := make([]func() *answer, racers)
		for i := range sends {
			sends[i] = func() *answer { return tc.send(i) }
		}
		got := race(sends...)
		if tc.want == nil { // the answer again, or that the first still runs
			tc.want = map[int]int{201: got[201], 409: racers - got[201]}
			if got[201] == 0 {
				t.Errorf("%s: nobody won", name)
			}
			if tc.want[409] == 0 {
				delete(tc.want, 409)
			}
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Every write leaves its event, and says who did it.
func TestIdentityEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	caller, bearer := h.caller("system", "identity")
	do := func(method, path, payload string) {
		t.Helper()
		if a := h.do(bearer, method, systemPath+path, payload, "X-Correlation-ID", "corr-1"); a.status >= 300 {
			t.Fatalf("%s: %d %s", a.what, a.status, a.body)
		}
	}
	const user = "/pools/p/users/u"
	do("POST", "/schemas", `{"id":"s","name":"S","schema":{"type":"object"}}`)
	do("PUT", "/schemas/s", `{"name":"S2","schema":{"type":"object"}}`)
	do("POST", "/pools", `{"id":"p","name":"P"}`)
	do("PUT", "/pools/p", `{"name":"P2"}`)
	do("POST", "/pools/p/users", `{"id":"u","status":"new"}`)
	do("PUT", user, `{"status":"active"}`)
	do("POST", user+"/identifiers/add", `{"type":"uid","identifier":"i"}`)
	do("POST", user+"/addresses/add", `{"type":"email","address":"a@example.com","verified":false}`)
	do("DELETE", user, ``)
	do("DELETE", "/pools/p", ``)
	do("DELETE", "/schemas/s", ``)

	events, err := h.audit.List(t.Context(), "acme", "admin", audit.Page{Oldest: true, Limit: 100, Metadata: map[string]string{"client_id": caller.ClientID}})
	h.ok(err)
	var got []string
	for _, e := range events {
		got = append(got, e.Subject+" "+e.Action)
		if e.Metadata["ip"] != "127.0.0.1" || e.Metadata["request_correlation_id"] != "corr-1" {
			t.Errorf("%s %s: %v", e.Subject, e.Action, e.Metadata)
		}
	}
	want := []string{
		"schema created", "schema updated", "pool created", "pool updated", "user created", "user updated", "user updated", "user updated",
		"user deleted", "pool deleted", "schema deleted",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
