"""Signatures by Standard Webhooks 1.0: HMAC-SHA256 (v1) and Ed25519 (v1a), by as many keys as are valid. Pure but for
the random bytes that it is given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.domain.model import Secret, SigningKeys

SECRET_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
KEY_BYTES = 32  # Standard Webhooks asks for 24 to 64 in a secret; an Ed25519 seed has 32 (RFC 8032)
OVERLAP = timedelta(hours=24)
"""How long replaced keys go on signing beside the new ones, unless somebody says otherwise."""


def new_keys(random: Callable[[int], bytes]) -> SigningKeys:
    """A secret and an Ed25519 key from `random`: prefix and base64 of 32 bytes each."""
    secret, private = (
        Secret(prefix + base64.b64encode(random(KEY_BYTES)).decode("ascii"))
        for prefix in (SECRET_PREFIX, PRIVATE_PREFIX)
    )
    return SigningKeys(secret=secret, private=private)


def public_key(private: Secret) -> str:
    """What a receiver checks `v1a` signatures with: `whpk_` and the base64 of the public key."""
    return PUBLIC_PREFIX + base64.b64encode(_ed25519(private).public_key().public_bytes_raw()).decode("ascii")


def sign(key: Secret, *, message_id: str, at: datetime, body: bytes) -> str:
    """One signature over `id.timestamp.body`: `v1,` and HMAC-SHA256 for a secret, `v1a,` and Ed25519 for a private key.

    Raises ValueError for a key that is not `whsec_` or `whsk_` and base64, or an id with a dot: `a.1` sent at 2 would
    carry the signature of `a` sent at 1.
    """
    if "." in message_id:
        raise ValueError(f"a message id may hold no dot: {message_id!r}")
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    if key.reveal().startswith(PRIVATE_PREFIX):
        return "v1a," + base64.b64encode(_ed25519(key).sign(signed)).decode("ascii")
    raw = _decoded(key, SECRET_PREFIX)
    return "v1," + base64.b64encode(hmac.digest(raw, signed, hashlib.sha256)).decode("ascii")


def _ed25519(private: Secret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_decoded(private, PRIVATE_PREFIX))


def _decoded(key: Secret, prefix: str) -> bytes:
    before, found, encoded = key.reveal().partition(prefix)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if before or not found or not raw:
        raise ValueError(f"a webhook's {'secret' if prefix == SECRET_PREFIX else 'key'} is {prefix} followed by base64")
    return raw


def signatures(keys: Sequence[SigningKeys], *, message_id: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` of one attempt: a signature of every key that still signs at that time, newest first."""
    valid = [one for one in keys if one.until is None or at < one.until]
    found = [key for one in valid for key in (one.secret, one.private) if key is not None]
    return " ".join(sign(key, message_id=message_id, at=at, body=body) for key in found)
