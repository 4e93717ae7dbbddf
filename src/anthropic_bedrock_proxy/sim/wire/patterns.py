"""The regular expressions of names and ids, anchored by whoever uses them.

Anthropic's for InvokeModel bodies, those of the service model for Converse.
"""

from __future__ import annotations

import re

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SERVER_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")
BLOCK_ID = re.compile(r"[a-zA-Z0-9_-]+")
CONVERSE_NAME = re.compile(r"[a-zA-Z0-9_-]+")
CONVERSE_ID = re.compile(r"[a-zA-Z0-9_.:-]+")
DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9()\[\]-]+(?: [a-zA-Z0-9()\[\]-]+)*")
