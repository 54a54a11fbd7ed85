from __future__ import annotations

import dataclasses
import json

from clusters.models import Cluster
from clusters.views.presenters import address_of

TOKEN_VARIABLE = "MILVUS_TOKEN"  # noqa: S105 - the name of an environment variable


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectExample:
    """One tab of the connect card. `install` is empty if nothing has to be installed."""

    key: str
    label: str
    install: str
    code: str


def connect_examples(
    cluster: Cluster, *, token: str | None, access_address: str
) -> list[ConnectExample]:
    """Return runnable examples. `token` None: the examples read it from the environment.

    `access_address` is that of the console's API call that answers the connection details.
    """
    uri = address_of(cluster)
    secret = f'os.environ["{TOKEN_VARIABLE}"]' if token is None else json.dumps(token)
    imports = "import os\n\n" if token is None else ""
    after_asyncio = imports or "\n"
    arguments = [("uri", f'"{uri}"'), ("token", secret)]
    if cluster.ca_certificate:
        arguments.append(("server_pem_path", '"ca.pem"'))
    keywords = "".join(f"    {name}={value},\n" for name, value in arguments)
    entries = "".join(f'        "{name}": {value},\n' for name, value in arguments)
    return [
        ConnectExample(
            key="sync",
            label="pymilvus",
            install="pip install pymilvus",
            code=f"{imports}from pymilvus import MilvusClient\n\n"
            f"client = MilvusClient(\n{keywords})\nprint(client.list_collections())\n",
        ),
        ConnectExample(
            key="async",
            label="pymilvus, async",
            install="pip install pymilvus",
            code=f"import asyncio\n{after_asyncio}from pymilvus import AsyncMilvusClient\n\n\n"
            f"async def main():\n    client = AsyncMilvusClient(\n{_indented(keywords)}    )\n"
            "    print(await client.list_collections())\n    await client.close()\n\n\n"
            "asyncio.run(main())\n",
        ),
        ConnectExample(
            key="langchain",
            label="LangChain",
            install="pip install langchain-milvus",
            code=f"{imports}from langchain_milvus import Milvus\n\n"
            "store = Milvus(\n    embedding_function=embeddings,  # your embedding model\n"
            f"    connection_args={{\n{entries}    }},\n"
            '    collection_name="documents",\n)\n',
        ),
        ConnectExample(
            key="curl",
            label="curl",
            install="",
            code="# Connection details from the console's API, with an API key that has\n"
            "# the scope GetVBaseServiceAccess\n"
            f'curl -H "Authorization: Bearer $VBASE_API_KEY" \\\n  {access_address}\n',
        ),
    ]


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())
