package credential_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/google/go-cmp/cmp"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestHashes reads hashes in the contract's form, as other systems dump them.
func TestHashes(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	salt, password := []byte("01234567"), []byte(polish)
	before := sha256.Sum256(append(append([]byte{}, salt...), password...))
	after := sha256.Sum256(append(append([]byte{}, password...), salt...))
	plainMD5 := md5.Sum(password)
	for _, tc := range []struct{ name, hash string }{
		{"bcrypt", `{"value":"$2b$04$QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn.","config":{"method":"bcrypt","bcrypt":{"cost":4}}}`},
		{"argon2 in parts", `{"value":"maVgUkzQhpwmK1ss/viVDg==","config":{"method":"argon2","argon2":{"salt":"jXFOqVWKsXYOgZBSSolxDg==","salt_length":16,"iterations":3,"memory_in_kb":1024,"parallelism":2,"key_length":16}}}`},
		{"argon2 whole", `{"value":"$argon2i$v=19$m=512,t=1,p=1$vxcCwHgPYQzBmJMSwtgbQw$l7EWPfGHULVaxrktFbtmvA","config":{"method":"argon2"}}`},
		{"pbkdf2", `{"value":"wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA=","config":{"method":"pbkdf2","pbkdf2":{"function":"SHA-256","salt":"/l+r1br3fo/xntNa610r5Q==","salt_length":16,"number_of_iterations":1000,"key_length":32}}}`},
		{"pbkdf2, a salt of text", `{"value":"c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a","config":{"method":"pbkdf2","pbkdf2":{"function":"sha256","salt":"salt","salt_length":4,"number_of_iterations":4096,"key_length":32}}}`},
		{"sha, the salt beside it", `{"value":"` + b64(before[:]) + `","config":{"method":"sha","sha":{"function":"sha256","salt":"` + b64(salt) + `","salt_length":8}}}`},
		{"sha, hexadecimal and text", `{"value":"` + hex.EncodeToString(after[:]) + `","config":{"method":"sha","sha":{"function":"SHA256","salt":"01234567","salt_length":8}}}`},
		{"sha, the salt after the digest", `{"value":"` + b64(append(after[:], salt...)) + `","config":{"method":"sha","sha":{"function":"sha256","salt_length":8,"salt_after_digest_in_hash":true}}}`},
		{"sha, the salt before the digest", `{"value":"` + b64(append(append([]byte{}, salt...), before[:]...)) + `","config":{"method":"sha","sha":{"function":"sha256","salt_length":8}}}`},
		{"sha, the salt after it and beside it", `{"value":"` + b64(append(after[:], salt...)) + `","config":{"method":"sha","sha":{"function":"sha256","salt":"01234567","salt_length":8,"salt_after_digest_in_hash":true}}}`},
		{"md5 without salt", `{"value":"` + hex.EncodeToString(plainMD5[:]) + `","config":{"method":"md5","md5":{}}}`},
		{"other", `{"value":"{SHA}g5s+zTnFrEEYok4+vuNAGw9i0fw=","config":{"method":"other"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var h credential.Hash
			if err := json.Unmarshal([]byte(tc.hash), &h); err != nil {
				t.Fatal(err)
			}
			stored, err := h.Stored()
			if err != nil {
				t.Fatal(err)
			}
			password := polish
			if tc.name == "pbkdf2, a salt of text" { // RFC 7914 has no such vector; this one is widely published
				password = "password"
			}
			if !check(t, v, stored, password) || check(t, v, stored, password+".") {
				t.Errorf("%s does not match", stored)
			}
		})
	}
}

func TestHashRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hash string
		want error
	}{
		{`{}`, credential.ErrMalformed},
		{`{"value":"x","config":{"method":"bcrypt"}}`, credential.ErrMalformed},
		{`{"value":"x","config":{"method":"argon2"}}`, credential.ErrMalformed},
		{`{"value":"AAAA","config":{"method":"sha","sha":{"function":"sha3","salt_length":8}}}`, credential.ErrMalformed},
		{`{"value":"AAAA","config":{"method":"sha","sha":{"function":"sha256","salt_length":-8}}}`, credential.ErrMalformed},
		{`{"value":"AAAA","config":{"method":"md5","md5":{"salt_length":1000000000}}}`, credential.ErrMalformed},
		{`{"value":"wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA=","config":{"method":"pbkdf2","pbkdf2":{"function":"whirlpool","number_of_iterations":1000,"key_length":32}}}`, credential.ErrMalformed},
		{`{"value":"wDNE5gqiH4ew7LtrkQPUTUvvcZ84G2BPNiEvCTG5nDA=","config":{"method":"pbkdf2","pbkdf2":{"function":"sha256","number_of_iterations":100000000,"key_length":32}}}`, credential.ErrCost},
		{`{"value":"$2b$16$QBu8WT/hsFJvMdas7Bowm.M6R6hZqrCjYXaYWtpIpjy7JESi5HJn.","config":{"method":"bcrypt"}}`, credential.ErrCost},
		{`{"value":"maVgUkzQhpwmK1ss/viVDg==","config":{"method":"argon2","argon2":{"salt":"jXFOqVWKsXYOgZBSSolxDg==","iterations":3,"memory_in_kb":10000000,"parallelism":2}}}`, credential.ErrCost},
	} {
		var h credential.Hash
		if err := json.Unmarshal([]byte(tc.hash), &h); err != nil {
			t.Fatal(err)
		}
		if stored, err := h.Stored(); !errors.Is(err, tc.want) {
			t.Errorf("%s: Stored = %q, %v; want %v", tc.hash, stored, err, tc.want)
		}
	}
}

// TestParseStored takes every stored string to the contract's form and back.
func TestParseStored(t *testing.T) {
	t.Parallel()
	v := credential.NewVerifier(credential.Config{})
	rows := vectors(t)
	for _, k := range known {
		rows = append(rows, vector{k.name, k.stored, k.password})
	}
	for _, tc := range rows {
		t.Run(tc.stored[:min(len(tc.stored), 24)], func(t *testing.T) {
			t.Parallel()
			h, err := credential.ParseStored(tc.stored)
			if err != nil {
				t.Fatal(err)
			}
			again, err := h.Stored()
			if err != nil || !check(t, v, again, tc.password) || check(t, v, again, tc.password+".") {
				t.Errorf("%s became %s: %v", tc.stored, again, err)
			}
		})
	}
	for _, m := range []credential.Method{credential.Argon2, credential.Bcrypt, credential.PBKDF2} {
		stored, err := v.Make(t.Context(), "t", m, polish)
		if err != nil {
			t.Fatal(err)
		}
		h, err := credential.ParseStored(stored)
		if err != nil || h.Config.Method != string(m) {
			t.Fatalf("ParseStored(%s) = %+v, %v", stored, h, err)
		}
		if again, err := h.Stored(); err != nil || cmp.Diff(stored, again) != "" {
			t.Errorf("%s became %s, %v", stored, again, err)
		}
	}
}
