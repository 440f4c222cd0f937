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
