package grant_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

type people struct {
	*grant.Consents
	devices *grant.Devices
	marks   *grant.Marks
	clock   *storetest.Clock
}

func newPeople(t *testing.T) *people {
	t.Helper()
	p := &people{clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	now := func() time.Time { p.clock.Advance(time.Microsecond); return p.clock.Now() }
	db := store.New(storetest.Memory(t), now)
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	log := func(context.Context, ...changes.Entry) (uint64, error) { return 0, nil }
	if p.marks, err = grant.OpenMarks(t.Context(), db, grant.MarksConfig{Append: log, Life: 400 * 24 * time.Hour, Now: now}); err != nil {
		t.Fatal(err)
	}
	if p.Consents, err = grant.OpenConsents(t.Context(), db, grant.ConsentsConfig{Marks: p.marks, Life: 400 * 24 * time.Hour, Now: now}); err != nil {
		t.Fatal(err)
	}
	if p.devices, err = grant.OpenDevices(t.Context(), db, ring, now); err != nil {
		t.Fatal(err)
	}
	return p
}

func anna() grant.Consent {
	return grant.Consent{
		Workspace: "w", WorkspaceEpoch: "we", Client: "c", ClientEpoch: "ce", Pool: "p", User: "u", UserEpoch: "ue", IDP: "i", Subject: "s",
		Scopes: []string{"openid"},
	}
}

func (p *people) holds(t *testing.T, name string, c grant.Consent, want ...string) {
	t.Helper()
	got, ok, err := p.Allowed(t.Context(), "t", c)
	if err != nil || ok != (len(want) > 0) || !slices.Equal(got, want) {
		t.Errorf("%s: %v %t %v, want %v", name, got, ok, err, want)
	}
}

func TestConsentIsOfOnePersonAndOneClient(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	if _, err := p.Give(t.Context(), "t", anna()); err != nil {
		t.Fatal(err)
	}
	p.holds(t, "as given", anna(), "openid")
	for name, alter := range map[string]func(*grant.Consent){
		"another client":          func(c *grant.Consent) { c.Client = "c2" },
		"a client made anew":      func(c *grant.Consent) { c.ClientEpoch = "x" },
		"another workspace":       func(c *grant.Consent) { c.Workspace = "w2" },
		"a workspace made anew":   func(c *grant.Consent) { c.WorkspaceEpoch = "x" },
		"another person":          func(c *grant.Consent) { c.User = "u2" },
		"a person made anew":      func(c *grant.Consent) { c.UserEpoch = "x" },
		"another pool":            func(c *grant.Consent) { c.Pool = "p2" },
		"a subject like the user": func(c *grant.Consent) { c.Pool, c.User, c.Subject = "", "", "p/u" },
	} {
		c := anna()
		alter(&c)
		p.holds(t, name, c)
	}
}

func TestConsentEndsWithWhatItHangsOn(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]changes.Entry{
		"user":      {Kind: changes.KindRevokeUser, ID: "p/u"},
		"client":    {Kind: changes.KindRevokeClient, ID: "c"},
		"workspace": {Kind: changes.KindRevokeWorkspace, Workspace: "w", ID: "w"},
		"subject":   {Kind: changes.KindRevokeSubject, Workspace: "w", ID: "s"},
		"IDP":       {Kind: changes.KindRevokeIDP, Workspace: "w", ID: "i"},
	} {
		p := newPeople(t)
		if _, err := p.Give(t.Context(), "t", anna()); err != nil {
			t.Fatal(err)
		}
		e.Tenant = "t"
		if err := p.marks.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		p.holds(t, name, anna())
		more := anna()
		more.Scopes = []string{"email"}
		if _, err := p.Give(t.Context(), "t", more); err != nil {
			t.Fatal(err)
		}
		p.holds(t, name+", given again", anna(), "email")
	}
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	other := anna()
	other.Client = "c2"
	for _, c := range []grant.Consent{anna(), other} {
		if _, err := p.Give(t.Context(), "t", c); err != nil {
			t.Fatal(err)
		}
	}
	who := grant.Person{Pool: "p", User: "u", UserEpoch: "ue", Subject: "s"}
	ref := grant.Ref{Tenant: "t", Workspace: "w", Pool: "p", User: "u", Subject: "s", Client: "c", Issued: p.clock.Now()}
	if err := p.Consents.Withdraw(t.Context(), "t", "w", "c", who); err != nil {
		t.Fatal(err)
	}
	p.holds(t, "withdrawn", anna())
	p.holds(t, "from another client", other, "openid")
	list, err := p.List(t.Context(), "t", "w", "we", who)
	if err != nil || len(list) != 1 || list[0].Client != "c2" {
		t.Errorf("%v %v", list, err)
	}
	if !p.marks.Dead(ref) {
		t.Error("a token of the client lives on")
	}
	for name, alter := range map[string]func(*grant.Ref){
		"another client": func(r *grant.Ref) { r.Client = "c2" },
		"another person": func(r *grant.Ref) { r.User, r.Subject = "u2", "s2" },
		"the session":    func(r *grant.Ref) { r.Client = "" },
		"a later token":  func(r *grant.Ref) { r.Issued = p.clock.Now().Add(time.Second) },
	} {
		r := ref
		alter(&r)
		if p.marks.Dead(r) {
			t.Errorf("%s ended too", name)
		}
	}
}

// Of many answers for one device the first counts, of many polls one gets it.
func TestDeviceRaces(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ctx := t.Context()
	codes := grant.UserCodes{Set: "base20", Length: 8}
	device, user, d, err := p.devices.Begin(ctx, "t", grant.Device{Workspace: "w", WorkspaceEpoch: "we", Client: "c", ClientEpoch: "ce"}, codes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if d.Code == device || d.Code == "" {
		t.Error("the store has the device code")
	}
	terms := grant.Terms{Workspace: "w", WorkspaceEpoch: "we", Client: "c", ClientEpoch: "ce"}
	race := func(try func() error, lost error) int {
		var mu sync.Mutex
		var all sync.WaitGroup
		won := 0
		for range 32 {
			all.Go(func() {
				err := try()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, lost) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		return won
	}
	if n := race(func() error { return p.devices.Answer(ctx, "t", user, grant.Allowed, "g", terms) }, grant.ErrAnswered); n != 1 {
		t.Errorf("%d answers", n)
	}
	if n := race(func() error { _, err := p.devices.Poll(ctx, "t", "w", "c", device); return err }, grant.ErrInvalid); n != 1 {
		t.Errorf("%d polls", n)
	}
}

func TestUserCodes(t *testing.T) {
	t.Parallel()
	base20, digits := grant.UserCodes{Set: "base20", Length: 8}, grant.UserCodes{Set: "digits", Length: 6}
	for _, c := range []struct {
		set         grant.UserCodes
		typed, want string
		ok          bool
	}{
		{base20, "WDJB-MJHT", "WDJB-MJHT", true},
		{base20, " wdjbmjht ", "WDJB-MJHT", true},
		{base20, "wd jb mj ht", "WDJB-MJHT", true},
		{base20, "WDJB-MJH", "WDJB-MJH", false},
		{base20, "WDJB-MJH0", "", false},
		{base20, "WDJA-MJHT", "", false},
		{base20, "WDJB_MJHT", "", false},
		{base20, "ＷDJB-MJHT", "", false},
		{base20, "", "", false},
		{digits, "123 456", "1234-56", true},
		{digits, "12345O", "", false},
	} {
		if got, ok := c.set.Read(c.typed); got != c.want || ok != c.ok {
			t.Errorf("%q: %q %t, want %q %t", c.typed, got, ok, c.want, c.ok)
		}
	}
}
