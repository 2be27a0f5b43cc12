"""Pages of a list, by a cursor over the id: they do not shift while rows are added."""

import re
from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from checkout.api.problems import MALFORMED, Problem

ID = re.compile(r"[0-9]{1,18}")


class IdPagination(CursorPagination):
    page_size = 50
    ordering = "id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position and not ID.fullmatch(str(cursor.position)):
                raise NotFound
        except NotFound:
            raise Problem(MALFORMED, "That cursor is not one of ours.") from None
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The nullable addresses as OpenAPI 3.1 writes them; the framework's are those of 3.0."""
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": address, "previous": dict(address), "results": schema},
        }


class NewestFirstPagination(IdPagination):
    ordering = "-id"
