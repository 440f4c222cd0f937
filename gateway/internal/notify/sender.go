package notify

import (
	"context"
	"errors"
	"time"
)

// Letter is a message as it leaves.
type Letter struct {
	ID                string // also the local part of an e-mail's Message-ID
	Tenant, Workspace string
	Kind              Kind
	To                string
	Subject, HTML     string // e-mail only
	Text              string
	Date              time.Time
}

// Sender hands letters of one channel to the next station. It is safe for
// concurrent use and ends when ctx does.
type Sender interface {
	// Send returns what the station answered. An error that is a [Failure] says
	// whether another try makes sense; any other error means it does.
	Send(ctx context.Context, l Letter) (answer string, err error)
}

// Failure is a letter that the station did not take.
type Failure struct {
	Answer    string // what it said
	Permanent bool   // it will never take this one
	Cause     error
}

// Error returns what the station said.
func (f *Failure) Error() string {
	if f.Answer != "" || f.Cause == nil {
		return f.Answer
	}
	return f.Cause.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

func permanent(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Permanent
}
