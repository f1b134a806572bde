"""Slack by a bot: posts to any channel that it was invited to, edits what it posted, answers in threads.

Slack knows no idempotency key: whoever dies between a post and the note of it posts again. (docs.slack.dev: chat.postMessage,
chat.postEphemeral, chat.update, files.getUploadURLExternal, files.completeUploadExternal, web API rate limits.)
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from ecr_governor.adapters.slack.wire import Bot, SlackSecret, is_address, new_pool, retry_after
from ecr_governor.app.errors import ChannelRefused, ChannelWaits, Undeliverable, UploadRefused, Vanished
from ecr_governor.core.conversation import Attachment, Posted

logger = logging.getLogger(__name__)

MARGIN = 10.0
"""Seconds of an invocation that are kept for one call's time-outs and for the note of what it did."""
LONGEST_WAIT = 30.0
"""Seconds that are waited at once; what asks for more comes again later."""
ATTEMPTS = 6
PAUSE_AFTER_REFUSED_TOKEN = 300.0
PAUSE_AFTER_REFUSED_CHANNEL = 60.0
PAUSE_AFTER_RATE = 30.0
"""Where Slack refuses for the rate and does not say for how long."""
PAUSE_AFTER_FAILURES = 60.0
PAUSE_AFTER_UNKNOWN_WORD = 30.0
"""For the channel in which Slack has said a word that is not known here."""
FAILURES = 3
"""Failures in a row after which Slack, or a channel in which it says such a word, is left alone for a while."""

POST = "chat.postMessage"
"""The one method whose rate Slack limits channel by channel, and by the workspace as well. It does not say which limit was met."""
NOWHERE = "no channel"
"""Where what has no channel goes: by this name no channel is known."""
NO_CHANNEL = "neither the policy file (notifications.slack.channel) nor the secret names a channel"

_TOKEN = frozenset(
    {
        "access_denied",
        "account_inactive",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "team_added_to_org",
        "token_expired",
        "token_revoked",
    }
)
_CHANNEL = frozenset(
    {
        "channel_not_found",
        "is_archived",
        "messages_tab_disabled",
        "method_not_supported_for_channel_type",
        "not_in_channel",
        "restricted_action",
        "restricted_action_non_threadable_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
    }
)
_VANISHED = frozenset(
    {
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "message_not_found",
        "restricted_action_thread_locked",
        "thread_not_found",
    }
)
_CONTENT = frozenset({"invalid_arguments", "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"})
_PERSON = frozenset({"user_not_in_channel"})
_TOO_LATE = frozenset({"exchanged_trigger_id", "expired_trigger_id", "invalid_trigger_id"})
_RATE = frozenset({"rate_limited", "ratelimited"})
_PASSING = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
"""Slack's own trouble, which is gone when the call comes again."""
_FILES = "files."
_OPTIONAL = (_FILES, "usergroups.")
"""Methods that it takes a scope of its own for, and that messages go on without."""
_FORM = frozenset({"files.getUploadURLExternal", "usergroups.users.list"})
"""Methods of which Slack has not always taken JSON."""
_SCOPE = "missing_scope"
_NO_TOKEN = frozenset({"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"})
"""Errors after which Slack takes nothing by this token, whatever is asked."""


class SlackBot:
    """The bot of one workspace. Its token is in no log and no error.

    `refused` is told of each refusal that a person has to do something about. After a refused token, a rate limit or several failures Slack
    is left alone for a while: a circuit breaker, kept as long as the process lives. What Slack says of one channel holds for that channel.
    """

    def __init__(
        self,
        secret: SlackSecret,
        *,
        pool: urllib3.PoolManager | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._secret = secret
        self._pool = pool or new_pool()
        self._sleep = sleep
        self._clock = clock
        self._refused = refused
        self._open_until = 0.0
        self._open_because = ""
        self._failures = 0
        self._closed: dict[str, tuple[float, str]] = {}
        self._waiting: dict[tuple[str, str], tuple[float, str]] = {}
        self._unknown_words: Counter[tuple[str, str]] = Counter()

    def post(self, message: Mapping[str, Any], channel: str, thread: str, time_left: Callable[[], float]) -> Posted:
        """Post to a channel, or in a thread there. Raises Vanished if there is no such thread, ChannelRefused, Undeliverable."""
        to = {"channel": channel or self._bot().channel, "unfurl_links": False, "unfurl_media": False}
        if not to["channel"]:
            # Routes may name others.
            self._look_at_breaker(POST, NOWHERE, time_left)
            raise self._closes(NOWHERE, NO_CHANNEL, NO_CHANNEL)
        answer = self._say(POST, {**to, **({"thread_ts": thread} if thread else {})}, message, time_left)
        return Posted(str(answer.get("channel", to["channel"])), str(answer["ts"]))

    def edit(self, posted: Posted, message: Mapping[str, Any], time_left: Callable[[], float]) -> None:
        """Put another message in the place of one. Raises Vanished if that one cannot be edited any more, Undeliverable."""
        try:
            self._say("chat.update", {"channel": posted.channel, "ts": posted.ts}, message, time_left)
        except ChannelRefused as refused:
            # Archived, or the bot was put out: what stands there stays as it is.
            raise Vanished(str(refused)) from refused

    def upload(self, file: Attachment, comment: str, channel: str, time_left: Callable[[], float]) -> None:
        """Post a file with a comment. Raises UploadRefused if Slack takes messages but not this file, Undeliverable.

        The file is sent to an address of its own, and shown to people by the last of three calls: what dies before that is not seen.
        That other address may be out of reach for a day while messages arrive, so nothing waits for it.
        """
        to = channel or self._bot().channel
        if not to:
            raise Undeliverable(NO_CHANNEL)
        given = self._call("files.getUploadURLExternal", {"filename": file.name, "length": len(file.body)}, time_left)
        address, identity = str(given.get("upload_url", "")), str(given.get("file_id", ""))
        if not is_address(address) or not identity:
            raise self._not_done(_FILES, "Slack named no address for a file")
        self._put(address, file.body, time_left)
        shown = {"files": [{"id": identity, "title": file.title}], "channel_id": to, "initial_comment": comment}
        self._call("files.completeUploadExternal", shown, time_left)

    def _put(self, address: str, body: bytes, time_left: Callable[[], float]) -> None:
        self._look_at_breaker(_FILES, "", time_left)
        try:
            # The address is a secret for as long as it lasts; the token is not sent there.
            answer = self._pool.request("POST", address, body=body, headers={"Content-Type": "application/octet-stream"})
        except urllib3.exceptions.HTTPError as error:
            raise self._not_done(_FILES, f"Slack's store of files could not be reached: {type(error).__name__}") from None
        if answer.status != 200:  # noqa: PLR2004
            raise self._not_done(_FILES, f"Slack's store of files answered {answer.status}")

    def whisper(self, message: Mapping[str, Any], channel: str, person: str, time_left: Callable[[], float]) -> None:
        """Show a message in a channel to one person alone; it is gone when Slack is loaded anew. Raises ChannelRefused, Undeliverable."""
        if not channel:
            raise Undeliverable("nobody can be told anything in no channel", only_this_one=True)
        to = {"channel": channel, "user": person, "unfurl_links": False, "unfurl_media": False}
        self._say("chat.postEphemeral", to, message, time_left)

    def members(self, group: str, time_left: Callable[[], float]) -> frozenset[str]:
        """Read who is in a user group, by their ids. Raises Undeliverable."""
        users = self._call("usergroups.users.list", {"usergroup": group}, time_left).get("users")
        if not isinstance(users, list):
            raise self._failed("Slack did not say who is in a user group")
        return frozenset(str(user) for user in users)

    def open(self, trigger: str, form: Mapping[str, Any], time_left: Callable[[], float]) -> None:
        """Show a form to whoever has just pressed a button, which `trigger` tells Slack. Raises Undeliverable."""
        try:
            self._call("views.open", {"trigger_id": trigger, "view": form}, time_left)
        except _ContentRefused as refused:
            self._refused(str(refused))
            raise Undeliverable(str(refused), only_this_one=True) from refused

    def _say(
        self, method: str, arguments: Mapping[str, Any], message: Mapping[str, Any], time_left: Callable[[], float]
    ) -> Mapping[str, Any]:
        try:
            return self._call(method, {**arguments, **message}, time_left)
        except _ContentRefused as refused:
            self._refused(str(refused))
            # Too long, or blocks that Slack does not like: the text alone says what matters. An edit keeps the former blocks unless told so.
            alone = {key: value for key, value in message.items() if key != "blocks"}
            alone |= {"blocks": []} if method == "chat.update" else {}
            try:
                return self._call(method, {**arguments, **alone}, time_left)
            except _ContentRefused as again:
                raise Undeliverable(str(again), only_this_one=True) from again

    def _call(self, method: str, payload: Mapping[str, Any], time_left: Callable[[], float]) -> Mapping[str, Any]:
        body = urlencode(payload).encode() if method in _FORM else json.dumps(payload, ensure_ascii=False).encode()
        fresh_token, channel = False, str(payload.get("channel", ""))
        for _ in range(ATTEMPTS):
            self._look_at_breaker(method, channel, time_left)
            bot = self._bot()
            status, headers, document = self._send(bot, method, body)
            error = "" if status == 200 and document.get("ok") is True else str(document.get("error", ""))  # noqa: PLR2004
            if status == 200 and not error and document.get("ok") is True:  # noqa: PLR2004
                self._failures = 0
                self._unknown_words.pop((method, channel), None)
                return document
            if status == 429 or error in _RATE:  # noqa: PLR2004
                self._wait(retry_after(headers), time_left, method, channel)
                continue
            if error in _TOKEN or status in {401, 403}:
                # The token may have been replaced: read the secret again, once.
                self._secret.forget()
                if not fresh_token and self._bot() != bot:
                    fresh_token = True
                    continue
                if method.startswith(_OPTIONAL) and error not in _NO_TOKEN:
                    scope = f"the bot's token has not the scope {str(document.get('needed', 'that it takes'))[:80]}"
                    raise self._not_done(method, scope if error == _SCOPE else f"{method}: {error[:80] or status}")
                self._refused(f"{method}: {error or status}")
                raise self._opened(PAUSE_AFTER_REFUSED_TOKEN, f"Slack refuses the token: {error or status}")
            if error and error not in _PASSING and method.startswith(_OPTIONAL):
                raise self._not_done(method, f"{method}: {error[:80]}")
            if error in _CONTENT:
                raise _ContentRefused(f"Slack refuses the message: {error}")
            if error in _TOO_LATE | _PERSON:
                # A form takes three seconds at most, and people leave channels: it says nothing of Slack's health.
                raise Undeliverable(f"{method}: {error}", only_this_one=True)
            if error in _VANISHED:
                raise Vanished(f"{method}: {error}")
            if error in _CHANNEL:
                raise self._channel_refused(method, channel, error)
            if error and error not in _PASSING and channel:
                raise self._unknown(method, channel, error[:80])
            raise self._failed(f"Slack answered {status} {error[:80]}".strip())
        kept_refusing = "Slack kept refusing for the rate of calls"
        raise (ChannelWaits if method == POST else Undeliverable)(kept_refusing, PAUSE_AFTER_RATE)

    def _send(self, bot: Bot, method: str, body: bytes) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
        kind = "application/x-www-form-urlencoded" if method in _FORM else "application/json; charset=utf-8"
        headers = {"Content-Type": kind, "Authorization": f"Bearer {bot.token}"}
        try:
            answer = self._pool.request("POST", bot.api + method, body=body, headers=headers)
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            # A token of other characters than a header takes is a wrong token; neither error is shown, since it may hold it.
            raise self._failed(f"Slack could not be reached: {type(error).__name__}") from None
        try:
            document = json.loads(answer.data)
        except ValueError:
            document = {}
        return answer.status, answer.headers, document if isinstance(document, dict) else {}

    def _wait(self, seconds: float | None, time_left: Callable[[], float], method: str, channel: str) -> None:
        """Wait as long as Slack asks for, if there is time; otherwise nothing of what it may mean is done until then."""
        if seconds is not None and seconds <= min(LONGEST_WAIT, time_left() - MARGIN):
            self._sleep(seconds)
            return
        pause, why = PAUSE_AFTER_RATE if seconds is None else seconds, "Slack refuses for the rate of calls"
        if method.startswith(_OPTIONAL):
            raise Undeliverable(why, pause)
        elsewhere = (until for (of, other), (until, _) in self._waiting.items() if of == POST == method and other != channel)
        if method == POST and channel and not any(until > self._clock() for until in elsewhere):
            raise self._let_wait(method, channel, pause, why)
        # Two channels at once: it is the workspace that has had enough.
        raise self._opened(pause, why)

    def _look_at_breaker(self, method: str, channel: str, time_left: Callable[[], float]) -> None:
        closed_until, why = self._closed.get(channel, (0.0, ""))
        if closed_until > self._clock():
            raise ChannelRefused(why)
        waits_until, why = self._waiting.get((method, channel), (0.0, ""))
        if (left := waits_until - self._clock()) > 0:
            raise ChannelWaits(f"channel {channel} is left alone for another {left:.0f} s: {why}", left)
        left = self._open_until - self._clock()
        if left > 0:
            raise Undeliverable(f"Slack is left alone for another {left:.0f} s: {self._open_because}", left)
        if time_left() < MARGIN:
            raise Undeliverable("there is no time left for another call")

    def _let_wait(self, method: str, channel: str, seconds: float, why: str) -> ChannelWaits:
        self._waiting[method, channel] = (self._clock() + seconds, why)
        logger.warning("channel is left alone", extra={"channel": channel, "why": why, "seconds": seconds})
        return ChannelWaits(why, seconds)

    def _unknown(self, method: str, channel: str, word: str) -> Undeliverable:
        """Give what follows from a word that is in no list: it speaks of this channel, as far as anybody knows."""
        self._unknown_words[method, channel] += 1
        if self._unknown_words[method, channel] >= FAILURES:
            return self._channel_refused(method, channel, word)
        return self._let_wait(method, channel, PAUSE_AFTER_UNKNOWN_WORD, f"{method}: {word}")

    def _channel_refused(self, method: str, channel: str, word: str) -> ChannelRefused:
        self._unknown_words.pop((method, channel), None)
        return self._closes(channel, f"{method}: {word}", f"Slack refuses channel {channel}: {word}")

    def _closes(self, channel: str, told: str, why: str) -> ChannelRefused:
        self._refused(told)
        self._closed[channel] = (self._clock() + PAUSE_AFTER_REFUSED_CHANNEL, why)
        return ChannelRefused(why)

    def _not_done(self, method: str, why: str) -> Undeliverable:
        self._refused(why)
        return UploadRefused(why) if method.startswith(_FILES) else Undeliverable(why, only_this_one=True)

    def _failed(self, why: str) -> Undeliverable:
        self._failures += 1
        return self._opened(PAUSE_AFTER_FAILURES, why) if self._failures >= FAILURES else Undeliverable(why)

    def _opened(self, seconds: float, why: str) -> Undeliverable:
        self._failures = 0
        self._open_until, self._open_because = self._clock() + seconds, why
        logger.warning("Slack is left alone", extra={"why": why, "seconds": seconds})
        return Undeliverable(why, seconds)

    def _bot(self) -> Bot:
        bot = self._secret.current()
        if not isinstance(bot, Bot):
            raise Undeliverable("the secret was replaced by a webhook's address while a message was under way")
        return bot


class _ContentRefused(Exception):
    """Slack takes messages, but not one of this form."""
