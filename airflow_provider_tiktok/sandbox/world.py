"""Everything one sandbox knows. It belongs to the server's event loop: nothing else may touch it."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from airflow_provider_tiktok.api.models import PublishState, Scope
from airflow_provider_tiktok.sandbox.accounts import Accounts, Creator
from airflow_provider_tiktok.sandbox.clock import Clock
from airflow_provider_tiktok.sandbox.faults import Faults
from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.limits import SlidingWindow, day_began
from airflow_provider_tiktok.sandbox.publishes import Post, Publish, Publishes

REQUESTS_KEPT = 100_000
UNAUDITED_USERS = 5
DEFAULT_SCOPES = (str(Scope.USER_INFO_BASIC), str(Scope.VIDEO_PUBLISH), str(Scope.VIDEO_UPLOAD))


@dataclass(frozen=True)
class RequestRecord:
    """One line of the log. No secret: ``token`` is a token's name (``creator1#2``), ``path`` has no query."""

    time: float
    method: str
    path: str
    endpoint: str
    token: str
    status: int
    code: str
    publish_id: str
    content_range: str
    fault: str
    seconds: float


@dataclass
class World:
    """The state of the sandbox, and what follows from time passing."""

    knobs: Knobs
    url: str = ""
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    publishes: Publishes = field(default_factory=Publishes)
    windows: SlidingWindow = field(default_factory=SlidingWindow)
    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))
    violations: list[str] = field(default_factory=list)
    upload_tokens: list[str] = field(default_factory=list)
    on_request: Callable[[RequestRecord], None] | None = None
    on_removed: Callable[[Publish], None] | None = None
    accounts: Accounts = field(init=False)
    folder: Path = field(init=False)
    _files: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.knobs)
        if self.knobs.data_dir:
            self.folder = Path(self.knobs.data_dir).expanduser().resolve()
            self.folder.mkdir(parents=True, exist_ok=True)
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="tiktok-sandbox-"))
        for username in self.knobs.creators:
            self.accounts.creator(username)

    def close(self) -> None:
        """Remove the media, unless it was given a folder of its own."""
        if not self.knobs.data_dir:
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_file(self, publish: Publish, name: str) -> Path:
        """
        A path for media of a publish that no other request writes to.

        :param publish: whose.
        :param name: the end of its name.
        """
        folder = self.folder / publish.publish_id
        folder.mkdir(exist_ok=True)
        return folder / f"{next(self._files):06d}-{name}"

    # Time

    def now(self) -> float:
        """The time, with everything that was due brought about."""
        now = self.clock.now()
        self.publishes.settle(now, self._finish)
        return now

    def scaled(self, seconds: float) -> float:
        """
        Seconds under ``time_scale``.

        :param seconds: at scale 1.
        """
        return seconds / self.knobs.time_scale

    def bytes_in(self, publish: Publish) -> None:
        """
        All bytes of a publish are here: processing begins.

        :param publish: which.
        """
        self.publishes.bytes_in(publish, self.clock.now(), self.scaled(self.knobs.processing_seconds))

    def _finish(self, publish: Publish) -> None:
        reason = publish.planned_failure or self.knobs.fail_reason
        moment = publish.ends_at or 0.0
        if not reason and publish.creator.banned:
            reason = "spam_risk_user_banned_from_posting"
        if not reason and publish.direct and self.at_post_cap(publish.creator, moment):
            reason = "spam_risk_too_many_posts"
        publish.finish_processing(reason, self.scaled(self.knobs.moderation_seconds))
        if publish.direct and publish.status is PublishState.PUBLISH_COMPLETE:
            self.windows.add(("posts", publish.creator.open_id), moment)

    # Caps

    def admit(self, endpoint: str, creator: Creator, limit: int, now: float) -> bool:
        """
        Count a request against its rate limit, if it fits.

        Counted by endpoint and *user*, over all of a user's access tokens: "per user access token", read the
        strict way, so that a refresh does not give a fresh minute.

        :param endpoint: its name.
        :param creator: whose token.
        :param limit: requests a minute.
        :param now: the time.
        """
        allowed = limit if self.knobs.limits else 0
        return self.windows.admit((endpoint, creator.open_id), now, allowed, self.knobs.minute)

    def _today(self, now: float) -> float:
        return day_began(now, self.knobs.day, self.knobs.day_kind)

    def at_post_cap(self, creator: Creator, now: float) -> bool:
        """
        Whether the creator has posted as often as a day allows.

        :param creator: who.
        :param now: the time.
        """
        cap = self.knobs.post_cap if creator.post_cap is None else creator.post_cap
        if not self.knobs.limits or (creator.post_cap is None and not cap):
            return False
        return self.windows.count(("posts", creator.open_id), self._today(now)) >= cap

    def at_draft_cap(self, creator: Creator, now: float) -> bool:
        """
        Whether the creator has as many pending drafts as a day allows.

        A draft is pending from its init on, also without bytes, until it failed or the creator finished it.

        :param creator: who.
        :param now: the time.
        """
        over = (PublishState.FAILED, PublishState.PUBLISH_COMPLETE)
        pending = sum(
            1
            for each in self.publishes
            if each.creator is creator
            and not each.direct
            and each.status not in over
            and each.created > self._today(now)
        )
        return bool(self.knobs.limits and self.knobs.draft_cap) and pending >= self.knobs.draft_cap

    def at_user_cap(self, creator: Creator, now: float) -> bool:
        """
        Whether as many *other* creators post by this app as a day allows.

        :param creator: who wants to post.
        :param now: the time.
        """
        cap = self.knobs.user_cap or (UNAUDITED_USERS if self.knobs.unaudited else 0)
        active = {
            each.creator.open_id for each in self.publishes if each.direct and each.created > self._today(now)
        }
        return bool(self.knobs.limits and cap) and creator.open_id not in active and len(active) >= cap

    # What happened

    @property
    def posts(self) -> list[Post]:
        """What is really posted, oldest first."""
        self.now()
        return sorted((post for each in self.publishes for post in each.posts), key=lambda post: post.created)

    def log(self, record: RequestRecord) -> None:
        """
        Keep a line of the log.

        :param record: the line.
        """
        self.requests.append(record)
        if self.on_request is not None:
            self.on_request(record)

    def remove_app(self, creator: Creator) -> None:
        """
        The creator removes the app: tokens die, publishes in progress fail with ``auth_removed``.

        :param creator: who.
        """
        now = self.now()
        self.accounts.remove(creator)
        for publish in self.publishes:
            if publish.creator is creator and publish.in_progress:
                publish.fail("auth_removed", now)
                if self.on_removed is not None:
                    self.on_removed(publish)

    def reset(self) -> None:
        """Forget publishes, posts, limits, faults, log and counters. Creators, grants and knobs stay."""
        for publish in self.publishes:
            if self.on_removed is not None:
                self.on_removed(publish)
        self.publishes, self.windows = Publishes(), SlidingWindow()
        self.accounts.reuses = 0
        self.faults.clear()
        self.requests.clear()
        self.violations.clear()

    def connection(
        self, username: str, scopes: Iterable[str] = DEFAULT_SCOPES, expires_in: float | None = None
    ) -> dict[str, object]:
        """
        A new grant as an Airflow connection, in the shape of Airflow's connection JSON.

        :param username: the creator, made if there is none.
        :param scopes: what is granted.
        :param expires_in: life of its first access token.
        """
        now = self.now()
        token = self.accounts.mint(self.accounts.creator(username), tuple(scopes), now, expires_in)
        extra: dict[str, object] = {
            name: token[name] for name in ("refresh_token", "access_token", "open_id", "scope")
        }
        # By the clock of whoever reads it, which nobody advances.
        extra["expires_at"] = int(time.time()) + int(str(token["expires_in"]))
        defaults = Knobs()
        if self.knobs.minute != defaults.minute:
            extra["rate_window"] = self.knobs.minute
        if self.knobs.day != defaults.day:
            extra["cap_window"] = self.knobs.day
        return {
            "conn_type": "tiktok",
            "login": self.knobs.client_key,
            "password": self.knobs.client_secret,
            "host": self.url,
            "extra": extra,
        }


def publish_summary(publish: Publish, now: float) -> dict[str, object]:
    """
    A publish as JSON, for the control API.

    :param publish: which.
    :param now: the time.
    """
    return {
        "publish_id": publish.publish_id,
        "creator": publish.creator.username,
        "kind": publish.kind,
        "mode": str(publish.mode),
        "source": str(publish.source),
        "created": publish.created,
        "status": str(publish.status),
        "fail_reason": publish.fail_reason,
        "received": publish.received,
        "size": publish.size,
        "options": publish.options,
        "public_ids": [str(number) for number in publish.public_ids(now)],
    }


def post_summary(post: Post) -> dict[str, object]:
    """
    A post as JSON, for the control API.

    :param post: which.
    """
    return {**asdict(post), "media": [str(path) for path in post.media]}
