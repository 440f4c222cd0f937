package audit

import (
	"fmt"
	"slices"
)

// The subjects of events: what an event is about.
const (
	SubjectRequest           = "request"
	SubjectGatewayRequest    = "gateway_request"
	SubjectGatewayPolicy     = "gateway_policy"
	SubjectPolicy            = "policy"
	SubjectClient            = "client"
	SubjectCredential        = "credential"
	SubjectLogin             = "login"
	SubjectRisk              = "risk"
	SubjectPostAuthn         = "post_authn"
	SubjectRecovery          = "recovery"
	SubjectConsent           = "consent"
	SubjectClientConsents    = "client_consents"
	SubjectCustomerConsents  = "customer_consents"
	SubjectAuthorizationCode = "authorization_code"
	SubjectAccessToken       = "access_token"
	SubjectSAMLAssertion     = "saml_assertion"
	SubjectScopes            = "scopes"
	SubjectClaims            = "claims"
	SubjectOTP               = "otp"
	SubjectUser              = "user"
	SubjectSchema            = "schema"
	SubjectPool              = "pool"
	SubjectPassword          = "password"
	SubjectBruteForce        = "bruteforce"
	SubjectDCR               = "dcr"
	SubjectScript            = "script"
	SubjectRole              = "role"
	SubjectTask              = "task"
	SubjectJIT               = "jit"
	SubjectTokens            = "tokens"
	SubjectService           = "service"
	SubjectServer            = "server"
	SubjectImport            = "import"
	SubjectOrganization      = "organization"
	SubjectOTPInspect        = "otp_inspect"
	SubjectTOTP              = "totp"
	SubjectWebAuthn          = "webauthn"
	SubjectGroup             = "group"
)

// The actions of events: what happened to the subject.
const (
	ActionAuthenticated    = "authenticated"
	ActionChallenged       = "challenged"
	ActionAuthorized       = "authorized"
	ActionUnauthorized     = "unauthorized"
	ActionCreated          = "created"
	ActionUpdated          = "updated"
	ActionDeleted          = "deleted"
	ActionGenerated        = "generated"
	ActionRequested        = "requested"
	ActionConfirmed        = "confirmed"
	ActionAccepted         = "accepted"
	ActionRejected         = "rejected"
	ActionRevoked          = "revoked"
	ActionNotified         = "notified"
	ActionIssued           = "issued"
	ActionDenied           = "denied"
	ActionGranted          = "granted"
	ActionAttempted        = "attempted"
	ActionFailed           = "failed"
	ActionSucceeded        = "succeeded"
	ActionSent             = "sent"
	ActionNotSent          = "not_sent"
	ActionExecuted         = "executed"
	ActionCalculated       = "calculated"
	ActionResetRequested   = "reset_requested"
	ActionResetCompleted   = "reset_completed"
	ActionAddRequested     = "add_requested"
	ActionAddCompleted     = "add_completed"
	ActionAddedToGroup     = "added_to_group"
	ActionRemovedFromGroup = "removed_from_group"
)

// Subjects returns every subject, in the order of the contract. The caller may
// change the result.
func Subjects() []string {
	return []string{
		SubjectRequest, SubjectGatewayRequest, SubjectGatewayPolicy, SubjectPolicy, SubjectClient,
		SubjectCredential, SubjectLogin, SubjectRisk, SubjectPostAuthn, SubjectRecovery, SubjectConsent,
		SubjectClientConsents, SubjectCustomerConsents, SubjectAuthorizationCode, SubjectAccessToken,
		SubjectSAMLAssertion, SubjectScopes, SubjectClaims, SubjectOTP, SubjectUser, SubjectSchema, SubjectPool,
		SubjectPassword, SubjectBruteForce, SubjectDCR, SubjectScript, SubjectRole, SubjectTask, SubjectJIT,
		SubjectTokens, SubjectService, SubjectServer, SubjectImport, SubjectOrganization, SubjectOTPInspect,
		SubjectTOTP, SubjectWebAuthn, SubjectGroup,
	}
}

// Actions returns every action, in the order of the contract. The caller may
// change the result.
func Actions() []string {
	return []string{
		ActionAuthenticated, ActionChallenged, ActionAuthorized, ActionUnauthorized, ActionCreated, ActionUpdated,
		ActionDeleted, ActionGenerated, ActionRequested, ActionConfirmed, ActionAccepted, ActionRejected,
		ActionRevoked, ActionNotified, ActionIssued, ActionDenied, ActionGranted, ActionAttempted, ActionFailed,
		ActionSucceeded, ActionSent, ActionNotSent, ActionExecuted, ActionCalculated, ActionResetRequested,
		ActionResetCompleted, ActionAddRequested, ActionAddCompleted, ActionAddedToGroup, ActionRemovedFromGroup,
	}
}

// The kinds of a metadata member's value.
const (
	text = iota + 1
	number
	object
)

// member returns the kind of a metadata member, 0 for one that is not known.
func member(name string) int {
	switch name {
	case "affected_user_id", "affected_user_pool_id", "authorization_correlation_id", "city", "client_id", "country_code",
		"dbfp_fingerprint", "device_type", "group_id", "identity_pool_id", "idp_id", "idp_method", "idp_subject", "ip",
		"organization_id", "request_correlation_id", "risk_id", "risk_loa", "session_id", "subject", "token_signature",
		"trace_id", "user_agent", "user_id", "user_pool_id":
		return text
	case "latitude", "longitude":
		return number
	case "actor_claims", "may_act_claims":
		return object
	}
	return 0
}

// Check tells whether an event may be about this subject and action.
func Check(subject, action string) error {
	if !slices.Contains(Subjects(), subject) {
		return fmt.Errorf("audit: unknown subject %q", subject)
	}
	if !slices.Contains(Actions(), action) {
		return fmt.Errorf("audit: unknown action %q of %s", action, subject)
	}
	return nil
}
