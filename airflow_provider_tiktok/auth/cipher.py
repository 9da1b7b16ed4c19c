"""
What must be secret and lies where others may look is encrypted with a key made from the client secret.

Who may read Variables but not Connections learns nothing, and Airflow's pages show nothing.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from airflow_provider_tiktok.auth.account import Account


class UnreadableError(ValueError):
    """It was encrypted with another client secret, or is no text of ours."""


def seal(account: Account, purpose: str, text: str) -> str:
    """
    Encrypt a text.

    :param account: whose client secret the key is made of
    :param purpose: what it is for: a text can be read only for what it was written for
    :param text: any
    """
    return str(_fernet(account.client_secret, purpose).encrypt(text.encode()).decode())


def unseal(account: Account, purpose: str, sealed: str) -> str:
    """
    Decrypt a text.

    :param account: as in :func:`seal`
    :param purpose: as in :func:`seal`
    :param sealed: what that gave
    :raises UnreadableError: it cannot be read
    """
    from cryptography.fernet import InvalidToken

    try:
        return str(_fernet(account.client_secret, purpose).decrypt(sealed.encode()).decode())
    except (InvalidToken, ValueError):
        raise UnreadableError("encrypted with another client secret") from None


@lru_cache(maxsize=64)
def _fernet(client_secret: str, purpose: str):  # type: ignore[no-untyped-def]  # cryptography takes 40 ms to import
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"airflow-provider-tiktok {purpose}".encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(client_secret.encode())
    return Fernet(base64.urlsafe_b64encode(key))
