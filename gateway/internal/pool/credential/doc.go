// Package credential makes and checks what a user proves identity with:
// passwords, time-based codes and passkeys. It keeps nothing; the pool does.
//
//	set    password --Normalize--> Policy.Check --> Verifier.Make  --gate--> "$argon2id$v=19$..."
//	check  password --Normalize-------------------> Verifier.Check --gate--> right or not
//	                                                  |
//	                      no user, no password: hash a dummy of the pool's
//	                      method, so that the answer costs the same
//
//	import "{SSHA}...", Hash.Stored --> Usable --> stored as it is --> Check, then Make anew
//
// A stored hash is one string that names its method and parameters. Check
// follows the string, not the pool's setting; [Current] tells when the setting
// has moved on and the password should be hashed again at the next sign-in.
// Hashes of other systems are read in many more forms than are written.
//
// Hashing is bounded by the caller's [Gate]: a few at once, a short queue, then
// refusal. [Floor] keeps answers about people that need no hash (a code sent or
// not) at the time of those that need one.
//
// [CheckTOTP] checks codes of authenticator apps. A [RelyingParty] makes and
// verifies passkeys; this is the only package that knows go-webauthn, whose types
// stay inside: what is stored is a [Passkey], what the contract shows a [Record].
package credential
