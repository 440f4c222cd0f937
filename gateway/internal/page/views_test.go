package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/gatepost/gatepost/gateway/internal/page"
)

// views are the pages of identity pools as people meet them, by golden file.
func views() map[string]page.Page {
	calls := page.PasskeyCalls{Begin: "/default/identity/people/login/webauthn/options?server_id=demo", Finish: "/default/identity/people/login/webauthn/finish?server_id=demo"}
	modes := []page.Mode{page.ModePasskey, page.ModePassword, page.ModeCode}
	second := []page.Mode{page.ModeTOTP, page.ModeCode, page.ModePasskey, page.ModeRecoveryCode}
	addresses := []page.Destination{{ID: "d1", Masked: "al•••@example.com"}, {ID: "d2", Masked: "+49 ••• 4711"}}
	rules := []string{"At least 8 characters", "A digit"}
	const login = "/default/identity/people/login?login_id=1"
	out := map[string]page.Page{
		"sign-in-password": page.SignIn{CSRF: "token", Action: login, App: "Demo app", Modes: modes, Passkey: calls, CanRegister: true, ForgotURL: "/reset", LostURL: "/lost", OthersURL: "/others"},
		"sign-in-send":     page.SignIn{CSRF: "token", Action: login, App: "Demo app", View: page.OTPSendView, Modes: modes, Passkey: calls, Identifier: "alice@example.com", Remembered: true},
		"sign-in-verify": page.SignIn{
			CSRF: "token", Action: login, View: page.OTPVerifyView, Modes: modes, Passkey: calls, Identifier: "alice@example.com", Masked: "al•••@example.com", CodeLength: 6,
			Alternative: true, Errors: []page.FieldError{{Field: "otp", Say: "This code is wrong or too old."}},
		},
		"sign-in-alternative": page.SignIn{CSRF: "token", Action: login, View: page.OTPUseAlternativeView, Modes: modes, Identifier: "alice", Destinations: addresses},
		"sign-in-passkey":     page.SignIn{CSRF: "token", Action: login, App: "Demo app", View: page.WebAuthnView, Modes: modes, Passkey: calls},
		"second-totp":         page.SecondFactor{CSRF: "token", Action: login, Modes: second, Identifier: "alice", Remember: 30 * 24 * time.Hour, CancelURL: "/again", Errors: []page.FieldError{{Field: "totp", Say: "This code is wrong."}}},
		"second-send":         page.SecondFactor{CSRF: "token", Action: login, View: page.OTPSendView, Modes: second, Identifier: "alice", Destinations: addresses},
		"second-send-one":     page.SecondFactor{CSRF: "token", Action: login, View: page.OTPSendView, Modes: second[:2], Destinations: addresses[:1]},
		"second-verify":       page.SecondFactor{CSRF: "token", Action: login, View: page.OTPVerifyView, Modes: second[:2], Masked: "al•••@example.com", CodeLength: 6, Remember: 12 * time.Hour, Remembered: true},
		"second-passkey":      page.SecondFactor{CSRF: "token", Action: login, View: page.WebAuthnView, Modes: second[2:], Passkey: calls, Remember: time.Hour},
		"second-recovery":     page.SecondFactor{CSRF: "token", Action: login, View: page.RecoveryCodeView, Modes: second},
		"enrol-totp": page.EnrolTOTP{
			CSRF: "token", Action: "/totp", Hidden: []page.Field{{Name: "secret", Value: "sealed"}}, PNG: []byte("PNG"), URI: "otpauth://totp/Example:alice?secret=JBSWY3DPEHPK3PXP&issuer=Example",
			Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Account: "Example: alice", CancelURL: "/app",
		},
		"enrol-totp-text": page.EnrolTOTP{CSRF: "token", Action: "/totp", URI: "javascript:alert(1)", Secret: "JBSWY3DPEHPK3PXPJBSW", Required: true, AskCode: true, CodeLength: 8},
		"recovery-codes": page.RecoveryCodes{
			CSRF: "token", Action: "/codes", Account: "alice at Example", Codes: []string{"k7pd-2mwx", "9hfe-qz4t", "m3ra-c8vu"},
			Errors: []page.FieldError{{Field: "saved", Say: "Confirm that you have kept the codes."}},
		},
	}
	more(out, calls, rules)
	clients(out)
	return out
}

// more adds the pages behind messages, and the account.
func more(out map[string]page.Page, calls page.PasskeyCalls, rules []string) {
	const register, activate = "/default/identity/people/register?server_id=demo", "/default/identity/people/activate?code=x"
	methods := []page.Mode{page.ModePasskey, page.ModePassword, page.ModeCode}
	for name, p := range map[string]page.Page{
		"register": page.Register{
			CSRF: "token", Action: register, App: "Demo app", AskAddress: true, SignInURL: "/login", Errors: []page.FieldError{{Field: "payload.born", Say: "This must be a date."}},
			Fields: []page.FormField{
				{Name: "payload.given_name", Label: "First name", Kind: page.FieldText, Required: true, Autocomplete: "given-name"},
				{Name: "payload.born", Label: "Date of birth", Kind: page.FieldDate, Value: "yesterday"},
				{Name: "payload.age", Label: "Number of children", Kind: page.FieldNumber},
				{Name: "payload.country", Label: "Country", Kind: page.FieldSelect, Required: true, Value: "de", Options: []page.Choice{{ID: "at", Name: "Austria"}, {ID: "de", Name: "Germany"}}},
				{Name: "payload.news", Label: "Send me the news", Hint: "Once a month.", Kind: page.FieldCheckbox, Value: "true"},
			},
		},
		"register-credential": page.Register{CSRF: "token", Action: register, State: "sealed", View: page.CredentialEntry, Identifier: "alice@example.com", Methods: methods},
		"register-password":   page.Register{CSRF: "token", Action: register, State: "sealed", View: page.PasswordEntry, Identifier: "alice@example.com", Rules: rules},
		"register-code":       page.Register{CSRF: "token", Action: register, State: "sealed", View: page.CodeEntry, Identifier: "alice@example.com"},
		"register-passkey":    page.Register{CSRF: "token", Action: register, State: "sealed", View: page.PasskeyEntry, Identifier: "alice@example.com", Passkey: calls},
		"registration-closed": page.RegistrationClosed{SignInURL: "/login"},
		"sent":                page.Sent{CSRF: "token", Action: activate, To: "alice@example.com", Channel: page.Email, CodeLength: 8, AgainURL: "/register", SignInURL: "/login"},
		"sent-reset":          page.Sent{For: page.ForPassword, SignInURL: "/login"},
		"sent-sms":            page.Sent{CSRF: "token", Action: "/verify", For: page.ForAddress, To: "+49 151 234567", Channel: page.SMS, CodeLength: 8, Notice: "Another message is on its way."},
		"activate":            page.Activate{CSRF: "token", Action: activate, Who: "alice@example.com", App: "Demo app"},
		"activate-password":   page.Activate{CSRF: "token", Action: activate, View: page.PasswordView, Who: "alice@example.com", Invitation: true, Modes: methods[:2], Rules: rules},
		"activate-passkey":    page.Activate{CSRF: "token", Action: activate, View: page.WebAuthnView, Who: "alice@example.com", Modes: methods[:2], Passkey: calls},
		"activate-code":       page.Activate{CSRF: "token", Action: activate, AskIdentifier: true, AskCode: true, CodeLength: 8, Errors: []page.FieldError{{Say: "This code is wrong or too old."}}},
		"verify-address":      page.VerifyAddress{CSRF: "token", Action: "/verify", Address: "alice@example.com"},
		"verify-address-code": page.VerifyAddress{CSRF: "token", Action: "/verify", Address: "alice@example.com", AskCode: true, CodeLength: 8, CanResend: true, BackURL: "/app"},
		"forgot":              page.Forgot{CSRF: "token", Action: "/forgot", SignInURL: "/login"},
		"forgot-passkey":      page.Forgot{CSRF: "token", Action: "/forgot", For: page.ForPasskey, Identifier: "alice", Errors: []page.FieldError{{Say: "Too many messages. Try again in 10 minutes."}}},
		"reset":               page.Reset{CSRF: "token", Action: "/reset", Who: "alice@example.com", Rules: rules, SignInURL: "/login"},
		"reset-code":          page.Reset{CSRF: "token", Action: "/reset", AskIdentifier: true, AskCode: true, CodeLength: 8, Rules: rules},
		"reset-passkey":       page.Reset{CSRF: "token", Action: "/reset", For: page.ForPasskey, Who: "alice@example.com", Passkey: calls},
		"done":                page.Done{Who: "alice@example.com", App: "Demo app", NextURL: "/next"},
		"done-address":        page.Done{For: page.ForAddress, Who: "alice@example.com"},
		"link-spent":          page.LinkSpent{For: page.ForActivation, AgainURL: "/again", SignInURL: "/login"},
		"account-ways":        account(),
		"account-stale":       stale(),
	} {
		out[name] = p
	}
}

func account() page.Account {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	addresses := []page.Identifier{{Value: "alice@example.com", Kind: "Email", Verifiable: true, Verified: true}, {Value: "+49 151 234567", Kind: "Mobile", Verifiable: true}}
	return page.Account{
		CSRF: "token", EndAction: "/end", EndAllAction: "/end-all", Name: "Alice Example", Identifier: "alice@example.com",
		Identifiers: addresses[:1], Sessions: []page.Session{{ID: "s1", Device: "Firefox on Linux", IP: "203.0.113.7", Methods: "password and passkey", SignedIn: at, LastSeen: at, Current: true}, {ID: "s2", Device: "Chrome on Android", Place: "admin", SignedIn: at, LastSeen: at}}, EndOthersAction: "/end-others",
		Password: page.PasswordSection{Action: "/password", Set: true, Rules: []string{"At least 8 characters"}},
		Passkeys: page.PasskeySection{
			AddAction: "/passkeys/add", RenameAction: "/passkeys/rename", RemoveAction: "/passkeys/remove", Calls: page.PasskeyCalls{Begin: "/passkeys/begin", Finish: "/passkeys/finish"},
			List: []page.Passkey{{ID: "k1", Name: "My laptop", Created: at, LastUsed: at, Synced: true}, {ID: "k2", Name: "Security key", Created: at, Kept: true}},
		},
		TOTP:       page.TOTPSection{SetUpURL: "/totp"},
		Recovery:   page.RecoverySection{Action: "/codes", Left: 7},
		Addresses:  page.AddressSection{VerifyAction: "/verify", List: addresses},
		Remembered: page.RememberedSection{ForgetAction: "/forget", List: []page.RememberedBrowser{{ID: "m1", Device: "Chrome on Android", IP: "203.0.113.9", Since: at}}},
	}
}

// stale is an account whose sign-in is too old for changes, with a wrong
// password typed.
func stale() page.Account {
	p := account()
	p.FreshURL = "/fresh"
	p.TOTP = page.TOTPSection{Set: true, RemoveAction: "/totp/remove"}
	p.Recovery.Left = 0
	p.Errors = []page.FieldError{{Field: "old_password", Say: "This is not your current password."}}
	p.Identifiers, p.Addresses, p.Sessions, p.Remembered = nil, page.AddressSection{}, nil, page.RememberedSection{}
	return p
}

// TestViews compares what stands in main with its golden file. go test -update
// rewrites the files.
func TestViews(t *testing.T) {
	t.Parallel()
	for name, p := range views() {
		src, _ := render(t, page.Theme{Name: "Example"}, p)
		_, got, _ := strings.Cut(src, "<main")
		got, _, _ = strings.Cut(got, "</main>")
		got = "<main" + got + "</main>\n"
		file := filepath.Join("testdata", "views", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestContractNames holds the names that custom themes and handlers rely on
// (published API §30).
func TestContractNames(t *testing.T) {
	t.Parallel()
	all := views()
	for name, want := range map[string][]string{
		"sign-in-password":    {"authn_mode=password_view", "identifier=", "password=", "remember_my_sign_in_method=true", "web_authn_error=", "action=change_to_web_authn", "action=change_to_otp", "action=change_to_register"},
		"sign-in-send":        {"authn_mode=otp_send_view", "identifier=alice@example.com", "action=send_otp", "action=change_to_password", "action=change_to_web_authn"},
		"sign-in-verify":      {"authn_mode=otp_verify_view", "identifier=alice@example.com", "otp=", "action=send_otp", "action=change_to_otp", "action=change_to_otp_use_alternative"},
		"sign-in-alternative": {"authn_mode=otp_use_alternative_view", "destination_address=d1", "destination_address=d2", "action=send_otp"},
		"sign-in-passkey":     {"authn_mode=web_authn_view", "identifier=", "action=change_to_password"},
		"register":            {"identifier=", "otp_address=", "payload.given_name=", "action=change_to_credential_entry"},
		"register-credential": {"state=sealed", "action=change_to_password_entry", "action=change_to_verification_code_entry", "action=change_to_passkey_entry", "action=change_to_user"},
		"register-password":   {"password=", "repeatPassword=", "action=submit", "action=change_to_user"},
		"register-passkey":    {"web_authn_error=", "action=submit"},
		"activate-password":   {"password=", "repeatPassword=", "action=change_to_web_authn"},
		"activate-passkey":    {"web_authn_error=", "action=change_to_password"},
		"activate-code":       {"identifier=", "otp="},
		"reset-code":          {"identifier=", "otp=", "password=", "repeatPassword="},
		"forgot":              {"identifier="},
	} {
		_, doc := render(t, page.Theme{}, all[name])
		got := map[string]bool{}
		for _, n := range nodes(doc) {
			if field, ok := attr(n, "name"); ok {
				value, _ := attr(n, "value")
				got[field+"="+value] = true
			}
		}
		for _, w := range want {
			if !got[w] {
				t.Errorf("%s lacks %s: %v", name, w, got)
			}
		}
	}
}

// TestEnterSendsTheView: the first button of a form is what Enter presses, so it
// must go on and never send a code again or leave the page.
func TestEnterSendsTheView(t *testing.T) {
	t.Parallel()
	for name, p := range views() {
		_, doc := render(t, page.Theme{}, p)
		for _, n := range nodes(doc) {
			if n.Data != "form" {
				continue
			}
			for d := range n.Descendants() {
				if d.Type != html.ElementNode || d.Data != "button" {
					continue
				}
				if class, _ := attr(d, "class"); !strings.Contains(class, "primary") && !strings.HasPrefix(name, "account") && name != "register-credential" {
					t.Errorf("%s: Enter presses %q", name, textOf(d))
				}
				break
			}
		}
	}
}

// TestAutocomplete holds what browsers and password managers go by.
func TestAutocomplete(t *testing.T) {
	t.Parallel()
	all := views()
	for name, want := range map[string]map[string]string{
		"sign-in-password":    {"identifier": "username webauthn", "password": "current-password"},
		"sign-in-alternative": {"identifier": "username"},
		"sign-in-verify":      {"identifier": "username", "otp": "one-time-code"},
		"second-totp":         {"identifier": "username", "totp": "one-time-code"},
		"register-password":   {"identifier": "username", "password": "new-password", "repeatPassword": "new-password"},
		"account-stale":       {"old_password": "current-password", "password": "new-password", "repeatPassword": "new-password", "name": "off"},
	} {
		_, doc := render(t, page.Theme{}, all[name])
		got := map[string]string{}
		for _, n := range nodes(doc) {
			field, named := attr(n, "name")
			if hint, ok := attr(n, "autocomplete"); ok && named {
				got[field] = hint
			}
			if mode, _ := attr(n, "inputmode"); field == "otp" && mode != "numeric" {
				t.Errorf("%s: inputmode %q", name, mode)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
