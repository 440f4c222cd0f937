package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// EndUser ends all sessions, codes, grants and tokens of a pool's user in every
// workspace, on every gateway. The announcement comes first, so a failure in
// the clearing leaves nothing that still works.
func (s *Service) EndUser(ctx context.Context, tenant, poolID, user string) error {
	return s.endUser(ctx, tenant, poolID, user)
}

// kept is a list of what to keep without the ids that are empty.
func kept(ids ...string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// endUser is EndUser but for the sessions, grants and tokens to keep.
func (s *Service) endUser(ctx context.Context, tenant, poolID, user string, keep ...string) error {
	err := s.Marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeUser, Tenant: tenant, ID: poolID + "/" + user, Keep: keep})
	if err != nil {
		return err
	}
	if err := s.Sessions.Clear(ctx, tenant, poolID, user, keep...); err != nil {
		return err
	}
	return errors.Join(s.Grants.Clear(ctx, tenant, poolID, user, keep...), s.Consents.Clear(ctx, tenant, poolID, user))
}

// EndSubject is EndUser for whoever a subject of one workspace stands for, in
// that workspace.
func (s *Service) EndSubject(ctx context.Context, key tenant.Key, subject string) error {
	return s.endSubject(ctx, key, subject)
}

// endSubject is EndSubject but for the sessions, grants and tokens to keep.
func (s *Service) endSubject(ctx context.Context, key tenant.Key, subject string, keep ...string) error {
	err := s.Marks.Append(ctx, changes.Entry{
		Kind: changes.KindRevokeSubject, Tenant: key.Tenant, Workspace: key.Workspace, ID: subject, Keep: keep,
	})
	if err != nil {
		return err
	}
	if err := s.Sessions.ClearSubject(ctx, key.Tenant, key.Workspace, subject, keep...); err != nil {
		return err
	}
	return errors.Join(
		s.Grants.ClearSubject(ctx, key.Tenant, key.Workspace, subject, keep...),
		s.Consents.ClearSubject(ctx, key.Tenant, key.Workspace, subject),
	)
}

// EndIDP is EndUser for everybody who came to a workspace by an IDP, in that
// workspace.
func (s *Service) EndIDP(ctx context.Context, key tenant.Key, idp string) error {
	err := s.Marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeIDP, Tenant: key.Tenant, Workspace: key.Workspace, ID: idp})
	if err != nil {
		return err
	}
	if err := s.Sessions.ClearIDP(ctx, key.Tenant, key.Workspace, idp); err != nil {
		return err
	}
	return errors.Join(s.Grants.ClearIDP(ctx, key.Tenant, key.Workspace, idp), s.Consents.ClearIDP(ctx, key.Tenant, key.Workspace, idp))
}

// Revoked keeps the audit event of a revocation that somebody asked for; about
// says whose tokens ended.
func (s *Service) Revoked(ctx context.Context, key tenant.Key, about map[string]any) error {
	payload, err := json.Marshal(map[string]any{audit.SubjectTokens + "_" + audit.ActionRevoked: about})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	return s.Audit.Record(ctx, audit.Event{
		Tenant: key.Tenant, Workspace: key.Workspace, Subject: audit.SubjectTokens, Action: audit.ActionRevoked, Time: s.Now(), Payload: payload,
	})
}

// Ended tells whether a token, or anything that it hangs on, was revoked. It is
// for those who took the token and go on for long.
func (s *Service) Ended(b *Bearer) bool { return s.revoked(b) }
