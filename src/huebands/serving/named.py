"""An ASGI middleware that names the model in every answer, refusals and failures too."""

from urllib.parse import quote

from starlette.datastructures import MutableHeaders, State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huebands.package.read import ModelPackage

_MAX_NAME = 100  # characters: a client may refuse long headers


class Named:
    """Adds Huebands-Model, the percent-encoded name, and Huebands-Version, the start of the package's sha256.

    Args:
        app: what stands behind.
        state: whose `colorizer` is served; before it is there, nothing is added.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with a `send` that names the model."""
        if scope["type"] != "http" or not hasattr(self.state, "colorizer"):
            await self.app(scope, receive, send)
            return
        names = headers_of(self.state.colorizer.package)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(names)
            await send(message)

        await self.app(scope, receive, send_named)


def headers_of(package: ModelPackage) -> dict[str, str]:
    """The headers that name a package."""
    name = str(package.config["name"])[:_MAX_NAME]
    return {
        "Huebands-Model": quote(name, safe="", errors="surrogatepass"),
        "Huebands-Version": package.package_sha256[:12],
    }
