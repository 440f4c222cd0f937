package proxy

import (
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// decision is what Config.Decided is told of a request with this error.
func decision(err error) string {
	switch {
	case err == nil:
		return "allow"
	case fault.Is(err, fault.Unauthenticated):
		return "sign_in"
	case fault.Is(err, fault.Denied):
		return "deny"
	case web.Status(err) < 500:
		return "refuse"
	}
	return "error"
}

// outcome is what Config.Answered is told of an exchange that err has ended.
func (x *exchange) outcome(err error) string {
	var client *clientError
	switch {
	case errors.Is(err, errSlow), errors.Is(err, errIdle):
		return "timeout"
	case errors.Is(err, errGone), isOver(err), errors.As(err, &client), x.up != nil && errors.As(x.up.err, &client):
		return "aborted"
	}
	return "error"
}

// Lasting returns how many streams, long waits and upgraded connections there
// are.
func (p *Proxy) Lasting() int {
	p.long.mu.Lock()
	defer p.long.mu.Unlock()
	return len(p.long.all)
}
