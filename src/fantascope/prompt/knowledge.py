"""Names of common things: who is called what else, and which names are different things for certain."""

from __future__ import annotations

from fantascope.prompt.lexicon import names

SAME: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split(", "))
    for row in (
        "astronaut, spaceman, cosmonaut, spacewoman, space traveller",
        "cat, kitty, kitten, feline, tomcat, pussycat",
        "dog, puppy, doggy, doggie, hound, pup, pooch",
        "rabbit, bunny, hare",
        "horse, pony, mare, stallion, steed",
        "pig, hog, piglet, swine",
        "sheep, lamb, ewe",
        "car, automobile, auto, sedan, motor car",
        "airplane, aeroplane, plane, aircraft, jet",
        "boat, ship, sailboat, vessel, yacht, sailing boat",
        "bicycle, bike",
        "motorcycle, motorbike, bike",
        "rocket, spaceship, rocket ship, spacecraft",
        "truck, lorry",
        "chef, cook",
        "wizard, sorcerer, mage, magician",
        "sofa, couch",
        "television, tv, telly",
        "gift, present",
        "bulb, light bulb, lightbulb, lamp",
        "cup, mug",
        "donut, doughnut",
        "hamburger, burger, cheeseburger",
        "crocodile, alligator, croc",
        "turtle, tortoise",
        "snake, serpent",
        "hippo, hippopotamus",
        "sea, ocean",
        "man, guy, gentleman, bloke",
        "woman, lady",
        "child, kid",
        "grandfather, grandpa, old man",
        "glasses, spectacles, sunglasses, shades",
        "ladybug, ladybird",
        "necktie, tie",
        "wood, forest, woods",
        "stone, rock",
        "grass, lawn, meadow",
        "hat, cap, top hat",
        "corn, maize",
        "house, home, cottage",
        "cactus, cacti",
        "bus, coach, omnibus",
        "train, locomotive",
        "tractor, farm tractor",
        "robot, android, bot",
        "ghost, phantom, spectre",
        "deer, stag, doe, fawn",
        "rooster, cockerel, cock",
        "chick, baby chicken",
        "bee, honeybee, bumblebee",
        "watch, wristwatch",
        "balloon, party balloon",
        "violin, fiddle",
        "backpack, rucksack, knapsack",
        "umbrella, parasol, brolly",
        "tangerine, mandarin, clementine",
        "mushroom, toadstool",
        "diamond, jewel, gem, gemstone",
        "helicopter, chopper",
        "ufo, flying saucer",
        "soccer ball, football",
        "tap, faucet",
        "photo, picture, photograph",
    )
)
"""Words for the same thing, in the singular."""

KINDS: dict[str, frozenset[str]] = {
    kind: names(row)
    for kind, row in {
        "flower": "rose tulip sunflower lily daisy orchid blossom hibiscus lotus hyacinth daffodil poppy lavender",
        "animal": """dog cat lion tiger bear wolf fox horse cow pig sheep goat elephant giraffe zebra camel hippo panda
            koala kangaroo monkey mouse rabbit deer unicorn kitten puppy bunny rhino leopard squirrel otter raccoon frog
            crocodile turtle snake gorilla pony""",
        "bird": """parrot eagle owl duck swan penguin flamingo chicken rooster chick dove goose peacock seagull sparrow
            pigeon crow raven""",
        "insect": "bee butterfly ladybug spider ant beetle fly mosquito dragonfly",
        "vehicle": "car bus truck train tram tractor motorcycle bicycle van taxi ambulance scooter",
        "fruit": """apple pear banana orange lemon lime peach strawberry cherry pineapple mango grape watermelon
            tangerine melon""",
        "vegetable": "carrot tomato broccoli potato onion cucumber corn lettuce pumpkin",
        "person": """man woman boy girl chef wizard astronaut princess prince king queen doctor teacher farmer pilot
            knight firefighter clown pirate ninja dancer singer artist scientist detective child""",
        "building": "house castle church hut skyscraper tower temple barn lighthouse",
        "instrument": "guitar violin drum piano trumpet flute banjo saxophone",
        "plant": "tree cactus flower bush fern palm",
    }.items()
}
"""A word for many -> the things it may mean."""

HE = names(
    """man boy chef wizard astronaut prince king doctor teacher farmer pilot knight firefighter clown pirate ninja
    dancer singer artist scientist detective grandfather grandpa groom santa vampire elf"""
)
SHE = names("woman girl princess queen mermaid bride fairy witch ballerina dancer lady grandmother")

ALIVE = HE | SHE | KINDS["animal"] | KINDS["bird"] | KINDS["person"] | names("robot alien ghost dragon snowman")
"""Who can wear a hat."""

COMMON = tuple(
    sorted(
        names(
            """smiley clown goblin ghost alien robot heart explosion baby boy girl man woman doctor student teacher
            judge farmer chef mechanic scientist singer artist pilot astronaut firefighter detective
            guard ninja king queen prince princess bride angel superhero wizard fairy vampire mermaid
            elf genie zombie dancer monkey gorilla dog wolf fox raccoon cat lion tiger leopard moose
            donkey horse unicorn zebra deer bison cow pig boar sheep goat camel llama giraffe elephant
            mammoth rhinoceros hippo mouse rat hamster rabbit beaver hedgehog bat bear koala panda sloth
            otter skunk kangaroo badger turkey chicken rooster chick bird penguin dove eagle duck swan
            owl feather flamingo peacock parrot goose frog crocodile turtle lizard snake dragon dinosaur
            whale dolphin seal fish shark octopus coral jellyfish crab lobster shrimp squid snail
            butterfly caterpillar ant bee beetle ladybug cockroach spider scorpion mosquito fly worm
            rose lotus sunflower tulip tree cactus leaf mushroom grape melon watermelon tangerine lemon
            lime banana pineapple mango apple pear peach cherry strawberry tomato olive coconut potato
            carrot corn cucumber broccoli onion bread croissant pretzel bagel pancake waffle cheese
            steak hamburger fries pizza sandwich taco egg salad popcorn sushi donut cookie cake cupcake
            pie candy lollipop coffee teapot bottle wine beer spoon knife jar globe compass mountain
            volcano island stadium temple rock hut house hospital bank hotel school factory castle
            church mosque fountain tent train tram bus ambulance taxi car truck tractor motorcycle
            scooter bicycle skateboard wheel anchor sailboat canoe ship airplane parachute helicopter
            satellite rocket ufo suitcase hourglass watch clock moon sun planet star cloud tornado
            rainbow umbrella lightning snowflake snowman comet fire wave pumpkin fireworks balloon
            ribbon gift ticket trophy medal ball baseball basketball kite joystick dice glasses scarf
            shirt jeans coat sock dress handbag backpack shoe sneaker boot crown hat helmet lipstick
            ring diamond loudspeaker bell microphone headphone radio saxophone trumpet accordion guitar
            piano violin drum flute telephone battery laptop computer printer keyboard camera television
            candle lamp flashlight lantern book newspaper coin envelope box pencil pen paintbrush
            scissors key lock hammer axe sword bomb bow shield saw wrench gear magnet ladder microscope
            telescope door mirror window bed couch chair table shower bathtub broom basket bucket sponge
            grass sky sea snow desert forest street city river lake garden room kitchen flower animal
            bus person food plate bowl cup glass fence bridge road wand fork queen knight pirate goat
            boat"""
        )
    )
)
"""Names in the singular that are certainly no misspelling, and that a stranger's word is weighed against."""
