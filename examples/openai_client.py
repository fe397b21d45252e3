"""An old script for the OpenAI API, unchanged but for its address: start the server, paint, edit, and moderate."""

import base64
import json
import subprocess
import sys

from openai import OpenAI

serve = [sys.executable, "-m", "fantascope", "serve", "--port", "0", "--json"]
server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)  # noqa: S603
assert server.stdout is not None
told = json.loads(server.stdout.readline())

try:
    with OpenAI(base_url=f"{told['url']}/v1", api_key=told["token"]) as client:
        reply = client.images.generate(model="gpt-image-1", prompt="a pink elephant on a blue background")
        picture = base64.b64decode(reply.data[0].b64_json)
        print(reply.size, "pixels,", reply.usage.total_tokens, "tokens")

        hat = client.images.edit(
            model="gpt-image-1", image=("elephant.png", picture), prompt="add a hat to the elephant"
        )
        print(hat.data[0].revised_prompt)

        judged = client.moderations.create(input="a pink elephant")
        print("flagged:", judged.results[0].flagged)
finally:
    server.terminate()
    server.wait()
    server.stdout.close()
