"""The ASGI application. Plain ASGI: a framework's routing and requests would take longer than reading the features."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from pydantic_core import to_json
from threadpoolctl import threadpool_limits

from pipelines.errors import PipelineError
from pipelines.online.reader import Answer
from pipelines.server.access import Callers, Rates
from pipelines.server.answer_log import AnswerLog
from pipelines.server.metrics import MEDIA_TYPE, Metrics
from pipelines.server.openapi import document
from pipelines.server.questions import KINDS, parsed, parsed_ranking
from pipelines.server.ranking_renders import RANKING_RENDERS
from pipelines.server.renders import RENDERS, chosen
from pipelines.server.replies import Reply, RequestError, fault
from pipelines.server.work import Workbench
from pipelines.settings import Settings, load_settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Scope, Receive], Awaitable[Reply]]


class Application:
    """See the module."""

    def __init__(self, settings: Settings, callers: Callers) -> None:
        self._limits = settings.serve
        self._callers = callers
        self._rates = Rates(settings.serve.requests_per_second)
        self._metrics = Metrics(settings.serve.shared_metrics)
        self._work = Workbench(settings)
        self._log = AnswerLog(settings, self._metrics)
        self._openapi = to_json(document(version("multimodal-feature-store")))
        self._routes: dict[str, tuple[str, Handler]] = {
            "/get-online-features": ("POST", self._features),
            "/get-ranking-features": ("POST", self._ranking),
            "/health": ("GET", self._health),
            "/ready": ("GET", self._ready),
            "/metrics": ("GET", self._exposition),
            "/openapi.json": ("GET", self._document),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """From start-up to shutdown; definitions are kept fresh between."""
        await receive()
        fresh = asyncio.create_task(self._work.keep_fresh())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        fresh.cancel()
        with suppress(asyncio.CancelledError):
            await fresh
        self._work.close()
        await asyncio.to_thread(self._log.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, code = time.perf_counter(), "ok"
        method, handler = self._routes.get(scope["path"], (None, None))
        try:
            # First of all: who may not ask does not even learn what there is.
            self._rates.take(self._callers.name(scope["headers"]))
            if handler is None:
                raise RequestError(404, "not_found", f"there are {', '.join(self._routes)}")
            if scope["method"] != method:
                raise RequestError(405, "method_not_allowed", f"{scope['path']} takes {method}")
            reply = await handler(scope, receive)
        except RequestError as error:
            reply, code = error.reply(), error.code
        # Before it is sent: whoever has an answer finds it counted.
        route = scope["path"] if handler else "none"
        self._metrics.request(route, reply.status, code, time.perf_counter() - started)
        headers = [(b"content-type", reply.media_type.encode()), (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": [*headers, *reply.headers]})
        await send({"type": "http.response.body", "body": reply.body})

    async def _features(self, scope: Scope, receive: Receive) -> Reply:
        media_type, render = chosen(_header(scope, b"accept"), RENDERS)
        question = parsed(await self._body(scope, receive), self._limits.max_batch)
        reader, chosen_at = self._work.reader, self._log.chosen()
        kind = KINDS[question.id_name]
        asked: dict[str, Any] = {
            "features": question.features,
            "release": question.release,
            "kind": kind,
        }

        def told(answer: Answer) -> Reply:
            expected = "product_id" if question.id_name == "product_id" else "user_id"
            if answer.plan.join_key != expected:
                raise RequestError(422, "unknown_entity", f"these features are of {answer.plan.join_key}")
            self._metrics.answer(answer)
            reply = Reply(200, render(answer, question), media_type)
            self._log.put(chosen_at, kind, answer)
            return reply

        service = question.feature_service or ""
        try:
            answer = reader.quick(question.ids, service, **asked)
            if answer is not None:
                return told(answer)
        except PipelineError as error:
            raise fault(error) from error
        with self._metrics.in_flight.track_inprogress():
            return await self._work.run(lambda: told(reader.read(question.ids, service, **asked)))

    async def _ranking(self, scope: Scope, receive: Receive) -> Reply:
        media_type, render = chosen(_header(scope, b"accept"), RANKING_RENDERS)
        question = parsed_ranking(await self._body(scope, receive), self._limits.max_batch)
        ranker, kind, chosen_at = self._work.ranker, KINDS[question.id_name], self._log.chosen()

        def ranked() -> Reply:
            answer = ranker.rank(
                question.user, question.product_ids, question.feature_service, release=question.release, kind=kind
            )
            self._metrics.answer(answer.user)
            self._metrics.answer(answer.products)
            reply = Reply(200, render(answer, question), media_type)
            self._log.put(chosen_at, kind, answer)
            return reply

        with self._metrics.in_flight.track_inprogress():
            return await self._work.run(ranked)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The request's body. Raises RequestError where it is too large, too slow or breaks off."""
        limit = self._limits.max_body_bytes
        too_large = RequestError(413, "body_too_large", f"bodies are at most {limit} bytes")
        declared = _header(scope, b"content-length")
        if declared.isdigit() and int(declared) > limit:
            raise too_large
        body, more = b"", True
        try:
            async with asyncio.timeout(self._limits.deadline_seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RequestError(400, "invalid_json", "the body broke off")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise too_large
        except TimeoutError as error:
            seconds = self._limits.deadline_seconds
            raise RequestError(408, "body_too_slow", f"the body did not arrive within {seconds:g} s") from error
        return body

    async def _health(self, scope: Scope, receive: Receive) -> Reply:
        return Reply(200, to_json({"status": "ok"}))

    async def _ready(self, scope: Scope, receive: Receive) -> Reply:
        reader = self._work.reader
        await self._work.run(reader.require_ready)
        pin = reader.definitions.pin
        return Reply(200, to_json({"status": "ready", "default_release": pin.default, "releases": list(pin.live)}))

    async def _exposition(self, scope: Scope, receive: Receive) -> Reply:
        return Reply(200, self._metrics.exposition(), MEDIA_TYPE)

    async def _document(self, scope: Scope, receive: Receive) -> Reply:
        return Reply(200, self._openapi)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def application() -> Application:
    """For `uvicorn --factory pipelines.server.app:application`: settings from the environment.

    Raises SettingsError where nobody may ask.
    """
    # Ranking multiplies small matrices, which takes four times the CPU in several threads; there are workers for that.
    threadpool_limits(1, user_api="blas")
    settings = load_settings()
    return Application(settings, Callers.of(settings.api_keys) if settings.authenticate else Callers(None))
