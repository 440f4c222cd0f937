package audit

import (
	"context"
	"strings"
)

// Meta is what is known of a request and does not change on its way through the
// program. Empty members are left out of events.
type Meta struct {
	IP            string
	UserAgent     string
	TraceID       string
	CorrelationID string // the caller's X-Correlation-ID
	Actor         Actor
}

// Actor is who does it, as far as it is known.
type Actor struct {
	ClientID        string // of the access token, or of the login
	Subject         string // sub of the token
	SessionID       string // of the login
	AuthorizationID string // of the authorization request: joins a code, its tokens and consents
	IDPID           string
	IDPMethod       string
	IDPSubject      string
	PoolID          string
	UserID          string
}

type metaKey struct{}

// With returns a context whose events carry m.
func With(ctx context.Context, m Meta) context.Context { return context.WithValue(ctx, metaKey{}, m) }

// WithActor returns a context whose events carry a beside what ctx has.
func WithActor(ctx context.Context, a Actor) context.Context {
	m := From(ctx)
	m.Actor = a
	return With(ctx, m)
}

// From returns what With put into the context, else the zero value.
func From(ctx context.Context) Meta {
	m, _ := ctx.Value(metaKey{}).(Meta)
	return m
}

// members returns m as an event's metadata.
func (m Meta) members() map[string]any {
	all := map[string]any{}
	for name, value := range map[string]string{
		"ip":                           m.IP,
		"user_agent":                   m.UserAgent,
		"trace_id":                     m.TraceID,
		"request_correlation_id":       m.CorrelationID,
		"client_id":                    m.Actor.ClientID,
		"subject":                      m.Actor.Subject,
		"session_id":                   m.Actor.SessionID,
		"authorization_correlation_id": m.Actor.AuthorizationID,
		"idp_id":                       m.Actor.IDPID,
		"idp_method":                   m.Actor.IDPMethod,
		"idp_subject":                  m.Actor.IDPSubject,
		"user_pool_id":                 m.Actor.PoolID,
		"user_id":                      m.Actor.UserID,
	} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

// longest is how much of a text in metadata is kept: parts of it are whatever a
// stranger sent.
const longest = 512

func clip(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
