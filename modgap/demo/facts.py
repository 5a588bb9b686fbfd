"""The closed world of the embedded family: plain tables of facts.

Every table is data only; how a fact becomes a question is in :mod:`modgap.demo.phrasings`.
Words are chosen to be short, well known and told apart by ear.
"""

from __future__ import annotations


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Split ``"a:b, c:d"`` into ``(("a", "b"), ("c", "d"))``."""
    out = []
    for item in " ".join(text.split()).split(", "):
        left, right = item.strip(" ,").split(":")
        out.append((left, right))
    return tuple(out)


def _words(text: str) -> tuple[str, ...]:
    """Split a comma separated list."""
    return tuple(w.strip() for w in " ".join(text.split()).split(","))


NUMBERS: tuple[str, ...] = _words(
    """zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve,
    thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen, twenty"""
)

DIGITS: tuple[str, ...] = NUMBERS[:10]

CAPITALS = _pairs(
    """France:Paris, Italy:Rome, Norway:Oslo, Peru:Lima, Spain:Madrid, Japan:Tokyo,
    China:Beijing, Egypt:Cairo, Greece:Athens, Russia:Moscow, Germany:Berlin, Austria:Vienna,
    Portugal:Lisbon, Sweden:Stockholm, Poland:Warsaw, Cuba:Havana, Kenya:Nairobi,
    Canada:Ottawa, Ireland:Dublin, Hungary:Budapest"""
)

CONTINENTS = _pairs(
    """France:Europe, Italy:Europe, Norway:Europe, Poland:Europe, Germany:Europe, Sweden:Europe,
    Greece:Europe, Ireland:Europe, Spain:Europe, Portugal:Europe, Hungary:Europe, Japan:Asia,
    China:Asia, India:Asia, Egypt:Africa, Kenya:Africa, Peru:South America, Brazil:South America,
    Canada:North America, Mexico:North America, Cuba:North America"""
)

LANGUAGES = _pairs(
    """France:French, Italy:Italian, Germany:German, Japan:Japanese, China:Chinese, Egypt:Arabic,
    Greece:Greek, Russia:Russian, Portugal:Portuguese, Brazil:Portuguese, Mexico:Spanish,
    Spain:Spanish, Cuba:Spanish, Austria:German, Sweden:Swedish, Poland:Polish"""
)

OPPOSITES = _pairs(
    """hot:cold, big:small, fast:slow, high:low, open:closed, wet:dry, hard:soft, good:bad,
    happy:sad, rich:poor, full:empty, early:late, loud:quiet, strong:weak, left:right, day:night,
    clean:dirty, summer:winter, love:hate, north:south, east:west, war:peace"""
)

COLOURS = _pairs(
    """banana:yellow, tomato:red, grass:green, snow:white, coal:black, lemon:yellow, cherry:red,
    frog:green, milk:white, raven:black, ocean:blue, sky:blue, carrot:orange, pumpkin:orange,
    chocolate:brown, blood:red, salt:white, sun:yellow, mud:brown, cucumber:green"""
)

CATEGORIES = _pairs(
    """dog:animal, tiger:animal, rabbit:animal, monkey:animal, horse:animal, apple:fruit,
    banana:fruit, lemon:fruit, cherry:fruit, potato:vegetable, onion:vegetable, carrot:vegetable,
    cucumber:vegetable, hammer:tool, shovel:tool, drill:tool, piano:instrument,
    violin:instrument, guitar:instrument, trumpet:instrument, chair:furniture, table:furniture,
    sofa:furniture, shirt:clothing, jacket:clothing, trousers:clothing, bicycle:vehicle,
    tractor:vehicle, truck:vehicle, eagle:bird, raven:bird, parrot:bird, salmon:fish, tuna:fish,
    herring:fish"""
)

MONTHS = _words(
    """January, February, March, April, May, June, July, August, September, October, November,
    December"""
)
DAYS = _words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")

#: Things from small to big; a comparison is a pair of them.
SIZES = _words("""flea, spider, mouse, rabbit, fox, sheep, donkey, buffalo, giraffe, whale""")

YOUNG = _pairs(
    """dog:puppy, cat:kitten, cow:calf, sheep:lamb, horse:foal, goat:kid, duck:duckling, lion:cub"""
)

SOUNDS = _pairs(
    """dog:bark, cat:meow, cow:moo, lion:roar, duck:quack, snake:hiss, bee:buzz, sheep:bleat"""
)
