package pool

import (
	"encoding/json"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The schemas that every tenant has.
const (
	DefaultPayload  = "default_payload"
	DefaultMetadata = "default_metadata"
)

// Schema is a JSON Schema of a tenant, on the wire and in the store. Pools
// assign it to the payload, the metadata or the business metadata of their users.
type Schema struct {
	ID          string          `json:"id"`
	TenantID    string          `json:"tenant_id"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // as it was given; what is not in SupportedJSONSchema is ignored
	System      bool            `json:"system"` // may be neither changed nor deleted
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Rev         int64           `json:"-"` // revision in the store, for ETag and If-Match
}

const maxText = 1000

func (s *Schema) check() error {
	if s.Name == "" {
		s.Name = s.ID
	}
	if err := record.Text("name", s.Name, 100); err != nil {
		return err
	}
	if err := record.Text("description", s.Description, maxText); err != nil {
		return err
	}
	s.Schema = compact(s.Schema)
	_, err := compile("schema", s.Schema)
	return err
}

// predefined returns the schemas of a new tenant.
func predefined() []Schema {
	return []Schema{
		{ID: DefaultPayload, Name: "user_v0", Description: "The profile of a person", System: true, Schema: compact(json.RawMessage(profile))},
		{ID: DefaultMetadata, Name: "metadata_v0", Description: "Anything", System: true, Schema: json.RawMessage(`{"type":"object"}`)},
	}
}

// profile has the claims of OpenID Connect Core 1.0, section 5.1, that are not
// taken from identifiers and addresses.
const profile = `{
	"type": "object",
	"title": "Profile",
	"properties": {
		"name": {"type": "string", "title": "Full name", "maxLength": 256},
		"given_name": {"type": "string", "title": "First name", "maxLength": 256},
		"family_name": {"type": "string", "title": "Last name", "maxLength": 256},
		"middle_name": {"type": "string", "title": "Middle name", "maxLength": 256},
		"nickname": {"type": "string", "title": "Nickname", "maxLength": 256},
		"profile": {"type": "string", "title": "Profile page", "maxLength": 2048},
		"picture": {"type": "string", "title": "Picture", "maxLength": 2048},
		"website": {"type": "string", "title": "Website", "maxLength": 2048},
		"gender": {"type": "string", "title": "Gender", "maxLength": 64},
		"birthdate": {"type": "string", "title": "Date of birth", "maxLength": 10},
		"zoneinfo": {"type": "string", "title": "Time zone", "maxLength": 64},
		"locale": {"type": "string", "title": "Language", "maxLength": 35},
		"address": {
			"type": "object",
			"title": "Address",
			"properties": {
				"formatted": {"type": "string", "title": "Full address", "maxLength": 1024},
				"street_address": {"type": "string", "title": "Street", "maxLength": 512},
				"locality": {"type": "string", "title": "City", "maxLength": 256},
				"region": {"type": "string", "title": "Region", "maxLength": 256},
				"postal_code": {"type": "string", "title": "Postal code", "maxLength": 32},
				"country": {"type": "string", "title": "Country", "maxLength": 256}
			}
		}
	},
	"required": ["given_name", "family_name", "name"]
}`
