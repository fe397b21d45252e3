"""Paint one picture and say where it is and what it is made of."""

from fantascope import Artifact, Imagine, Step, Studio

with Studio() as studio:
    for event in studio.run(Imagine(prompt="a pink elephant on a blue background", seed=7)):
        if isinstance(event, Step):
            print(f"{event.stage} {event.step}/{event.steps}")
        elif isinstance(event, Artifact):
            assert event.receipt is not None
            print(event.path)
            print(event.receipt.spec["title"], event.receipt.ran.exactness)
