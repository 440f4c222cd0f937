package pool

import "testing"

// FuzzName holds spelling to one round: what is kept of an identifier finds it
// again, and so does its name in a case-insensitive pool.
func FuzzName(f *testing.F) {
	for _, s := range []string{
		"Anna@Example.COM", "ｂｏｂ＠example.com", "+48 (600) 100-200", "＋1 650 253 0000", "Straße", "ADMİN", "ΣΊΣΥΦΟΣ", "¨@¨",
		"a@b@C", "\ufdfa", "e\u0301@E\u0301", "\u1e9e", "+1 650 253 0000 ext. 5", "İ@İ", "ﬁ@ﬁ.COM", "\u0345a", " \u00a0x",
		"Ꮊ", "ꮊ", "+8600AAA0000", "+86 02220000",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, insensitive := range []bool{false, true} {
			value, n, err := spell("x", UID, s, nil, insensitive)
			if err != nil {
				continue
			}
			if got := lookup(s, insensitive); got != n {
				t.Errorf("typed %q means %q, kept under %q", s, got.Key, n.Key)
			}
			if got := lookup(value, insensitive); got != n {
				t.Errorf("what is kept of %q, %q, means %q, not %q", s, value, got.Key, n.Key)
			}
			if again := lookup(n.Key, insensitive); insensitive && again != n {
				t.Errorf("the name of %q, %q, means %q", s, n.Key, again.Key)
			}
		}
	})
}
