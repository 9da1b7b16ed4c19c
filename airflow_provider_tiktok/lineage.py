"""Where a post came from, for OpenLineage: its media are the inputs, and the publish is the output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import DatasetFacet
    from airflow.providers.openlineage.extractors import OperatorLineage

_Lineage: TypeAlias = "OperatorLineage[Any, Any]"
#: Publishes are named by their publish_id in here.
NAMESPACE = "tiktok"


def posted_lineage(media: Iterable[str], posted: Mapping[str, Any] | None) -> _Lineage | None:
    """
    Give the lineage of a post; None where the OpenLineage provider is not installed, or nothing was posted.

    :param media: where the media lie, as an operator takes them
    :param posted: as :func:`~airflow_provider_tiktok.publishing.result.described` gives it, or the
        ``publish_id`` alone
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            Identifier,
            SymlinksDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    if posted is None:
        return None
    facets: dict[str, DatasetFacet] = {}
    if url := posted.get("post_url"):
        namespace, name = dataset_name(url)
        facets["symlinks"] = SymlinksDatasetFacet(identifiers=[Identifier(namespace, name, type="URL")])
    return OperatorLineage(
        inputs=[Dataset(*dataset_name(each)) for each in media],
        outputs=[Dataset(namespace=NAMESPACE, name=posted["publish_id"], facets=facets)],
    )


def dataset_name(uri: str) -> tuple[str, str]:
    """
    Give namespace and name of a file, as OpenLineage names them; without credentials or a signed URL's query.

    :param uri: a path or an address
    """
    parts = urlsplit(uri)
    if not parts.netloc:
        return "file", parts.path
    name = parts.path if parts.scheme in ("http", "https") else parts.path.lstrip("/")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", name or "/"
