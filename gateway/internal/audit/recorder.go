package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Event is one audit event as it is on the wire.
type Event struct {
	ID        string            `json:"event_id"` // set by Record: 32 hexadecimal digits, in the order of time
	Tenant    string            `json:"tenant_id"`
	Workspace string            `json:"server_id"`
	Subject   string            `json:"event_subject"`
	Action    string            `json:"action"`
	Time      time.Time         `json:"timestamp"` // zero: when it is recorded
	Metadata  map[string]any    `json:"metadata"`  // over what the context carries; empty texts are left out
	Context   map[string]string `json:"context,omitempty"`
	// Payload is an object with the one member {subject}_{action}. Record puts any
	// other value under that name; empty means an empty object.
	Payload json.RawMessage `json:"payload"`
}

// Config configures a Recorder. Zero fields have the defaults.
type Config struct {
	Retention time.Duration // events are kept so long; 7 days
	Scan      int           // the most events that one List looks at; 50 000
	Now       func() time.Time
	Recorded  func(subject, action string) // is told of every event that was recorded; nil: nobody is
}

// Recorder records and lists events. Safe for concurrent use.
type Recorder struct {
	config Config
	table  *store.Table[record]
	ids    ids
}

// record is an event in the store. Metadata and payload stay raw JSON there.
type record struct {
	Subject  string            `json:"subject"`
	Action   string            `json:"action"`
	Time     time.Time         `json:"time"`
	Metadata json.RawMessage   `json:"metadata"`
	Context  map[string]string `json:"context,omitempty"`
	Payload  json.RawMessage   `json:"payload"`
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Recorder, error) {
	if c.Retention <= 0 {
		c.Retention = 7 * 24 * time.Hour
	}
	if c.Scan <= 0 {
		c.Scan = 50_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Recorded == nil {
		c.Recorded = func(string, string) {}
	}
	table, err := store.Declare(ctx, s, store.Spec[record]{
		Name:    "audit",
		Expires: func(r *record) time.Time { return r.Time.Add(c.Retention) },
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &Recorder{config: c, table: table}, nil
}

// Record stores an event with the metadata that the context carries. When it
// returns nil the event is durable. Names outside the lists of the contract are
// an error.
func (r *Recorder) Record(ctx context.Context, e Event) error {
	if err := Check(e.Subject, e.Action); err != nil {
		return err
	}
	metadata, err := metadata(From(ctx), e.Metadata)
	if err != nil {
		return fmt.Errorf("audit: %s_%s: %w", e.Subject, e.Action, err)
	}
	payload, err := payload(e)
	if err != nil {
		return fmt.Errorf("audit: %s_%s: %w", e.Subject, e.Action, err)
	}
	if e.Time.IsZero() {
		e.Time = r.config.Now()
	}
	_, err = r.table.Create(ctx, e.Tenant, store.ID(e.Workspace, r.ids.next(e.Time)), record{
		Subject: e.Subject, Action: e.Action, Time: e.Time.UTC(), Metadata: metadata, Context: e.Context, Payload: payload,
	})
	if err != nil {
		return fmt.Errorf("audit: %s_%s: %w", e.Subject, e.Action, err)
	}
	r.config.Recorded(e.Subject, e.Action)
	return nil
}

// metadata joins what the context and the event say, the event's word last.
func metadata(m Meta, own map[string]any) (json.RawMessage, error) {
	all := m.members()
	for name, value := range own {
		if err := fits(name, value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	for name, value := range all {
		if s, ok := value.(string); ok {
			all[name] = clip(s)
			if s == "" {
				delete(all, name)
			}
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return raw, nil
}

func fits(name string, value any) error {
	_, isText := value.(string)
	_, isNumber := value.(float64)
	switch member(name) {
	case text:
		if isText {
			return nil
		}
	case number:
		if isNumber {
			return nil
		}
	case object:
		if !isText && !isNumber {
			return nil
		}
	default:
		return fmt.Errorf("unknown metadata %q", name)
	}
	return fmt.Errorf("metadata %q is a %T", name, value)
}

// payload returns the event's payload under its one name.
func payload(e Event) (json.RawMessage, error) {
	name := e.Subject + "_" + e.Action
	inner := bytes.TrimSpace(e.Payload)
	if len(inner) == 0 || bytes.Equal(inner, []byte("null")) {
		inner = []byte("{}")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(inner, &members); err == nil && len(members) == 1 && members[name] != nil {
		return inner, nil
	}
	raw, err := json.Marshal(map[string]json.RawMessage{name: inner})
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return raw, nil
}
