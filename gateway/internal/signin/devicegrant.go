package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// GrantDevice is the grant type of a device code (RFC 8628, section 3.4).
const GrantDevice = "urn:ietf:params:oauth:grant-type:device_code"

// DeviceStart is what a device gets to begin with (RFC 8628, section 3.2).
type DeviceStart struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	CompleteURI     string `json:"verification_uri_complete"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	Interval        int64  `json:"interval"`   // seconds
}

func userCodes(space *live.Space) grant.UserCodes {
	d := space.Workspace.DeviceAuthorization
	return grant.UserCodes{Set: d.UserCodeCharacterSet, Length: d.UserCodeLength}
}

// BeginDevice begins a sign-in on a device of an authenticated client, whose
// scopes were checked. ip is where it asked from, for the person to see.
func (s *Service) BeginDevice(ctx context.Context, space *live.Space, c *client.Client, scopes []string, ip string) (DeviceStart, error) {
	ttl := min(time.Duration(space.Workspace.DeviceAuthorization.RequestTTL), live.MaxLife)
	device, user, d, err := s.Devices.Begin(ctx, space.Tenant, grant.Device{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch, Scopes: scopes, IP: ip,
	}, userCodes(space), ttl)
	if err != nil {
		return DeviceStart{}, err
	}
	page := s.Base + DevicePage(space)
	return DeviceStart{
		DeviceCode: device, UserCode: user, VerificationURI: page, CompleteURI: page + "?user_code=" + user,
		ExpiresIn: int64(ttl / time.Second), Interval: int64(d.Interval / time.Second),
	}, nil
}

// DevicePage is the path of the page where people answer for devices.
func DevicePage(space *live.Space) string { return "/" + space.Tenant + "/" + space.ID + "/device" }

// UserCode returns a user code as devices of the workspace show it, however it was
// typed; false when none looks like that.
func UserCode(space *live.Space, typed string) (string, bool) { return userCodes(space).Read(typed) }

// DeviceQuestion is what a device asks of a person.
type DeviceQuestion struct {
	Client *client.Client
	Scopes []WantedScope
	Device grant.Device
}

// ErrNoDevice is the answer to a user code that no waiting device shows.
func ErrNoDevice(cause error) error {
	return &fault.Error{
		Kind: fault.Unprocessable, Field: "user_code", Cause: cause,
		Public: "No device waits with this code. It may be mistyped, too old, or answered already: look at the device again.",
	}
}

// Device returns what the device with a user code asks of a signed-in person. Each
// code that does not hold is a guess, of which a network, and all of them
// together, have only so many in a workspace (RFC 8628, section 5.1).
func (s *Service) Device(ctx context.Context, space *live.Space, on *session.Session, userCode string, b Browser) (DeviceQuestion, error) {
	ctx = limit.WithOrigin(ctx, limit.Origin{Network: limit.Network(b.IP)}) // whoever is signed in: guessing is not about them
	who := "workspace/" + space.ID
	if err := s.Guard.Take(ctx, space.Tenant, limit.KindDeviceHandling, who); err != nil {
		return DeviceQuestion{}, err
	}
	q, err := s.waiting(ctx, space, on, userCode)
	var again *NeedError
	if err != nil && !errors.As(err, &again) { // the code of who must sign in again is right
		return q, err
	}
	return q, errors.Join(err, s.Guard.Refund(ctx, space.Tenant, limit.KindDeviceHandling, who))
}

// NeedError means that the session of who answers for a device is not what an
// authorization request of its client would need.
type NeedError struct {
	ACRValues []string // any of these is wanted
	Prompt    []string // login: a sign-in that is younger than the device's request
}

// Error says what is missing.
func (e *NeedError) Error() string { return "the device needs another sign-in than this one" }

// suits tells whether a session may answer for a device: as for an authorization
// request, its IDP must be there, must let others use its session unless it was made
// for this, and the session must be worth what the workspace insists on.
func (s *Service) suits(space *live.Space, c *client.Client, d grant.Device, on *session.Session) error {
	p, ok := space.IDP(on.IDP)
	if !ok || (p.SSO.Disabled && on.AuthTime.Before(d.Created)) {
		return &NeedError{Prompt: []string{"login"}}
	}
	want := demandOf(space, login.Request{ACRValues: c.DefaultACRValues})
	if _, met := want.met(on.ACR); met || !want.essential {
		return nil
	}
	if !want.possible() {
		return fault.New(fault.Denied, "The app on the device wants a sign-in that nothing here reaches.", nil)
	}
	return &NeedError{ACRValues: want.classes}
}

// waiting returns what the device with a user code asks, if it and its client may
// still have an answer.
func (s *Service) waiting(ctx context.Context, space *live.Space, on *session.Session, userCode string) (DeviceQuestion, error) {
	d, err := s.Devices.Look(ctx, space.Tenant, space.ID, space.Epoch, userCode)
	if errors.Is(err, grant.ErrInvalid) {
		return DeviceQuestion{}, ErrNoDevice(err)
	}
	if err != nil {
		return DeviceQuestion{}, err
	}
	c, err := s.Client(ctx, space, d.Client)
	gone := fault.Is(err, fault.NotFound)
	if err != nil && !gone {
		return DeviceQuestion{}, err
	}
	if gone || c.Epoch != d.ClientEpoch || !c.Active() || !c.Grants(GrantDevice) || len(merge(d.Scopes, c.Scopes)) != len(d.Scopes) {
		return DeviceQuestion{}, ErrNoDevice(err)
	}
	if err := s.suits(space, c, d, on); err != nil {
		return DeviceQuestion{}, err
	}
	allowed, _, err := s.Consents.Allowed(ctx, space.Tenant, consent(space, c, PersonOf(on)))
	q := DeviceQuestion{Client: c, Device: d}
	for _, name := range d.Scopes {
		w := WantedScope{Scope: space.Scopes[name], Before: slices.Contains(allowed, name)}
		w.Name = name
		q.Scopes = append(q.Scopes, w)
	}
	return q, err
}

// AnswerDevice keeps what a signed-in person says of the device with a user code.
// The tokens hang on the person, not on this session: they are for another
// machine.
func (s *Service) AnswerDevice(ctx context.Context, space *live.Space, on *session.Session, userCode string, allow bool) (DeviceQuestion, error) {
	q, err := s.waiting(ctx, space, on, userCode)
	if err != nil {
		return q, err
	}
	who := PersonOf(on)
	answer, action := grant.Refused, audit.ActionRejected
	if allow {
		answer, action = grant.Allowed, audit.ActionAccepted
		if err := s.allow(ctx, space, q.Client, q.Device.Scopes, who, on.IDP); err != nil {
			return q, err
		}
	}
	id := vault.NewID()
	err = s.Devices.Answer(ctx, space.Tenant, userCode, answer, id, grant.Terms{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: q.Client.ClientID, ClientEpoch: q.Client.Epoch,
		Pool: on.Pool, User: on.User, UserEpoch: on.UserEpoch, IDP: on.IDP, Subject: on.Subject, Scopes: q.Device.Scopes,
		AuthTime: on.AuthTime, ACR: on.ACR, AMR: on.AMR, Context: on.Context,
	})
	if errors.Is(err, grant.ErrAnswered) || errors.Is(err, grant.ErrInvalid) {
		return q, ErrNoDevice(err)
	}
	if err != nil {
		return q, err
	}
	if s.Marks.Dead(Ref(on)) { // the session ended meanwhile: the answer is younger and would outlive it
		return q, errors.Join(fault.New(fault.Unauthenticated, "You are not signed in.", nil), s.Grants.End(ctx, space.Tenant, id))
	}
	return q, s.record(s.asActor(ctx, q.Client, who, on.IDP), space, audit.SubjectConsent, action,
		map[string]any{"client_id": q.Client.ClientID, "scopes": q.Device.Scopes, "grant_type": GrantDevice})
}

// RedeemDevice gives a client the tokens that a person has allowed its device
// (RFC 8628, sections 3.4 and 3.5).
func (s *Service) RedeemDevice(ctx context.Context, space *live.Space, c *client.Client, by Holder, deviceCode string) (TokenSet, error) {
	if err := Holds(c, by); err != nil { // before the code is spent
		return TokenSet{}, err
	}
	d, err := s.Devices.Poll(ctx, space.Tenant, space.ID, c.ClientID, deviceCode)
	if err != nil {
		return TokenSet{}, polled(err)
	}
	if d.WorkspaceEpoch != space.Epoch || d.ClientEpoch != c.Epoch {
		return TokenSet{}, refuse("invalid_grant", "The device code was issued to a client that no longer exists.", nil)
	}
	ended := refuse("invalid_grant", "What the device was allowed has ended.", nil)
	ref := d.Terms.Ref(space.Tenant, d.Grant, d.Answered)
	if s.Marks.Dead(ref) {
		return TokenSet{}, ended
	}
	if err := s.usable(ctx, space, d.Terms); err != nil {
		return TokenSet{}, err
	}
	granted := d.Terms // what the client may still be given
	granted.Scopes = merge(granted.Scopes, c.Scopes)
	set, err := s.tokens(ctx, space, c, issue{terms: granted, grant: d.Grant, by: by})
	if err != nil {
		return TokenSet{}, err
	}
	if s.Marks.Dead(ref) { // while they were signed, so that they are younger
		return TokenSet{}, ended
	}
	if slices.Contains(granted.Scopes, ScopeOffline) && c.Grants("refresh_token") {
		set.RefreshToken, err = s.Grants.Start(ctx, space.Tenant, d.Grant, keyed(d.Terms, c, by), space.RefreshTTL(c))
		if errors.Is(err, grant.ErrInvalid) {
			return TokenSet{}, ended
		}
	}
	return set, err
}

// polled is what a client is told of a poll that gave nothing.
func polled(err error) error {
	switch {
	case errors.Is(err, grant.ErrPending):
		return refuse("authorization_pending", "Nobody has answered yet. Ask again after the interval.", nil)
	case errors.Is(err, grant.ErrSlowDown):
		return refuse("slow_down", "You ask too often. Wait 5 seconds longer than before, from now on.", nil)
	case errors.Is(err, grant.ErrDenied):
		return refuse("access_denied", "The person did not allow it.", nil)
	case errors.Is(err, grant.ErrExpired):
		return refuse("expired_token", "Nobody answered in time. Begin again at the device authorization endpoint.", nil)
	case errors.Is(err, grant.ErrInvalid):
		return refuse("invalid_grant", "The device code is unknown, was used before, or belongs to another client.", err)
	}
	return err
}
