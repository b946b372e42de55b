"""Content Credentials: pictures are signed with the user's own certificate, and a changed file breaks the signature."""

import datetime
import io
import json
import sys

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from huebands import cli
from huebands.colorize.xmp import SOURCE_TYPE
from huebands.photos.write import write_png
from tiny_photos import tiny_photo


def pem_of(key: ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificate(subject: str, key, issuer: str, issuers_key, is_authority: bool) -> bytes:
    def name(text: str) -> x509.Name:
        parts = ((NameOID.COMMON_NAME, text), (NameOID.ORGANIZATION_NAME, "City Archive"))
        return x509.Name([x509.NameAttribute(*part) for part in parts])

    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2026, 1, 1))
        .not_valid_after(datetime.datetime(2056, 1, 1))
        .add_extension(x509.BasicConstraints(is_authority, None), True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers_key.public_key()), False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)
    return builder.sign(issuers_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    """The files of a certificate with its authority's, and of its key."""
    folder = tmp_path_factory.mktemp("signer")
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = certificate("Restorer", key, "Root", authority, False)
    chain += certificate("Root", authority, "Root", authority, True)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(pem_of(key))
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def colorize(tiny_package, tmp_path):
    write_png(tmp_path / "cat.png", tiny_photo(0, 64))

    def run(*words):
        fixed = ("--output", tmp_path / "out", "--model", tiny_package, "--alpha", 0.5, "--jobs", 1)
        return cli.main(["colorize", *map(str, (tmp_path / "cat.png", *words, *fixed))])

    return run


@pytest.mark.parametrize(("kind", "suffix"), [("png", ".png"), ("tiff", ".tif"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_a_signed_picture_says_who_signed_it(colorize, signer, tmp_path, capsys, kind, suffix):
    assert colorize("--c2pa", *signer, "--format", kind) == 0
    path = tmp_path / f"out/cat.colorized{suffix}"
    with c2pa.Reader(f"image/{kind}", io.BytesIO(path.read_bytes())) as reader:
        told = json.loads(reader.json())
    assertions = {item["label"]: item["data"] for item in told["manifests"][told["active_manifest"]]["assertions"]}
    assert assertions["c2pa.actions.v2"]["actions"][0]["digitalSourceType"] == SOURCE_TYPE
    assert assertions["org.huebands.result"]["Alpha"] == "0.5"
    capsys.readouterr()
    assert cli.main(["inspect", str(path)]) == 0
    assert "  Content Credentials: sound, signed by Restorer, City Archive\n" in capsys.readouterr().out


def test_a_changed_file_breaks_the_signature(colorize, signer, tmp_path, capsys):
    colorize("--c2pa", *signer, "--format", "jpeg")
    path = tmp_path / "out/cat.colorized.jpg"
    content = bytearray(path.read_bytes())
    place = content.index(b"cat.png", content.index(b"urn:huebands"))
    content[place : place + 3] = b"dog"
    path.write_bytes(content)
    capsys.readouterr()
    cli.main(["inspect", str(path)])
    assert "Content Credentials: broken, signed by Restorer" in capsys.readouterr().out


def test_another_signer_signs_anew(colorize, signer, tmp_path, capsys):
    assert colorize() == 0 and colorize("--c2pa", *signer) == 0
    assert "done before" not in capsys.readouterr().out
    assert colorize("--c2pa", *signer) == 0
    assert "done before: 1 of 1 photos" in capsys.readouterr().out


def test_files_that_are_no_certificate_and_key_are_named(colorize, signer, tmp_path, capsys):
    chain, key = signer
    (tmp_path / "text.pem").write_text("no key")
    (tmp_path / "dsa.pem").write_bytes(pem_of(dsa.generate_private_key(1024)))
    for words, message in (
        ((chain, tmp_path / "text.pem"), "text.pem: is no private key in PEM without a password"),
        ((chain, tmp_path / "dsa.pem"), "dsa.pem: has a kind of key that C2PA does not allow"),
        ((tmp_path / "text.pem", key), f"text.pem: cannot sign with {key}: "),
        ((tmp_path / "none.pem", key), "none.pem: No such file or directory"),
    ):
        assert colorize("--c2pa", *words) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_the_library_the_remedy_is_told(colorize, signer, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert colorize("--c2pa", *signer) == 2
    assert (
        "--c2pa needs the library c2pa-python; install it by: pip install 'huebands[c2pa]'" in capsys.readouterr().err
    )


def test_a_certificate_is_never_replaced(colorize, signer, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/cat.colorized.png").write_bytes(signer[1].read_bytes())
    assert colorize("--c2pa", signer[0], tmp_path / "out/cat.colorized.png", "--overwrite") == 2
    assert "is an input, which no result replaces" in capsys.readouterr().err
    assert np.array_equal(
        np.frombuffer((tmp_path / "out/cat.colorized.png").read_bytes(), np.uint8),
        np.frombuffer(signer[1].read_bytes(), np.uint8),
    )
