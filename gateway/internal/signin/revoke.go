package signin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// EndUser ends all sessions, codes, grants and tokens of a pool's user in every
// workspace, on every gateway. The announcement comes first, so a failure in
// the clearing leaves nothing that still works.
func (s *Service) EndUser(ctx context.Context, tenant, poolID, user string) error {
	err := s.Marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeUser, Tenant: tenant, ID: poolID + "/" + user})
	if err != nil {
		return err
	}
	if err := s.Sessions.Clear(ctx, tenant, poolID, user); err != nil {
		return err
	}
	return s.Grants.Clear(ctx, tenant, poolID, user)
}

// EndSubject is EndUser for whoever a subject of one workspace stands for, in
// that workspace.
func (s *Service) EndSubject(ctx context.Context, key tenant.Key, subject string) error {
	err := s.Marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeSubject, Tenant: key.Tenant, Workspace: key.Workspace, ID: subject})
	if err != nil {
		return err
	}
	if err := s.Sessions.ClearSubject(ctx, key.Tenant, key.Workspace, subject); err != nil {
		return err
	}
	return s.Grants.ClearSubject(ctx, key.Tenant, key.Workspace, subject)
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
	return s.Grants.ClearIDP(ctx, key.Tenant, key.Workspace, idp)
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
