"""The REST catalog with limits, so that one that hangs cannot hang us."""

from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 3.0
# While a commit's answer is awaited, and then once more to see whether it happened: both are inside 15 s (R48).
ANSWER_SECONDS = 5.0


class _Timed(HTTPAdapter):
    """Every request has a limit. A commit whose answer is late is looked for, like one whose answer was lost."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *args, **kwargs)


class TimedRestCatalog(RestCatalog):
    """PyIceberg's REST catalog, where no request waits for ever and the server alone removes old metadata files."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("http://", "https://"):
            # what is mounted already may sign requests
            if type(session.adapters.get(scheme)) is HTTPAdapter:
                session.mount(scheme, _Timed())
        return session

    @staticmethod
    def _delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        """Nothing: the server has done it, as Java's client expects; here each file would be missed with a warning."""
