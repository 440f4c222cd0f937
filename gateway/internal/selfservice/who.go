package selfservice

import (
	"context"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// Who names a person as a caller does: by id, or by an identifier, or, when both
// are empty, by a verified address. With id or identifier, Address chooses where
// a code goes.
type Who struct {
	UserID     string `json:"userID"`
	Identifier string `json:"identifier"`
	Address    string `json:"address"`
}

func (w *Who) check() error {
	switch {
	case w.UserID != "" && w.Identifier != "":
		return fault.At(fault.Unprocessable, "identifier", "must not be given together with userID")
	case w.UserID == "" && w.Identifier == "" && w.Address == "":
		return fault.At(fault.Unprocessable, "identifier", "give an identifier, a userID or a verified address")
	}
	return nil
}

// typed is what attempts at nobody count for.
func (w *Who) typed() string {
	for _, s := range []string{w.Identifier, w.Address, w.UserID} {
		if s != "" {
			return s
		}
	}
	return ""
}

// resolve returns the person, or nobody: a user without an id.
func (s *Service) resolve(ctx context.Context, p *pool.Pool, w Who) (pool.User, error) {
	by := pool.Key(w)
	if by.UserID != "" || by.Identifier != "" {
		by.Address = "" // of this person, not to find them by
	}
	return found(s.Users.Find(ctx, p.TenantID, p.ID, by))
}

// Destination is where a code can go.
type Destination struct {
	Address string // canonical
	Channel string // notify.Email or notify.SMS
	Masked  string // for pages: enough to recognise, not to learn
}

func destination(a *pool.Address) Destination {
	d := Destination{Address: a.Value, Channel: notify.Email}
	if a.Type == pool.Mobile {
		d.Channel = notify.SMS
	}
	d.Masked = notify.Mask(a.Value)
	return d
}

// Destinations are the user's active, verified addresses that the mechanisms
// allow: all of otp, e-mail of email_otp, mobile of sms_otp.
func Destinations(u *pool.User, mechanisms []string) []Destination {
	var out []Destination
	for i := range u.Addresses {
		a := &u.Addresses[i]
		if a.Verified && a.Status == pool.StatusActive && allows(mechanisms, a.Type) {
			out = append(out, destination(a))
		}
	}
	return out
}

func allows(mechanisms []string, kind string) bool {
	for _, m := range mechanisms {
		if m == pool.MechanismOTP || m == pool.MechanismEmailOTP && kind == pool.Email || m == pool.MechanismSMSOTP && kind == pool.Mobile {
			return true
		}
	}
	return false
}
