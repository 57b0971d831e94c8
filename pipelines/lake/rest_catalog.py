"""The REST catalog with time limits, so that a server that hangs cannot hang the process."""

from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 3.0
# Applies to a commit's response, and again to the look-up after a lost response: together they stay within 15 s (R48).
ANSWER_SECONDS = 5.0


class _Timed(HTTPAdapter):
    """Sets a time limit on every request. A commit that exceeds it is handled like one whose response was lost."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *args, **kwargs)


class TimedRestCatalog(RestCatalog):
    """PyIceberg's REST catalog with a time limit on every request. Only the server removes old metadata files."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("http://", "https://"):
            # Another adapter that is mounted already may sign requests.
            if type(session.adapters.get(scheme)) is HTTPAdapter:
                session.mount(scheme, _Timed())
        return session

    @staticmethod
    def _delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        """Do nothing. The server has deleted the files; PyIceberg would log a warning for each missing file."""
