"""The file of a colorized picture, which says that its colours are a guess: in XMP, and in a PNG's texts too."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from huebands.colorize import xmp
from huebands.colorize.credentials import Credentials
from huebands.colorize.mark import PIXELS, SOFTWARE, hash_of, hash_of_file, is_of_ours, mark_of
from huebands.photos.encode import Format, at_depth_of, encode, with_xmp
from huebands.photos.metadata import COMMENT, Metadata
from huebands.photos.picture import Levels


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """How pictures of a result are written.

    Attributes:
        format: of the files.
        metadata: of the photo, which they keep.
        facts: what the files state of the result, by name.
        credentials: that sign them; None: they are not signed.
    """

    format: Format = "png"
    metadata: Metadata = field(default_factory=Metadata.none)
    facts: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials | None = None

    def encode(self, rgb_HW3: Levels, alpha_HW: Levels | None = None) -> bytes:
        """Encode a picture.

        Args:
            rgb_HW3: uint8 or uint16, sRGB.
            alpha_HW: opacity, of the same type; None: opaque.

        Raises:
            EncodingError: when the format cannot hold it.
            CredentialsError: when it cannot be signed.
        """
        content = self._encode(rgb_HW3, alpha_HW)
        if self.credentials is None:
            return content
        return self.credentials.sign(content, self.format, self.facts.get("Photo", ""), self.facts)

    def _encode(self, rgb_HW3: Levels, alpha_HW: Levels | None) -> bytes:
        rgb_HW3, alpha_HW = at_depth_of(self.format, rgb_HW3, alpha_HW)
        if self.format == "jpeg":  # the hash is that of the pixels that its readers see
            jpeg = encode(rgb_HW3, "jpeg", alpha_HW, replace(self.metadata, xmp=None), software=SOFTWARE)
            return with_xmp(jpeg, self._xmp(hash_of_file(jpeg)))
        texts = {**mark_of(rgb_HW3, alpha_HW), "Digital source type": xmp.SOURCE_TYPE, **self.facts}
        packet = self._xmp(hash_of(rgb_HW3, alpha_HW))
        return encode(rgb_HW3, self.format, alpha_HW, self.metadata, packet, texts, SOFTWARE)

    def _xmp(self, pixels: str) -> bytes:
        return xmp.join(self.metadata.xmp, SOFTWARE, {**self.facts, PIXELS: pixels})


def keepable(metadata: Metadata, format: Format) -> Metadata:
    """The metadata that files of a format can keep; `lost` names the rest."""
    lost = list(metadata.lost)
    if not xmp.is_readable(metadata.xmp):
        metadata = replace(metadata, xmp=None)
        lost.append("its XMP is damaged and was left out")
    if format == "webp" and metadata.iptc is not None:
        metadata = replace(metadata, iptc=None)
        lost.append("its IPTC was left out, which a WebP does not hold")
    texts = {} if is_of_ours(metadata.texts) else metadata.texts
    keywords = {"png": set(texts), "jpeg": {COMMENT}}.get(format, set())
    if left := [keyword for keyword in texts if keyword not in keywords]:
        lost.append(f"its texts ({', '.join(left)}) were left out, which a {format.upper()} does not hold")
    kept = {keyword: words for keyword, words in texts.items() if keyword in keywords}
    return replace(metadata, texts=kept, lost=tuple(lost))
