package client

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Sector is what a pairwise client shares its subjects with: the host of its
// sector identifier, or of its redirect URIs (OpenID Connect Core 1.0, section
// 8.1). A client that has neither is a sector of its own.
func (c *Client) Sector() string {
	switch {
	case c.SectorIdentifierURI != "":
		return host(c.SectorIdentifierURI)
	case len(c.RedirectURIs) > 0 && host(c.RedirectURIs[0]) != "":
		return host(c.RedirectURIs[0])
	}
	return c.ClientID
}

// SubjectTypes are the kinds of subjects that clients of a workspace may have: all
// there are where it names none.
func SubjectTypes(w *tenant.Workspace) []string {
	if len(w.SubjectIdentifierTypes) == 0 {
		return slices.Clone(subjectTypes)
	}
	return slices.Clone(w.SubjectIdentifierTypes)
}

// subjects gives a client that said nothing of subjects, and so has public ones,
// the first kind of its workspace where that allows no public ones, and refuses a
// kind that it does not allow. before is what the client had, which it may keep
// when the workspace changed its mind; the clients that a workspace comes with
// need their people's own names.
func (c *Client) subjects(w *tenant.Workspace, said bool, before string) error {
	allowed := SubjectTypes(w)
	if c.System || c.SubjectType == before || slices.Contains(allowed, c.SubjectType) {
		return nil
	}
	if said {
		return fault.At(fault.Unprocessable, "subject_type", "may be "+strings.Join(allowed, ", ")+": the workspace's subject_identifier_types say so")
	}
	c.SubjectType = allowed[0]
	return c.checkSector()
}

// PairwiseSubject returns the name of a subject in a sector: it says nothing
// about the subject, and another sector has another one (OpenID Connect Core 1.0,
// section 8.1).
func PairwiseSubject(salt, sector, subject string) string {
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(sector + "\x00" + subject)) // a host name holds no NUL
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// listed checks that the sector identifier of a client lists all of its redirect
// URIs, so that nobody joins the sector of another host.
func (k *Clients) listed(ctx context.Context, c *Client) error {
	if c.SectorIdentifierURI == "" || k.config.Egress == nil {
		return nil
	}
	wrong := func(say string, cause error) error {
		return &fault.Error{Kind: fault.Unprocessable, Field: "sector_identifier_uri", Public: say, Cause: cause}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	raw, err := get(ctx, k.config.Egress, c.SectorIdentifierURI)
	if err != nil {
		return wrong("does not answer with a document", err)
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return wrong("must answer with a JSON array of redirect URIs", err)
	}
	for _, uri := range c.RedirectURIs {
		if !slices.Contains(list, uri) {
			return wrong(fmt.Sprintf("answers with a list that lacks %q", uri), nil)
		}
	}
	return nil
}

// trusty says what is wrong with an address whose answer decides something: it
// must be https, or http to this machine.
func trusty(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case uri == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http" && thisMachine(u.Hostname())):
		return ""
	default:
		return "must be https"
	}
}
