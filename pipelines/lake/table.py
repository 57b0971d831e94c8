"""One Iceberg table, written. Every commit is stamped and is a compare-and-swap.

A table is loaded once; its commits go against what was loaded. When another writer committed meanwhile the commit is
refused (CommitConflictError) and nothing is written. When the answer to a commit is lost, the table is loaded anew and
its newest snapshot asked whether it is ours: so an append happens exactly once or raises.
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
    CHECKPOINT_AT,
    CHECKPOINT_SNAPSHOT,
    COMMIT,
    KEY_PREFIX,
    ROWS_OF,
    LeanTransaction,
    fitted,
    summary_of,
    transaction,
    translate_store_errors,
)
from pipelines.lake.data_files import write_files
from pipelines.lake.reader import TableReader


class LakeTable(TableReader):
    """One Iceberg table as it was when loaded or last committed to from here. Use it from one thread."""

    def append(
        self,
        rows: pa.Table,
        stamp: Mapping[str, str],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append rows (none is fine: the stamp moves) in one commit; the new snapshot's id.

        New columns and properties of the table are part of the same commit. Raises CommitConflictError when the table
        is no longer the one that was loaded, StoreUnavailableError when the store or the catalog fails; then nothing
        was committed.
        """
        return self.append_parts([(rows, stamp)], new_text_columns=new_text_columns, properties=properties)

    def append_parts(
        self,
        parts: Iterable[tuple[pa.Table, Mapping[str, str]]],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append several pieces, each a snapshot with a stamp of its own, all in one commit; the last snapshot's id."""
        commit_id = uuid.uuid4().hex

        def work(table: Table) -> None:
            changes = transaction(table)
            if new_text_columns:
                with changes.update_schema() as update:
                    for column in new_text_columns:
                        update.add_column(column, StringType())
            if properties:
                changes.set_properties({KEY_PREFIX + key: value for key, value in properties.items()})
            schema = changes.table_metadata.schema().as_arrow()
            for rows, stamp in parts:
                marked = {KEY_PREFIX + key: value for key, value in stamp.items()} | {COMMIT: commit_id}
                files = write_files(changes.table_metadata, table.io, fitted(rows, schema))
                with changes._append_snapshot_producer(marked) as append:
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
        """Write table properties of ours in a commit of its own."""

        def work(table: Table) -> None:
            changes = transaction(table)
            changes.set_properties({KEY_PREFIX + key: value for key, value in properties.items()})
            changes.commit_transaction()

        self._commit(work, None)

    def expire(self, snapshot_ids: Sequence[int]) -> None:
        """Drop these snapshots from the table's history in one commit. Deletes no files; see `lake_files`."""
        if not snapshot_ids:
            return

        def work(table: Table) -> None:
            ExpireSnapshots(LeanTransaction(table, autocommit=True)).by_ids(list(snapshot_ids)).commit()

        self._commit(work, None)

    def replace_files(self, old: Sequence[DataFile], new: Sequence[DataFile]) -> int:
        """Put new data files with the same rows in the place of old ones, in one overwrite snapshot; its id.

        The stamp is carried on, and who reads appended rows skips the snapshot. Raises CommitConflictError where an
        old file is gone by now or another writer commits first, PermanentError where the numbers of rows differ.
        """
        before, after = (sum(file.record_count for file in files) for files in (old, new))
        if before != after:
            raise PermanentError(f"{self.name}: {before} rows may not be replaced by {after}")
        return self._overwrite(
            old, new, {ROWS_OF: str(self.rows_snapshot_id)}, {}, ("files_rewritten", "files_replaced")
        )

    def remove_files(self, paths: Collection[str], properties: Mapping[str, str]) -> int:
        """Take data files, and so their rows, out of the table and set properties, in one commit; its snapshot's id.

        As `replace_files`: the stamp is carried on, and CommitConflictError is raised where a file is gone by now.
        """
        old = [task.file for task in self.tasks() if task.file.file_path in paths]
        if len(old) != len(paths):
            raise CommitConflictError(f"files of {self.name} were replaced by another writer first")
        return self._overwrite(old, (), {}, properties, ("rows_removing", "rows_removed"))

    def _overwrite(
        self,
        old: Sequence[DataFile],
        new: Sequence[DataFile],
        marks: Mapping[str, str],
        properties: Mapping[str, str],
        faults: tuple[str, str],
    ) -> int:
        """Files in the place of others, in one overwrite snapshot that carries the stamp on; its id."""
        commit_id = uuid.uuid4().hex
        marked = {COMMIT: commit_id, **marks}
        if (stamped := self.checkpoint_commit()) is not None:
            marked |= {KEY_PREFIX + key: value for key, value in self.checkpoint().items()}
            marked |= {CHECKPOINT_SNAPSHOT: str(stamped[0]), CHECKPOINT_AT: stamped[1].isoformat()}

        def work(table: Table) -> None:
            changes = transaction(table)
            if properties:
                changes.set_properties({KEY_PREFIX + key: value for key, value in properties.items()})
            with changes.update_snapshot(snapshot_properties=marked).overwrite() as overwrite:
                for file in old:
                    overwrite.delete_data_file(file)
                for file in new:
                    overwrite.append_data_file(file)
            fault_point(f"{self.name}.{faults[0]}")
            changes.commit_transaction()

        try:
            self._commit(work, commit_id)
        except ValidationException as error:
            self.reload()
            raise CommitConflictError(f"files of {self.name} were replaced by another writer first") from error
        fault_point(f"{self.name}.{faults[1]}")
        assert self.snapshot_id is not None
        return self.snapshot_id

    def _commit(self, work: Callable[[Table], None], commit_id: str | None) -> None:
        from requests.exceptions import RequestException

        looked = False
        try:
            with translate_store_errors(f"writing table {self.name}"):
                try:
                    work(self._table)
                except (CommitStateUnknownException, RequestException):
                    # The answer was lost: the commit may have happened.
                    looked = True
                    self._table = self._lake.catalog.load_table(self.name)
                    if commit_id is None or not self._carries(commit_id):
                        raise
        except CommitFailedException as error:
            self.reload()
            raise CommitConflictError(
                f"another writer committed to {self.name} first; nothing of this batch was written to it"
            ) from error
        except StoreUnavailableError:
            if not looked:  # a store that hangs is not waited for twice
                with contextlib.suppress(StoreUnavailableError):
                    self.reload()
            raise

    def _carries(self, commit_id: str) -> bool:
        return any(summary_of(snapshot).get(COMMIT) == commit_id for snapshot in self._table.metadata.snapshots)
