"""age encryption of backup files (https://age-encryption.org/v1), streamed: memory does not grow with the file."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pyrage  # type: ignore[import-untyped]  # it ships no types
from pydantic import SecretStr

from agent.core.backups import StoredFile
from agent.core.redaction import redact
from agent.core.restore_failures import agent_disk_full
from agent.errors import BackupError, InputError


class _HashingWriter:
    """A file that knows size and hash of what was written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, block: bytes) -> int:
        self._stream.write(block)
        self.digest.update(block)
        self.bytes += len(block)
        return len(block)

    def flush(self) -> None:
        self._stream.flush()


class AgeCipher:
    """Encrypts for recipients, decrypts with an identity; implements `ports.Cipher`.

    Args:
        recipients: `age1…` or `ssh-ed25519 …`/`ssh-rsa …` public keys.
        identity: `AGE-SECRET-KEY-1…` or the text of an OpenSSH private key; only needed to read backups.

    Raises:
        InputError: `input.age_recipient`, `input.age_identity`.
    """

    def __init__(self, *, recipients: Sequence[str] = (), identity: SecretStr | None = None) -> None:
        self._recipients = [_recipient(text) for text in recipients]
        self._identity = _identity(identity) if identity is not None else None

    @property
    def name(self) -> str:
        """`age`."""
        return "age"

    async def encrypt(self, source: Path, target: Path) -> StoredFile:
        """See `ports.Cipher.encrypt`."""
        return await asyncio.to_thread(self._encrypt, source, target)

    def _encrypt(self, source: Path, target: Path) -> StoredFile:
        try:
            with source.open("rb") as plain, target.open("xb") as stream:
                writer = _HashingWriter(stream)
                pyrage.encrypt_io(plain, writer, self._recipients)
        except (pyrage.EncryptError, OSError) as error:
            target.unlink(missing_ok=True)
            full = os.strerror(errno.ENOSPC) in str(error)  # pyrage passes on the words of the OSError, not its number
            raise BackupError(
                f"{target.name} cannot be encrypted: {error}",
                code="backup.disk_full" if full else "backup.encryption_failed",
                hint="See that there is free space in the work folder, and check backup.age_recipients.",
            ) from error
        return StoredFile(name=target.name, bytes=writer.bytes, sha256=writer.digest.hexdigest())

    async def decrypt(self, source: Path, target: Path) -> None:
        """See `ports.Cipher.decrypt`."""
        if self._identity is None:
            raise BackupError(
                "the backup is encrypted, and no identity is set",
                code="backup.identity_missing",
                hint="Set backup.age_identity to the secret key that belongs to one of the recipients.",
            )
        await asyncio.to_thread(self._decrypt, source, target, self._identity)

    @staticmethod
    def _decrypt(source: Path, target: Path, identity: object) -> None:
        try:
            with source.open("rb") as stored, target.open("xb") as plain:
                pyrage.decrypt_io(stored, plain, [identity])
        except (pyrage.DecryptError, OSError) as error:
            target.unlink(missing_ok=True)
            if os.strerror(errno.ENOSPC) in str(error):
                raise agent_disk_full(f"{target.parent}: {error}") from error
            raise BackupError(
                f"{source.name} cannot be decrypted: {error}",
                code="backup.decryption_failed",
                hint="Check that backup.age_identity belongs to one of the recipients, and that the file is whole.",
            ) from error


def _recipient(text: str) -> object:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    parse: Callable[[str], object] = kind.from_str
    try:
        return parse(text.strip())
    except pyrage.RecipientError as error:
        raise InputError(
            f"backup.age_recipients: {redact(text)!r} is no age recipient",  # people mix the two keys up
            code="input.age_recipient",
            hint="Give the public key that `age-keygen` printed (age1…), or an SSH public key.",
            where={"field": "backup.age_recipients"},
        ) from error


def _identity(secret: SecretStr) -> object:
    text = secret.get_secret_value().strip()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    try:
        if text.startswith("-----BEGIN"):
            return pyrage.ssh.Identity.from_buffer(f"{text}\n".encode())
        return pyrage.x25519.Identity.from_str(lines[0] if lines else "")
    except pyrage.IdentityError:
        raise InputError(
            "backup.age_identity is no age identity",
            code="input.age_identity",
            hint="Give the secret key that `age-keygen` wrote (AGE-SECRET-KEY-1…), or an OpenSSH private key.",
            where={"field": "backup.age_identity"},
        ) from None
