package signin

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
)

// How many clients are told at once. A slot may be held for tellTimeout by an
// address that anybody registered, so that nobody gets many of them.
const (
	slotsInAll     = 64
	slotsOfTenant  = 4
	slotsOfAddress = 2
	mostTold       = 512              // looked at together
	tellWithin     = 15 * time.Second // no try begins later: it is leased for twice as long
)

// slots counts who is being told.
type slots struct {
	mu     sync.Mutex
	all    int
	tenant map[string]int
	host   map[string]int
}

// take takes a slot to tell a host of a tenant's client, if one is free.
func (s *slots) take(tenant, host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= slotsInAll || s.tenant[tenant] >= slotsOfTenant || s.host[host] >= slotsOfAddress {
		return false
	}
	if s.tenant == nil {
		s.tenant, s.host = map[string]int{}, map[string]int{}
	}
	s.all++
	s.tenant[tenant]++
	s.host[host]++
	return true
}

func (s *slots) free(tenant, host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.tenant[tenant]--; s.tenant[tenant] == 0 {
		delete(s.tenant, tenant)
	}
	if s.host[host]--; s.host[host] == 0 {
		delete(s.host, host)
	}
}

// message is what one client is to be told.
type message struct {
	to     session.Told
	space  *live.Space
	client *client.Client
}

// address is where messages of a tenant go.
type address struct{ tenant, host string }

// deliver tells clients that are leased to this gateway: those of one address one
// after the other in the slots that it gets, until one of them fails. It does not
// wait for them: whoever is not tried is due again soon. failed gets errors of the
// store.
func (s *Service) deliver(ctx context.Context, list []session.Told, under *sync.WaitGroup, failed func(error)) {
	until := s.Now().Add(tellWithin)
	for to, queue := range s.addressed(ctx, list, failed) {
		got := 0
		for got < slotsOfAddress && s.telling.take(to.tenant, to.host) {
			got++
			under.Go(func() {
				told := true
				for m := range queue {
					var err error
					if told && ctx.Err() == nil && s.Now().Before(until) {
						told, err = s.tell(ctx, m)
					} else {
						err = s.untried(ctx, m)
					}
					failed(err)
				}
				s.telling.free(to.tenant, to.host)
			})
		}
		if got > 0 {
			continue
		}
		for m := range queue {
			failed(s.untried(ctx, m))
		}
	}
}

// addressed sorts messages into closed queues by where they go. Those to nobody
// are done.
func (s *Service) addressed(ctx context.Context, list []session.Told, failed func(error)) map[address]chan message {
	queues := map[address]chan message{}
	for _, p := range list {
		m, host, err := s.addressee(ctx, p)
		failed(err)
		if host == "" {
			continue
		}
		to := address{p.Tenant, host}
		if queues[to] == nil {
			queues[to] = make(chan message, len(list))
		}
		queues[to] <- m
	}
	for _, queue := range queues {
		close(queue)
	}
	return queues
}

// addressee finds out whom a message is for. No host: nobody, any more.
func (s *Service) addressee(ctx context.Context, p session.Told) (m message, host string, _ error) {
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*tellTimeout)
	defer cancel()
	space, c, err := s.listener(note, p)
	if err != nil {
		return m, "", err // it is due again when the lease ends
	}
	if c == nil { // it is gone, or wants to hear no more
		return m, "", s.Participants.Done(note, p)
	}
	u, err := url.Parse(c.BackchannelLogoutURI)
	if err != nil || u.Host == "" {
		return m, "", s.Participants.Done(note, p)
	}
	return message{p, space, c}, u.Host, nil
}

// untried puts a message back that found no slot.
func (s *Service) untried(ctx context.Context, m message) error {
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*tellTimeout)
	defer cancel()
	pause := time.Duration(float64(RedeliverEvery) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter
	return s.Participants.Untried(note, m.to, s.Now().Add(pause))
}

// failures are errors of several goroutines.
type failures struct {
	mu  sync.Mutex
	err error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = errors.Join(f.err, err)
}

func (f *failures) all() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
