package config

import "fmt"

// WebAuthn is about passkeys that are made for the gateway's own host.
type WebAuthn struct {
	// RelatedOrigins may use passkeys of the base URL's host besides the base URL
	// itself (Web Authentication Level 3, section 5.11). They are served at
	// /.well-known/webauthn.
	RelatedOrigins []string `json:"related_origins"`
}

// PublicAPI switches on operations of the published API that take a code and no
// token. A workspace's own pages can do without a backend then; without them
// nothing but the code stands between a stranger and an account.
type PublicAPI struct {
	ConfirmReset  bool `json:"confirm_reset"`  // resetPasswordConfirm
	VerifyAddress bool `json:"verify_address"` // completeAddressVerification without a token
}

// maxRelated is how many origins a file may list: browsers look at no more than
// five registrable domains.
const maxRelated = 20

func (r *rules) webAuthn(w WebAuthn) {
	if len(w.RelatedOrigins) > maxRelated {
		r.add("webauthn.related_origins", "has %d entries; at most %d are allowed", len(w.RelatedOrigins), maxRelated)
	}
	for i, o := range w.RelatedOrigins {
		r.origin(fmt.Sprintf("webauthn.related_origins[%d]", i), o)
	}
}
