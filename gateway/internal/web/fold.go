package web

// AppendFold appends to dst the form of a header name under which servers
// confuse names: lower case, with '_' and '.' read as '-'. CGI-like servers turn
// X-User, X_User and x.user into one variable, so whoever owns one name owns them
// all (GHSA-vjrc-mh2v-45x6). Other bytes stay as they are. It allocates only when
// dst has no room.
func AppendFold(dst, name []byte) []byte {
	for _, b := range name {
		dst = append(dst, foldByte(b))
	}
	return dst
}

func foldByte(b byte) byte {
	switch {
	case 'A' <= b && b <= 'Z':
		return b | 0x20
	case b == '_' || b == '.':
		return '-'
	}
	return b
}

// foldsTo tells whether name folds to want, which must itself be folded.
func foldsTo(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, b := range name {
		if foldByte(b) != want[i] {
			return false
		}
	}
	return true
}
