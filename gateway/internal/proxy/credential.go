package proxy

import (
	"bytes"
	"context"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// session tries every cookie of the session's name: a browser may hold several,
// set for other paths or by an older deployment.
func (p *Proxy) session(ctx context.Context, pl *plan, in *inbound) (*Identity, error) {
	var last error
	for _, l := range in.lines {
		if l.kind != cookie {
			continue
		}
		for rest := in.valueOf(l); len(rest) > 0; {
			var pair []byte
			if i := bytes.IndexByte(rest, ';'); i >= 0 {
				pair, rest = rest[:i], rest[i+1:]
			} else {
				pair, rest = rest, nil
			}
			name, value, ok := bytes.Cut(pair, []byte{'='})
			if !ok || string(bytes.TrimSpace(name)) != pl.cookie {
				continue
			}
			id, err := p.cfg.Door.Session(ctx, pl.route, string(bytes.TrimSpace(value)))
			if err == nil {
				return id, nil
			}
			if last = err; !fault.Is(err, fault.Unauthenticated) {
				return nil, err
			}
		}
	}
	if last == nil {
		last = errSignedOut()
	}
	return nil, last
}

// bearerToken returns the token of an Authorization value, or "" (RFC 6750,
// section 2.1; the scheme's case does not matter).
func bearerToken(value []byte) string {
	scheme, rest, ok := bytes.Cut(value, []byte{' '})
	if !ok || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return ""
	}
	return string(bytes.TrimSpace(rest))
}
