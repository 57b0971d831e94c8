"""Writing one Iceberg table. Every commit is a compare-and-swap, and every append carries a checkpoint.

A table is loaded once, and its commits apply to that state. If another writer has committed since, the commit raises
CommitConflictError and writes nothing. If the response to a commit is lost, the table is loaded again and searched for
the commit's id: an append happens exactly once or raises.
"""

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.update.snapshot import ExpireSnapshots
from pyiceberg.types import StringType

from pipelines.errors import CommitConflictError, PermanentError, StoreUnavailableError
from pipelines.fault_points import fault_point
from pipelines.lake.commits import (
    COMMIT,
    ROWS_OF,
    conform,
    prefixed,
    summary_of,
    transaction,
    translate_store_errors,
)
from pipelines.lake.data_files import write_files
from pipelines.lake.pyiceberg_internals import CachedMetadataTransaction, new_append
from pipelines.lake.reader import TableReader


class LakeTable(TableReader):
    """One Iceberg table as it was when loaded, or after its last commit through this object. Use it from one thread."""

    def append(
        self,
        rows: pa.Table,
        checkpoint: Mapping[str, str],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append rows and a checkpoint in one commit, and return the new snapshot's id. The rows may be empty.

        New columns and table properties are part of the same commit. Raises CommitConflictError if another writer has
        committed since the table was loaded, and StoreUnavailableError if the store or the catalog fails. Nothing is
        committed then.
        """
        return self.append_parts([(rows, checkpoint)], new_text_columns=new_text_columns, properties=properties)

    def append_parts(
        self,
        parts: Iterable[tuple[pa.Table, Mapping[str, str]]],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append several (rows, checkpoint) as one snapshot each, in one commit. Returns the last snapshot's id."""
        commit_id = uuid.uuid4().hex

        def work(table: Table) -> None:
            changes = transaction(table)
            if new_text_columns:
                with changes.update_schema() as update:
                    for column in new_text_columns:
                        update.add_column(column, StringType())
            if properties:
                changes.set_properties(prefixed(properties))
            schema = changes.table_metadata.schema().as_arrow()
            for rows, checkpoint in parts:
                files = write_files(changes.table_metadata, table.io, conform(rows, schema))
                with new_append(changes, {**prefixed(checkpoint), COMMIT: commit_id}) as append:
                    for file in files:
                        append.append_data_file(file)
            fault_point(f"{self.name}.files_written")
            changes.commit_transaction()

        self._commit(work, commit_id)
        fault_point(f"{self.name}.committed")
        snapshot_id = self.snapshot_id
        assert snapshot_id is not None
        return snapshot_id

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Set our table properties in a separate commit."""

        def work(table: Table) -> None:
            changes = transaction(table)
            changes.set_properties(prefixed(properties))
            changes.commit_transaction()

        self._commit(work, None)

    def expire(self, snapshot_ids: Sequence[int]) -> None:
        """Remove these snapshots from the table's history in one commit. Deletes no files; see `orphan_files`."""
        if not snapshot_ids:
            return

        def work(table: Table) -> None:
            ExpireSnapshots(CachedMetadataTransaction(table, autocommit=True)).by_ids(list(snapshot_ids)).commit()

        self._commit(work, None)

    def replace_files(self, old: Sequence[DataFile], new: Sequence[DataFile]) -> int:
        """Replace data files by others with the same rows, in one overwrite snapshot. Returns its id.

        The snapshot carries the checkpoint on, and readers of appended rows skip it. Raises CommitConflictError if an
        old file is gone or another writer commits first, and PermanentError if the numbers of rows differ.
        """
        before, after = (sum(file.record_count for file in files) for files in (old, new))
        if before != after:
            raise PermanentError(f"{self.name}: {before} rows may not be replaced by {after}")
        return self._overwrite(
            old, new, {ROWS_OF: str(self.rows_snapshot_id)}, {}, ("files_rewritten", "files_replaced")
        )

    def remove_files(self, paths: Collection[str], properties: Mapping[str, str]) -> int:
        """Remove data files, with their rows, and set properties in one commit. Returns the snapshot's id.

        The snapshot carries the checkpoint on. Raises CommitConflictError if a file is gone.
        """
        old = [task.file for task in self.tasks() if task.file.file_path in paths]
        if len(old) != len(paths):
            raise CommitConflictError(f"files of {self.name} were replaced by another writer first")
        return self._overwrite(old, (), {}, properties, ("rows_removing", "rows_removed"))

    def _overwrite(
        self,
        old: Sequence[DataFile],
        new: Sequence[DataFile],
        summary: Mapping[str, str],
        properties: Mapping[str, str],
        fault_names: tuple[str, str],
    ) -> int:
        """Replace files in one overwrite snapshot that carries the checkpoint on. Returns its id."""
        commit_id = uuid.uuid4().hex
        full_summary = {COMMIT: commit_id, **summary, **self.carried_checkpoint()}

        def work(table: Table) -> None:
            changes = transaction(table)
            if properties:
                changes.set_properties(prefixed(properties))
            with changes.update_snapshot(snapshot_properties=full_summary).overwrite() as overwrite:
                for file in old:
                    overwrite.delete_data_file(file)
                for file in new:
                    overwrite.append_data_file(file)
            fault_point(f"{self.name}.{fault_names[0]}")
            changes.commit_transaction()

        try:
            self._commit(work, commit_id)
        except ValidationException as error:
            self.reload()
            raise CommitConflictError(f"files of {self.name} were replaced by another writer first") from error
        fault_point(f"{self.name}.{fault_names[1]}")
        assert self.snapshot_id is not None
        return self.snapshot_id

    def _commit(self, work: Callable[[Table], None], commit_id: str | None) -> None:
        from requests.exceptions import RequestException

        reloaded = False
        try:
            with translate_store_errors(f"writing table {self.name}"):
                try:
                    work(self._table)
                except (CommitStateUnknownException, RequestException):
                    # The response was lost: the commit may have succeeded.
                    reloaded = True
                    self._table = self._catalog.load_table(self.name)
                    if commit_id is None or not self._has_commit(commit_id):
                        raise
        except CommitFailedException as error:
            self.reload()
            raise CommitConflictError(
                f"another writer committed to {self.name} first; nothing of this batch was written to it"
            ) from error
        except StoreUnavailableError:
            if not reloaded:  # do not wait twice for a store that hangs
                with contextlib.suppress(StoreUnavailableError):
                    self.reload()
            raise

    def _has_commit(self, commit_id: str) -> bool:
        return any(summary_of(snapshot).get(COMMIT) == commit_id for snapshot in self._table.metadata.snapshots)
