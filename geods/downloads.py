"""Files that geods can fetch: over HTTPS, checked against a known SHA-256, kept in a cache."""

import dataclasses
import hashlib
import os
import pathlib

from geods import errors, files

_CONNECT_S, _READ_S = 10, 60
_CHUNK_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Download:
    """A file on the web.

    Attributes:
        url: Where it is; its last part names the cached file.
        sha256: What its bytes must hash to, in hexadecimal.
        max_bytes: Where to stop reading if more comes.
        by_hand: What to do with a file that was fetched by other means, as the end of a sentence.
    """

    url: str
    sha256: str
    max_bytes: int
    by_hand: str


US_NATION = Download(
    # 1:5,000,000; the report's own boundary. Public domain, 0.4 MB.
    url="https://www2.census.gov/geo/tiger/GENZ2018/shp/cb_2018_us_nation_5m.zip",
    sha256="0358f24effd8f92c6a9dbe5f13c657373a5a075ef47e68f4f4f11992ca0e5728",
    max_bytes=8 << 20,
    by_hand="pass --boundary=PATH",
)


def cache_folder() -> pathlib.Path:
    """Returns where fetched files are kept: $GEODS_CACHE, or ~/.cache/geods."""
    return pathlib.Path(os.environ.get("GEODS_CACHE") or pathlib.Path.home() / ".cache" / "geods")


def fetch(download: Download) -> pathlib.Path:
    """Returns the path of a file in the cache, after fetching it if it is not there whole.

    Raises:
        DownloadError: If it cannot be fetched or kept, or other bytes came; the message says how to do without.
    """
    path = cache_folder() / download.url.rsplit("/", 1)[-1]
    if path.is_file() and files.sha256_of_file(path) == download.sha256:
        return path
    content = _get(download)
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > download.max_bytes:
        raise errors.DownloadError(f"{download.url}: sent more than {download.max_bytes:,} bytes.", _by_hand(download))
    if digest != download.sha256:
        problem = f"{download.url}: sent {len(content):,} bytes with sha256 {digest}, not {download.sha256}."
        raise errors.DownloadError(problem, _by_hand(download))
    try:
        files.write_bytes(path, content)
    except OSError as error:
        next_step = "set GEODS_CACHE to a folder that can be written to"
        raise errors.DownloadError(f"{path}: cannot be written ({error.strerror}).", next_step) from error
    return path


def _get(download: Download) -> bytes:
    """Returns the body of the answer, or its first bytes over the limit."""
    import requests

    content = bytearray()
    try:
        with requests.get(download.url, stream=True, timeout=(_CONNECT_S, _READ_S)) as response:
            response.raise_for_status()
            for chunk in response.iter_content(_CHUNK_BYTES):
                content += chunk
                if len(content) > download.max_bytes:
                    break
    except requests.RequestException as error:
        raise errors.DownloadError(f"{download.url}: not fetched ({error}).", _by_hand(download)) from error
    return bytes(content)


def _by_hand(download: Download) -> str:
    """Says how to do without this program's own network."""
    return f"download that file by hand (sha256 {download.sha256}) and {download.by_hand}"
