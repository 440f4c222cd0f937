package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

const (
	keyHeader = "X-Idempotency-Key"
	once      = "0123456789-0123456789-0123456789"
)

// A repetition gets the answer of the first request, secrets and tag included,
// and has no effect.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ name, raw, path, body string }{
		{"client", w.admin, "/api/admin/acme/clients", `{"authorization_server_id":"default"}`},
		{"server", w.admin, "/api/admin/acme/servers", `{"name":"Shop"}`},
		{"secret", w.system, "/api/system/acme/client/" + w.client("default") + "/rotateSecret", ``},
		{"tenant", w.rootSystem, "/api/system/tenants", `{"name":"Initech"}`},
		{"no body", w.admin, "/api/admin/acme/beta-feature", `{"flag":"custom_apps","value":true}`},
		{"a refusal", w.admin, "/api/admin/acme/servers", `{"id":"a b"}`},
	} {
		first := w.do(c.raw, "POST", c.path, c.body, keyHeader, once+c.name)
		if first.header.Get("X-Idempotent-Replayed") != "" {
			t.Errorf("%s: the first answer says that it is not", c.name)
		}
		w.pass()
		again := w.do(c.raw, "POST", c.path, c.body, keyHeader, once+c.name)
		if again.header.Get("X-Idempotent-Replayed") != "true" {
			t.Errorf("%s: not marked as replayed", c.name)
		}
		for _, header := range []string{"ETag", "Content-Type"} {
			if d := cmp.Diff(first.header.Get(header), again.header.Get(header)); d != "" {
				t.Errorf("%s: %s: %s", c.name, header, d)
			}
		}
		if d := cmp.Diff(string(first.body), string(again.body)); d != "" || first.status != again.status {
			t.Errorf("%s: status %d and %d: %s", c.name, first.status, again.status, d)
		}
	}
	if n := len(w.acme("GET", "/servers?search_phrase=Shop", nil).want(200).ids("servers")); n != 1 {
		t.Errorf("%d workspaces came of one key", n)
	}
}

func TestReplayEndsAfterAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	post := func() string {
		return w.acme("POST", "/clients", `{"authorization_server_id":"default"}`, keyHeader, once).want(201).at("client_id").(string)
	}
	first := post()
	w.clock.Advance(59 * time.Second)
	if post() != first {
		t.Error("forgotten within the minute")
	}
	w.clock.Advance(2 * time.Second)
	if post() == first {
		t.Error("remembered after the minute")
	}
}

func TestReplayKeyIsHeldToItsRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"authorization_server_id":"default"}`
	first := w.acme("POST", "/clients", body, keyHeader, once).want(201)
	w.acme("POST", "/clients", body+" ", keyHeader, once).refused(422, keyHeader)
	w.acme("GET", "/clients/"+first.at("client_id").(string), nil, keyHeader, once).want(200)
	// Another path, query, caller, family or tenant has keys of its own.
	for name, a := range map[string]*answer{
		"query":  w.acme("POST", "/clients?application_purpose=custom", body, keyHeader, once).want(201),
		"caller": w.do(w.holder("admin"), "POST", "/api/admin/acme/clients", body, keyHeader, once).want(201),
		"tenant": w.do(w.theirs, "POST", "/api/admin/other/clients", body, keyHeader, once).want(201),
		"path":   w.acme("POST", "/servers", `{}`, keyHeader, once).want(201),
	} {
		if a.header.Get("X-Idempotent-Replayed") != "" {
			t.Errorf("another %s got the answer: %s", name, a.body)
		}
	}
	for _, key := range []string{"short", strings.Repeat("x", 31), strings.Repeat("x", 256)} {
		w.acme("POST", "/servers", `{}`, keyHeader, key).refused(400, keyHeader)
	}
	for _, n := range []int{32, 255} {
		w.acme("POST", "/servers", `{}`, keyHeader, strings.Repeat("x", n)).want(201)
	}
	// Who has lost the right gets no old answer either.
	raw := w.holder("manager@default")
	w.do(raw, "POST", "/api/admin/acme/clients", body, keyHeader, once).want(201)
	for _, row := range w.acme("GET", "/servers/default/roles", nil).want(200).json()["clients"].([]any) {
		w.acme("DELETE", "/servers/default/roles/revoke", row).want(204)
	}
	w.do(raw, "POST", "/api/admin/acme/clients", body, keyHeader, once).refused(403, "")
}

// Of racing requests under one key one has an effect; the others get its answer,
// or 409 while it runs.
func TestReplayRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const racers = 16
	for round := range 5 {
		var wg sync.WaitGroup
		answers := make([]*answer, racers)
		start := make(chan struct{})
		for i := range racers {
			wg.Go(func() {
				<-start
				answers[i] = w.acme("POST", "/servers", fmt.Sprintf(`{"name":"race %d"}`, round), keyHeader, once+fmt.Sprint(round))
			})
		}
		close(start)
		wg.Wait()
		first, ids := 0, map[string]bool{}
		for _, a := range answers {
			switch a.status {
			case http.StatusCreated:
				ids[a.at("id").(string)] = true
				if a.header.Get("X-Idempotent-Replayed") == "" {
					first++
				}
			case http.StatusConflict:
				a.refused(409, "")
			default:
				t.Errorf("status %d: %s", a.status, a.body)
			}
		}
		if first != 1 || len(ids) != 1 {
			t.Errorf("round %d: %d effects, ids %v", round, first, ids)
		}
		if n := len(w.acme("GET", "/servers?search_phrase="+fmt.Sprintf("race+%d", round), nil).want(200).ids("servers")); n != 1 {
			t.Errorf("round %d: %d workspaces", round, n)
		}
	}
}

// A failure of ours is not remembered: the caller may try again.
func TestReplayForgetsFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"authorization_server_id":"default"}`
	w.faulty.Fail(storetest.OpInsert, "clients", 1, nil)
	w.acme("POST", "/clients", body, keyHeader, once).refused(503, "")
	if a := w.acme("POST", "/clients", body, keyHeader, once).want(201); a.header.Get("X-Idempotent-Replayed") != "" {
		t.Error("the failure counts as done")
	}
}

// While the first request runs, and when its answer could not be kept, a
// repetition is told to wait rather than done again.
func TestReplayOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"authorization_server_id":"default"}`
	release := make(chan struct{})
	w.faulty.Hold(storetest.OpInsert, "clients", 1, release)
	inside := w.faulty.Calls(storetest.OpInsert)
	done := make(chan *answer)
	go func() { done <- w.acme("POST", "/clients", body, keyHeader, once) }()
	for w.faulty.Calls(storetest.OpInsert) < inside+2 { // the key, then the client
		runtime.Gosched()
	}
	w.acme("POST", "/clients", body, keyHeader, once).refused(409, "")
	close(release)
	(<-done).want(201)
	w.acme("POST", "/clients", body, keyHeader, once).want(201)

	w.faulty.Fail(storetest.OpReplace, "replays", 1, nil)
	w.acme("POST", "/clients", body, keyHeader, once+"2").want(201)
	w.acme("POST", "/clients", body, keyHeader, once+"2").refused(409, "")
}

// What is kept for a repetition is sealed: answers hold secrets.
func TestReplaySealsAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.acme("POST", "/clients", `{"authorization_server_id":"default"}`, keyHeader, once).want(201)
	secret := a.at("client_secret").(string)
	recs, err := w.faulty.Scan(t.Context(), "replays", store.Scan{Tenant: "acme", Limit: 100, Now: w.clock.Now()})
	w.ok(err)
	if len(recs) != 1 {
		t.Fatalf("%d records", len(recs))
	}
	for _, rec := range recs {
		var raw json.RawMessage
		w.ok(rec.Decode(&raw))
		if strings.Contains(string(raw), secret) || strings.Contains(rec.ID, once) {
			t.Errorf("a secret lies open: %s", raw)
		}
	}
}
