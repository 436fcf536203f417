"""Pictures made fit to stand together in one page: small, and with ids and styles that do not clash."""

import re
from itertools import groupby
from xml.etree import ElementTree

from markupsafe import Markup

from sercli.evaluation.report.numbers import printable

_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
_REFERENCE = re.compile(r"(?<=url\(#)[\w-]+|(?<=^#)[\w-]+")  # in a style or all that an href has; no colour
_DRAWN = ("d", "x", "y", "width", "height", "transform", "points", "viewBox")
_PLACE = re.compile(r"translate\((\S+) (\S+)\)")
_REFERRING = ("href", "clip-path", "style", "fill")  # fill: of a hatch


class Album:
    """The pictures of one page. What they say of style is gathered into one style sheet, for most of it repeats."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # declarations -> the class that has them
        self._n_pictures = 0

    def add(self, svg: str) -> Markup:
        """A picture as it is put into the page.

        Args:
            svg: one <svg> element, as `plots.as_svg` gives it.
        """
        root = ElementTree.fromstring(printable(svg))  # our own pictures: nothing from elsewhere is parsed
        self._n_pictures += 1
        _strip_namespaces(root)
        used = sorted({name for node in root.iter() for name in _references(node)})
        short = {name: f"g{self._n_pictures}-{number}" for number, name in enumerate(used)}
        small = {
            node for defs in root.iter("defs") for node in defs.iter()
        }  # markers, of which one digit is not enough
        for node in root.iter():
            self._rewrite(node, short, n_digits=2 if node in small else 1)
            if node is not root:
                self._restyle(node)
        root[:] = _grouped(_flat(root))
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    def css(self) -> Markup:
        """The style sheet of all pictures that were added."""
        rules = "\n".join(f".{name}{{{declarations}}}" for declarations, name in self._names.items())
        assert "<" not in rules, "matplotlib wrote a style that would end the style sheet"
        return Markup(rules)

    def _rewrite(self, node: ElementTree.Element, short: dict[str, str], *, n_digits: int) -> None:
        """New ids, where one is used at all; shorter numbers."""
        if (own := node.attrib.pop("id", None)) in short:
            node.set("id", short[own])
        for key in (key for key in _REFERRING if key in node.attrib):
            node.set(key, _REFERENCE.sub(lambda found: short.get(found[0], found[0]), node.attrib[key]))
        for key in (key for key in _DRAWN if key in node.attrib):
            node.set(key, _shorter(node.attrib[key], n_digits))
        if node.tag == "text" and (place := _PLACE.fullmatch(node.get("transform", ""))):
            del node.attrib["transform"]
            node.attrib.update(x=place[1], y=place[2])

    def _restyle(self, node: ElementTree.Element) -> None:
        """A class in place of a style."""
        if style := node.attrib.pop("style", None):
            declarations = ";".join(
                sorted(part.strip().replace(": ", ":") for part in style.split(";") if part.strip())
            )
            node.set("class", self._names.setdefault(declarations, f"p{len(self._names)}"))


def _strip_namespaces(root: ElementTree.Element) -> None:
    """HTML knows by itself what stands within <svg>."""
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
        node.tail = None
        if node.tag not in ("text", "tspan", "title"):
            node.text = None


def _references(node: ElementTree.Element) -> list[str]:
    return [name for key in _REFERRING for name in _REFERENCE.findall(node.attrib.get(key, ""))]


def _flat(node: ElementTree.Element) -> list[ElementTree.Element]:
    """The children of a node, without groups that say nothing and definitions that are empty."""
    children: list[ElementTree.Element] = []
    for child in node:
        child[:] = _flat(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif child.tag not in ("g", "defs") or len(child):
            children.append(child)
    return children


def _grouped(nodes: list[ElementTree.Element]) -> list[ElementTree.Element]:
    """Texts and shapes that follow each other in one style, which a group around them says once."""
    made: list[ElementTree.Element] = []
    for style, run in groupby(nodes, key=lambda node: node.get("class") if node.tag in ("text", "path") else None):
        alike = list(run)
        if style is None or len(alike) < 3:
            made.extend(alike)
            continue
        group = ElementTree.Element("g", {"class": style})
        for node in alike:
            del node.attrib["class"]
            group.append(node)
        made.append(group)
    return made


def _shorter(value: str, n_digits: int) -> str:
    """No more digits and no more space than are seen."""
    value = _NUMBER.sub(lambda found: f"{float(found[0]):.{n_digits}f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s*([MLCQZz])\s*", r"\1", " ".join(value.split()))
