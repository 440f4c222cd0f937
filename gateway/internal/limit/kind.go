package limit

import (
	"slices"
	"time"
)

// The kinds of tries that are counted apart: the protected types of the
// published API, section 24.
const (
	KindClientAuthentication     = "client_authentication"
	KindDeviceHandling           = "device_handling"
	KindActivateSelfRegistered   = "identity_activate_self_registered"
	KindActivateWithExtendedCode = "identity_activate_with_extended_code"
	KindAddressVerification      = "identity_address_verification"
	KindAuthentication           = "identity_authentication"
	KindChangePassword           = "identity_change_password"
	KindChangeTOTPSecret         = "identity_change_totp_secret"
	KindCodeInspect              = "identity_code_inspect"
	KindCodeVerify               = "identity_code_verify"
	KindConfirmPassword          = "identity_confirm_password"
	KindRegistration             = "identity_registration"
	KindSelfActivation           = "identity_self_activation"
	KindSelfChangePassword       = "identity_self_change_password"
	KindSelfChangeTOTPSecret     = "identity_self_change_totp_secret"
	KindSelfRegister             = "identity_self_register"
	KindSetCredential            = "identity_set_credential"
	KindVerifyPassword           = "identity_verify_password"
	KindMFA                      = "mfa"
)

// Tries at something long are counted over a minute. Tries at a code, which is
// short, are counted over an hour: the hour does not begin anew with a new code.
var (
	long = Rule{Max: 5, Window: time.Minute, Block: time.Minute}
	code = Rule{Max: 10, Window: time.Hour, Block: 10 * time.Minute}
)

// protected are all kinds with the rule of a tenant that has none of its own.
var protected = []struct {
	kind string
	rule Rule
}{
	{KindClientAuthentication, long},
	{KindDeviceHandling, code}, // the user code of a device
	{KindActivateSelfRegistered, code},
	{KindActivateWithExtendedCode, code},
	{KindAddressVerification, code},
	{KindAuthentication, long}, // a password on the sign-in page
	{KindChangePassword, long},
	{KindChangeTOTPSecret, code},
	{KindCodeInspect, code},
	{KindCodeVerify, code},
	{KindConfirmPassword, code}, // by the code of a reset
	{KindRegistration, code},
	{KindSelfActivation, code},
	{KindSelfChangePassword, long},
	{KindSelfChangeTOTPSecret, code},
	{KindSelfRegister, code},
	{KindSetCredential, code}, // likewise
	{KindVerifyPassword, long},
	{KindMFA, code},
}

// Kinds returns every kind in alphabetical order. The caller may change the
// result.
func Kinds() []string {
	all := make([]string, len(protected))
	for i, p := range protected {
		all[i] = p.kind
	}
	slices.Sort(all)
	return all
}

// Default returns the rule of a kind in a tenant that has none of its own; false
// for a kind that is not known.
func Default(kind string) (Rule, bool) {
	for _, p := range protected {
		if p.kind == kind {
			return p.rule, true
		}
	}
	return Rule{}, false
}
