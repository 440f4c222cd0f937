package api

import (
	"net/http"
	"time"
)

// Scopes of what people do to their sessions, tokens and apps.
const (
	viewSessions   = "view_sessions"
	manageSessions = "manage_sessions"
	manageTokens   = "manage_tokens"
	listAccess     = "list_clients_with_access"
	revokeAccess   = "revoke_client_access"
)

// sessionOperations are those of published API 25 for the people themselves, by
// their own access tokens.
func (a *API) sessionOperations() []operation {
	const at = "/:tid/:wid"
	all := []operation{
		{id: "listUserSessions", method: http.MethodGet, path: at + "/sso/sessions", allow: viewSessions, ok: http.StatusOK, run: ownSessions},
		{id: "deleteSession", method: http.MethodDelete, path: at + "/sso/sessions/:sessionID", allow: manageSessions, ok: http.StatusNoContent, run: endOwnSession},
		{id: "revokeTokens", method: http.MethodDelete, path: at + "/tokens", allow: manageTokens, ok: http.StatusNoContent, run: signOutEverywhere},
		{id: "listClientsWithAccess", method: http.MethodGet, path: at + "/clients", allow: listAccess, ok: http.StatusOK, run: clientsWithAccess},
		{id: "revokeClientAccess", method: http.MethodDelete, path: at + "/clients/:cid", allow: revokeAccess, ok: http.StatusNoContent, run: endClientAccess},
		{id: "ListUserApplications", method: http.MethodGet, path: at + "/applications", allow: listAccess, ok: http.StatusOK, run: userApplications},
		{id: "getPublicEnvironment", method: http.MethodGet, path: at + "/environment", ok: http.StatusOK, run: publicEnvironment},
	}
	for i := range all {
		all[i].family = person
	}
	return all
}

// userSession is the published type UserSession.
type userSession struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"` // "sso": the only one that has a list
	Proven    time.Time `json:"auth_time"`
	Created   time.Time `json:"issue_time"`
	Touched   time.Time `json:"active_time"`
	IP        string    `json:"ip_address"`
	UserAgent string    `json:"user_agent"`
}

func ownSessions(x *call) (reply, error) {
	found, err := x.Signin.Mine(x.ctx, x.caller.Space, x.caller.Bearer)
	out := make([]userSession, len(found))
	for i, s := range found {
		out[i] = userSession{
			ID: s.ID, Type: "sso", Proven: s.AuthTime.UTC(), Created: s.Created.UTC(), Touched: s.Touched.UTC(), IP: s.IP, UserAgent: s.UserAgent,
		}
	}
	return list("sessions", out), err
}

func endOwnSession(x *call) (reply, error) {
	return reply{}, x.Signin.EndMine(x.ctx, x.caller.Space, x.caller.Bearer, x.param("sessionID"))
}

// signOutEverywhere ends what the person has in the workspace: what they do it
// with, too, only when they ask for that.
func signOutEverywhere(x *call) (reply, error) {
	current, err := x.flag("revoke_current_token")
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Signin.SignOutEverywhere(x.ctx, x.caller.Space, x.caller.Bearer, current)
}

// clientWithAccess is one entry of the published type ListClientsWithAccess.
type clientWithAccess struct {
	ID        string    `json:"client_id"`
	Name      string    `json:"client_name"`
	ClientURI string    `json:"client_uri,omitempty"`
	LogoURI   string    `json:"logo_uri,omitempty"`
	Scopes    []string  `json:"scopes"`
	Since     time.Time `json:"granted_at"`
}

func clientsWithAccess(x *call) (reply, error) {
	found, err := x.Signin.ClientsWithAccess(x.ctx, x.caller.Space, x.caller.Person())
	out := make([]clientWithAccess, len(found))
	for i, a := range found {
		out[i] = clientWithAccess{
			ID: a.Client.ClientID, Name: a.Client.ClientName, ClientURI: a.Client.ClientURI, LogoURI: a.Client.LogoURI,
			Scopes: a.Scopes, Since: a.Since.UTC(),
		}
	}
	return list("clients", out), err
}

// endClientAccess succeeds also for a client that has nothing.
func endClientAccess(x *call) (reply, error) {
	return reply{}, x.Signin.RevokeClientAccess(x.ctx, x.caller.Space, x.caller.Person(), x.param("cid"))
}

// userApplication is the published type UserApplication.
type userApplication struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	URL     string `json:"url"`
	LogoURI string `json:"logo_uri"`
}

// userApplications are the active clients of the workspace that say where they
// are opened. Nobody of the workspace is kept from one.
func userApplications(x *call) (reply, error) {
	all, err := x.Clients.Clients.All(x.ctx, x.key())
	out := []userApplication{}
	for i := range all {
		if c := &all[i]; c.Active() && c.AppURL != "" {
			out = append(out, userApplication{ID: c.ClientID, Name: c.ClientName, URL: c.AppURL, LogoURI: c.LogoURI})
		}
	}
	return list("applications", out), err
}

// publicEnvironment is the published type PublicEnvironment: there is neither a
// dashboard nor an organization.
func publicEnvironment(*call) (reply, error) {
	return body(map[string]bool{"application_launch_dashboard": false, "b2b_orgs_client_side_search": false}), nil
}
