"""Signatures of Google Maps Platform requests.

https://developers.google.com/maps/documentation/streetview/digital-signature
"""

import base64
import hashlib
import hmac
import re

from geods import errors
from geods.imagery.http import api_key

_URL_SAFE_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}")


def sign(path_and_query: str, signing_secret: api_key.Secret) -> str:
    """Returns the `signature` parameter: URL-safe base64 of an HMAC-SHA1.

    Args:
        path_and_query: What follows the host, exactly as it is sent: a comma and `%2C` have different signatures.
        signing_secret: URL-safe base64, as Google's console shows it; its padding may be left out.

    Raises:
        OptionError: If the secret is not URL-safe base64.
    """
    text = signing_secret.reveal()
    unpadded = text.rstrip("=")
    # A length of 4 n + 1 is no base64 of anything.
    if not _URL_SAFE_BASE64.fullmatch(text) or len(unpadded) % 4 == 1:
        raise errors.OptionError(
            "the URL signing secret is not URL-safe base64 (letters, digits, - and _).",
            "copy it from Google's console, Credentials, Secret Generator; it is not the API key",
        )
    key = base64.urlsafe_b64decode(unpadded + "=" * (-len(unpadded) % 4))
    return base64.urlsafe_b64encode(hmac.new(key, path_and_query.encode(), hashlib.sha1).digest()).decode()
