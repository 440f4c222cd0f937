package signin

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Asked is the claims parameter of an authorization request (OpenID Connect Core
// 1.0, section 5.5): claims that a client wants one by one, by their names.
type Asked struct {
	UserInfo map[string]Wanted `json:"userinfo,omitempty"`
	IDToken  map[string]Wanted `json:"id_token,omitempty"`
}

// Wanted is how a claim is asked for. The zero Wanted asks for it whatever it is,
// if there is one.
type Wanted struct {
	Essential bool  `json:"essential,omitempty"`
	Values    []any `json:"values,omitempty"` // it must be one of these
}

// maxAsked bounds the claims parameter, in bytes.
const maxAsked = 2048

// asksFor are the claims that say something about the sign-in rather than about
// the person.
func asksFor() []string { return []string{"acr", "auth_time", "sub"} }

// ReadAsked checks the claims parameter and returns it without what the workspace
// does not know, in the form that login.Request keeps; nil when nothing is left.
// What is unknown is ignored (OpenID Connect Core 1.0, section 5.5).
func ReadAsked(space *live.Space, raw string) (json.RawMessage, error) {
	if len(raw) > maxAsked {
		return nil, refuse("invalid_request", "claims is longer than 2048 bytes.", nil)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &parts); err != nil || parts == nil {
		return nil, refuse("invalid_request", "claims must be a JSON object with the members userinfo and id_token.", err)
	}
	var a Asked
	for name, into := range map[string]*map[string]Wanted{"userinfo": &a.UserInfo, "id_token": &a.IDToken} {
		part, ok := parts[name]
		if !ok {
			continue
		}
		read, err := readWanted(space, part)
		if err != nil {
			return nil, refuse("invalid_request", "claims: "+name+" must be an object of claims, each null or an object with essential, value and values.", err)
		}
		*into = read
	}
	if len(a.UserInfo)+len(a.IDToken) == 0 {
		return nil, nil
	}
	return json.Marshal(a)
}

func readWanted(space *live.Space, raw json.RawMessage) (map[string]Wanted, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	out := map[string]Wanted{}
	for name, how := range list {
		w, err := readOne(how)
		if err != nil {
			return nil, err
		}
		known := slices.ContainsFunc(space.Claims, func(d client.Claim) bool { return single(d, name) })
		if known || slices.Contains(asksFor(), name) {
			out[name] = w
		}
	}
	return out, nil
}

// readOne reads how one claim is asked for; members are looked up as they are
// written, which encoding/json would not do.
func readOne(raw json.RawMessage) (w Wanted, err error) {
	var how map[string]json.RawMessage
	if err := json.Unmarshal(raw, &how); err != nil {
		return w, err
	}
	if v, ok := how["essential"]; ok {
		err = errors.Join(err, json.Unmarshal(v, &w.Essential))
	}
	if v, ok := how["values"]; ok {
		err = errors.Join(err, json.Unmarshal(v, &w.Values))
	}
	if v, ok := how["value"]; ok {
		var one any
		err = errors.Join(err, json.Unmarshal(v, &one))
		w.Values = append(w.Values, one)
	}
	return w, err
}

// askedOf returns the claims parameter of a request that was checked.
func askedOf(raw json.RawMessage) (a Asked) {
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, &a) // it was made by ReadAsked or release; what is not counts as nothing
	}
	return a
}

// texts are the values that are texts.
func (w Wanted) texts() []string {
	var out []string
	for _, v := range w.Values {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// holds tells whether a claim has a value that is wanted.
func (w Wanted) holds(v any) bool {
	return len(w.Values) == 0 || slices.ContainsFunc(w.Values, func(x any) bool { return reflect.DeepEqual(x, v) })
}

// single tells whether a claim of the workspace is one that can be asked for by
// name: a claim about the person that only scopes release. address stands for
// all its members (OpenID Connect Core 1.0, section 5.1.1).
func single(d client.Claim, name string) bool {
	head, _, _ := strings.Cut(d.Name, ".")
	return head == name && d.Type == client.ClaimIDToken && d.SourceType == "authnCtx" && len(d.Scopes) > 0 &&
		!client.Protected(head)
}

// consentScopes are the scopes that a person must allow for a request: those it
// asks for, and those out of which it asks for claims one by one, as if they were
// asked for whole.
func consentScopes(space *live.Space, c *client.Client, r login.Request) []string {
	out := slices.Clone(r.Scopes)
	a := askedOf(r.Claims)
	for _, d := range space.Claims {
		head, _, _ := strings.Cut(d.Name, ".")
		_, info := a.UserInfo[head]
		_, id := a.IDToken[head]
		if (info || id) && single(d, head) {
			out = append(out, releasing(c, d)...)
		}
	}
	return distinct(out)
}

// releasing are the scopes of OpenID Connect that release a claim and that the
// client is subscribed to: without one of them it cannot have the claim at all.
func releasing(c *client.Client, d client.Claim) []string {
	standard := []string{"profile", "email", "address", "phone"} // OpenID Connect Core 1.0, section 5.4
	return merge(merge(d.Scopes, standard), c.Scopes)
}

// release returns the claims parameter as grant.Terms keep it: the names of the
// claims that the client gets although no scope of it releases them.
func release(space *live.Space, c *client.Client, r login.Request, context json.RawMessage) (json.RawMessage, error) {
	a := askedOf(r.Claims)
	if len(a.UserInfo)+len(a.IDToken) == 0 || !slices.Contains(r.Scopes, "openid") {
		return nil, nil
	}
	var known authctx.Context
	if err := json.Unmarshal(context, &known); err != nil {
		return nil, err
	}
	pick := func(from map[string]Wanted, opaque bool) map[string]Wanted {
		out := map[string]Wanted{}
		for _, d := range space.Claims {
			head, _, _ := strings.Cut(d.Name, ".")
			w, ok := from[head]
			if !ok || !single(d, head) || (d.Opaque && !opaque) || len(releasing(c, d)) == 0 {
				continue
			}
			if v, ok := known.Lookup(d.SourcePath); ok && (d.Name != head || w.holds(v)) {
				out[head] = Wanted{}
			}
		}
		return out
	}
	out := Asked{UserInfo: pick(a.UserInfo, true), IDToken: pick(a.IDToken, false)}
	if len(out.UserInfo)+len(out.IDToken) == 0 {
		return nil, nil
	}
	return json.Marshal(out)
}

// singly returns a function that tells whether the terms release a claim by its
// name, to userinfo or to ID tokens.
func singly(t grant.Terms, userinfo bool) func(client.Claim) bool {
	a := askedOf(t.Claims)
	from := a.IDToken
	if userinfo {
		from = a.UserInfo
	}
	return func(d client.Claim) bool {
		head, _, _ := strings.Cut(d.Name, ".")
		_, ok := from[head]
		return ok && single(d, head)
	}
}

// claimAsked names the claims that userinfo releases for an access token besides
// those of its scopes.
const claimAsked = "clm"

// askedNames are the names for claimAsked.
func askedNames(t grant.Terms) []string {
	var names []string
	for name := range askedOf(t.Claims).UserInfo {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// askedAgain is what askedNames came from.
func askedAgain(names []string) json.RawMessage {
	if len(names) == 0 {
		return nil
	}
	a := Asked{UserInfo: map[string]Wanted{}}
	for _, name := range names {
		a.UserInfo[name] = Wanted{}
	}
	raw, err := json.Marshal(a)
	if err != nil { // names and empty objects always marshal
		return nil
	}
	return raw
}

// Hinted returns the subject of an id_token_hint: an ID token that the workspace
// issued to the client. It may have expired (OpenID Connect Core 1.0, section
// 3.1.2.1).
func (s *Service) Hinted(ctx context.Context, space *live.Space, c *client.Client, raw string) (string, error) {
	claims, err := s.Tokens.VerifyExpired(ctx, space.Token(), token.ID, raw)
	if err != nil && !errors.Is(err, token.ErrInvalid) {
		return "", err
	}
	if err != nil || !slices.Contains(claims.Strings("aud"), c.ClientID) || claims.String("sub") == "" {
		return "", refuse("invalid_request", "id_token_hint is not an ID token that this workspace issued to the client.", err)
	}
	return claims.String("sub"), nil
}

// wanted tells whether a session is of the person that a request is about: whom
// its id_token_hint names, and the sub that its claims parameter asks for (OpenID
// Connect Core 1.0, sections 3.1.2.1 and 5.5.1). Any person will do for most.
func wanted(space *live.Space, c *client.Client, r login.Request, on *session.Session) bool {
	sub := on.Subject
	if on.User != "" && c.SubjectType == client.Pairwise {
		sub = client.PairwiseSubject(space.Workspace.SubjectIdentifierSalt, c.Sector(), sub)
	}
	if r.HintSubject != "" && r.HintSubject != sub {
		return false
	}
	a := askedOf(r.Claims)
	return a.IDToken["sub"].holds(sub) && a.UserInfo["sub"].holds(sub)
}
