package selfservice_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// prove signs in at a place with what a phone answers there.
func (w *world) prove(p *phone, place, whose string) (pool.User, error) {
	w.T.Helper()
	owner := w.owner()
	options, err := w.SelfService.AskPasskey(&owner, place, nil)
	w.OK(err)
	u, _, err := w.SelfService.ProvePasskey(w.T.Context(), &owner, place, whose, p.sign(w.T, options))
	return u, err
}

// wantPasskey fails the test unless err is the one refusal of passkeys.
func wantPasskey(t testing.TB, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Unauthenticated) || fault.Read(err).Public != fault.Read(selfservice.ErrPasskey(nil)).Public {
		t.Errorf("%s: %v, want the one refusal", what, err)
	}
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.User(alice).ID
	p, key := w.enrol(id)
	if key.CreatedAt.IsZero() || key.RPID != "localhost" || key.Purpose != credential.Passwordless {
		t.Errorf("enrolled %+v", key)
	}
	for _, whose := range []string{"", id} {
		if u, err := w.prove(p, "login", whose); err != nil || u.ID != id {
			t.Errorf("%q: %s %v", whose, u.ID, err)
		}
	}
	u := w.byID(id)
	if stored := u.Passkeys()[0]; stored.UsedAt.IsZero() {
		t.Error("the use is not stored")
	}
}

// TestPasskeyRefused: whatever is wrong with an answer, the refusal is one.
func TestPasskeyRefused(t *testing.T) {
	t.Parallel()
	type scene struct {
		*world
		phone  *phone
		owner  pool.Pool
		place  string // where the answer is given
		whose  string
		answer []byte
	}
	cut := func(s *scene) { s.answer = s.answer[:len(s.answer)/2] }
	for name, tc := range map[string]struct {
		before func(s *scene) // the phone answers
		after  func(s *scene)
	}{
		"another login's":  {after: func(s *scene) { s.place = "another" }},
		"another pool's":   {after: func(s *scene) { s.owner.Epoch = "another" }},
		"another tenant's": {after: func(s *scene) { s.owner.TenantID = "admin" }},
		"too old":          {after: func(s *scene) { s.Pass(challengeLife) }},
		"used": {after: func(s *scene) {
			_, _, err := s.SelfService.ProvePasskey(s.T.Context(), &s.owner, "login", "", s.answer)
			s.OK(err)
		}},
		"rubbish":                 {after: func(s *scene) { s.answer = []byte("{}") }},
		"cut off":                 {after: cut},
		"another origin":          {before: func(s *scene) { s.phone.site.Origin = "https://evil.example" }},
		"another port":            {before: func(s *scene) { s.phone.site.Origin = "http://localhost:8081" }},
		"another RP ID":           {before: func(s *scene) { s.phone.site.ID = "evil.example" }},
		"user not verified":       {before: func(s *scene) { s.phone.auth.Options.UserNotVerified = true }},
		"user not present":        {before: func(s *scene) { s.phone.auth.Options.UserNotPresent = true }},
		"another user's handle":   {before: func(s *scene) { s.phone.auth.Options.UserHandle = []byte("bob") }},
		"an unknown key":          {before: func(s *scene) { s.phone = newPhone(s.T) }},
		"inactive":                {after: func(s *scene) { s.SetStatus(alice, pool.StatusInactive) }},
		"of another than is due":  {after: func(s *scene) { s.whose = s.User(bob).ID }},
		"removed":                 {after: func(s *scene) { s.remove() }},
		"removed by deletion":     {after: func(s *scene) { s.OK(s.Pools.Users.Delete(s.T.Context(), s.Demo.Tenant, s.pool, s.User(alice).ID, 0)) }},
		"a second factor alone":   {before: func(s *scene) { s.second(s.phone) }},
		"the challenge to enrol":  {before: func(s *scene) { s.answer = s.enrolling(s.phone) }},
		"a challenge of no MAC":   {before: func(s *scene) { s.answer = s.phone.sign(s.T, s.forged(24)) }},
		"a challenge of a guess":  {before: func(s *scene) { s.answer = s.phone.sign(s.T, s.forged(56)) }},
		"a challenge of one byte": {before: func(s *scene) { s.answer = s.phone.sign(s.T, s.forged(1)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, _ := w.enrol(w.User(alice).ID)
			s := &scene{world: w, phone: p, owner: w.owner(), place: "login"}
			if tc.before != nil {
				tc.before(s)
			}
			if s.answer == nil {
				options, err := w.SelfService.AskPasskey(&s.owner, "login", nil)
				w.OK(err)
				s.answer = s.phone.sign(t, options)
			}
			if tc.after != nil {
				tc.after(s)
			}
			writes := w.Faulty.Calls(storetest.OpInsert) + w.Faulty.Calls(storetest.OpReplace)
			u, key, err := w.SelfService.ProvePasskey(t.Context(), &s.owner, s.place, s.whose, s.answer)
			if n := w.Faulty.Calls(storetest.OpInsert) + w.Faulty.Calls(storetest.OpReplace) - writes; n > 0 && name != "used" {
				t.Errorf("a refusal costs %d writes", n)
			}
			if name == "another tenant's" && fault.Is(err, fault.NotFound) {
				return
			}
			wantPasskey(t, err, name)
			if u.ID != "" || key.ID != nil {
				t.Error("a user comes with the refusal")
			}
		})
	}
}

func (w *world) remove() {
	w.T.Helper()
	u := w.User(alice)
	w.OK(w.Pools.Users.RemovePasskey(w.T.Context(), w.Demo.Tenant, w.pool, u.ID, pool.PasskeyID(u.Passkeys()[0].ID), false))
}

// second makes the phone's passkey one that was imported as a second factor.
func (w *world) second(p *phone) {
	w.T.Helper()
	u := w.User(alice)
	key := u.Passkeys()[0]
	w.remove()
	key.Purpose = credential.SecondFactor
	w.OK(w.Pools.Users.AddPasskey(w.T.Context(), w.Demo.Tenant, w.pool, u.ID, key, pool.CredentialOptions{}))
	p.auth.Options.UserNotVerified = true
}

// enrolling is an assertion over a challenge that was made for an enrolment.
func (w *world) enrolling(p *phone) []byte {
	w.T.Helper()
	u := w.User(alice)
	c := w.SelfService.Challenge(w.Demo.Tenant, "create", u.PoolEpoch, u.ID, u.Epoch)
	return p.sign(w.T, []byte(`{"publicKey":{"rpId":"localhost","challenge":"`+base64.RawURLEncoding.EncodeToString(c)+`"}}`))
}

// forged are request options with a challenge of nobody's.
func (w *world) forged(n int) []byte {
	c := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\x7f", n)))
	return []byte(`{"publicKey":{"rpId":"localhost","challenge":"` + c + `"}}`)
}

// A passkey that is a second factor alone serves as one.
func TestSecondFactorPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.User(alice).ID
	p, _ := w.enrol(id)
	w.second(p)
	if _, err := w.prove(p, "login", id); err != nil {
		t.Error(err)
	}
	_, err := w.prove(p, "login", "")
	wantPasskey(t, err, "alone")
}

// Of two answers to one challenge one is taken.
func TestPasskeyOnceInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, _ := w.enrol(w.User(alice).ID)
	owner := w.owner()
	options, err := w.SelfService.AskPasskey(&owner, "login", nil)
	w.OK(err)
	answer := p.sign(t, options)
	done, wrong, many, other := together(50, func(int) error {
		_, _, err := w.SelfService.ProvePasskey(t.Context(), &owner, "login", "", answer)
		return err
	})
	if done != 1 || wrong != 49 {
		t.Errorf("%d succeeded, %d wrong, %d too many, %d else", done, wrong, many, other)
	}
}

// A wrong answer does not use the challenge up, and the right one does.
func TestPasskeyAfterRubbish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, _ := w.enrol(w.User(alice).ID)
	owner := w.owner()
	options, err := w.SelfService.AskPasskey(&owner, "login", nil)
	w.OK(err)
	for i, phone := range []*phone{newPhone(t), p, p} {
		_, _, err := w.SelfService.ProvePasskey(t.Context(), &owner, "login", "", phone.sign(t, options))
		if i == 1 {
			w.OK(err)
		} else {
			wantPasskey(t, err, fmt.Sprint("answer ", i))
		}
	}
}

// A counter that went back is an event and no refusal.
func TestPasskeyCloned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, _ := w.enrol(w.User(alice).ID)
	for i, counter := range []uint32{7, 3} {
		p.key.Counter = counter
		if _, err := w.prove(p, "login", ""); err != nil {
			t.Errorf("counter %d: %v", counter, err)
		}
		u := w.User(alice)
		if n := w.events(audit.SubjectRisk, audit.ActionCalculated); n != i || u.Passkeys()[0].CloneWarning != (i == 1) {
			t.Errorf("counter %d: %d events", counter, n)
		}
	}
}

// Enrolments: of whom, by which challenge, how often.
func TestEnrolRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at, aliceID, bobID := w.Demo.Tenant, w.User(alice).ID, w.User(bob).ID
	p := newPhone(t)
	options, err := w.SelfService.BeginPasskey(t.Context(), at, w.pool, aliceID)
	w.OK(err)
	answer := p.make(t, options)
	_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, bobID, answer)
	wantKind(t, err, fault.Unauthenticated, "for somebody else")
	_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, aliceID, answer)
	w.OK(err)
	_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, aliceID, answer)
	wantKind(t, err, fault.Unauthenticated, "twice")
	options, err = w.SelfService.BeginPasskey(t.Context(), at, w.pool, bobID)
	w.OK(err)
	_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, bobID, p.make(t, options))
	wantKind(t, err, fault.Conflict, "somebody else's passkey")
	options, err = w.SelfService.BeginPasskey(t.Context(), at, w.pool, bobID)
	w.OK(err)
	late := newPhone(t).make(t, options)
	w.Pass(challengeLife)
	_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, bobID, late)
	wantKind(t, err, fault.Unauthenticated, "too late")
	for name, lie := range map[string]func(*phone){
		"another origin": func(p *phone) { p.site.Origin = "https://evil.example" },
		"another RP ID":  func(p *phone) { p.site.ID = "evil.example" },
		"not verified":   func(p *phone) { p.auth.Options.UserNotVerified = true },
	} {
		options, err = w.SelfService.BeginPasskey(t.Context(), at, w.pool, bobID)
		w.OK(err)
		liar := newPhone(t)
		lie(liar)
		_, err = w.SelfService.FinishPasskey(t.Context(), at, w.pool, bobID, liar.make(t, options))
		if !errors.Is(err, credential.ErrPasskey) || !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.SetStatus(bob, pool.StatusInactive)
	_, err = w.SelfService.BeginPasskey(t.Context(), at, w.pool, bobID)
	wantKind(t, err, fault.Unprocessable, "inactive")
	if u := w.byID(bobID); len(u.Passkeys()) != 0 {
		t.Error("bob has a passkey")
	}
}

// Somebody whose device is lost enrols another by a code.
func TestEnrolByCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.User(alice).ID
	extended := code.Extend(id, w.ask(code.EnrollWebAuthn, alice))
	p := newPhone(t)
	options, err := w.SelfService.BeginPasskey(t.Context(), w.Demo.Tenant, w.pool, id)
	w.OK(err)
	key, err := w.SelfService.MadePasskey(t.Context(), w.Demo.Tenant, w.pool, id, p.make(t, options))
	w.OK(err)
	for range 2 {
		_, err = w.SelfService.AddPasskey(t.Context(), w.Demo.Tenant, w.pool, selfservice.Who{}, extended, key)
		if u := w.byID(id); len(u.Passkeys()) != 1 {
			t.Errorf("%d passkeys, %v", len(u.Passkeys()), err)
		}
	}
	wantSame(t, err, "the code again")
	if u, err := w.prove(p, "login", ""); err != nil || u.ID != id {
		t.Error(err)
	}
}

// The relying party is the gateway's host, or what the pool says.
func TestRelyingParty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		set    *pool.WebAuthn
		id     string
		origin string
	}{
		"nothing set": {nil, "localhost", base},
		"an id":       {&pool.WebAuthn{RPID: "example.com"}, "example.com", base},
		"origins":     {&pool.WebAuthn{Origins: []string{"https://a.example"}}, "localhost", "https://a.example"},
		"both":        {&pool.WebAuthn{RPID: "example.com", Origins: []string{"https://example.com"}}, "example.com", "https://example.com"},
	} {
		p := w.owner()
		p.WebAuthn = tc.set
		if rp := w.SelfService.RelyingParty(&p); rp.ID != tc.id || rp.Origins[0] != tc.origin || rp.Name != "People" {
			t.Errorf("%s: %+v", name, rp)
		}
	}
}
