"""Take a prompt apart, read its strange words, add what it does not say, and paint both from the same noise."""

from fantascope import Artifact, Imagine, Studio
from fantascope.prompt.anatomy import dissect, parse_anatomy
from fantascope.prompt.expand import expand
from fantascope.prompt.known import embedded_vocabulary, reword
from fantascope.wording import lexicon

PROMPT = "a kitty on the grass, warm light"
words, known = lexicon(), embedded_vocabulary()

for piece in dissect(PROMPT, words):
    print(f"{piece.part:<10} {piece.text}")
print("missing:", ", ".join(parse_anatomy(PROMPT, words).missing()))

with Studio() as studio:
    read = reword(PROMPT, known, studio.embed)
    print("read as:", *(f"{change.said} -> {change.read}" for change in read.changes))
    longer = expand(PROMPT, words, studio.embed, strength=0.6, seed=2, taught=known.phrases)
    print("expanded:", longer.prompt)
    for request in (Imagine(prompt=PROMPT, seed=7), Imagine(prompt=longer.prompt, said=PROMPT, seed=7)):
        for event in studio.run(request):
            if isinstance(event, Artifact) and event.receipt is not None:
                print(event.path, event.receipt.request["prompt"], "| said:", event.receipt.request["said"])
