"""What only operators should see can have a port of its own."""

from redis.asyncio import Redis

from tests.harness import client, free_port, serving, world

START = "/v1/verifications"


async def test_metrics_and_documents_can_have_a_port_of_their_own(
    redis: Redis, valkey: str
) -> None:
    port = free_port()
    async with world(valkey, http={"inspection": f"127.0.0.1:{port}"}) as app:
        assert app.service.inspection is not None
        async with (
            serving(app.service.inspection, port),
            client(f"http://127.0.0.1:{port}") as inside,
        ):
            for path in ("/metrics", "/docs", "/openapi.json"):
                assert (await app.api.get(path)).status_code == 404
                assert (await inside.get(path)).status_code == 200
            assert START in (await inside.get("/openapi.json")).json()["paths"]
            assert (await inside.post(START)).status_code == 404
            assert (await app.api.get("/livez")).status_code == 200
