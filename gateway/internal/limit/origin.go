package limit

import "context"

// Origin is where a try comes from.
type Origin struct {
	Network string // of the client's address, by the func Network
	// Device returns the id of the browser when who has signed in with it before,
	// else "". Nil: no browser is known.
	Device func(who string) string
}

type originKey struct{}

// WithOrigin returns a context whose tries count for o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns what WithOrigin put into the context. Tries of a context
// without an origin count for one network of their own.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// Knows tells whether the browser is one that who has signed in with before.
func (o Origin) Knows(who string) bool { return o.Device != nil && o.Device(who) != "" }

// source names who's tries from here, and tells whether they come from a device
// that is known to be who's.
func (o Origin) source(who string) (key string, known bool) {
	if o.Device != nil {
		if id := o.Device(who); id != "" {
			return "device/" + id, true
		}
	}
	return "network/" + o.Network, false
}
