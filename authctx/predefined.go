package authctx

// Predefined returns the attributes that every new workspace and every new
// identity-pool IDP declares (published API 16.4). The slice is the caller's own.
func Predefined() []Attribute {
	return []Attribute{
		{Name: "sub", Type: String, Description: "Subject"},
		{Name: "scp", Type: StringArray, Description: "Scopes"},
		{Name: "groups", Type: StringArray, Description: "Groups"},
		{Name: "email", Type: String, Description: "Email"},
		{Name: "email_verified", Type: Bool, Description: "Email verified"},
		{Name: "phone_number", Type: String, Description: "Phone number"},
		{Name: "phone_number_verified", Type: Bool, Description: "Phone number verified"},
		{Name: "address.formatted", Type: String, Description: "Address"},
		{Name: "address.street_address", Type: String, Description: "Street address"},
		{Name: "address.locality", Type: String, Description: "City"},
		{Name: "address.region", Type: String, Description: "Region"},
		{Name: "address.country", Type: String, Description: "Country"},
		{Name: "address.postal_code", Type: String, Description: "Postal code"},
		{Name: "name", Type: String, Description: "Name"},
		{Name: "given_name", Type: String, Description: "Given name"},
		{Name: "middle_name", Type: String, Description: "Middle name"},
		{Name: "family_name", Type: String, Description: "Family name"},
		{Name: "nickname", Type: String, Description: "Nickname"},
		{Name: "preferred_username", Type: String, Description: "Preferred username"},
		{Name: "profile", Type: String, Description: "Profile page"},
		{Name: "picture", Type: String, Description: "Picture"},
		{Name: "website", Type: String, Description: "Website"},
		{Name: "gender", Type: String, Description: "Gender"},
		{Name: "birthdate", Type: String, Description: "Date of birth"},
		{Name: "zoneinfo", Type: String, Description: "Time zone"},
		{Name: "locale", Type: String, Description: "Language"},
		{Name: "updated_at", Type: Number, Description: "Updated at"},
		{Name: "idp_sub", Type: String, Description: "Subject at the identity provider"},
		{Name: "customer_id", Type: String, Description: "Customer ID"},
	}
}

// PredefinedMappings returns the mappings of a new identity-pool IDP: each
// predefined attribute from the one of the same name, apart from those that no
// pool user has. The slice is the caller's own.
func PredefinedMappings() []Mapping {
	var ms []Mapping
	for _, a := range Predefined() {
		switch a.Name {
		case "scp", "idp_sub", "customer_id":
			continue
		}
		ms = append(ms, Mapping{Source: a.Name, Target: a.Name, Type: a.Type, Mode: Dynamic})
	}
	return ms
}
