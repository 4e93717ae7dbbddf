"""Images, documents and search results, for user messages and for tool results.

Bytes are passed on as the client's own base64: Converse's blobs are base64 strings in JSON too.
Source: bedrock-runtime service model (ImageBlock, DocumentBlock, SearchResultBlock); Amazon
Bedrock, Converse API reference (limits of images, rules for documents).
"""

from __future__ import annotations

import string
from binascii import b2a_base64
from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET

from ....errors import InvalidRequestError
from ...adapt.limits import EMPTY
from .blocks import (
    Base64Source,
    CacheControl,
    ContentSource,
    Document,
    FileSource,
    Image,
    SearchResult,
    Text,
    TextSource,
    UrlSource,
)
from .draft import ConverseDraft
from .reading import shown

SIBLING: Final = {"text": "(document)"}  # Bedrock wants words beside a document
_MAX_IMAGE: Final = 5 * 1024 * 1024  # characters of base64
_ALPHABET: Final = (string.ascii_letters + string.digits + "+/").encode()
_MAX_PADDING: Final = 2
_IMAGES: Final = {
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/x-markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
# (blocks for Converse, the last breakpoint inside the client's block or None).
Parts = tuple[list[dict[str, Any]], CacheControl | None]


def is_blank(text: str) -> bool:
    """Tells whether Bedrock would refuse the text as blank."""
    return not text or text.isspace()


def image(draft: ConverseDraft, block: Image, path: str) -> Parts:
    """Converts an image. Raises `InvalidRequestError` with the path."""
    if "images" not in draft.features:
        raise _lacking("images", path)
    source = _held(block.source, "image", path)
    if len(source.data) > _MAX_IMAGE:
        raise InvalidRequestError(
            f"{path}.source.base64: image exceeds 5 MB maximum: {len(source.data)} bytes > "
            f"{_MAX_IMAGE} bytes; send a smaller one"
        )
    if block.transformations is not UNSET:
        draft.dropped.append(f"{path}.transformations")
    form = _format(source.media_type, _IMAGES, path)
    data = check_base64(source.data, f"{path}.source.data")
    return [{"image": {"format": form, "source": {"bytes": data}}}], None


def document(draft: ConverseDraft, block: Document, path: str) -> Parts:
    """Converts a document; its `context` becomes a text before it where the model lacks context.

    Raises `InvalidRequestError` with the path.
    """
    if "documents" not in draft.features:
        raise _lacking("documents", path)
    form, source, inner = _document_source(draft, block, path)
    title = block.title or ""
    if not title.isascii():
        draft.dropped.append(f"{path}.title")  # a name there has letters of ASCII only
    converted: dict[str, Any] = {
        "format": form,
        "name": draft.documents.choose(title),
        "source": source,
    }
    before: list[dict[str, Any]] = []
    if block.context and not is_blank(block.context):
        if "citations" in draft.features:
            converted["context"] = block.context
        else:
            before = [{"text": block.context}]
    if _cited(draft, block, path):
        converted["citations"] = {"enabled": True}
    elif draft.claude and form == "pdf":
        draft.warnings.append(
            f"{path}: without citations Converse gives a model only the text of a PDF, not its "
            "pages"
        )
    return [*before, {"document": converted}], inner


def search_result(
    draft: ConverseDraft, block: SearchResult, path: str, *, as_text: bool = False
) -> Parts:
    """Converts a search result: to text if asked (`as_text`) or where the model lacks them."""
    texts = [text.text for text in block.content] or [EMPTY]
    inner = inner_control(block.content)
    cited = _cited(draft, block, path)
    if as_text or "search_results" not in draft.features:
        words = "\n".join((block.title, block.source, "", *texts)).strip()
        return [{"text": words}], inner
    converted: dict[str, Any] = {
        "source": block.source,
        "title": block.title,
        "content": [{"text": text} for text in texts],
    }
    if cited:
        converted["citations"] = {"enabled": True}
    return [{"searchResult": converted}], inner


def inner_control(blocks: Iterable[Text | Image | Document | SearchResult]) -> CacheControl | None:
    """Returns the last breakpoint inside a block: Converse takes one only behind the block."""
    found = None
    for block in blocks:
        found = block.cache_control or found
    return found


def check_base64(data: str, path: str) -> str:
    """Returns `data` without line ends. Raises `InvalidRequestError` for what is no base64."""
    if "\n" in data:
        data = "".join(data.split())
    bare = data.rstrip("=")
    if (
        not bare
        or len(data) % 4
        or len(data) - len(bare) > _MAX_PADDING
        or not bare.isascii()
        or bare.encode().translate(None, _ALPHABET)
    ):
        raise InvalidRequestError(
            f"{path}: not base64; send the bytes in standard base64, with padding and "
            "without a data: prefix"
        )
    return data


def _cited(draft: ConverseDraft, block: Document | SearchResult, path: str) -> bool:
    if block.citations is None or not block.citations.enabled:
        return False
    if "citations" not in draft.features:
        draft.dropped.append(f"{path}.citations")
        return False
    return True


def _document_source(
    draft: ConverseDraft, block: Document, path: str
) -> tuple[str, dict[str, Any], CacheControl | None]:
    """Returns (format, Converse's source, the last breakpoint inside or None)."""
    source = block.source
    if isinstance(source, ContentSource):
        if isinstance(source.content, str):
            return *_text_source(draft, "txt", source.content, path), None
        texts = []
        for position, part in enumerate(source.content):
            if isinstance(part, Image):
                raise InvalidRequestError(
                    f"{path}.source.content.{position}: images inside documents are not possible "
                    "on Bedrock's Converse; send them as image blocks"
                )
            texts.append(part.text)
        inner = inner_control(source.content)
        if "citations" not in draft.features or not texts:
            return *_text_source(draft, "txt", "\n".join(texts), path), inner
        return "txt", {"content": [{"text": text} for text in texts]}, inner
    if isinstance(source, TextSource):
        form = _format(source.media_type, _DOCUMENTS, path)
        return *_text_source(draft, form, source.data, path), None
    held = _held(source, "document", path)
    form = _format(held.media_type, _DOCUMENTS, path)
    return form, {"bytes": check_base64(held.data, f"{path}.source.data")}, None


def _text_source(
    draft: ConverseDraft, form: str, text: str, path: str
) -> tuple[str, dict[str, Any]]:
    """Returns (format, source) of a text: bytes, or a text where citations must point into it."""
    if is_blank(text):
        raise InvalidRequestError(f"{path}.source: the document is empty; remove it")
    if form == "txt" and "citations" in draft.features:
        return form, {"text": text}
    return form, {"bytes": b2a_base64(text.encode(), newline=False).decode()}


def _held(source: Base64Source | UrlSource | FileSource, kind: str, path: str) -> Base64Source:
    if isinstance(source, Base64Source):
        return source
    name = "url" if isinstance(source, UrlSource) else "file"
    raise InvalidRequestError(
        f"{path}.source: {name} sources are not available on Amazon Bedrock; send the {kind} as "
        "base64"
    )


def _format(media_type: str, known: dict[str, str], path: str) -> str:
    form = known.get(media_type.partition(";")[0].strip().lower())
    if form is None:
        raise InvalidRequestError(
            f'{path}.source.media_type: "{shown(media_type)}" is not possible on Bedrock; use one '
            f"of {', '.join(known)}"
        )
    return form


def _lacking(what: str, path: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{path}: this model takes no {what}; remove the block or choose another model"
    )
