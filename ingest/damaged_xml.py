"""Splits an XML catalogue (QuakeML, SC3ML) into documents of one event each, so that a damaged event costs itself and not its file."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]

NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity"})


def one_event_documents(body: bytes) -> Iterator[bytes]:
    """Yield for each `event` element of a document the document without the other events; nothing if the body is no XML.

    Numbers that are not finite become empty, which readers take for missing. What stands beside the events (the origins of SC3ML) stays in
    each document.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return
    for element in root.iter(etree.Element):
        if element.text and element.text.strip().lower() in NOT_FINITE:
            element.text = None
    homes = (element for element in root.iter(etree.Element) if etree.QName(element).localname.lower() == "eventparameters")
    home = next(homes, root)
    events = [element for element in home.iterchildren(etree.Element) if etree.QName(element).localname == "event"]
    for event in events:
        home.remove(event)
    for event in events:
        home.append(event)
        yield etree.tostring(root)
        home.remove(event)
