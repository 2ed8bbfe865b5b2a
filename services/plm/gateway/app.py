"""The gateway's HTTP application, put together."""

from fastapi import FastAPI

from plm.gateway import examples, problems
from plm.gateway.debug_routes import create_closed_router, create_debug_router
from plm.gateway.routes import Parts, create_router

_DESCRIPTION = """Payments over the mesh.

Every refusal is problem+json with a stable `code` (docs/errors.md). A payment is named by the client and its
Idempotency-Key: sent again, it gets the same answer and moves money at most once."""


def create_app(parts: Parts) -> FastAPI:
    """The application over its parts."""
    app = FastAPI(
        title="plm gateway",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    problems.install(app)
    app.include_router(create_router(parts))
    create_debug = create_debug_router if parts.debug_enabled else create_closed_router
    app.include_router(create_debug(parts))

    @app.get("/healthz", responses=examples.answer(examples.HEALTH))
    async def healthz() -> dict[str, str]:
        """For the edge: this process answers."""
        return {"status": "ok"}

    return app
