"""Words that prompts and instructions are made of: colours, sizes, places, times, styles, and what connects them.

Everything here is data. Nouns are open: a word that no table holds is taken for the name of a thing.
"""

from __future__ import annotations

import re


def names(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


COLOURS = names(
    """red orange yellow green teal blue purple pink brown black white gray grey golden gold silver turquoise cyan
    magenta violet beige crimson scarlet maroon navy lavender lilac indigo ivory cream bronze copper
    rainbow-coloured multicolored multicoloured colorful colourful transparent"""
)
SHADES = names("dark light pale bright deep neon soft pastel hot sky lime navy royal")

_TONE = f"(?<![\\w-])(?:(?:{'|'.join(sorted(SHADES))})[ -])?(?:{'|'.join(sorted(COLOURS))})(?![\\w-])"
COLOUR = re.compile(rf"{_TONE}(?:(?:, | and | & ){_TONE})*", re.IGNORECASE)
"""A colour with its shade, or several joined by `and`."""

BEFORE_COLOUR = names(
    """big large huge giant enormous gigantic small tiny little mini tall short long old young new ancient elderly cute
    beautiful pretty handsome happy sad angry funny friendly scary ugly lovely fluffy shiny fat thin round
    square modern vintage antique majestic fierce brave lonely sleepy sleeping smiling single broken empty full"""
)
"""Adjectives that English puts before a colour."""

SMALLER = ("huge", "big", "", "small", "tiny")
"""Sizes from large to small; the middle one goes without saying."""

SIZES: dict[str, int] = {
    "huge": 0, "giant": 0, "enormous": 0, "gigantic": 0, "massive": 0,
    "big": 1, "large": 1,
    "small": 3, "little": 3,
    "tiny": 4, "mini": 4, "miniature": 4,
}  # fmt: skip
"""Size word -> its place in `SMALLER`."""

RESIZE: dict[str, int] = {
    "bigger": -1, "larger": -1, "taller": -1, "greater": -1, "up": -1, "smaller": 1, "littler": 1, "tinier": 1,
    "shorter": 1, "down": 1,
}  # fmt: skip
"""A wish for another size -> the step in `SMALLER`."""

NUMBERS: dict[str, int] = {
    name: k
    for k, name in enumerate(
        (
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
        ),
        1,
    )
}
GROUPED = r"an? (?:group|row|bunch|parade|couple|pair|trio|flock|herd|pack|crowd|lot|line|number|pile) of"
DETERMINER = re.compile(
    rf"(?:{GROUPED}|a dozen|lots of|plenty of|some|several|many|few|a few|an|a|the|his|her|its|their|my|your|our|"
    rf"this|that|these|those|another|{'|'.join(NUMBERS)}|\d{{1,3}})(?![\w-])",
    re.IGNORECASE,
)

IRREGULAR: dict[str, str] = {
    "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth", "goose": "geese",
    "mouse": "mice", "person": "people", "ox": "oxen", "die": "dice", "leaf": "leaves", "wolf": "wolves",
    "knife": "knives", "scarf": "scarves", "loaf": "loaves", "half": "halves", "calf": "calves", "elf": "elves",
    "shelf": "shelves", "thief": "thieves", "wife": "wives", "life": "lives", "cactus": "cacti", "merman": "mermen",
    "mermaid": "mermaids", "snowman": "snowmen", "fireman": "firemen", "policeman": "policemen",
    "spaceman": "spacemen", "sheep": "sheep", "fish": "fish", "deer": "deer", "bison": "bison", "moose": "moose",
    "aircraft": "aircraft", "spacecraft": "spacecraft", "potato": "potatoes", "tomato": "tomatoes",
    "hero": "heroes", "superhero": "superheroes", "mango": "mangoes", "volcano": "volcanoes", "tornado": "tornadoes",
    "torpedo": "torpedoes", "echo": "echoes", "axe": "axes", "movie": "movies", "cookie": "cookies", "pie": "pies",
    "zombie": "zombies", "genie": "genies", "tie": "ties", "bow tie": "bow ties", "shoe": "shoes", "bus": "buses",
    "octopus": "octopuses", "lens": "lenses", "canoe": "canoes", "cherry": "cherries", "selfie": "selfies",
    "calorie": "calories", "horse": "horses", "house": "houses", "nose": "noses", "rose": "roses", "vase": "vases",
    "case": "cases", "purse": "purses", "nurse": "nurses", "goddess": "goddesses", "cheese": "cheeses",
    "blouse": "blouses", "base": "bases", "hose": "hoses", "suitcase": "suitcases", "briefcase": "briefcases",
    "cave": "caves", "glove": "gloves", "dove": "doves", "wave": "waves", "stove": "stoves", "sleeve": "sleeves",
}  # fmt: skip
"""Nouns whose plural does not follow the rule, and those that look as if theirs did not."""

MASS = names(
    """snow rain water fire smoke fog mist grass sand coffee tea milk juice beer wine bread corn rice cheese butter
    broccoli garlic popcorn spaghetti sushi soap dna bacon salt sugar gold silver wood ice steam lightning
    thunder sunshine sunlight moonlight grapefruit jewelry jewellery clothing hair fur space mars venus jupiter
    lava honey chocolate soup food fruit furniture luggage darkness confetti ivy moss mud art music money"""
)
"""Names that take no article."""

MANY = names(
    """glasses sunglasses spectacles shades goggles scissors shears jeans trousers pants shorts socks gloves boots
    headphones earphones binoculars tongs pyjamas pajamas skis chopsticks fries fireworks sparkles grapes
    cherries maracas lungs beans clothes stairs people cattle"""
)
"""Names that are plural in form or use."""

WORN = names(
    """hat cap crown helmet tiara wig mask scarf tie necktie coat jacket shirt sweater jumper dress skirt blouse suit
    cape cloak apron vest kimono gown robe bandana beret fez sombrero hood headband headphone earring necklace
    collar bracelet ring shoe boot sneaker sandal slipper glove mitten sock belt backpack rucksack glass
    sunglass goggle spectacle monocle bow watch uniform swimsuit costume ribbon badge veil shade t-shirt tee
    jean trouser pant short bow-tie beanie bonnet turban"""
)
"""Names, in the singular, of what is worn."""

PLACES = names(
    """galaxy universe cosmos space sky heaven sea ocean water beach shore coast lake river pond pool waterfall island
    harbor harbour forest woods wood jungle rainforest meadow field grass lawn garden park valley hill hills
    mountain mountains desert dunes sand savanna savannah swamp cave canyon cliff farm barn vineyard orchard
    snow ice landscape arctic room bedroom kitchen bathroom office classroom library museum theater theatre
    restaurant cafe café bar church castle hall house home shop store market supermarket hospital school stage
    studio street road city town village alley downtown highway station airport stadium gym playground zoo
    aquarium laboratory lab dungeon ruins moon mars planet earth jupiter saturn underwater indoors outdoors
    outside inside clouds stars rooftop balcony ground floor paradise hell wonderland antarctica egypt paris
    london japan tokyo venice rome york"""
)
"""Where something can be; a place when `in`, `on`, `at` … stands before it."""

BARE_PLACES = names("underwater indoors outdoors outside inside downtown")
ON_PLACES = names(
    """beach shore coast moon mars planet island hill mountain street road stage grass lawn sand rooftop balcony ground
    floor farm earth jupiter saturn ice highway playground background backdrop cliff gradient"""
)
AT_PLACES = names("sea airport station home school zoo")

TIMES: dict[str, str] = {
    "night": "at night", "night time": "at night", "nighttime": "at night", "nightfall": "at night",
    "midnight": "at midnight", "day": "in daylight", "daytime": "in daylight", "day time": "in daylight",
    "daylight": "in daylight", "noon": "at noon", "midday": "at noon", "morning": "in the morning",
    "evening": "in the evening", "afternoon": "in the afternoon", "sunset": "at sunset", "sundown": "at sunset",
    "sunrise": "at sunrise", "dusk": "at dusk", "twilight": "at dusk", "dawn": "at dawn",
    "golden hour": "at golden hour", "blue hour": "at blue hour", "winter": "in winter", "wintertime": "in winter",
    "summer": "in summer", "summertime": "in summer", "spring": "in spring", "springtime": "in spring",
    "autumn": "in autumn", "fall": "in autumn", "rain": "in the rain", "rainy": "in the rain",
    "raining": "in the rain", "snowy": "in the snow", "snowing": "in the snow", "snowfall": "in the snow",
    "fog": "in the fog", "foggy": "in the fog", "misty": "in the fog", "storm": "in a storm",
    "stormy": "in a storm", "sunny": "in the sunshine", "sunshine": "in the sunshine", "moonlight": "in moonlight",
    "christmas": "at christmas", "halloween": "at halloween",
}  # fmt: skip
"""Time of day, season or weather -> the phrase a prompt says it with."""

LIGHTS: dict[str, str] = {
    "warm": "warm light", "warmer": "warm light", "cold": "cold light", "colder": "cold light", "cool": "cold light",
    "cooler": "cold light", "dark": "dim light", "darker": "dim light", "dim": "dim light", "dimmer": "dim light",
    "less bright": "dim light", "less light": "dim light", "bright": "bright light", "brighter": "bright light",
    "softer": "soft light", "soft": "soft light", "harsher": "harsh light", "gentler": "soft light",
    "moodier": "moody", "cosier": "cozy", "cozier": "cozy", "happier": "happy", "spookier": "spooky",
    "lighter": "bright light", "more light": "bright light", "less dark": "bright light", "light": "bright light",
}  # fmt: skip
"""A wish for other light -> the words captions use."""

MOODS = names(
    """warm inviting cozy cosy moody dramatic gloomy romantic mysterious spooky eerie dreamy magical peaceful calm
    serene cheerful happy sad melancholic joyful festive tense ominous ethereal nostalgic welcoming friendly
    cold dark bright soft lively epic whimsical surreal cinematic atmospheric homely scary creepy lonely
    luminous vibrant vivid muted"""
)

STYLES: dict[str, tuple[str, str]] = {
    r"flat(?: (?:design|style|vector art|illustration|icon|vector))?|vector(?: art| style)?": (
        "flat style", "flat illustration"),
    r"(?:glossy )?3-?d(?: (?:render(?:ing)?|style|icon|model))?": ("3d style", "a 3d render"),
    r"(?:cartoons?|comic|cartoonish)(?: (?:drawing|style|art|strip))?": ("cartoon style", "a cartoon"),
    r"clip ?art(?: style)?": ("clip art", "clip art"),
    r"line ?(?:art|drawing)(?: style)?|line drawings?|outlines?(?: drawing)?": ("line art", "line art"),
    r"minimal(?:ist(?:ic)?)?(?: (?:icon|style|design))?": ("minimalist style", "a minimalist icon"),
    r"pixel(?: |-)?art(?: style)?|pixelated|8-?bit(?: style)?|pixels": ("pixel art", "pixel art"),
    r"(?:pencil )?(?:sketch|drawing)(?: style)?|pencil(?: style)?|sketchy": ("sketch", "a pencil sketch"),
    r"water ?colou?rs?(?: (?:painting|style))?|aquarelle": ("watercolor", "a watercolor painting"),
    r"(?:an? )?oils?(?: (?:painting|paint|style|on canvas))*|oil colou?rs?": ("oil painting", "an oil painting"),
    r"photo(?:graph|realistic|graphic)?s?(?: style)?|realistic(?: photo)?": ("photo", "a photo"),
}  # fmt: skip
"""How a style is asked for -> its words behind a comma, and before `of`."""

FREE_STYLES = names(
    """anime manga charcoal ink pastel pop-art cubist cubism impressionist impressionism ukiyo-e vintage retro art-deco
    low-poly stained-glass origami claymation clay mosaic graffiti vaporwave cyberpunk steampunk baroque gothic
    surrealist surrealism renaissance noir papercut paper-cut embroidery felt lego isometric woodcut engraving
    gouache acrylic crayon chalk silhouette blueprint doodle fresco pointillist pointillism expressionist"""
)
"""Styles outside the table: said as they are."""

MEDIA = re.compile(
    r"(?:an? |the )?(?:(?:\w+ ){0,2})(?:photo(?:graph)?|picture|image|illustration|drawing|painting|portrait|"
    r"render(?:ing)?|icon|sketch|cartoon|comic|watercolou?r|outline|art|poster|print|engraving|etching|woodcut|mosaic|"
    r"sculpture|logo|sticker)(?= of )",
    re.IGNORECASE,
)
"""What a prompt may begin with: the medium, before `of`."""

QUALITY = re.compile(
    r"(?:high|low|ultra|highly|very|extremely|sharp|blurry|out of|4k|8k|hd|uhd|detailed|drop|best|intricate|"
    r"masterpiece|"
    r"trending|award)\b.*",
    re.IGNORECASE,
)

SPOTS: dict[str, tuple[str, str]] = {
    "left": ("left", "on the left"), "right": ("right", "on the right"), "top": ("top", "at the top"),
    "bottom": ("bottom", "at the bottom"), "background": ("background", "in the background"),
    "foreground": ("foreground", "in the foreground"), "center": ("centre", "in the center"),
    "centre": ("centre", "in the center"), "middle": ("centre", "in the center"),
    "front": ("foreground", "in the foreground"), "back": ("background", "in the background"),
    "up": ("top", "at the top"), "upwards": ("top", "at the top"), "higher": ("top", "at the top"),
    "down": ("bottom", "at the bottom"), "lower": ("bottom", "at the bottom"),
    "downwards": ("bottom", "at the bottom"), "backwards": ("background", "in the background"),
    "forward": ("foreground", "in the foreground"), "forwards": ("foreground", "in the foreground"),
    "leftwards": ("left", "on the left"), "rightwards": ("right", "on the right"),
}  # fmt: skip
"""Where in the picture -> the place's name and the phrase a prompt says it with."""

SKY = names("sky air clouds heaven")

RELATIONS: dict[str, str] = {
    "next to": "", "beside": "", "besides": "", "near": "", "close to": "", "by": "", "alongside": "",
    "to the left of": "left", "on the left of": "left", "left of": "left", "to the right of": "right",
    "on the right of": "right", "right of": "right", "above": "top", "over": "top", "on top of": "top",
    "below": "bottom", "under": "bottom", "underneath": "bottom", "beneath": "bottom", "behind": "background",
    "in front of": "foreground", "on": "", "onto": "", "upon": "", "in": "", "into": "", "inside": "", "around": "",
    "against": "", "to": "", "at": "",
}  # fmt: skip
"""How two things can stand to each other -> the place it means."""

MUTUAL = frozenset(("next to", "beside", "besides", "near", "close to", "by", "alongside"))

CONNECTORS = re.compile(
    r"(?:and |while )?(?:\w+ing (?:\w+ly )?)?(?:in front of|on top of|next to|to the left of|to the right of|"
    r"on the left of|on the right of|left of|right of|close to|surrounded by|covered (?:in|with|by)|filled with|"
    r"full of|"
    r"made of|made from|dressed in|as well as|together with|alongside|underneath|beneath|beside|behind|between|"
    r"without|within|through|towards?|against|across|around|inside|among|above|below|under|along|after|"
    r"into|onto|near|over|from|with|upon|for|and|off|out of|on|in|of|at|by|to)(?![\w-])",
    re.IGNORECASE,
)

NOT_PARTICIPLE = names(
    """king ring wing building painting drawing string spring sling thing ceiling lightning evening morning wedding
    racing sewing flying swing clothing duckling dumpling sailing boxing fishing diving earring pudding viking
    sibling living dining swimming shooting rocking smiling sleeping being shopping hatching glowing sparkling
    railing inviting lighting setting wellington charming stuffing herring bing ping exciting interesting
    raining snowing burning frosting icing nothing something everything icing parking"""
)
"""Words in -ing that are nouns or stand before one."""

MANNERS = frozenset(("parade", "a parade", "row", "a row", "line", "a line", "a circle", "motion", "flight", "love"))
