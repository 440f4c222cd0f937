package pool

import "unicode/utf8"

// Spelling returns one text for all the spellings under which an identifier may
// find the same user, in whatever pool: what tries at somebody are counted for.
// What can be no identifier gives "".
func Spelling(identifier string) string {
	if len(identifier) > 2*maxName || !utf8.ValidString(identifier) {
		return ""
	}
	return key(canonical(identifier), true)
}

// Canonical is the spelling of an address as users keep it; see Address.Value.
func Canonical(address string) string {
	if len(address) > 2*maxName || !utf8.ValidString(address) {
		return ""
	}
	return canonical(address)
}

// Spelling returns one text for all the spellings under which an identifier finds
// the same user in this pool: tries at nobody are counted for it, so that they
// are told from tries at somebody by nothing.
func (p *Pool) Spelling(identifier string) string {
	return lookup(identifier, p.IdentifierCaseInsensitive).Key
}
