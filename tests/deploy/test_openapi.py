"""The OpenAPI document before other people's eyes: two linters, a generator and a compiler."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.client.forms import address, key_of
from tests.deploy.node import NODE, PACKAGES, run
from tests.deploy.pages import DEPLOY
from tests.harness import World

OPENAPI = DEPLOY.parent / "openapi"
PHONE = "+12025550123"
_PATIENCE = 50
# None of these may compile; `c` is a client, `v` a verification and `e` an error of a start.
_WRONG = (
    'c.POST("/v1/verifications", { body: { to: 12025550123 } });',
    'c.POST("/v1/verifications", { body: {} });',
    'c.POST("/v1/verifications", { body: { to: "", transaction: { payee: "Shop" } } });',
    'c.POST("/v1/verifications/{verification_id}/verify", { body: { code: "123456" } });',
    'c.POST("/v1/verification", { body: { to: "" } });',
    'c.DELETE("/v1/verifications", {});',
    "v.to_masked;",
    'v.status === "done";',
    'e.type === "/problems/no-such";',
)

pytestmark = pytest.mark.deploy


def test_a_linter_finds_nothing() -> None:
    linted = run("@redocly/cli/bin/cli.js", "lint", "openapi.json", cwd=OPENAPI)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "warning" not in linted.stdout + linted.stderr


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    document = json.loads((OPENAPI / "openapi.json").read_text(encoding="utf-8"))
    del document["paths"]["/v1/verifications"]["post"]["operationId"]
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    shutil.copy(OPENAPI / "redocly.yaml", tmp_path)
    linted = run("@redocly/cli/bin/cli.js", "lint", "openapi.json", cwd=tmp_path)
    assert linted.returncode != 0
    assert "operationId" in linted.stdout + linted.stderr


def test_it_is_valid() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = json.loads((OPENAPI / "openapi.json").read_text(encoding="utf-8"))
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, generated and compiled by its own commands."""
    root = tmp_path_factory.mktemp("typescript")
    folder = root / "deploy" / "examples" / "typescript"
    shutil.copytree(DEPLOY / "examples" / "typescript", folder)
    shutil.copytree(OPENAPI, root / "openapi")
    (folder / "node_modules").symlink_to(PACKAGES)
    scripts = json.loads((folder / "package.json").read_text(encoding="utf-8"))["scripts"]
    generate = scripts["generate"].split()[1:]
    generated = run("openapi-typescript/bin/cli.js", *generate, cwd=folder)
    assert generated.returncode == 0, generated.stderr
    assert scripts["build"] == "tsc"
    built = run("typescript/bin/tsc", cwd=folder)
    assert built.returncode == 0, built.stdout
    return folder


@asynccontextmanager
async def login(
    app: World, project: Path, number: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {"COUNTERSIGN_URL": address(app), "COUNTERSIGN_API_KEY": key_of(app)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        NODE,
        "build/login.js",
        number,
        cwd=project,
        env={**os.environ, **environment},
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_generated_client_logs_in(app: World, project: Path) -> None:
    async with login(app, project, PHONE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.readline() == b"A code is on its way to +1********23.\n"
        (code,) = await app.codes(PHONE)
        wrong = "000000" if code != "000000" else "000001"
        process.stdin.write(f"{wrong}\n{code}\n".encode())
        assert await process.stdout.readline() == b"That was not the code.\n"
        assert await process.stdout.readline() == b"Logged in.\n"


async def test_a_generated_client_says_why_not(app: World, project: Path) -> None:
    async with login(app, project, "12") as process:
        _, said = await process.communicate()
        assert process.returncode == 1
    assert b"Error: /to " in said


def test_a_wrong_call_does_not_compile(project: Path) -> None:
    lines = [
        'import createClient from "openapi-fetch";',
        'import type { components, operations, paths } from "./countersign.js";',
        "const c = createClient<paths>();",
        'declare const v: components["schemas"]["VerificationAnswer"];',
        'type Refusals = operations["startVerification"]["responses"];',
        'declare const e: Refusals[403]["content"]["application/problem+json"];',
    ]
    wrong = project / "wrong.ts"
    wrong.write_text("\n".join([*lines, *_WRONG]), encoding="utf-8")
    try:
        built = run("typescript/bin/tsc", "--noEmit", cwd=project)
    finally:
        wrong.unlink()
    found = {int(line) for line in re.findall(r"^wrong\.ts\((\d+),", built.stdout, re.MULTILINE)}
    assert found == set(range(len(lines) + 1, len(lines) + len(_WRONG) + 1)), built.stdout
