"""What is wrong with a hash that no form fits, in a sentence that repeats nothing of it but its length."""

import re

_UNSUPPORTED = "This kind of hash is not supported; docs/importing.md lists those that are."
_BARE = "This is a bare {}, which is no password hash: it is guessed in no time."
_FAULTS = {
    r"": "The hash is empty.",
    r"[0-9a-f]{32}": _BARE.format("MD5 or NTLM digest"),
    r"[0-9a-f]{40}": _BARE.format("SHA-1 digest"),
    r"[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}": _BARE.format("SHA-2 digest"),
    r"\{(smd5|md[245]|sha|sha-?1|sha-?256|sha-?512|nt|lanman|ntlm)\}.*|(md5|sha1|unsalted_md5|unsalted_sha1)\$.*": (
        _BARE.format("digest of MD5 or SHA")
    ),
    r"\{(noop|plain|cleartext)\}.*": "This is the password itself, and no hash of it.",
    r"(\{crypt\})?[./0-9A-Za-z]{13}": "This is a crypt of DES, which looks at the first eight characters alone.",
    r"(\{crypt\})?\$g?y\$.*": "This is yescrypt, which is not supported.",
    r"\$fbscrypt\$.*": (
        "This is a Firebase hash as Supabase writes it, with its secret; write it as $firebase-scrypt$, and the "
        "secret in AUTH_PASSWORD__FIREBASE_SIGNER_KEY."
    ),
    r"\$2x\$.*": "This is $2x$, which marks bcrypt hashes of a faulty program.",
    r"(\$wp|.*\})?(bcrypt\$)?\$2[aby]?\$.*": (
        "A bcrypt hash has 60 characters: $2b$, the cost in two digits, $, and 53 of ./A-Za-z0-9. This one has {}."
    ),
    r"(\{.*\})?(argon2)?\$argon2.*": (
        "An Argon2 hash has five parts, each after a $: argon2id, v=19, m=19456,t=2,p=1, the salt and the digest, "
        "both in base64; and neither a key nor data."
    ),
    r"\$?pbkdf2.*": (
        "A PBKDF2 hash has the form $pbkdf2-sha256$<iterations>$<salt>$<digest>, pbkdf2_sha256$... of Django, or "
        "pbkdf2:sha256:... of Werkzeug; with SHA-1, SHA-256 or SHA-512."
    ),
    r"\$?scrypt.*|\$7\$.*|\$(s0\$)?[0-9a-f]{5,6}\$.*": (
        "A scrypt hash has the form $scrypt$ln=14,r=8,p=1$<salt>$<digest>, in base64, or one of those in "
        "docs/importing.md."
    ),
    r"\{pbkdf2.*\}.*": "Spring's {pbkdf2} is followed by salt and digest, in hexadecimal or base64.",
    r"\$[56]\$.*|\{crypt\}.*": "A hash of crypt has the form $6$rounds=<rounds>$<salt>$<digest>, or $5$ or $1$.",
    r"\$[PHS]\$.*": "A hash of phpass has 34 characters, $P$ or $H$ and 31, and one of Drupal 55. This one has {}.",
    r"\{ssha.*\}.*": "A hash of LDAP is {SSHA} and base64 of the digest and of a salt of 4 to 16 bytes.",
    r"\{.*": "The scheme in braces is not supported; docs/importing.md lists those that are.",
}


def fault_of(stored: str) -> str:
    """Return what is wrong with a hash that cannot be read."""
    how = re.IGNORECASE | re.DOTALL
    found = next((fault for pattern, fault in _FAULTS.items() if re.fullmatch(pattern, stored, how)), _UNSUPPORTED)
    return found.replace("{}", str(len(stored)))
