"""Secrets at rest: AES-256-GCM under keys with an id, so that a key can be replaced and old ciphertext still reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from service.domain.model import Secret, ServiceError

KEY_BYTES = 32
_VERSION = "v1"


class Vault:
    """Seals with the first key, opens with any. `context` names the row's place, so ciphertexts cannot be swapped."""

    def __init__(self, keys: Sequence[Secret], random: Callable[[int], bytes] = os.urandom) -> None:
        """`keys` are base64 texts of 32 bytes each, the current one first."""
        decoded = [_decode(key) for key in keys]
        if not decoded:
            raise ServiceError("no secret key: set secrets.key_file or secrets.keys")
        self._keys = {_key_id(raw): raw for raw in decoded}
        self._current = _key_id(decoded[0])
        self._random = random

    def seal(self, secret: Secret, *, context: str) -> str:
        nonce = self._random(12)
        cipher = AESGCM(self._keys[self._current]).encrypt(nonce, secret.reveal().encode(), context.encode())
        return f"{_VERSION}:{self._current}:{base64.b64encode(nonce + cipher).decode()}"

    def open(self, sealed: str, *, context: str) -> Secret:
        """ServiceError when the key is missing or the ciphertext was moved or changed."""
        version, key_id, body = ([*sealed.split(":", 2), "", ""])[:3]
        key = self._keys.get(key_id)
        if version != _VERSION or key is None:
            raise ServiceError(
                f"a stored secret was sealed with key {key_id or '?'}, which is not among the keys given; "
                "put the old key back as a further entry of secrets.keys"
            )
        raw = base64.b64decode(body)
        try:
            return Secret(AESGCM(key).decrypt(raw[:12], raw[12:], context.encode()).decode())
        except InvalidTag as exc:
            raise ServiceError("a stored secret was altered or moved between rows; restore it from a backup") from exc

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A key for another purpose from each key, the current one first (HKDF, RFC 5869): neither tells the other."""
        return tuple(
            HKDFExpand(hashes.SHA256(), KEY_BYTES, b"policywatch " + purpose.encode()).derive(raw)
            for raw in self._keys.values()
        )

    def fingerprint(self, secret: Secret, *, context: str) -> str:
        """Tells equal secrets apart from different ones without giving them away; needs the oldest key to stay."""
        oldest = list(self._keys.values())[-1]
        return hmac.new(oldest, f"{context}\0{secret.reveal()}".encode(), hashlib.sha256).hexdigest()


def new_key(random: Callable[[int], bytes] = os.urandom) -> Secret:
    return Secret(base64.b64encode(random(KEY_BYTES)).decode())


def read_key_file(path: Path, *, may_create: bool) -> tuple[Secret, ...]:
    """The keys in `path`, one a line; a new file with one key when there is none and nothing is sealed yet."""
    if not may_create and not path.exists():
        raise ServiceError(
            f"secret key file {path} is missing, but the database holds secrets sealed with it; "
            "restore the file from your backup (without it the stored channels cannot be used)"
        )
    try:
        if not path.exists():
            _write_key(path)
        lines = path.read_text().splitlines()
    except OSError as exc:
        raise ServiceError(f"secrets.key_file: {path} cannot be read or made: {exc.strerror or exc}") from exc
    return tuple(Secret(line.strip()) for line in lines if line.strip())


def _write_key(path: Path) -> None:
    """Put a new key at `path`, whole or not at all: a start that is killed half-way leaves no empty file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(new_key().reveal() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename, it never replaces the key of a process that was quicker
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name must be on the disk before anything is sealed with the key
    finally:
        os.close(folder)


def _decode(key: Secret) -> bytes:
    try:
        raw = base64.b64decode(key.reveal(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ServiceError(f"a secret key must be {KEY_BYTES} random bytes in base64 (openssl rand -base64 32)")
    return raw


def _key_id(raw: bytes) -> str:
    return hashlib.sha256(b"policywatch key id" + raw).hexdigest()[:8]
