package store

import (
	"strings"
	"time"
)

// ID joins parts into one composite id. Parts are escaped, so that no choice of
// parts gives the id of another choice.
func ID(parts ...string) string {
	esc := make([]string, len(parts))
	for i, p := range parts {
		esc[i] = escaper.Replace(p)
	}
	return strings.Join(esc, "/")
}

// Prefix joins parts into the common beginning of all composite ids that start
// with them.
func Prefix(parts ...string) string { return ID(parts...) + "/" }

var escaper = strings.NewReplacer("%", "%25", "/", "%2F", "\x00", "%00")

// OrderTime encodes a time so that byte order is time order.
func OrderTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
