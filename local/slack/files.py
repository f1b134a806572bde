"""Files of the workspace: an address to send one to, then the word that it is complete, and for whom.

docs.slack.dev: files.getUploadURLExternal, files.completeUploadExternal, working with files.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOAD = "/upload/v1/"
DOWNLOAD = "/files/"
MAX_FILE = 1 << 30
"""Bytes of a file."""


@dataclass
class File:
    """One file. `body` is None until it was sent; `title` is "" until it is complete."""

    id: str
    name: str
    length: int
    key: str
    body: bytes | None = None
    title: str = ""
    complete: bool = False


class Files:
    """The files that an app sends."""

    def __init__(self) -> None:
        self.by_id: dict[str, File] = {}

    def announce(self, arguments: Mapping[str, Any], url: str) -> str | dict[str, Any]:
        """Answer `files.getUploadURLExternal`: an address below `url`, or Slack's word for what is wrong."""
        name, length = arguments.get("filename"), str(arguments.get("length", ""))
        if not name or not length.isdigit() or not int(length):
            return "missing_argument"
        if int(length) > MAX_FILE:
            return "file_upload_size_restricted"
        file = File(f"F{len(self.by_id) + 1:010}", str(name), int(length), secrets.token_urlsafe(16))
        self.by_id[file.id] = file
        return {"upload_url": f"{url.rstrip('/')}{UPLOAD}{file.key}", "file_id": file.id}

    def take(self, path: str, body: bytes) -> int:
        """Take a file that is sent to its address; give the status."""
        file = next((each for each in self.by_id.values() if path == f"{UPLOAD}{each.key}" and each.body is None), None)
        if file is None:
            return 404
        # UNCONFIRMED: how Slack answers a file of another length than was said.
        if len(body) != file.length:
            return 400
        file.body = body
        return 200

    def finish(self, arguments: Mapping[str, Any]) -> str | list[File]:
        """Answer `files.completeUploadExternal`: the files, or Slack's word for what is wrong."""
        wanted = arguments.get("files")
        if not isinstance(wanted, list) or not wanted:
            return "invalid_arguments"
        found = [self.by_id.get(str(each.get("id"))) for each in wanted]
        complete = [file for file in found if file is not None and file.body is not None and not file.complete]
        # UNCONFIRMED: the word for a file that is not there, was not sent, or is complete already.
        if len(complete) != len(wanted):
            return "file_not_found"
        for file, each in zip(complete, wanted, strict=True):
            file.title = str(each.get("title") or file.name)
        return complete

    def read(self, path: str) -> File | None:
        """The file that is downloaded from a path."""
        file = self.by_id.get(path.removeprefix(DOWNLOAD).partition("/")[0])
        return file if file is not None and file.complete else None
