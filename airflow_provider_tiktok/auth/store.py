"""
Where the live grant of each account is kept: an Airflow Variable, or a store that the deployment names.

A store of one's own is a class without arguments with :meth:`~GrantStore.load` and :meth:`~GrantStore.save`,
named by its dotted path in Airflow's configuration::

    [tiktok]
    token_store = my_company.airflow.VaultStore
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import conf

from airflow_provider_tiktok import register
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError, TikTokStoreError


class GrantStore(Protocol):
    """
    Keeps one text for each account: JSON, whose tokens are encrypted by us already.

    Used from threads, in task processes and in the triggerer. An error may be of any type; none may tell the
    text.
    """

    def load(self, conn_id: str) -> str | None:
        """
        Give what was saved last.

        :param conn_id: of the Connection
        :return: None only if it is sure that nothing has been saved: where that cannot be told, raise
        """

    def save(self, conn_id: str, text: str) -> None:
        """
        Keep a text, so that from now on every host loads it, and return only then.

        :param conn_id: of the Connection
        :param text: replaces the one before
        """


class VariableStore:
    """Keeps grants in Airflow's Variables ``tiktok_grant__<conn_id>``."""

    def load(self, conn_id: str) -> str | None:
        """Give the Variable's value; raises as :func:`airflow_provider_tiktok.register.read` does."""
        return register.read(self._key(conn_id))

    def peek(self, conn_id: str) -> str | None:
        """Give the Variable's value, or None where there may be one all the same: it costs one look."""
        return register.peek(self._key(conn_id))

    def save(self, conn_id: str, text: str) -> None:
        """Write the Variable; raises as :func:`airflow_provider_tiktok.register.write` does."""
        register.write(register.name("grant", conn_id), text)

    def _key(self, conn_id: str) -> str:
        key = register.name("grant", conn_id)
        if f"AIRFLOW_VAR_{key.upper()}" in os.environ:  # told before a refresh token is spent in vain
            raise TikTokConfigError(
                f"The environment variable AIRFLOW_VAR_{key.upper()} hides the live grant of connection "
                f"{conn_id}, which changes with every refresh: remove it."
            )
        return key


class CheckedStore:
    """
    A store of the deployment's own: what it raises becomes ours, and what it saves is read back.

    :param store: made from ``[tiktok] token_store``
    """

    def __init__(self, store: GrantStore) -> None:
        self._store = store
        self._name = type(store).__name__

    def load(self, conn_id: str) -> str | None:
        """
        Give what was saved last.

        :raises TikTokStoreError: the store raised something
        """
        try:
            text: object = self._store.load(conn_id)
        except TikTokError:
            raise
        except Exception as error:
            # its text may hold what the store holds
            raise TikTokStoreError(
                f"The token store {self._name} could not load the grant of connection {conn_id} "
                f"({type(error).__name__}): see that it answers."
            ) from None
        if text is None or isinstance(text, str):
            return text
        raise TikTokStoreError(
            f"The token store {self._name} gives the grant of connection {conn_id} as {type(text).__name__}: "
            "it must be text, as it was saved."
        )

    def save(self, conn_id: str, text: str) -> None:
        """
        Save, and see that it is there.

        :raises TikTokStoreError: it does not read back what was saved
        """
        failure = "it does not give back what was saved"
        try:
            self._store.save(conn_id, text)
        except Exception as error:  # it may be saved all the same: reading back is what counts
            failure = type(error).__name__
        if self.load(conn_id) != text:
            raise TikTokStoreError(
                f"The token store {self._name} could not save the grant of connection {conn_id} ({failure}): "
                "see that it answers and may write."
            )


def configured_store() -> GrantStore:
    """
    Give the store that the deployment has chosen.

    :raises TikTokConfigError: ``[tiktok] token_store`` names nothing that can be used
    """
    path = conf.get("tiktok", "token_store", fallback="")
    if not path:
        return VariableStore()
    try:
        module, _, name = path.rpartition(".")
        store: Any = getattr(import_module(module), name)()
    except Exception as error:
        raise TikTokConfigError(
            f"[tiktok] token_store = {path}: {type(error).__name__} while it was made. It must be the dotted "
            "path of a class without arguments, on the Python path of every worker and triggerer."
        ) from error
    if not (callable(getattr(store, "load", None)) and callable(getattr(store, "save", None))):
        raise TikTokConfigError(f"[tiktok] token_store = {path}: it needs the methods load and save.")
    return CheckedStore(store)
