"""Writes the known answers of foreign.tsv. Run once, on Debian 12 with
apt-get install python3-passlib python3-argon2 python3-bcrypt apache2-utils whois openssl:

    /usr/bin/python3 vectors.py > foreign.tsv

The tests read the table and need none of this.
"""
import base64, hashlib, os, subprocess, sys
import argon2, bcrypt, passlib
from passlib.hash import (
    apr_md5_crypt, argon2 as plargon2, bcrypt as plbcrypt, bcrypt_sha256, django_argon2, django_pbkdf2_sha1, django_pbkdf2_sha256,
    ldap_md5, ldap_pbkdf2_sha1, ldap_pbkdf2_sha256, ldap_pbkdf2_sha512, ldap_salted_md5, ldap_salted_sha1,
    ldap_salted_sha256, ldap_salted_sha512, ldap_sha1, md5_crypt, pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512,
    phpass, scrypt, sha256_crypt, sha512_crypt,
)

POLISH = "Zażółć gęślą jaźń"
LIGATURE = "ﬁsh ① Ångström"      # NFKC makes it another text
LONG = "correct horse battery staple " * 4

def row(command, stored, password):
    print("\t".join((command, stored, password)))

def passlib_row(name, handler, password, **settings):
    shown = ", ".join(f"{k}={v!r}" for k, v in settings.items())
    h = handler.using(**settings) if settings else handler
    row(f"passlib {passlib.__version__}: {name}.using({shown})", h.hash(password), password)

def run_row(args, password, pick=lambda s: s):
    out = subprocess.run(args + [password], check=True, capture_output=True, text=True).stdout.strip()
    row(" ".join(args) + " PASSWORD", pick(out), password)

print("# what made it\tstored\tpassword")
for p in (POLISH, LIGATURE):
    passlib_row("argon2", plargon2, p, type="ID", memory_cost=1024, rounds=2, parallelism=2)
    passlib_row("argon2", plargon2, p, type="I", memory_cost=1024, rounds=3, parallelism=1)
    passlib_row("bcrypt", plbcrypt, p, rounds=4, ident="2a")
    passlib_row("bcrypt", plbcrypt, p, rounds=4, ident="2b")
    passlib_row("bcrypt", plbcrypt, p, rounds=4, ident="2y")
    passlib_row("scrypt", scrypt, p, rounds=10, block_size=8, parallelism=2)
    passlib_row("pbkdf2_sha1", pbkdf2_sha1, p, rounds=1000)
    passlib_row("pbkdf2_sha256", pbkdf2_sha256, p, rounds=1000)
    passlib_row("pbkdf2_sha512", pbkdf2_sha512, p, rounds=1000)
    passlib_row("django_pbkdf2_sha1", django_pbkdf2_sha1, p, rounds=1000)
    passlib_row("django_pbkdf2_sha256", django_pbkdf2_sha256, p, rounds=1000)
    passlib_row("ldap_pbkdf2_sha1", ldap_pbkdf2_sha1, p, rounds=1000)
    passlib_row("ldap_pbkdf2_sha256", ldap_pbkdf2_sha256, p, rounds=1000)
    passlib_row("ldap_pbkdf2_sha512", ldap_pbkdf2_sha512, p, rounds=1000)
    for name, handler in (("ldap_md5", ldap_md5), ("ldap_salted_md5", ldap_salted_md5), ("ldap_sha1", ldap_sha1),
                          ("ldap_salted_sha1", ldap_salted_sha1), ("ldap_salted_sha256", ldap_salted_sha256),
                          ("ldap_salted_sha512", ldap_salted_sha512)):
        passlib_row(name, handler, p)
    passlib_row("sha256_crypt", sha256_crypt, p, rounds=1000)
    passlib_row("sha512_crypt", sha512_crypt, p, rounds=5000)
    passlib_row("md5_crypt", md5_crypt, p)
    passlib_row("apr_md5_crypt", apr_md5_crypt, p)
    passlib_row("phpass", phpass, p, rounds=8, ident="P")
    passlib_row("phpass", phpass, p, rounds=8, ident="H")

# Empty salts, and passwords longer than a digest.
passlib_row("scrypt", scrypt, POLISH, rounds=4, block_size=8, parallelism=1, salt=b"")
passlib_row("pbkdf2_sha1", pbkdf2_sha1, POLISH, rounds=1, salt=b"")
passlib_row("pbkdf2_sha512", pbkdf2_sha512, POLISH, rounds=1, salt=b"")
passlib_row("sha512_crypt", sha512_crypt, POLISH, rounds=1000, salt="")
passlib_row("sha256_crypt", sha256_crypt, POLISH, rounds=1000, salt="")
passlib_row("md5_crypt", md5_crypt, POLISH, salt="")
passlib_row("apr_md5_crypt", apr_md5_crypt, POLISH, salt="")
for name, handler in (("sha256_crypt", sha256_crypt), ("sha512_crypt", sha512_crypt)):
    passlib_row(name, handler, LONG, rounds=1234)
passlib_row("md5_crypt", md5_crypt, LONG)
passlib_row("apr_md5_crypt", apr_md5_crypt, LONG)
passlib_row("phpass", phpass, LONG, rounds=7)

# Programs other than passlib.
row(f"argon2-cffi {argon2.__version__}: PasswordHasher(memory_cost=512)", argon2.PasswordHasher(memory_cost=512).hash(POLISH), POLISH)
row(f"bcrypt {bcrypt.__version__}: hashpw(gensalt(5))", bcrypt.hashpw(POLISH.encode(), bcrypt.gensalt(5)).decode(), POLISH)
for p in (POLISH, LONG):
    run_row(["mkpasswd", "-m", "sha512crypt", "-R", "1000"], p)
    run_row(["mkpasswd", "-m", "sha256crypt"], p)
    run_row(["mkpasswd", "-m", "md5crypt"], p)
    run_row(["htpasswd", "-nbm", "u"], p, lambda s: s.removeprefix("u:"))
    run_row(["htpasswd", "-nbs", "u"], p, lambda s: s.removeprefix("u:"))
run_row(["htpasswd", "-nbBC", "4", "u"], POLISH, lambda s: s.removeprefix("u:"))
for kind in ("-1", "-apr1", "-5", "-6"):
    run_row(["openssl", "passwd", kind], LIGATURE)
salt = os.urandom(8)
for name in ("sha256", "sha384", "sha512"):
    digest = hashlib.new(name, POLISH.encode() + salt).digest() + salt
    row(f"hashlib {sys.version.split()[0]}: {{SS{name[1:].upper()}}} as OpenLDAP's pw-sha2 has it", "{SS" + name[1:].upper() + "}" + base64.b64encode(digest).decode(), POLISH)
    digest = hashlib.new(name, POLISH.encode()).digest()
    row(f"hashlib: {{{name.upper()}}}", "{" + name.upper() + "}" + base64.b64encode(digest).decode(), POLISH)
row("hashlib: SSHA with an empty salt", "{SSHA}" + base64.b64encode(hashlib.sha1(POLISH.encode()).digest()).decode(), POLISH)
row("passlib: sha512_crypt behind {CRYPT}", "{CRYPT}" + sha512_crypt.using(rounds=1000).hash(POLISH), POLISH)
row("passlib: django_argon2", django_argon2.using(memory_cost=512, rounds=1, parallelism=1).hash(POLISH), POLISH)
# Published by Firebase with its scrypt: github.com/firebase/scrypt, README.
row("README of github.com/firebase/scrypt",
    "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
    "user1password")
