// Package vault seals secrets at rest, computes keyed marks, and makes random
// names.
//
//	key file            Ring                               record
//	  new:BASE64  -->   first key  -- Seal(plain, aad) --> "new.base64url(nonce|ciphertext)"
//	  old:BASE64  -->   every key  <- Open(sealed, aad) -- "old.base64url(nonce|ciphertext)"
//
//	32-byte secret --HKDF--> sealing key   (AES-256-GCM with a 192-bit nonce)
//	               \-HKDF--> marking key   (HMAC-SHA256)
//
// Rotation: put a new line first. New seals use it, old ones open until their
// key's line is taken out. Additional data ([AAD]) ties a sealed value to its
// tenant, table, record and member, so a value copied to another place does not
// open there.
//
// A caller that shares a store with others keeps one [Ring.CheckValue] in it
// and refuses to start when [Ring.Verify] fails: a wrong ring is found before it
// seals anything that nobody else can open.
package vault
