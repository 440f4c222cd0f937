package page_test

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/page"
)

// hostile fits no place in a page: not text, not an attribute, not an address.
const hostile = `javascript:alert(1)//'"><script>alert(1)</script><img src=x onerror=alert(1)>&{{.}}`

// fill sets every field of a page, so that no part of a template is left out.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(36 * time.Hour))
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		switch v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)))
			return
		case netip.Addr:
			v.Set(reflect.ValueOf(netip.MustParseAddr("10.1.2.3")))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

// faces are the values of View or For that make a page look different.
func faces(p any) []string {
	views := func(list ...page.View) (out []string) {
		for _, v := range list {
			out = append(out, string(v))
		}
		return out
	}
	purposes := func(list ...page.Purpose) (out []string) {
		for _, v := range list {
			out = append(out, string(v))
		}
		return out
	}
	switch p.(type) {
	case page.SignIn:
		return views(page.PasswordView, page.OTPSendView, page.OTPVerifyView, page.OTPUseAlternativeView, page.WebAuthnView)
	case page.SecondFactor:
		return views(page.TOTPView, page.OTPSendView, page.OTPVerifyView, page.WebAuthnView, page.RecoveryCodeView)
	case page.Register:
		return views(page.UserEntry, page.CredentialEntry, page.PasswordEntry, page.CodeEntry, page.PasskeyEntry)
	case page.Activate:
		return views(page.ActivateView, page.PasswordView, page.WebAuthnView)
	case page.Sent, page.Done:
		return purposes(page.ForActivation, page.ForPassword, page.ForPasskey, page.ForTOTP, page.ForAddress)
	case page.Forgot:
		return purposes(page.ForPassword, page.ForPasskey, page.ForTOTP)
	case page.Reset:
		return purposes(page.ForPassword, page.ForPasskey)
	case page.LinkSpent:
		return purposes(page.ForActivation, page.ForPassword)
	}
	return nil
}

// special puts in what a page needs to be whole and text alone is not.
func special(v reflect.Value, text string) {
	switch p := v.Interface().(type) {
	case page.FormPost:
		p.Action = "https://app.example/callback?a=" + text
		v.Set(reflect.ValueOf(p))
	case page.SignIn:
		p.Modes = []page.Mode{page.ModePassword, page.ModeCode, page.ModePasskey}
		v.Set(reflect.ValueOf(p))
	case page.SecondFactor:
		p.Modes = []page.Mode{page.ModeTOTP, page.ModeCode, page.ModePasskey, page.ModeRecoveryCode}
		v.Set(reflect.ValueOf(p))
	case page.Activate:
		p.Modes = []page.Mode{page.ModePassword, page.ModePasskey}
		v.Set(reflect.ValueOf(p))
	case page.Register:
		p.Methods = []page.Mode{page.ModePassword, page.ModeCode, page.ModePasskey}
		p.Fields = nil
		for _, kind := range []string{page.FieldText, page.FieldEmail, page.FieldPhone, page.FieldNumber, page.FieldDate, page.FieldCheckbox, page.FieldSelect, text} {
			p.Fields = append(p.Fields, page.FormField{
				Name: "payload." + kind, Label: text, Hint: text, Kind: kind, Value: text, Autocomplete: text,
				Required: kind != page.FieldText, Options: []page.Choice{{ID: text, Name: text}},
			})
		}
		v.Set(reflect.ValueOf(p))
	case page.Account:
		p.FreshURL = "" // it hides most forms
		p.Passkeys.List[0].Kept, p.TOTP.Set = false, false
		p.Addresses.List[0].Verified = false
		v.Set(reflect.ValueOf(p))
	}
}

// every returns every page in every face with all its fields set to text.
func every(text string) map[string]page.Page {
	out := map[string]page.Page{}
	add := func(p any) {
		v := reflect.New(reflect.TypeOf(p)).Elem()
		fill(v, text)
		special(v, text)
		name := v.Type().Name()
		for _, face := range faces(p) {
			for _, field := range []string{"View", "For"} {
				if f := v.FieldByName(field); f.IsValid() {
					f.SetString(face)
				}
			}
			if pg, ok := v.Interface().(page.Page); ok {
				out[name+" "+face] = pg
			}
		}
		if pg, ok := v.Interface().(page.Page); ok && faces(p) == nil {
			out[name] = pg
		}
	}
	for _, p := range []any{
		page.SignIn{},
		page.SecondFactor{},
		page.NewPassword{},
		page.Chooser{},
		page.SignedOut{},
		page.ConfirmSignOut{},
		page.Register{},
		page.RegistrationClosed{},
		page.Sent{},
		page.Activate{},
		page.VerifyAddress{},
		page.Forgot{},
		page.Reset{},
		page.Done{},
		page.LinkSpent{},
		page.EnrolTOTP{},
		page.RecoveryCodes{},
		page.Account{},
		page.SetUp{},
		page.SetUpDone{},
		page.Error{},
		page.Denied{},
		page.Unavailable{},
		page.UnknownHost{},
		page.FormPost{},
		page.Message{},
	} {
		add(p)
	}
	return out
}
