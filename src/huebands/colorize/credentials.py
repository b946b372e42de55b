"""Content Credentials: pictures signed by C2PA with the user's own certificate. The library is optional."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from PIL import Image

from huebands import __version__
from huebands.colorize.xmp import SOURCE_TYPE
from huebands.photos.encode import Format

_ASSERTION = "org.huebands.result"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class CredentialsError(ValueError):
    """Pictures cannot be signed as asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A certificate with its key.

    Attributes:
        chain: certificates in PEM, the signer's first.
        key: its private key, in PEM without a password.
        algorithm: of its signatures, as C2PA names it.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str

    @classmethod
    def read(cls, chain: Path, key: Path) -> Self:
        """Read the files of a certificate and its key, and try to sign with them.

        Raises:
            CredentialsError: when the library is missing, or the files are no certificate and key that C2PA allows.
            OSError: when a file cannot be read.
        """
        try:
            import c2pa  # noqa: F401
        except ImportError as error:
            raise CredentialsError(
                "--c2pa needs the library c2pa-python; install it by: pip install 'huebands[c2pa]'"
            ) from error
        content = key.read_bytes()
        credentials = cls(chain=chain.read_bytes(), key=content, algorithm=_algorithm(content, key))
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG")
        try:
            credentials.sign(buffer.getvalue(), "png", "", {})
        except CredentialsError as error:
            raise CredentialsError(f"{chain}: cannot sign with {key}: {error}") from error
        return credentials

    def sign(self, picture: bytes, picture_format: Format, title: str, facts: Mapping[str, str]) -> bytes:
        """Sign a picture.

        Args:
            picture: the file.
            picture_format: of it.
            title: of the picture.
            facts: that the signature covers, by name.

        Raises:
            CredentialsError: when it cannot be signed.
        """
        import c2pa

        manifest = {
            "claim_generator_info": [{"name": "Huebands", "version": __version__}],
            "title": title,
            "assertions": [
                {
                    "label": "c2pa.actions.v2",
                    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]},
                },
                {"label": _ASSERTION, "data": dict(facts)},
            ],
        }
        signed = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(self.algorithm.encode(), self.chain, self.key, None)
            with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(manifest)) as builder:
                builder.sign(signer, f"image/{picture_format}", io.BytesIO(picture), signed)
        except c2pa.C2paError as error:
            raise CredentialsError(" ".join(str(error).split())) from error
        return signed.getvalue()


def describe_credentials(picture: bytes, picture_format: str) -> str | None:
    """Who signed a picture, and whether the signature holds, in words.

    Returns:
        None where it is not signed, or the library is missing.
    """
    try:
        import c2pa
    except ImportError:
        return None
    try:
        with c2pa.Reader(f"image/{picture_format}", io.BytesIO(picture)) as reader:
            state, manifests = str(reader.get_validation_state()), json.loads(reader.json())
    except c2pa.C2paError:
        return None
    signature: Mapping[str, Any] = manifests["manifests"][manifests["active_manifest"]].get("signature_info", {})
    signer = ", ".join(str(signature[key]) for key in ("common_name", "issuer") if signature.get(key))
    return f"{'sound' if state in ('Valid', 'Trusted') else 'broken'}, signed by {signer or 'an unnamed signer'}"


def _algorithm(content: bytes, path: Path) -> str:
    """The algorithm of signatures by a key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise CredentialsError(f"{path}: is no private key in PEM without a password: {error}") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise CredentialsError(f"{path}: has a kind of key that C2PA does not allow; use P-256, P-384, Ed25519 or RSA")
