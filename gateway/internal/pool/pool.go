package pool

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The authentication mechanisms of a pool.
const (
	MechanismTOTP     = "totp"
	MechanismPassword = "password"
	MechanismOTP      = "otp" // by e-mail or SMS, as the address says
	MechanismEmailOTP = "email_otp"
	MechanismSMSOTP   = "sms_otp"
	MechanismWebAuthn = "webauthn"
)

var mechanisms = []string{MechanismTOTP, MechanismPassword, MechanismOTP, MechanismEmailOTP, MechanismSMSOTP, MechanismWebAuthn}

// Pool is an identity pool, on the wire and in the store.
type Pool struct {
	ID          string          `json:"id"`
	TenantID    string          `json:"tenant_id"`
	WorkspaceID string          `json:"workspace_id,omitempty"` // set when it belongs to one workspace
	Name        string          `json:"name"`
	Description string          `json:"description"`
	BadgeColor  string          `json:"badge_color"`
	Deleted     bool            `json:"deleted"` // always false: a deleted pool is not shown
	System      bool            `json:"system"`  // cannot be deleted
	Metadata    json.RawMessage `json:"metadata,omitempty"`

	PayloadSchemaID          string `json:"payload_schema_id"`
	MetadataSchemaID         string `json:"metadata_schema_id"`
	BusinessMetadataSchemaID string `json:"business_metadata_schema_id"`

	AuthenticationMechanisms                     []string       `json:"authentication_mechanisms"`
	PreferredAuthenticationMechanism             string         `json:"preferred_authentication_mechanism,omitempty"`
	SecondFactorAuthenticationMechanisms         []string       `json:"second_factor_authentication_mechanisms"`
	SecondFactorPreferredAuthenticationMechanism string         `json:"second_factor_preferred_authentication_mechanism,omitempty"`
	SecondFactorThreshold                        float64        `json:"second_factor_threshold"`
	MFASessionTTL                                store.Duration `json:"mfa_session_ttl"`

	IdentifierCaseInsensitive bool                      `json:"identifier_case_insensitive"` // fixed once the pool has users
	PublicRegistrationAllowed bool                      `json:"public_registration_allowed"`
	OTPSettings               *OTPSettings              `json:"otp_settings"`
	PasswordPolicy            *credential.Policy        `json:"password_policy"`
	PasswordSettings          *PasswordSettings         `json:"password_settings"`
	ResetCredentialsSettings  *ResetCredentialsSettings `json:"reset_credentials_settings"`
	WebAuthn                  *WebAuthn                 `json:"webauthn,omitempty"` // our own, optional

	Epoch string `json:"-"` // of this life of the pool
	Rev   int64  `json:"-"` // revision in the store, for ETag and If-Match
}

// Input is a pool as a caller sends it. It tells a missing
// identifier_case_insensitive from false.
type Input struct {
	Pool
	IdentifierCaseInsensitive *bool `json:"identifier_case_insensitive"`
}

// Counted is a pool with the number of its users: PoolResponse on the wire.
type Counted struct {
	Pool
	NumberOfUsers         int `json:"number_of_users"`
	NumberOfStandardUsers int `json:"number_of_standard_users"`
	NumberOfJITUsers      int `json:"number_of_jit_users"`
}

// OTPSettings has one entry per type of code.
type OTPSettings struct {
	Activation     *OTPConfig `json:"activation"`
	Authentication *OTPConfig `json:"authentication"`
	Challenge      *OTPConfig `json:"challenge"`
	EnrollWebAuthn *OTPConfig `json:"enroll_webauthn"`
	ResetPassword  *OTPConfig `json:"reset_password"`
	ResetTOTP      *OTPConfig `json:"reset_totp"`
	VerifyAddress  *OTPConfig `json:"verify_address"`
}

// OTPConfig is the shape of one type of code.
type OTPConfig struct {
	Length int            `json:"length"` // digits
	TTL    store.Duration `json:"ttl"`
}

// PasswordSettings says how passwords are kept.
type PasswordSettings struct {
	ExpiresAfter  store.Duration    `json:"expires_after"` // zero: never
	HashingMethod credential.Method `json:"hashing_method"`
	// KeepCurrentSession: who changes their password stays signed in where they did
	// it. Our own, optional.
	KeepCurrentSession bool `json:"keep_current_session,omitempty"`
}

// ResetCredentialsSettings can forbid the self-service reset.
type ResetCredentialsSettings struct {
	DoNotAllowUsersToSelfResetCredentials bool `json:"do_not_allow_users_to_self_reset_credentials"`
}

// WebAuthn is the passkey setting: the relying party's id (a domain) and the
// origins that may use it. Empty members take the base URL's.
type WebAuthn struct {
	RPID    string   `json:"rp_id,omitempty"`
	Origins []string `json:"origins,omitempty"`
}

// rp is the relying party's id, "" for the base URL's host.
func (w *WebAuthn) rp() string {
	if w == nil {
		return ""
	}
	return w.RPID
}

func (w *WebAuthn) check() error {
	if w == nil {
		return nil
	}
	odd := func(r rune) bool {
		return r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}
	if strings.ContainsFunc(w.RPID, odd) || len(w.RPID) > 253 {
		return fault.At(fault.Unprocessable, "webauthn.rp_id", "must be a domain in lower case, such as example.com")
	}
	for i, o := range w.Origins {
		at := fmt.Sprintf("webauthn.origins[%d]", i)
		if err := record.URL(at, o); err != nil || o == "" || strings.Count(o, "/") != 2 {
			return fault.At(fault.Unprocessable, at, "must be an origin, such as https://example.com")
		}
	}
	return nil
}

// fill puts defaults where members are missing.
func (p *Pool) fill() {
	p.Deleted = false
	p.PayloadSchemaID = orElse(p.PayloadSchemaID, DefaultPayload)
	p.MetadataSchemaID = orElse(p.MetadataSchemaID, DefaultMetadata)
	if p.AuthenticationMechanisms == nil {
		p.AuthenticationMechanisms = []string{MechanismPassword}
	}
	if p.SecondFactorAuthenticationMechanisms == nil {
		p.SecondFactorAuthenticationMechanisms = []string{}
	}
	if p.PreferredAuthenticationMechanism == "" && len(p.AuthenticationMechanisms) > 0 {
		p.PreferredAuthenticationMechanism = p.AuthenticationMechanisms[0]
	}
	if p.SecondFactorPreferredAuthenticationMechanism == "" && len(p.SecondFactorAuthenticationMechanisms) > 0 {
		p.SecondFactorPreferredAuthenticationMechanism = p.SecondFactorAuthenticationMechanisms[0]
	}
	if p.PasswordPolicy == nil {
		policy := credential.DefaultPolicy()
		p.PasswordPolicy = &policy
	}
	p.PasswordPolicy.Strength = orElse(p.PasswordPolicy.Strength, credential.Any)
	if p.PasswordSettings == nil {
		p.PasswordSettings = &PasswordSettings{}
	}
	p.PasswordSettings.HashingMethod = orElse(p.PasswordSettings.HashingMethod, credential.Argon2)
	if p.ResetCredentialsSettings == nil {
		p.ResetCredentialsSettings = &ResetCredentialsSettings{}
	}
	if p.OTPSettings == nil {
		p.OTPSettings = &OTPSettings{}
	}
	for _, c := range p.OTPSettings.all() {
		c.fill()
	}
}

// otpMember is one member of OTPSettings with its default.
type otpMember struct {
	name    string
	config  **OTPConfig
	initial OTPConfig
}

// all lists the members. A code for signing in is typed at once, the others wait
// in a mailbox.
func (s *OTPSettings) all() []otpMember {
	quick := OTPConfig{Length: 6, TTL: store.Duration(5 * time.Minute)}
	slow := OTPConfig{Length: 8, TTL: store.Duration(time.Hour)}
	return []otpMember{
		{"activation", &s.Activation, slow},
		{"authentication", &s.Authentication, quick},
		{"challenge", &s.Challenge, quick},
		{"enroll_webauthn", &s.EnrollWebAuthn, slow},
		{"reset_password", &s.ResetPassword, slow},
		{"reset_totp", &s.ResetTOTP, slow},
		{"verify_address", &s.VerifyAddress, slow},
	}
}

func (m otpMember) fill() {
	if *m.config == nil {
		*m.config = &OTPConfig{}
	}
	c := *m.config
	c.Length = orElse(c.Length, m.initial.Length)
	c.TTL = orElse(c.TTL, m.initial.TTL)
}

const (
	minCode, maxCode = 4, 12
	minTTL, maxTTL   = 30 * time.Second, 90 * 24 * time.Hour
)

func (m otpMember) check() error {
	at := "otp_settings." + m.name
	if n := (*m.config).Length; n < minCode || n > maxCode {
		return fault.At(fault.Unprocessable, at+".length", fmt.Sprintf("must be %d to %d digits", minCode, maxCode))
	}
	if d := time.Duration((*m.config).TTL); d < minTTL || d > maxTTL {
		return fault.At(fault.Unprocessable, at+".ttl", fmt.Sprintf("must be %v to %v", minTTL, maxTTL))
	}
	return nil
}

// check reports the first member that breaks a rule, after fill. References to
// schemas are checked by the keeper.
func (p *Pool) check() error {
	for _, err := range []error{
		checkName(p.Name),
		record.Text("description", p.Description, maxText),
		record.Text("badge_color", p.BadgeColor, 64),
		record.Object("metadata", &p.Metadata),
		record.Each("authentication_mechanisms", p.AuthenticationMechanisms, mechanisms),
		record.Each("second_factor_authentication_mechanisms", p.SecondFactorAuthenticationMechanisms, mechanisms),
		preferred("preferred_authentication_mechanism", p.PreferredAuthenticationMechanism, p.AuthenticationMechanisms),
		preferred("second_factor_preferred_authentication_mechanism", p.SecondFactorPreferredAuthenticationMechanism, p.SecondFactorAuthenticationMechanisms),
		notBelowZero("second_factor_threshold", p.SecondFactorThreshold),
		notBelowZero("mfa_session_ttl", p.MFASessionTTL),
		notBelowZero("password_settings.expires_after", p.PasswordSettings.ExpiresAfter),
		p.checkPasswords(),
		p.WebAuthn.check(),
	} {
		if err != nil {
			return err
		}
	}
	if len(p.Metadata) > maxObject {
		return fault.At(fault.Unprocessable, "metadata", fmt.Sprintf("must have at most %d bytes", maxObject))
	}
	for _, m := range p.OTPSettings.all() {
		if err := m.check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pool) checkPasswords() error {
	if !p.PasswordSettings.HashingMethod.Known() {
		return fault.At(fault.Unprocessable, "password_settings.hashing_method", "must be argon2, bcrypt, pbkdf2 or sha")
	}
	if member, say := p.PasswordPolicy.Problem(); member != "" {
		return fault.At(fault.Unprocessable, "password_policy."+member, say)
	}
	return nil
}

// checkName allows letters and digits of any script, blanks and a few signs.
func checkName(s string) error {
	if strings.TrimSpace(s) == "" {
		return fault.At(fault.Unprocessable, "name", "must not be empty")
	}
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune(" -_.", r)
	}
	if strings.ContainsFunc(s, odd) {
		return fault.At(fault.Unprocessable, "name", "may have letters, digits, blanks, and the signs - _ .")
	}
	return record.Text("name", s, 100)
}

func preferred(field, value string, among []string) error {
	if value == "" || slices.Contains(among, value) {
		return nil
	}
	return fault.At(fault.Unprocessable, field, "must be one of the mechanisms of the pool")
}

func notBelowZero[N float64 | store.Duration](field string, n N) error {
	if n < 0 {
		return fault.At(fault.Unprocessable, field, "must not be negative")
	}
	return nil
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
