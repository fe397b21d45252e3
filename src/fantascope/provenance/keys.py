"""The signing key and certificates of this studio: made on first use, kept under `Settings.keys`.

    keys/            0700
      signer.pem     0600   private key (P-256, PKCS#8), leaf certificate, root certificate
      root.pem              root certificate alone: what others need to recognise this studio
      trust/*.pem           root certificates of other studios that this one shall recognise

The root's own private key is thrown away once it has signed the leaf, so nobody can sign in its name later.
Certificates carry no personal data. Profile: C2PA 2.x section "Certificate profile": digitalSignature and
emailProtection on the leaf, keyCertSign on the root, key identifiers on both, an organisation.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fantascope.errors import ProvenanceError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

ORGANISATION = "Fantascope local studio"
YEARS = 30
MAX_FILE = 1 << 20


@dataclass(frozen=True)
class Keys:
    """PEM texts: the private key, the chain (leaf, then root), the root alone."""

    private: bytes = field(repr=False)
    chain: bytes
    root: bytes


def ensure_keys(folder: Path) -> Keys:
    """Return the keys in `folder`, making them when there are none; too open permissions are closed.

    Two processes may call this at once: the file appears whole or not at all, and both return the same keys.

    Raises:
        ProvenanceError: the folder cannot be written or the file is not what this module writes.
    """
    path = folder / "signer.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close(folder, 0o700)
        if not path.exists():
            _publish(path, _make(), 0o600)
        _close(path, 0o600)
        keys = _split(path)
        root = folder / "root.pem"
        if not root.exists():
            _publish(root, keys.root, 0o644)
    except OSError as error:
        raise ProvenanceError(
            f"The signing key in {folder} cannot be made or read: {error.strerror or error}.",
            hint="Set FANTASCOPE_HOME to a folder that can be written.",
        ) from error
    return keys


def anchors(folder: Path) -> bytes:
    """Return the PEM texts of every root this studio recognises: its own and those under `trust/`."""
    texts = []
    for path in (folder / "root.pem", *sorted((folder / "trust").glob("*.pem"))):
        if path.is_file() and path.stat().st_size <= MAX_FILE:
            texts.append(path.read_bytes().strip() + b"\n")
    return b"".join(texts)


def _close(path: Path, mode: int) -> None:
    """Take away what group and others may do."""
    if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(mode)


def _publish(path: Path, data: bytes, mode: int) -> None:
    """Let `path` appear with its whole contents, unless somebody else was first."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return
    finally:
        part.unlink()


def _split(path: Path) -> Keys:
    """Read the three parts of `signer.pem` back.

    Raises:
        ProvenanceError: it does not hold one private key and two certificates.
    """
    head, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    text = path.read_bytes() if path.stat().st_size <= MAX_FILE else b""
    private, *certificates = text.split(head)
    if len(certificates) != 2 or b"PRIVATE KEY-----" not in private or not all(end in c for c in certificates):
        raise ProvenanceError(
            f"{path} does not hold a key and two certificates.",
            hint=f"Move {path} away: the next picture makes a new key, and old pictures keep the old signature.",
        )
    leaf, root = (head + c for c in certificates)
    return Keys(private=private, chain=leaf + root, root=root)


def _make() -> bytes:
    """Make a root and a leaf certificate and return private key, leaf and root as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = (
        _certificate("Fantascope root", root_key, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate("Fantascope signer", leaf_key, root_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    private = leaf_key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return private + leaf.public_bytes(pem.Encoding.PEM) + root.public_bytes(pem.Encoding.PEM)


def _certificate(
    title: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def name(common: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION)
        return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])

    start = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name(title))
        .issuer_name(name("Fantascope root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )


def _usage(*allowed: str) -> x509.KeyUsage:
    from cryptography import x509

    def may(what: str) -> bool:
        return what in allowed

    return x509.KeyUsage(
        digital_signature=may("digital_signature"),
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=may("key_cert_sign"),
        crl_sign=may("crl_sign"),
        encipher_only=False,
        decipher_only=False,
    )
