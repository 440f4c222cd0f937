package signin

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const (
	deviceLife = 180 * 24 * time.Hour
	maxKnown   = 8 // people that one browser is known for; the oldest is forgotten
)

// device is the sealed content of the cookie by which a browser is known: who has
// signed in with it. It proves nothing. It only keeps others, who guess at these
// people's passwords from elsewhere, from slowing them down.
type device struct {
	ID    string   `json:"id"`
	Known []string `json:"known"` // pool + "/" + user, oldest first
}

func deviceAAD(tenant string) string { return vault.AAD(tenant, "devices", "browser", "cookie") }

// device reads the browser's cookie; a new one when there is none.
func (s *Service) device(tenant string, b Browser) device {
	for _, value := range b.Cookies(s.names.Device(tenant)) {
		raw, err := s.Ring.Open(value, deviceAAD(tenant))
		if err != nil {
			continue
		}
		var d device
		if json.Unmarshal(raw, &d) == nil {
			return d
		}
	}
	return device{ID: vault.NewID()}
}

// WithOrigin returns a context whose tries at secrets count for this browser.
func (s *Service) WithOrigin(ctx context.Context, tenant string, b Browser) context.Context {
	return limit.WithOrigin(ctx, limit.Origin{Network: limit.Network(b.IP), Device: func(who string) string {
		d := s.device(tenant, b)
		if slices.Contains(d.Known, who) {
			return d.ID
		}
		return ""
	}})
}

// known is the cookie of a browser with which a user has just signed in.
func (s *Service) known(tenant, poolID, user string, b Browser) (Cookie, error) {
	d := s.device(tenant, b)
	who := poolID + "/" + user
	d.Known = append(slices.DeleteFunc(d.Known, func(x string) bool { return x == who }), who)
	d.Known = d.Known[max(0, len(d.Known)-maxKnown):]
	raw, err := json.Marshal(d)
	if err != nil {
		return Cookie{}, err
	}
	value, err := s.Ring.Seal(raw, deviceAAD(tenant))
	return Cookie{Name: s.names.Device(tenant), Value: value, Life: deviceLife, Secure: s.names.Secure}, err
}

// Cookie is a cookie of the pages, set as all are.
func (s *Service) Cookie(name, value string, life time.Duration) Cookie {
	return Cookie{Name: name, Value: value, Life: life, Secure: s.names.Secure}
}

// MethodCookie names the cookie that remembers how a browser's person signs in.
func (s *Service) MethodCookie(tenant, pool string) string { return s.names.Method(tenant, pool) }

// FormCookie names the cookie that the tokens of a browser's forms are made from.
func (s *Service) FormCookie() string { return s.names.prefix() + "form" }

// UserCodeCookie names the cookie that keeps a device's code during a sign-in.
func (s *Service) UserCodeCookie() string { return s.names.prefix() + "user-code" }

// RegisteredCookie names the cookie of a browser that has registered somebody.
func (s *Service) RegisteredCookie() string { return s.names.prefix() + "registered" }

// PasskeyCookie names the cookie that keeps a new passkey until its form is sent.
func (s *Service) PasskeyCookie() string { return s.names.prefix() + "passkey" }
