package credential

import "testing"

// TestDummies holds every dummy to the work of a real hash: the same method with
// the parameters of today, so that looking for nobody takes as long.
func TestDummies(t *testing.T) {
	t.Parallel()
	for _, s := range schemes() {
		if !s.owns(s.dummy) || !s.current(s.dummy) {
			t.Errorf("%s: the dummy %s has other parameters than new hashes", s.method, s.dummy)
		}
	}
	if dummy("") != dummyArgon2 {
		t.Error("an unset method has no argon2 dummy")
	}
}
