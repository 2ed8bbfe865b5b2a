"""A registry of images over real HTTPS, for one name and password: what pushing and pulling ask of one.

After the OCI Distribution Specification 1.1, without deleting and listing.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

_Answer = Callable[["Registry", Request], Awaitable[Response]]


@dataclass
class Registry:
    """Keeps blobs in a folder, manifests in memory; notes who fetched what."""

    folder: Path
    user: str
    password: str
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # by digest, with type
    tags: dict[str, str] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)  # digests of manifests

    def docker_config(self, host: str) -> str:
        """What `docker login` keeps of it."""
        return json.dumps({"auths": {host: {"auth": self._token()}}})

    def app(self) -> Starlette:
        """To be served over TLS."""
        uploads = "/v2/{name:path}/blobs/uploads/"
        blob, manifest = "/v2/{name:path}/blobs/{digest}", "/v2/{name:path}/manifests/{reference}"
        return Starlette(
            routes=[
                Route("/v2/", self._known(Registry._hello)),
                Route(uploads, self._known(Registry._begin), methods=["POST"]),
                Route(uploads + "{upload}", self._known(Registry._append), methods=["PATCH"]),
                Route(uploads + "{upload}", self._known(Registry._finish), methods=["PUT"]),
                Route(blob, self._known(Registry._blob)),
                Route(manifest, self._known(Registry._manifest)),
                Route(manifest, self._known(Registry._keep), methods=["PUT"]),
            ]
        )

    def _token(self) -> str:
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def _known(self, answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            if request.headers.get("authorization") != f"Basic {self._token()}":
                return Response(status_code=401, headers={"www-authenticate": 'Basic realm="plm"'})
            return await answer(self, request)

        return answered

    async def _hello(self, _request: Request) -> Response:
        return JSONResponse({})

    async def _begin(self, request: Request) -> Response:
        upload = secrets.token_hex(8)
        (self.folder / upload).touch()
        return _told(202, f"{request.url.path}{upload}")

    async def _append(self, request: Request) -> Response:
        with (self.folder / request.path_params["upload"]).open("ab") as file:
            async for chunk in request.stream():
                file.write(chunk)
        return _told(202, request.url.path)

    async def _finish(self, request: Request) -> Response:
        await self._append(request)
        path, digest = self.folder / request.path_params["upload"], request.query_params["digest"]
        with path.open("rb") as file:
            if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != digest:
                return Response(status_code=400)
        path.rename(self.folder / digest)
        return _told(201, f"/v2/{request.path_params['name']}/blobs/{digest}")

    async def _blob(self, request: Request) -> Response:
        path = self.folder / request.path_params["digest"]
        return FileResponse(path) if path.exists() else Response(status_code=404)

    async def _keep(self, request: Request) -> Response:
        content = await request.body()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.manifests[digest] = content, request.headers["content-type"]
        self.tags[request.path_params["reference"]] = digest
        return _told(201, request.url.path)

    async def _manifest(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        digest = self.tags.get(reference, reference)
        if digest not in self.manifests:
            return Response(status_code=404)
        content, kind = self.manifests[digest]
        self.fetched.add(digest)
        return Response(content, media_type=kind, headers={"docker-content-digest": digest})


def _told(status: int, location: str) -> Response:
    return Response(status_code=status, headers={"location": location})
