"""XMP that says what a picture is: a guess of a model, with its promise; it joins what the photo's own XMP says."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

# IPTC's term for media that an algorithm has enhanced.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OURS = "urn:huebands:1.0:"
_PREFIXES = {
    "x": _META,
    "rdf": _RDF,
    "xmp": _XMP,
    "tiff": _TIFF,
    "Iptc4xmpExt": _EXTENSION,
    "huebands": _OURS,
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
_BEGIN = b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
_END = b"\n<?xpacket end='w'?>"
_PACKET = re.compile(rb"<\?xpacket.*?\?>", re.DOTALL)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class XmpError(ValueError):
    """A packet cannot be read as XMP."""


def join(packet: bytes | None, software: str, properties: Mapping[str, str]) -> bytes:
    """Say in XMP that a picture is a guess, and of what kind.

    Args:
        packet: of the photo; None: there is none.
        software: that made the picture.
        properties: of our own namespace, by name.

    Returns:
        A packet with the photo's properties and these; the orientation is upright.

    Raises:
        XmpError: when the photo's packet is no XMP.
    """
    for prefix, namespace in _PREFIXES.items():
        ET.register_namespace(prefix, namespace)
    root, rdf = _parse(packet)
    for description in rdf.findall(_in(_RDF, "Description")):
        for name in [name for name in description.attrib if _is_stated(name)]:
            del description.attrib[name]
        for child in [child for child in description if _is_stated(child.tag)]:
            description.remove(child)
    stated = {_in(_EXTENSION, "DigitalSourceType"): SOURCE_TYPE, _in(_XMP, "CreatorTool"): software}
    stated |= {_in(_OURS, name): value for name, value in properties.items()}
    ours = ET.SubElement(rdf, _in(_RDF, "Description"), {_in(_RDF, "about"): ""})
    for name, value in stated.items():
        ET.SubElement(ours, name).text = _NOT_IN_XML.sub("\ufffd", value)
    content: bytes = ET.tostring(root, encoding="utf-8")
    return _BEGIN + content + _END


def is_readable(packet: bytes | None) -> bool:
    """Whether a packet, if there is one, is XMP."""
    try:
        _parse(packet)
    except XmpError:
        return False
    return True


def properties_of(packet: bytes | None) -> dict[str, str]:
    """The properties of our own namespace in a packet; none where it is no XMP."""
    try:
        _, rdf = _parse(packet)
    except XmpError:
        return {}
    start = _in(_OURS, "")
    return {
        child.tag.removeprefix(start): child.text or ""
        for description in rdf.findall(_in(_RDF, "Description"))
        for child in description
        if child.tag.startswith(start)
    }


def _is_stated(name: str) -> bool:
    """Whether a property of the photo gives way: to one of ours, or because pixels are upright."""
    replaced = (_in(_XMP, "CreatorTool"), _in(_EXTENSION, "DigitalSourceType"), _in(_TIFF, "Orientation"))
    return name in replaced or name.startswith(_in(_OURS, ""))


def _parse(packet: bytes | None) -> tuple[ET.Element, ET.Element]:
    """The root of a packet, and the RDF in it."""
    if packet is None:
        root = ET.Element(_in(_META, "xmpmeta"))
        return root, ET.SubElement(root, _in(_RDF, "RDF"))
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # which XMP forbids, and which can grow without limit
        raise XmpError("it declares a type of document")
    try:
        root = ET.fromstring(_PACKET.sub(b"", packet).strip())
    except (ET.ParseError, ValueError, LookupError) as error:
        raise XmpError(str(error)) from error
    rdf = root if root.tag == _in(_RDF, "RDF") else root.find(_in(_RDF, "RDF"))
    if rdf is None:
        raise XmpError("it has no RDF")
    return root, rdf


def _in(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}"
