"""As much of S3 as is asked of it: objects, multipart uploads, conditions, listing. Checked against moto by hand."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote
from uuid import uuid4

from aiohttp import web

PART_BYTES_MIN = 5 * 2**20
ETAG = '"00"'


class ObjectStore:
    """One server; its first path segment is the bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[str] = []
        self.fails: set[str] = set()
        self.origin = ""

    async def answer(self, request: web.Request) -> web.Response:
        key = request.path.lstrip("/").partition("/")[2]
        kind = next(
            (name for name in ("uploads", "uploadId", "delete", "list-type") if name in request.query), "object"
        )
        self.requests.append(f"{request.method} {kind}")
        if self.requests[-1] in self.fails:
            return web.Response(status=403)
        answers = {
            "PUT object": self._put,
            "GET object": self._get,
            "GET list-type": self._list,
            "POST delete": self._delete,
            "POST uploads": self._begin,
            "PUT uploadId": self._part,
            "POST uploadId": self._complete,
            "DELETE uploadId": self._abort,
        }
        return answers[self.requests[-1]](request, key, await request.read())

    def _put(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if request.headers.get("If-None-Match") == "*" and key in self.objects:
            return web.Response(status=412)
        self.objects[key] = body
        return web.Response(headers={"ETag": ETAG})

    def _get(self, _: web.Request, key: str, __: bytes) -> web.Response:
        if key not in self.objects:
            return web.Response(status=404)
        headers = {"ETag": ETAG, "Last-Modified": "Thu, 30 Oct 2025 12:00:00 GMT"}
        return web.Response(body=self.objects[key], headers=headers)

    def _delete(self, _: web.Request, __: str, body: bytes) -> web.Response:
        gone = re.findall(r"<Key>(.*?)</Key>", body.decode())
        for key in gone:
            self.objects.pop(key, None)
        return _xml("<DeleteResult>" + "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in gone))

    def _begin(self, _: web.Request, __: str, ___: bytes) -> web.Response:
        upload = uuid4().hex
        self.uploads[upload] = {}
        return _xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>")

    def _part(self, request: web.Request, _: str, body: bytes) -> web.Response:
        source = request.headers.get("x-amz-copy-source")
        if source:
            body = self.objects[unquote(source).lstrip("/").partition("/")[2]]
        self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = body
        return _xml(f"<CopyPartResult><ETag>{ETAG}</ETag>") if source else web.Response(headers={"ETag": ETAG})

    def _complete(self, request: web.Request, key: str, _: bytes) -> web.Response:
        upload = request.query["uploadId"]
        parts = [part for _, part in sorted(self.uploads[upload].items())]
        assert all(len(part) >= PART_BYTES_MIN for part in parts[:-1]), "S3 takes small parts only at the end"
        answer = self._put(request, key, b"".join(parts))
        if answer.status != 200:
            return answer
        del self.uploads[upload]
        return _xml(f"<CompleteMultipartUploadResult><ETag>{ETAG}</ETag>")

    def _abort(self, request: web.Request, _: str, __: bytes) -> web.Response:
        del self.uploads[request.query["uploadId"]]
        return web.Response(status=204)

    def _list(self, request: web.Request, _: str, __: bytes) -> web.Response:
        prefix = request.query.get("prefix", "")
        found = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2025-10-30T12:00:00.000Z</LastModified><ETag>{ETAG}</ETag>"
            f"<Size>{len(body)}</Size></Contents>"
            for key, body in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}")


@asynccontextmanager
async def serving() -> AsyncIterator[ObjectStore]:
    store = ObjectStore()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", store.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    store.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield store
    finally:
        await runner.cleanup()


def _xml(opened: str) -> web.Response:
    name = opened[1 : opened.index(">")]
    return web.Response(text=f"{opened}</{name}>", content_type="application/xml")
