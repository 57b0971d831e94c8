"""Opening the Iceberg catalog with time limits, so that a catalog that hangs cannot hang the process."""

from collections.abc import Mapping

from pyiceberg.catalog import Catalog, load_catalog

from pipelines.lake.pyiceberg_internals import CachedTableSqlCatalog

LOCK_SECONDS = 2  # wait for another process's transaction, which takes milliseconds; PyIceberg tries three times


def open_catalog(name: str, properties: Mapping[str, str]) -> Catalog:
    """The catalog that `pyiceberg.catalog.load_catalog` opens from these properties, with time limits."""
    if properties.get("type") == "rest" and "py-catalog-impl" not in properties:
        from pipelines.lake.rest_catalog import TimedRestCatalog  # imports requests: 0.1 s that other catalogs save

        return TimedRestCatalog(name, **properties)
    uri = properties.get("uri", "")
    if uri.startswith("sqlite:") and "?" not in uri:
        return CachedTableSqlCatalog(name, **{**properties, "uri": f"{uri}?timeout={LOCK_SECONDS}"})
    return load_catalog(name, **properties)
