package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config configures a Notifier.
type Config struct {
	Ring      *vault.Ring
	Mail, SMS Sender     // nil: nothing can be sent that way
	Templates *Templates // nil: the built-in ones
	Limits    Limits     // as they are: see DefaultLimits

	Timeout time.Duration // of one try; 0: 30 s
	Lease   time.Duration // of one try, longer than Timeout; 0: 2 min
	Workers int           // messages under way at once in this process; 0: 4
	// Outcome is told of every try and every message given up. Nil: nobody. It is
	// called side by side.
	Outcome func(ctx context.Context, e Entry)
	Now     func() time.Time
	Random  func() float64 // in [0, 1), for the jitter; nil: math/rand
	Log     *slog.Logger   // nil: nothing is logged
}

func (c Config) filled() (Config, error) {
	if c.Ring == nil {
		return c, errors.New("notify: no key ring")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Lease <= 0 {
		c.Lease = max(2*time.Minute, 2*c.Timeout)
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.Templates == nil {
		c.Templates, err = LoadTemplates("")
	}
	return c, err
}

// Notifier takes messages and delivers them. Safe for concurrent use.
type Notifier struct {
	config   Config
	log      *slog.Logger
	table    *store.Table[record]
	attempts *limit.Attempts
	kicks    chan place
}

// place is where a message lies.
type place struct{ tenant, id string }

// Open declares the outbox. Nothing is delivered before Run or Deliver.
func Open(ctx context.Context, s *store.Store, c Config) (*Notifier, error) {
	c, err := c.filled()
	if err != nil {
		return nil, err
	}
	table, err := declare(ctx, s)
	if err != nil {
		return nil, err
	}
	attempts, err := limit.OpenAttempts(ctx, s, limit.AttemptsConfig{Rule: c.Limits.rule, Now: c.Now})
	if err != nil {
		return nil, err
	}
	return &Notifier{config: c, log: c.Log, table: table, attempts: attempts, kicks: make(chan place, 256)}, nil
}

// Can tells whether messages can be sent through a channel.
func (n *Notifier) Can(channel string) bool { return n.sender(channel) != nil }

func (n *Notifier) sender(channel string) Sender {
	switch channel {
	case Email:
		return n.config.Mail
	case SMS:
		return n.config.SMS
	}
	return nil
}

// Admit counts a message in the budgets, as Send does, and writes nothing; Send
// does not count it again when Admitted is set. So a message that is refused need
// not have cost what goes with it, such as the code that a new code replaces. The
// code in it may be any.
func (n *Notifier) Admit(ctx context.Context, m Message) error {
	m, err := n.complete(m)
	if err != nil {
		return err
	}
	if m.To, err = address(m.Channel, m.To); err != nil {
		return err
	}
	return n.spend(ctx, &m)
}

// Send takes a message. When it returns nil the message is durable, and is tried
// at once where Run runs. limit.OriginOf(ctx) is who asks. A budget that is used
// up is a fault.TooMany with RetryAfter, a country that gets no SMS a
// fault.Denied, a channel without a sender fault.Unavailable, an address that is
// none fault.Unprocessable; nothing is written then.
func (n *Notifier) Send(ctx context.Context, m Message) error {
	m, err := n.complete(m)
	if err != nil {
		return err
	}
	if m.To, err = address(m.Channel, m.To); err != nil {
		return err
	}
	if !m.Admitted {
		if err := n.spend(ctx, &m); err != nil {
			return err
		}
	}
	id, err := n.add(ctx, &m, Queued)
	if err != nil {
		return err
	}
	select {
	case n.kicks <- place{m.Tenant, id}:
	default: // many are waiting: the job sends this one
	}
	return nil
}

// Pretend does what Send does, except that nobody is told: for requests about
// people who do not exist. m.To is what was typed, whether it is an address or
// not. The budgets are those of Send, so its refusals tell nothing either.
func (n *Notifier) Pretend(ctx context.Context, m Message) error {
	m, err := n.complete(m)
	if err != nil {
		return err
	}
	if canonical, err := address(m.Channel, m.To); err == nil {
		m.To = canonical
	}
	if err := n.spend(ctx, &m); err != nil {
		return err
	}
	_, err = n.add(ctx, &m, nobody)
	return err
}

// complete judges a message and fills in its life.
func (n *Notifier) complete(m Message) (Message, error) {
	now := n.config.Now()
	if err := m.problem(now); err != nil {
		return m, err
	}
	if !n.Can(m.Channel) {
		return m, fault.New(fault.Unavailable, "Messages cannot be sent at the moment.", fmt.Errorf("notify: no sender for %s is configured", m.Channel))
	}
	if m.Data.Life <= 0 {
		m.Data.Life = m.Expires.Sub(now)
	}
	return m, nil
}
