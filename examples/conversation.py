"""A conversation with pictures: every turn changes what was asked for, and proves that the rest is unchanged."""

from fantascope import Artifact, Edit, Imagine, Studio

TURNS = ["change the astronaut to a cat", "change the sunflowers to roses", "add a moon in the background"]

with Studio() as studio:
    asked = Imagine(prompt="an astronaut walking through a galaxy of sunflowers", seed=3)
    (picture,) = (event for event in studio.run(asked) if isinstance(event, Artifact))
    for words in TURNS:
        asked = Edit(picture=picture.id, instruction=words, seed=3)
        (picture,) = (event for event in studio.run(asked) if isinstance(event, Artifact))
        assert picture.receipt is not None and picture.receipt.kept is not None
        kept = picture.receipt.kept
        print(f"{picture.receipt.request['turns'][0]['said']}: {kept.touched:.0%} touched, the rest {kept.after[:12]}")
