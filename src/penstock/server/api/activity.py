"""When the server was last asked something: a server that was started by itself leaves when nobody needs it."""

from starlette.types import ASGIApp, Receive, Scope, Send

from penstock import clock


class Activity:
    """Counts requests in flight and remembers when the last one ended."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.last = clock.monotonic()

    def idle_seconds(self) -> float:
        return 0.0 if self.in_flight else clock.monotonic() - self.last


class ActivityMeter:
    """ASGI middleware that keeps an `Activity`."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app, self._activity = app, activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        self._activity.in_flight += 1
        try:
            return await self._app(scope, receive, send)
        finally:
            self._activity.in_flight -= 1
            self._activity.last = clock.monotonic()
