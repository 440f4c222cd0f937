package grant

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// The errors of a poll for a device code (RFC 8628, section 3.5); ErrInvalid is
// for a code that is unknown, another client's, or was used.
var (
	ErrPending  = errors.New("nobody has answered for the device yet")
	ErrSlowDown = errors.New("the device polls too often")
	ErrDenied   = errors.New("the device was refused")
	ErrExpired  = errors.New("the device code has expired")
)

// ErrAnswered means that a device was allowed or refused before.
var ErrAnswered = errors.New("the device was answered for before")

// Answer is what a person said of a device.
type Answer string

// The answers.
const (
	Unanswered Answer = ""
	Allowed    Answer = "allowed"
	Refused    Answer = "refused"
)

// Device is one request of a device to be signed in (RFC 8628, section 3.1).
type Device struct {
	Workspace      string        `json:"workspace"`
	WorkspaceEpoch string        `json:"workspace_epoch"`
	Client         string        `json:"client"`
	ClientEpoch    string        `json:"client_epoch"`
	Scopes         []string      `json:"scopes,omitempty"`
	IP             string        `json:"ip,omitempty"` // that the device asked from
	Code           string        `json:"code"`         // SHA-256 of the device code
	Interval       time.Duration `json:"interval"`     // between two polls
	Polled         time.Time     `json:"polled,omitzero"`
	Answer         Answer        `json:"answer,omitempty"`
	Answered       time.Time     `json:"answered,omitzero"`
	Grant          string        `json:"grant,omitempty"` // id of the grant that redeeming the code starts
	Terms          Terms         `json:"terms"`           // of who allowed it
	Created        time.Time     `json:"created"`
	Expires        time.Time     `json:"expires"`
}

const (
	firstInterval = 5 * time.Second // RFC 8628, section 3.2
	slower        = 5 * time.Second // RFC 8628, section 3.5
	slowest       = time.Minute
	// afterlife is how long an expired device is remembered, to tell its client so.
	afterlife = time.Hour
)

// Devices keeps the requests of devices. The store has device codes as hashes and
// user codes as MACs under the key ring: they are short enough to be guessed from
// a hash. When the ring gets another first key, codes that wait are lost. Safe for
// concurrent use.
type Devices struct {
	table *store.Table[Device]
	ring  *vault.Ring
	now   func() time.Time
}

// OpenDevices declares the table. A device's id is made of its user code, so that
// of several equal ones only the first is stored.
func OpenDevices(ctx context.Context, s *store.Store, ring *vault.Ring, now func() time.Time) (*Devices, error) {
	table, err := store.Declare(ctx, s, store.Spec[Device]{
		Name:    "devices",
		Expires: func(d *Device) time.Time { return d.Expires.Add(afterlife) },
		Indexes: map[string]func(*Device) (store.Key, bool){
			"code": func(d *Device) (store.Key, bool) { return store.Key{Equal: d.Code}, true },
		},
	})
	if err != nil {
		return nil, err
	}
	return &Devices{table, ring, now}, nil
}

// alphabets are the characters of user codes by the name of their set. base20 has
// no vowel, so no word, and nothing that looks like something else (RFC 8628,
// section 6.1).
var alphabets = map[string]string{"base20": "BCDFGHJKLMNPQRSTVWXZ", "digits": "0123456789"}

// UserCodes says how the user codes of a workspace look.
type UserCodes struct {
	Set    string // base20, also when unknown, or digits
	Length int
}

func (u UserCodes) alphabet() string {
	if a, ok := alphabets[u.Set]; ok {
		return a
	}
	return alphabets["base20"]
}

// fresh returns a random code without dashes.
func (u UserCodes) fresh() string {
	set := u.alphabet()
	bound := 256 - 256%len(set)
	code := make([]byte, 0, u.Length)
	for b := make([]byte, 1); len(code) < u.Length; {
		_, _ = rand.Read(b) // never fails
		if n := int(b[0]); n < bound {
			code = append(code, set[n%len(set)])
		}
	}
	return string(code)
}

// Read returns a user code as it was shown, however it was typed: case, spaces and
// dashes do not matter. A character that no code has is not guessed at: false.
func (u UserCodes) Read(typed string) (string, bool) {
	if len(typed) > 4*u.Length {
		return "", false
	}
	plain := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '–' || r == '\t' {
			return -1
		}
		return r
	}, typed)
	plain = strings.ToUpper(plain)
	for _, r := range plain {
		if !strings.ContainsRune(u.alphabet(), r) {
			return "", false
		}
	}
	return show(plain), len(plain) == u.Length
}

// show puts a dash after every four characters.
func show(plain string) string {
	var parts []string
	for part := range slices.Chunk([]byte(plain), 4) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, "-")
}

func (k *Devices) id(tenant, workspace, userCode string) string {
	return base64.RawURLEncoding.EncodeToString(k.ring.MAC("user code", tenant, workspace, userCode))
}

// Begin stores d for ttl and returns its codes.
func (k *Devices) Begin(ctx context.Context, tenant string, d Device, u UserCodes, ttl time.Duration) (deviceCode, userCode string, begun Device, err error) {
	deviceCode = vault.NewSecret()
	d.Code, d.Interval, d.Answer = vault.Hash(deviceCode), firstInterval, Unanswered
	d.Created = k.now()
	d.Expires = d.Created.Add(ttl)
	for range 5 {
		userCode = show(u.fresh())
		_, err = k.table.Create(ctx, tenant, k.id(tenant, d.Workspace, userCode), d)
		if !errors.Is(err, store.ErrExists) {
			break // else another device shows this code
		}
	}
	return deviceCode, userCode, d, err
}

// Look returns the device that shows a user code and waits for an answer, or
// ErrInvalid.
func (k *Devices) Look(ctx context.Context, tenant, workspace, epoch, userCode string) (Device, error) {
	row, err := k.table.Get(ctx, tenant, k.id(tenant, workspace, userCode))
	if errors.Is(err, store.ErrNotFound) {
		return Device{}, ErrInvalid
	}
	if err != nil {
		return Device{}, err
	}
	d := row.Value
	if d.WorkspaceEpoch != epoch || d.Answer != Unanswered || !k.now().Before(d.Expires) {
		return Device{}, ErrInvalid
	}
	return d, nil
}

// Answer keeps what a person said of the device that shows a user code; terms are
// those of who allows it, and grant the id of what redeeming the code will start.
// Of several answers the first counts, the others get ErrAnswered; ErrInvalid when
// nothing waits.
func (k *Devices) Answer(ctx context.Context, tenant, userCode string, a Answer, grant string, terms Terms) error {
	_, err := k.table.Update(ctx, tenant, k.id(tenant, terms.Workspace, userCode), func(d *Device) error {
		switch {
		case d.WorkspaceEpoch != terms.WorkspaceEpoch || d.Client != terms.Client || d.ClientEpoch != terms.ClientEpoch || !k.now().Before(d.Expires):
			return ErrInvalid
		case d.Answer != Unanswered:
			return ErrAnswered
		}
		d.Answer, d.Answered, d.Terms, d.Grant = a, k.now(), terms, grant
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvalid
	}
	return err
}

// Poll asks for the answer to a device code of a client in a workspace. Of any
// number of polls after it was allowed exactly one gets the device, without an
// error.
func (k *Devices) Poll(ctx context.Context, tenant, workspace, client, deviceCode string) (Device, error) {
	if len(deviceCode) > 256 {
		return Device{}, ErrInvalid
	}
	hash := vault.Hash(deviceCode)
	for {
		rows, err := k.table.Find(ctx, tenant, store.Query{Index: "code", Equal: hash}, store.Page{Limit: 1})
		if err != nil {
			return Device{}, err
		}
		if len(rows) == 0 || rows[0].Value.Workspace != workspace || rows[0].Value.Client != client {
			return Device{}, ErrInvalid
		}
		d, err := k.poll(ctx, tenant, rows[0])
		if errors.Is(err, store.ErrStale) { // another poll, or the answer, came first
			if err := ctx.Err(); err != nil {
				return Device{}, err
			}
			continue
		}
		if errors.Is(err, store.ErrNotFound) {
			err = ErrInvalid
		}
		return d, err
	}
}

func (k *Devices) poll(ctx context.Context, tenant string, row store.Row[Device]) (Device, error) {
	d, now := row.Value, k.now()
	switch {
	case !now.Before(d.Expires):
		return Device{}, ErrExpired
	case d.Answer == Refused:
		return Device{}, ErrDenied
	case d.Answer == Allowed:
		return d, k.table.DeleteIf(ctx, tenant, row.ID, row.Rev)
	}
	verdict := ErrPending
	if !d.Polled.IsZero() && now.Before(d.Polled.Add(d.Interval)) {
		verdict = ErrSlowDown
		d.Interval = min(d.Interval+slower, slowest)
	}
	d.Polled = now
	if _, err := k.table.Swap(ctx, tenant, row.ID, row.Rev, d); err != nil {
		return Device{}, err
	}
	return Device{}, verdict
}
