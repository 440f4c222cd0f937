package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*audit.Recorder
	t     testing.TB
	clock *storetest.Clock
	store *store.Store
	fault *storetest.Faulty
}

func newWorld(t testing.TB, c audit.Config) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock(noon), fault: storetest.NewFaulty(storetest.Memory(t))}
	w.store = store.New(w.fault, w.clock.Now)
	c.Now = w.clock.Now
	r, err := audit.Open(t.Context(), w.store, c)
	if err != nil {
		t.Fatal(err)
	}
	w.Recorder = r
	return w
}

func (w *world) record(ctx context.Context, e audit.Event) {
	w.t.Helper()
	if err := w.Record(ctx, e); err != nil {
		w.t.Fatal(err)
	}
}

// user records an event that is told apart by its user id.
func (w *world) user(workspace, id string) {
	w.t.Helper()
	w.record(w.t.Context(), audit.Event{
		Tenant: "acme", Workspace: workspace, Subject: audit.SubjectUser, Action: audit.ActionCreated,
		Metadata: map[string]any{"user_id": id},
	})
}

func (w *world) list(tenant, workspace string, p audit.Page) []audit.Event {
	w.t.Helper()
	events, err := w.List(w.t.Context(), tenant, workspace, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func users(events []audit.Event) []string {
	out := []string{}
	for _, e := range events {
		id, _ := e.Metadata["user_id"].(string)
		out = append(out, id)
	}
	return out
}

func TestRecordList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	ctx := audit.With(t.Context(), audit.Meta{
		IP: "192.0.2.1", UserAgent: "curl/8", TraceID: "t1", CorrelationID: "c1",
		Actor: audit.Actor{ClientID: "nobody yet"},
	})
	ctx = audit.WithActor(ctx, audit.Actor{
		ClientID: "app", Subject: "sub", SessionID: "s1", AuthorizationID: "a1",
		IDPID: "idp", IDPMethod: "oidc", IDPSubject: "isub", PoolID: "people", UserID: "alice",
	})
	w.record(ctx, audit.Event{
		Tenant: "acme", Workspace: "shop", Subject: audit.SubjectClient, Action: audit.ActionUpdated,
		Payload:  json.RawMessage(`{"client_id":"x","big":12345678901234567890}`),
		Metadata: map[string]any{"subject": "other", "group_id": "", "latitude": 52.5, "actor_claims": map[string]any{"sub": "y"}},
		Context:  map[string]string{"reason": "test"},
	})
	got := w.list("acme", "shop", audit.Page{})
	if len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
	if !regexp.MustCompile(`^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`).MatchString(got[0].ID) {
		t.Errorf("id = %s, want a UUID of version 7 without dashes", got[0].ID)
	}
	got[0].ID = "ID"
	wire, err := json.MarshalIndent(got[0], "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(wire)); diff != "" {
		t.Errorf("testdata/event.json (-want +got):\n%s", diff)
	}
}

func TestPayloadHasOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	for in, want := range map[string]string{
		``:                          `{"user_created":{}}`,
		` null `:                    `{"user_created":{}}`,
		`{"id":"a"}`:                `{"user_created":{"id":"a"}}`,
		`{"user_created":{"id":1}}`: `{"user_created":{"id":1}}`,
		`{"user_created":1,"x":2}`:  `{"user_created":{"user_created":1,"x":2}}`,
	} {
		w.clock.Advance(time.Second)
		w.record(t.Context(), audit.Event{Tenant: "acme", Workspace: "shop", Subject: "user", Action: "created", Payload: json.RawMessage(in)})
		if got := string(w.list("acme", "shop", audit.Page{Limit: 1})[0].Payload); got != want {
			t.Errorf("payload %s became %s, want %s", in, got, want)
		}
	}
}

func TestRecordRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	cases := []struct {
		name string
		e    audit.Event
		want string
	}{
		{"unknown subject", audit.Event{Subject: "session", Action: "created"}, `"session"`},
		{"unknown action", audit.Event{Subject: "user", Action: "made"}, `"made"`},
		{"no subject", audit.Event{Action: "created"}, `""`},
		{"unknown metadata", audit.Event{Subject: "user", Action: "created", Metadata: map[string]any{"userid": "x"}}, `"userid"`},
		{"text for a number", audit.Event{Subject: "user", Action: "created", Metadata: map[string]any{"latitude": "north"}}, `"latitude"`},
		{"number for a text", audit.Event{Subject: "user", Action: "created", Metadata: map[string]any{"ip": 1.0}}, `"ip"`},
		{"text for an object", audit.Event{Subject: "user", Action: "created", Metadata: map[string]any{"actor_claims": "x"}}, `"actor_claims"`},
		{"broken payload", audit.Event{Subject: "user", Action: "created", Payload: json.RawMessage(`{"a":`)}, "payload"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.e.Tenant, c.e.Workspace = "acme", "shop"
			if err := w.Record(t.Context(), c.e); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Record = %v, want an error with %s", err, c.want)
			}
		})
	}
	if got := w.list("acme", "shop", audit.Page{}); len(got) != 0 {
		t.Errorf("%d events were kept", len(got))
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	w.fault.Down(nil)
	err := w.Record(t.Context(), audit.Event{Tenant: "acme", Workspace: "shop", Subject: "user", Action: "created"})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Record = %v, want store.ErrUnavailable", err)
	}
	if _, err := w.List(t.Context(), "acme", "shop", audit.Page{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("List = %v, want store.ErrUnavailable", err)
	}
}

func TestWhatStrangersSendIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	ctx := audit.With(t.Context(), audit.Meta{UserAgent: strings.Repeat("x", 511) + "é" + strings.Repeat("x", 10_000), CorrelationID: "a\xffb"})
	w.record(ctx, audit.Event{Tenant: "acme", Workspace: "shop", Subject: "user", Action: "created"})
	got := w.list("acme", "shop", audit.Page{})[0].Metadata
	if want := strings.Repeat("x", 511) + "\uFFFD"; got["user_agent"] != want {
		t.Errorf("user agent = %q", got["user_agent"])
	}
	if got["request_correlation_id"] != "a\uFFFDb" {
		t.Errorf("correlation id = %q", got["request_correlation_id"])
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	for i := range 9 {
		if i%3 == 0 {
			w.clock.Advance(time.Second) // three of each instant
		}
		w.user("shop", fmt.Sprint(i))
	}
	w.user("other", "x")
	all := w.list("acme", "shop", audit.Page{})
	id := func(user int) string { return all[8-user].ID }
	cases := []struct {
		name string
		page audit.Page
		want []string
	}{
		{"newest first", audit.Page{}, []string{"8", "7", "6", "5", "4", "3", "2", "1", "0"}},
		{"oldest first", audit.Page{Oldest: true, Limit: 4}, []string{"0", "1", "2", "3"}},
		{"after", audit.Page{After: id(6), Limit: 3}, []string{"5", "4", "3"}},
		{"after, oldest first", audit.Page{After: id(6), Oldest: true}, []string{"7", "8"}},
		{"before", audit.Page{Before: id(2), Limit: 3}, []string{"5", "4", "3"}},
		{"before, oldest first", audit.Page{Before: id(6), Oldest: true, Limit: 2}, []string{"4", "5"}},
		{"before the first", audit.Page{Before: id(8)}, []string{}},
		{"after the last", audit.Page{After: id(0)}, []string{}},
		{"filter and page", audit.Page{Metadata: map[string]string{"user_id": "4"}, After: id(6)}, []string{"4"}},
		{"filter, nothing beyond the cursor", audit.Page{Metadata: map[string]string{"user_id": "7"}, After: id(6)}, []string{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, users(w.list("acme", "shop", c.page))); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingCrosses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	w.user("shop", "a")
	w.user("shop/x", "b") // an id that looks like another workspace's
	w.user("", "c")
	w.record(t.Context(), audit.Event{Tenant: "evil", Workspace: "shop", Subject: "user", Action: "created", Metadata: map[string]any{"user_id": "d"}})
	for where, want := range map[[2]string]string{{"acme", "shop"}: "a", {"acme", "shop/x"}: "b", {"acme", ""}: "c", {"evil", "shop"}: "d"} {
		got := w.list(where[0], where[1], audit.Page{})
		if len(got) != 1 || got[0].Metadata["user_id"] != want || got[0].Tenant != where[0] || got[0].Workspace != where[1] {
			t.Errorf("%q has %v, want %s alone", where, got, want)
		}
	}
	if got := w.list("acme", "sho", audit.Page{}); len(got) != 0 {
		t.Errorf("the beginning of a workspace's id lists %v", got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	for i, e := range []audit.Event{
		{Subject: "user", Action: "created", Metadata: map[string]any{"user_id": "0", "ip": "192.0.2.1"}},
		{Subject: "user", Action: "deleted", Metadata: map[string]any{"user_id": "1", "ip": "192.0.2.2"}},
		{Subject: "otp", Action: "sent", Metadata: map[string]any{"user_id": "2", "ip": "192.0.2.1"}},
		{Subject: "login", Action: "failed", Metadata: map[string]any{"user_id": "3"}},
	} {
		e.Tenant, e.Workspace = "acme", "shop"
		e.Time = noon.Add(time.Duration(i) * time.Minute).Add(500 * time.Microsecond)
		w.record(t.Context(), e)
	}
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Minute).Add(500 * time.Microsecond) }
	cases := []struct {
		name string
		page audit.Page
		want []string
	}{
		{"subject", audit.Page{Subjects: []string{"user"}}, []string{"1", "0"}},
		{"subjects", audit.Page{Subjects: []string{"login", "otp"}}, []string{"3", "2"}},
		{"action", audit.Page{Actions: []string{"deleted", "sent"}}, []string{"2", "1"}},
		{"both", audit.Page{Subjects: []string{"user"}, Actions: []string{"deleted", "sent"}}, []string{"1"}},
		{"ip", audit.Page{Metadata: map[string]string{"ip": "192.0.2.1"}}, []string{"2", "0"}},
		{"ip and user", audit.Page{Metadata: map[string]string{"ip": "192.0.2.1", "user_id": "0"}}, []string{"0"}},
		{"from is included", audit.Page{From: at(2)}, []string{"3", "2"}},
		{"just after it", audit.Page{From: at(2).Add(1)}, []string{"3"}},
		{"to is not", audit.Page{To: at(1)}, []string{"0"}},
		{"just before it", audit.Page{To: at(1).Add(1)}, []string{"1", "0"}},
		{"between", audit.Page{From: at(1), To: at(3), Oldest: true}, []string{"1", "2"}},
		{"before anything", audit.Page{To: time.Unix(-5, 0)}, []string{}},
		{"nothing", audit.Page{Metadata: map[string]string{"client_id": "x"}}, []string{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, users(w.list("acme", "shop", c.page))); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
	for field, page := range map[string]audit.Page{
		"event_subject": {Subjects: []string{"user", "nonsense"}},
		"event_action":  {Actions: []string{""}},
		"latitude":      {Metadata: map[string]string{"latitude": "1"}},
		"nonsense":      {Metadata: map[string]string{"nonsense": "1"}},
	} {
		_, err := w.List(t.Context(), "acme", "shop", page)
		if !fault.Is(err, fault.Invalid) || fault.Read(err).Field != field {
			t.Errorf("filter %s: %v, want fault.Invalid naming it", field, err)
		}
	}
}

// A rare match far back is found, or refused, never left out.
func TestLongWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{Scan: 600})
	w.user("shop", "rare")
	for range 450 {
		w.user("shop", "common")
	}
	page := audit.Page{Metadata: map[string]string{"user_id": "rare"}}
	if diff := cmp.Diff([]string{"rare"}, users(w.list("acme", "shop", page))); diff != "" {
		t.Error(diff)
	}
	for range 300 {
		w.user("shop", "common")
	}
	if _, err := w.List(t.Context(), "acme", "shop", page); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("beyond the walk: %v, want fault.Unprocessable", err)
	}
	if got := w.list("acme", "shop", audit.Page{Limit: 700}); len(got) != 700 {
		t.Errorf("a page without filters has %d events, want 700", len(got))
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	w.user("shop", "old")
	w.clock.Advance(24 * time.Hour)
	w.user("shop", "young")
	w.clock.Advance(6*24*time.Hour - time.Second)
	if diff := cmp.Diff([]string{"young", "old"}, users(w.list("acme", "shop", audit.Page{}))); diff != "" {
		t.Error(diff)
	}
	w.clock.Advance(time.Second)
	if diff := cmp.Diff([]string{"young"}, users(w.list("acme", "shop", audit.Page{}))); diff != "" {
		t.Error(diff)
	}
}

// Ids of one process are different and in order, whoever records.
func TestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, audit.Config{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				w.user("shop", fmt.Sprintf("%d-%02d", g, i))
			}
		})
	}
	wg.Wait()
	events := w.list("acme", "shop", audit.Page{Oldest: true, Limit: 1000})
	last := map[byte]string{}
	for _, u := range users(events) {
		if u <= last[u[0]] {
			t.Errorf("%s is listed after %s", u, last[u[0]])
		}
		last[u[0]] = u
	}
	if len(events) != 200 {
		t.Errorf("%d events, want 200", len(events))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	subjects, actions := audit.Subjects(), audit.Actions()
	if len(subjects) != 38 || len(actions) != 30 {
		t.Errorf("%d subjects, %d actions; the contract has 38 and 30", len(subjects), len(actions))
	}
	for _, list := range [][]string{subjects, actions} {
		slices.Sort(list)
		if len(slices.Compact(list)) != len(list) {
			t.Error("a name is there twice")
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	w := newWorld(b, audit.Config{})
	ctx := audit.With(b.Context(), audit.Meta{IP: "192.0.2.1", UserAgent: "Mozilla/5.0", TraceID: "t", Actor: audit.Actor{ClientID: "c", UserID: "u"}})
	payload := json.RawMessage(`{"id":"alice","identifiers":[{"type":"email","identifier":"alice@example.com"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		w.record(ctx, audit.Event{Tenant: "acme", Workspace: "shop", Subject: "user", Action: "created", Payload: payload})
	}
}

func BenchmarkListNewest(b *testing.B) {
	w := newWorld(b, audit.Config{})
	for range 5000 {
		w.user("shop", "u")
	}
	b.ReportAllocs()
	for b.Loop() {
		w.list("acme", "shop", audit.Page{})
	}
}
