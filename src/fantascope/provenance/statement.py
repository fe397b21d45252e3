"""Statements signed with the studio's key: short texts, such as an operator's decision, that nobody may change later.

The key is the one that signs pictures (P-256, ECDSA over SHA-256; see `keys`), under a prefix of its own, so that no
statement can pass for a manifest or the other way round.
"""

from __future__ import annotations

from pathlib import Path

from fantascope.errors import ProvenanceError
from fantascope.provenance.keys import ensure_keys

_PREFIX = b"fantascope statement 1\n"


def sign_statement(folder: Path, data: bytes) -> str:
    """Return a signature over `data`, hex, by the key in `folder`, which is made if there is none.

    Raises:
        ProvenanceError: the key cannot be read.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(ensure_keys(folder).private, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProvenanceError(f"The signing key in {folder} is of another kind than this studio makes.")
    return key.sign(_PREFIX + data, ec.ECDSA(hashes.SHA256())).hex()


def statement_holds(folder: Path, data: bytes, signature: str) -> bool:
    """Say whether a signature over `data` is by the key in `folder`.

    Raises:
        ProvenanceError: the key cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    public = x509.load_pem_x509_certificate(ensure_keys(folder).chain).public_key()
    try:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(bytes.fromhex(signature), _PREFIX + data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
