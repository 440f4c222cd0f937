package role

// Permissions returns the published list of permissions on a kind of resource.
func Permissions(kind string) []Permission { return permissions(kind) }
