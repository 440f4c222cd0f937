package portal

import (
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/signin"
)

const accessWithdrawn notice = "The app no longer has anything from you."

// apps fills in which clients have something from the person.
func (x *own) apps(v *page.Account) error {
	v.Apps.WithdrawAction = x.at("/apps/withdraw")
	list, err := x.p.Signin.ClientsWithAccess(x.ctx, x.space, signin.PersonOf(x.current))
	if err != nil {
		return err
	}
	for _, a := range list {
		app := page.ConnectedApp{ID: a.Client.ClientID, Name: clientName(a.Client.ClientName, a.Client.ClientID), Since: a.Since}
		for _, name := range a.Scopes {
			app.Has = append(app.Has, scopeName(x.space.Scopes[name].DisplayName, name))
		}
		v.Apps.List = append(v.Apps.List, app)
	}
	return nil
}

// withdraw ends what a client has from the person. One that has nothing stays as
// it is.
func (x *own) withdraw() error {
	err := x.p.Signin.RevokeClientAccess(x.ctx, x.space, signin.PersonOf(x.current), x.form.Get("client"))
	return x.result(err, accessWithdrawn)
}
