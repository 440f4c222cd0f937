package proxy

import (
	"bytes"
	"context"
	"slices"
)

// maxValues is how many values of the session's cookie one request may have
// tried: each may cost a look into the store.
const maxValues = 4

// session returns who the cookies of the session's name stand for: a browser may
// hold several, set for other paths or by an older deployment.
func (p *Proxy) session(ctx context.Context, pl *plan, in *inbound) (*Identity, error) {
	values := in.values(pl.cookie)
	if len(values) == 0 {
		return nil, errSignedOut()
	}
	return p.cfg.Door.Session(ctx, pl.route, values)
}

// values returns the first values of a cookie, each once, at most maxValues.
func (in *inbound) values(name string) []string {
	var values []string
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
			n, v, ok := bytes.Cut(pair, []byte{'='})
			if !ok || string(bytes.TrimSpace(n)) != name {
				continue
			}
			if v := string(bytes.TrimSpace(v)); !slices.Contains(values, v) {
				values = append(values, v)
			}
			if len(values) == maxValues {
				return values
			}
		}
	}
	return values
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
