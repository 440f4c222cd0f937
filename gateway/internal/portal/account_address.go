package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// address returns an active address of the person for which is returns true.
func (x *own) address(is func(pool.Address) bool) (pool.Address, error) {
	i := slices.IndexFunc(x.user.Addresses, func(a pool.Address) bool { return a.Status == pool.StatusActive && is(a) })
	if i < 0 {
		return pool.Address{}, fault.New(fault.NotFound, "This is not an address of yours.", nil)
	}
	return x.user.Addresses[i], nil
}

// sendAddressCode sends a message that proves that an address is the person's,
// and goes to the page that takes its code. Its link does as well.
func (x *own) sendAddressCode() error {
	a, err := x.address(func(a pool.Address) bool { return a.Value == x.form.Get("address") })
	if err != nil {
		return err
	}
	if a.Verified {
		return web.SeeOther(x.c, x.at(""))
	}
	if err := x.sendTo(&a); err != nil {
		return x.again(err)
	}
	return web.SeeOther(x.c, x.verifying(&a))
}

func (x *own) sendTo(a *pool.Address) error {
	return x.p.SelfService.RequestFor(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, code.VerifyAddress, a.Value,
		selfservice.Delivery{Link: true, Workspace: x.space.ID})
}

// verifying is the address of the page that takes the code; it names the address
// by its id, so that no address stands in logs.
func (x *own) verifying(a *pool.Address) string {
	return x.at("/address?" + url.Values{"id": {a.ID}}.Encode())
}

// asked returns the address that the page is about.
func (x *own) asked() (pool.Address, error) {
	q, err := web.Query(x.c)
	if err != nil {
		return pool.Address{}, err
	}
	return x.address(func(a pool.Address) bool { return a.ID == q.Get("id") })
}

func (x *own) addressForm() error {
	a, err := x.asked()
	if err != nil {
		return err
	}
	if a.Verified { // by the link
		return x.done(addressVerified)
	}
	return x.showAddress(&a, "", http.StatusOK, nil)
}

func (x *own) showAddress(a *pool.Address, notice string, status int, errs []page.FieldError) error {
	return x.p.show(x.c, x.space, status, page.VerifyAddress{
		CSRF: x.p.formToken(x.current), Action: x.verifying(a), Address: a.Value, AskCode: true, CanResend: true,
		CodeLength: selfservice.Setting(&x.owner, code.VerifyAddress).Length, Notice: notice, Errors: errs, BackURL: x.at(""),
	})
}

// verifyAddress takes the code, or sends another one.
func (x *own) verifyAddress() error {
	a, err := x.asked()
	if err != nil {
		return err
	}
	if a.Verified {
		return x.done(addressVerified)
	}
	if x.form.Get("action") == page.ActionSendOTP {
		if err := x.sendTo(&a); err != nil {
			return x.again(err)
		}
		return x.showAddress(&a, "Another message is on its way. Earlier codes no longer work.", http.StatusOK, nil)
	}
	err = x.p.SelfService.VerifyAddress(x.ctx, x.space.Tenant, x.owner.ID, x.user.ID, a.Value, strings.TrimSpace(x.form.Get("otp")))
	if fault.Is(err, fault.Conflict) {
		return x.show(http.StatusConflict, []page.FieldError{{Say: "Somebody else has confirmed this address meanwhile."}})
	}
	if status, errs, ok := formErrors(err); ok {
		for i := range errs {
			errs[i].Field = "otp"
		}
		retryAfter(x.c, err)
		return x.showAddress(&a, "", status, errs)
	}
	return x.result(err, addressVerified)
}
