package signintest

import (
	"context"
	"sync"

	"github.com/gatepost/gatepost/gateway/internal/notify"
)

// Mailbox keeps the messages that were sent, in the place of a notifier. Safe for
// concurrent use.
type Mailbox struct {
	mu   sync.Mutex
	sent []notify.Message
	fail error
}

// Send keeps a message, or returns what Fail set.
func (m *Mailbox) Send(_ context.Context, v notify.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.sent = append(m.sent, v)
	return nil
}

// Admit returns what Fail set.
func (m *Mailbox) Admit(ctx context.Context, v notify.Message) error { return m.Pretend(ctx, v) }

// Pretend returns what Fail set.
func (m *Mailbox) Pretend(context.Context, notify.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail
}

// Fail makes sending fail from now on; nil ends that.
func (m *Mailbox) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// All returns what was sent so far, oldest first.
func (m *Mailbox) All() []notify.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]notify.Message(nil), m.sent...)
}

// Last returns the youngest message to an address; the zero message when there
// is none.
func (m *Mailbox) Last(to string) notify.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.sent) - 1; i >= 0; i-- {
		if m.sent[i].To == to {
			return m.sent[i]
		}
	}
	return notify.Message{}
}
