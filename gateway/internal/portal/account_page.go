package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin"
)

// kinds are the types of identifiers and addresses in people's words.
var kinds = map[string]string{pool.Email: "Email", pool.Mobile: "Phone", pool.UID: "User name"}

func kindOf(t string) string {
	if k, ok := kinds[t]; ok {
		return k
	}
	return t
}

// show draws the account page.
func (x *own) show(status int, errs []page.FieldError) error {
	about := known(x.current)
	v := page.Account{
		CSRF: x.p.formToken(x.current), EndAction: x.at("/end-session"), EndAllAction: x.at("/end-all"),
		Name: about.String("name"), Identifier: about.String("preferred_username"), Errors: errs,
	}
	if status == http.StatusOK {
		n, err := x.take(x.p.Signin.NoticeCookie(), "notice")
		if err != nil {
			return err
		}
		v.Notice = n
	}
	if err := x.sessions(&v); err != nil {
		return err
	}
	if err := x.apps(&v); err != nil {
		return err
	}
	if x.pooled() {
		if err := x.sections(&v); err != nil {
			return err
		}
	}
	return x.p.show(x.c, x.space, status, v)
}

func (x *own) sessions(v *page.Account) error {
	if x.current.User == "" {
		return nil
	}
	list, err := x.p.Signin.Sessions.List(x.ctx, x.space.Tenant, x.current.Pool, x.current.User)
	for _, s := range list {
		on := page.Session{
			ID: s.ID, Device: page.Device(s.UserAgent), IP: s.IP, Methods: page.Methods(s.AMR), SignedIn: s.AuthTime,
			LastSeen: s.Touched, Current: s.ID == x.current.ID,
		}
		if s.Workspace != x.space.ID {
			on.Place = s.Workspace
		}
		if !on.Current {
			v.EndOthersAction = x.at("/end-others")
		}
		v.Sessions = append(v.Sessions, on)
	}
	slices.SortStableFunc(v.Sessions, func(a, b page.Session) int { // this one first, then the last seen
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return b.LastSeen.Compare(a.LastSeen)
	})
	return err
}

// sections fills in what a member of an identity pool can see and change.
func (x *own) sections(v *page.Account) error {
	for _, i := range x.user.Identifiers {
		v.Identifiers = append(v.Identifiers, identifierOf(x.user, i))
	}
	if x.stale() {
		v.FreshURL = x.at("/confirm")
	}
	if x.offers(pool.MechanismPassword) {
		v.Password = page.PasswordSection{Action: x.at("/password"), Set: x.user.HasPassword(), Rules: rules(x.owner.PasswordPolicy)}
	}
	v.Passkeys = x.passkeys()
	v.TOTP = page.TOTPSection{Set: x.user.Credential(pool.TypeTOTP) != nil}
	switch {
	case v.TOTP.Set:
		v.TOTP.RemoveAction = x.at("/totp/remove")
	case x.asks(pool.MechanismTOTP):
		v.TOTP.SetUpURL = x.at("/totp")
	}
	if signin.HasSecond(&x.owner, &x.user) {
		v.Recovery = page.RecoverySection{Action: x.at("/recovery-codes"), Left: x.user.RecoveryCodes()}
	}
	v.Addresses.VerifyAction = x.at("/addresses")
	for i := range x.user.Addresses {
		if a := &x.user.Addresses[i]; a.Status == pool.StatusActive {
			v.Addresses.List = append(v.Addresses.List, page.Identifier{Value: a.Value, Kind: kindOf(a.Type), Verifiable: true, Verified: a.Verified})
		}
	}
	return x.remembered(v)
}

// offers tells whether the pool's people may sign in by a mechanism, asks
// whether it takes one as the second factor.
func (x *own) offers(mechanism string) bool {
	return slices.Contains(x.owner.AuthenticationMechanisms, mechanism)
}

func (x *own) asks(mechanism string) bool {
	return slices.Contains(x.owner.SecondFactorAuthenticationMechanisms, mechanism)
}

// takesPasskeys tells whether a new passkey would be good for anything.
func (x *own) takesPasskeys() bool {
	return x.offers(pool.MechanismWebAuthn) || x.asks(pool.MechanismWebAuthn)
}

func (x *own) passkeys() page.PasskeySection {
	s := page.PasskeySection{RenameAction: x.at("/passkeys/rename"), RemoveAction: x.at("/passkeys/remove")}
	if x.takesPasskeys() {
		s.AddAction = x.at("/passkeys")
		s.Calls = page.PasskeyCalls{Begin: x.at("/passkeys/begin"), Finish: x.at("/passkeys/finish")}
	}
	list := x.user.Passkeys()
	last := len(list) == 1 && signin.NeedsPasskey(&x.owner, &x.user)
	for i := range list {
		k := page.Passkey{
			ID: pool.PasskeyID(list[i].ID), Name: list[i].Name, Created: list[i].CreatedAt, LastUsed: list[i].UsedAt,
			Synced: list[i].BackupState, Kept: last,
		}
		if k.Name == "" {
			k.Name = "Passkey"
		}
		s.List = append(s.List, k)
	}
	return s
}

func (x *own) remembered(v *page.Account) error {
	v.Remembered.ForgetAction = x.at("/remembered")
	list, err := x.p.Signin.MFASessions.List(x.ctx, &x.user)
	slices.SortFunc(list, func(a, b pool.MFASession) int { return b.Issued.Compare(a.Issued) })
	for i := range list {
		m := &list[i]
		v.Remembered.List = append(v.Remembered.List, page.RememberedBrowser{ID: m.ID, Device: page.Device(m.UserAgent), IP: m.IP, Since: m.Issued})
	}
	return err
}

func identifierOf(u pool.User, x pool.Identifier) page.Identifier {
	out := page.Identifier{Value: x.Value, Kind: kindOf(x.Type), Verifiable: x.Type == pool.Email || x.Type == pool.Mobile}
	for _, a := range u.Addresses {
		if a.Type == x.Type && strings.EqualFold(a.Value, x.Value) {
			out.Verified = a.Verified
		}
	}
	return out
}
