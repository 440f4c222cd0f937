package setup_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// answers are good ones.
var answers = setup.Answers{Identifier: "op@example.com", Password: "correct horse battery staple"}

func TestLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, clock := t.Context(), w.disk.clock
	needed := func(want bool) {
		t.Helper()
		if got := must[bool](t)(w.Needed(ctx)); got != want {
			t.Errorf("needed: %v", got)
		}
	}
	needed(true)
	wantFault(t, w.Look(ctx, "anything"), fault.NotFound, "")
	wantFault(t, w.Look(ctx, ""), fault.NotFound, "")
	first := must[string](t)(w.NewLink(ctx))
	w.hidden([]string{tenant.Root}, first)
	clock.Advance(setup.LinkLife - time.Millisecond)
	for range 2 { // looking does not use it up
		if err := w.Look(ctx, first); err != nil {
			t.Error(err)
		}
	}
	second := must[string](t)(w.NewLink(ctx))
	wantFault(t, w.Look(ctx, first), fault.NotFound, "")
	if _, err := w.Complete(ctx, first, answers); !fault.Is(err, fault.NotFound) {
		t.Errorf("a replaced link: %v", err)
	}
	clock.Advance(setup.LinkLife)
	wantFault(t, w.Look(ctx, second), fault.NotFound, "")
	if _, err := w.Complete(ctx, second, answers); !fault.Is(err, fault.NotFound) {
		t.Errorf("an expired link: %v", err)
	}
	needed(true)
	third := must[string](t)(w.NewLink(ctx))
	for name, err := range map[string]error{"empty": w.Look(ctx, ""), "longer": w.Look(ctx, third+"x"), "cut": w.Look(ctx, third[:42])} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must[setup.Result](t)(w.Complete(ctx, third, answers))
	needed(false)
	_, err := w.NewLink(ctx)
	wantFault(t, err, fault.Conflict, "")
	wantFault(t, w.Look(ctx, third), fault.Conflict, "")
	_, err = w.Complete(ctx, third, answers)
	wantFault(t, err, fault.Conflict, "")
	_, err = w.Unattended(ctx, setup.Answers{})
	wantFault(t, err, fault.Conflict, "")
}

func TestComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	link := must[string](t)(w.NewLink(ctx))
	r := must[setup.Result](t)(w.Complete(ctx, link, answers))
	if r.Tenant.ID != "default" || r.Tenant.Name != "Default" || r.Operator != "op@example.com" {
		t.Errorf("tenant %q (%s), operator %q", r.Tenant.ID, r.Tenant.Name, r.Operator)
	}
	if r.TokenURL != base+"/default/admin/oauth2/token" || r.RootTokenURL != base+"/system/admin/oauth2/token" {
		t.Errorf("token URLs %s, %s", r.TokenURL, r.RootTokenURL)
	}
	w.proves(r.Client)
	w.proves(r.Root)
	got := must[pool.Result](t)(w.pools.Users.CheckPassword(ctx, tenant.Root, setup.Operators, limit.KindVerifyPassword, "OP@example.com", answers.Password))
	if got.Outcome != pool.PasswordCorrect || got.User.Status != pool.StatusActive || len(got.User.Addresses) != 1 || got.User.Addresses[0].Verified {
		t.Errorf("operator: %+v", got)
	}
	who := role.Caller{Tenant: tenant.Root, Subjects: []role.Subject{role.User(tenant.Root, setup.Operators, got.User.ID, got.User.Epoch)}}
	root := must[tenant.Tenant](t)(w.tenants.Tenants.Get(ctx, tenant.Root))
	on := role.Resource{Tenant: role.Ref{ID: root.ID, Epoch: root.Epoch}}
	if !must[bool](t)(w.roles.Can(ctx, who, role.ManageTenants, on)) {
		t.Error("the operator may not manage tenants")
	}
	if w.may(r.Client, role.ManageTenants, tenant.Root) || w.may(r.Root, role.UpdateTenant, "default") || !w.may(r.Root, role.ManageTenants, tenant.Root) {
		t.Error("roles of the clients")
	}
	idps := must[[]idp.IDP](t)(w.idps.List(ctx, tenant.Root, tenant.Admin))
	if len(idps) != 1 || idps[0].IdentityPoolID != setup.Operators {
		t.Errorf("IDPs of system/admin: %+v", idps)
	}
	if err := w.pools.Pools.Delete(ctx, tenant.Root, setup.Operators, 0); err == nil {
		t.Error("the pool of operators can be deleted")
	}
	w.hidden([]string{tenant.Root, "default"}, link, answers.Password, r.Client.ClientSecret, r.Root.ClientSecret)
}

// What the README does after the set-up must be allowed to the client that it
// ends with.
func TestCompleteWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	r := must[setup.Result](t)(w.Unattended(ctx, setup.Answers{}))
	for _, p := range []role.Permission{role.CreateWorkspace, role.CreateIdentityPool, role.ListWorkspaces} {
		if !w.may(r.Client, p, "default") {
			t.Errorf("the client may not %s", p)
		}
	}
	main := must[tenant.Workspace](t)(w.Workspace(ctx, tenant.Workspace{TenantID: "default", ID: "main", Name: "Main"}, false))
	on := role.Resource{
		Tenant: role.Ref{ID: "default", Epoch: r.Tenant.Epoch}, Workspace: role.Ref{ID: "main", Epoch: main.Epoch},
	}
	who := role.Caller{Tenant: "default", Subjects: []role.Subject{role.Client("default", r.Client.ClientID, r.Client.Epoch)}}
	if !must[bool](t)(w.roles.Can(ctx, who, role.UpdateWorkspace, on)) {
		t.Error("the client may not change its workspace")
	}
	for _, host := range []string{"app.localhost:8080", "wiki.localhost", "a.b.localhost:9000"} {
		v := route.Route{Tenant: "default", Workspace: "main", Host: host, Upstream: "http://127.0.0.1:3000"}
		must[store.Row[route.Route]](t)(w.routes.Create(ctx, v))
	}
	if err := w.routes.Load(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1"} {
		if !covered(w.routes.Table().Match("wiki.localhost", "/").Route, n) {
			t.Errorf("the app may not be at %s", n)
		}
	}
	if got := must[[]idp.IDP](t)(w.idps.List(ctx, tenant.Root, tenant.Admin)); len(got) != 1 {
		t.Error("operators have no way in")
	}
	if n := must[pool.Counted](t)(w.pools.Pools.Count(ctx, must[pool.Pool](t)(w.pools.Pools.Get(ctx, tenant.Root, setup.Operators)))); n.NumberOfUsers != 0 {
		t.Errorf("%d operators that nobody asked for", n.NumberOfUsers)
	}
	// Only the first tenant gets so much.
	must[setup.Created](t)(w.Tenant(ctx, tenant.Tenant{ID: "other", Name: "Other"}, false))
	_, err := w.routes.Claim(ctx, "x.localhost", "other", "admin")
	wantFault(t, err, fault.Denied, "host")
}

// The first tenant of an installation is the installation: it may have any host
// that nobody holds.
func TestCompleteHosts(t *testing.T) {
	t.Parallel()
	w := newDisk(t).start(t, "https://auth.example.com")
	must[setup.Result](t)(w.Unattended(t.Context(), setup.Answers{TenantID: "first"}))
	for _, host := range []string{"wiki.example.com", "app.localhost:8080", "else.example.net"} {
		if _, err := w.routes.Claim(t.Context(), host, "first", "admin"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What is wrong with the answers names the answer and leaves the link as it was.
func TestCompleteAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	link := must[string](t)(w.NewLink(ctx))
	for _, tc := range []struct {
		name  string
		a     setup.Answers
		field string
	}{
		{"no identifier", setup.Answers{Identifier: " ", Password: answers.Password}, "identifier"},
		{"no password", setup.Answers{Identifier: "op"}, "password"},
		{"nothing", setup.Answers{}, "identifier"},
		{"short", setup.Answers{Identifier: "op", Password: "kR7#pw"}, "password"},
		{"easy", setup.Answers{Identifier: "op", Password: "passwordpassword"}, "password"},
		{"about themselves", setup.Answers{Identifier: "margaret@example.com", Password: "margaretmargaret"}, "password"},
		{"no address", setup.Answers{Identifier: "op@", Password: answers.Password}, "identifier"},
		{"control", setup.Answers{Identifier: "op\x00", Password: answers.Password}, "identifier"},
		{"reserved tenant", setup.Answers{Identifier: "op", Password: answers.Password, TenantID: "system"}, "tenant_id"},
		{"malformed tenant", setup.Answers{Identifier: "op", Password: answers.Password, TenantID: "a b"}, "tenant_id"},
		{"tenant name", setup.Answers{Identifier: "op", Password: answers.Password, TenantName: strings.Repeat("x", 300)}, "tenant_name"},
	} {
		_, err := w.Complete(ctx, link, tc.a)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != tc.field {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err := w.Look(ctx, link); err != nil {
			t.Errorf("%s: the link is spent: %v", tc.name, err)
		}
	}
	r := must[setup.Result](t)(w.Complete(ctx, link, setup.Answers{Identifier: "op", Password: answers.Password, TenantID: "acme"}))
	if r.Tenant.Name != "acme" {
		t.Errorf("name %q", r.Tenant.Name)
	}
	list := must[[]pool.User](t)(w.pools.Users.List(ctx, tenant.Root, setup.Operators, pool.Query{}, store.Page{}))
	if len(list) != 1 || list[0].Identifiers[0].Type != pool.UID || list[0].Identifiers[0].Value != "op" {
		t.Errorf("operators: %+v", list)
	}
}

func TestCompleteRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := must[string](t)(w.NewLink(t.Context()))
	var racers sync.WaitGroup
	begin := make(chan struct{})
	won := make(chan setup.Result, 64)
	for i := range 64 {
		racers.Go(func() {
			<-begin
			a := answers
			a.Identifier = strings.Repeat("x", i+1) + "@example.com"
			r, err := w.Complete(t.Context(), link, a)
			switch {
			case err == nil:
				won <- r
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	close(begin)
	racers.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 64 succeeded", len(won))
	}
	r := <-won
	list := must[[]pool.User](t)(w.pools.Users.List(t.Context(), tenant.Root, setup.Operators, pool.Query{}, store.Page{}))
	if len(list) != 1 || list[0].Identifiers[0].Value != r.Operator {
		t.Errorf("operators %+v, but %s won", list, r.Operator)
	}
	w.proves(r.Client)
	if got := must[[]tenant.Tenant](t)(w.tenants.Tenants.List(t.Context(), "")); len(got) != 2 {
		t.Errorf("%d tenants", len(got))
	}
}

// An attempt whose process died blocks the next for two minutes, not for ever,
// and its operator does not stay.
func TestCompleteAfterCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	link := must[string](t)(w.NewLink(ctx))
	w.crashAt(60) // after the link was taken, before the end
	if _, err := w.Complete(ctx, link, answers); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	w = w.disk.start(t, base)
	wantFault(t, w.Look(ctx, link), fault.Conflict, "")
	_, err := w.NewLink(ctx)
	wantFault(t, err, fault.Conflict, "")
	_, err = w.Complete(ctx, link, answers)
	wantFault(t, err, fault.Conflict, "")
	w.disk.clock.Advance(2 * time.Minute)
	other := answers
	other.Identifier = "boss@example.com"
	must[setup.Result](t)(w.Complete(ctx, link, other))
	list := must[[]pool.User](t)(w.pools.Users.List(ctx, tenant.Root, setup.Operators, pool.Query{}, store.Page{}))
	if len(list) != 1 || list[0].Identifiers[0].Value != "boss@example.com" {
		t.Errorf("operators: %+v", list)
	}
}

// The end of the set-up is written and its answer lost: nobody could do it
// again, so what it ends with must be shown.
func TestCompleteLostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := must[string](t)(w.NewLink(t.Context()))
	w.faulty.Lose(storetest.OpReplace, "setup", 2) // the first takes the link
	r := must[setup.Result](t)(w.Complete(t.Context(), link, answers))
	w.proves(r.Client)
	if must[bool](t)(w.Needed(t.Context())) {
		t.Error("the set-up is not done")
	}
}

func TestUnattendedFaults(t *testing.T) {
	t.Parallel()
	do := func(w *world) error {
		_, err := w.Unattended(t.Context(), setup.Answers{})
		return err
	}
	faults(t, func(*world) {}, do, func(t *testing.T, w *world, _ error) { whole(t, w) })
}

// TestCompleteFaults stops at a few places only: each costs a password hash.
func TestCompleteFaults(t *testing.T) {
	t.Parallel()
	for n := 40; n <= 150; n += 22 {
		w := newWorld(t)
		link := must[string](t)(w.NewLink(t.Context()))
		w.faulty.Fail("", "", n, nil)
		if _, err := w.Complete(t.Context(), link, answers); err == nil {
			continue // the call did not matter
		}
		w.disk.clock.Advance(time.Minute + time.Second) // what an interrupted creation of the user has claimed
		if _, err := w.Complete(t.Context(), link, answers); err != nil {
			t.Fatalf("call %d failing: again: %v", n, err)
		}
		whole(t, w)
		if n := must[pool.Counted](t)(w.pools.Pools.Count(t.Context(), must[pool.Pool](t)(w.pools.Pools.Get(t.Context(), tenant.Root, setup.Operators)))); n.NumberOfUsers != 1 {
			t.Errorf("%d operators", n.NumberOfUsers)
		}
	}
}

// whole finishes the set-up if an attempt failed, and checks that nothing is
// there twice.
func whole(t *testing.T, w *world) {
	t.Helper()
	ctx := t.Context()
	if must[bool](t)(w.Needed(ctx)) {
		r := must[setup.Result](t)(w.Unattended(ctx, setup.Answers{}))
		w.proves(r.Client)
		w.proves(r.Root)
	}
	if d := cmp.Diff([]string{"admin API client", "admin User portal", "system User portal"}, w.clientNames(tenant.Root)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"admin API client", "admin User portal", "system API client", "system User portal"}, w.clientNames("default")); d != "" {
		t.Error(d)
	}
	if got := must[[]tenant.Tenant](t)(w.tenants.Tenants.List(ctx, "")); len(got) != 2 {
		t.Errorf("%d tenants", len(got))
	}
	if got := must[[]idp.IDP](t)(w.idps.List(ctx, tenant.Root, tenant.Admin)); len(got) != 1 {
		t.Errorf("%d IDPs", len(got))
	}
	if a := must[route.Allowance](t)(w.routes.Allowance(ctx, "default")); len(a.UpstreamNetworks) != 2 {
		t.Errorf("allowance %v", a)
	}
}

// Where only hashes of secrets are kept, what an earlier attempt made cannot be
// shown again: it gets another secret.
func TestUnattendedOneWay(t *testing.T) {
	t.Parallel()
	clean := newWorld(t)
	must[setup.Result](t)(clean.Unattended(t.Context(), setup.Answers{}))
	w := newWorld(t)
	w.oneWay = true
	w.crashAt(clean.faulty.Calls("") - newWorld(t).faulty.Calls("") - 1) // all but the end
	if _, err := w.Unattended(t.Context(), setup.Answers{}); err == nil {
		t.Fatal("no crash")
	}
	w = w.restart()
	w.oneWay = true
	r := must[setup.Result](t)(w.Unattended(t.Context(), setup.Answers{}))
	for _, c := range []client.Client{r.Client, r.Root} {
		if c.ClientSecret == "" {
			t.Error("no secret is shown")
		}
		w.proves(c)
	}
}
