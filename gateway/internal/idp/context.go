package idp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/authctx"
)

// The forms of a workspace's subjects (published API 15, subject_format).
const (
	SubjectHash   = "hash"
	SubjectLegacy = "legacy"
)

// SignIn is how somebody proved who they are.
type SignIn struct {
	AMR           []string  // RFC 8176: pwd, otp, pop
	ACR           string    // empty: authctx.DefaultACR
	Time          time.Time // becomes auth_time
	SubjectFormat string    // the workspace's; empty reads as SubjectHash
}

// Context returns the base of an authentication context for a user of the
// IDP's pool (published flows 8, steps 1 and 2): attributes, mappings, then the sealed
// attributes, which no mapping can set. A static_amr that is not empty replaces
// amr. A user of another pool, or of one that had the same id before, is an
// error. So is a mapping that failed: the error names it, for the log, and the
// person must not be signed in.
func Context(p IDP, u User, s SignIn) (authctx.Context, error) {
	if u.ID == "" || u.Tenant != p.TenantID || u.Pool != p.IdentityPoolID || u.PoolEpoch != p.PoolEpoch {
		return authctx.Context{}, fmt.Errorf("IDP %s: user %q of pool %q is not one of its pool %q", p.ID, u.ID, u.Pool, p.IdentityPoolID)
	}
	values, err := Attributes(u)
	if err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s: %w", p.ID, err)
	}
	mapped, err := authctx.Map(values, p.Mappings)
	if err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s, user %s: %w", p.ID, u.ID, err)
	}
	who := authctx.Identity{
		Subject: Subject(s.SubjectFormat, p.ID, u.ID), IDPSubject: u.ID,
		Tenant: p.TenantID, Pool: p.IdentityPoolID,
		AuthTime: s.Time, AMR: s.AMR, ACR: s.ACR,
	}
	if len(p.StaticAMR) > 0 {
		who.AMR = p.StaticAMR
	}
	c, err := authctx.New(mapped, who)
	if err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s, user %s: %w", p.ID, u.ID, err)
	}
	return c, nil
}

// Subject returns sub for a person as the IDP knows them: 64 lower-case hex
// digits, the SHA-256 of the IDP's id and its subject, each behind its length
// so that no two pairs give the same; with SubjectLegacy the subject itself.
func Subject(format, idp, subject string) string {
	if format == SubjectLegacy {
		return subject
	}
	h := sha256.New()
	for _, part := range []string{idp, subject} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}
