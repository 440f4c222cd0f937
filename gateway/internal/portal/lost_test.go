package portal_test

import (
	"net/http"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// What a mailbox alone replaces is no second factor.
func TestLostFactors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                       string
		first, second              []string
		forbidden                  bool // self-service resets are
		password, passkey, authapp int
	}{
		{"one factor", []string{pool.MechanismPassword, pool.MechanismWebAuthn}, nil, false, 200, 200, 200},
		{"no passkeys", []string{pool.MechanismPassword}, nil, false, 200, 404, 200},
		{"two factors", []string{pool.MechanismPassword, pool.MechanismWebAuthn}, []string{pool.MechanismTOTP}, false, 200, 403, 403},
		{"resets forbidden", []string{pool.MechanismPassword, pool.MechanismWebAuthn}, nil, true, 403, 403, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, tab := visitors(t, tc.first...)
			allow(s, func(p *pool.Pool) {
				p.SecondFactorAuthenticationMechanisms = tc.second
				p.ResetCredentialsSettings.DoNotAllowUsersToSelfResetCredentials = tc.forbidden
			})
			for page, want := range map[string]int{"reset": tc.password, "passkey": tc.passkey, "reset-totp": tc.authapp} {
				wantPage(t, page, tab.Get(people+page+"?server_id=default"), want)
				if want == http.StatusOK { // with a code that is none
					want = http.StatusNotFound
				}
				wantPage(t, page+" with a code", tab.Get(people+page+"?server_id=default&code=eDow"), want)
			}
		})
	}
}

// An email that is an identifier must be the one that gets the message: it would
// be somebody's without proof.
func TestRegisterWithTwoAddresses(t *testing.T) {
	t.Parallel()
	_, tab := visitors(t, pool.MechanismPassword)
	wantSays(t, "an email and a phone", who(t, tab, "otp_address", "+48512345678"), http.StatusUnprocessableEntity, "Leave this empty")
}
