"""Creates the bucket of ANIMEVERSE_LAKE_ROOT if it is missing, and checks that the store can be written and read."""

import sys
import uuid

from pyarrow.fs import S3FileSystem

from pipelines.config.settings import Settings, load_settings


def store(settings: Settings) -> S3FileSystem:
    """Return the file system of the configured store."""
    s3 = settings.s3
    return S3FileSystem(
        endpoint_override=s3.get("s3.endpoint"),
        access_key=s3.get("s3.access-key-id"),
        secret_key=s3.get("s3.secret-access-key"),
        region=s3.get("s3.region", "us-east-1"),
        allow_bucket_creation=True,
    )


def ensure(settings: Settings) -> str:
    """Create the bucket, write, read and delete an object in it, and return its name. Raises OSError."""
    bucket = settings.lake_root.split("://", 1)[1].split("/", 1)[0]
    files = store(settings)
    files.create_dir(bucket, recursive=False)
    probe = f"{bucket}/.probe-{uuid.uuid4().hex}"
    with files.open_output_stream(probe) as out:
        out.write(b"probe")
    with files.open_input_stream(probe) as found:
        if found.read() != b"probe":
            raise OSError(f"{probe} was read back with other content")
    files.delete_file(probe)
    return bucket


if __name__ == "__main__":
    try:
        print(f"bucket {ensure(load_settings())} is there", file=sys.stderr)  # noqa: T201
    except OSError as error:
        print(f"bucket: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
