"""What the family may be asked about, and which of it no training text asks.

The evaluation set `demo` asks about things that no training clip asked about. Both sides follow one
rule, so that neither needs the other's list: the pair of a topic and a thing is *reserved* for the
evaluation when the first byte of the SHA-256 of ``topic|thing`` (in small letters) is even. Half of
all pairs are. A training text that names a reserved thing together with its topic's own word ("the
capital of Norway") is left out, whoever wrote it. Answers are not here: training needs none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from modgap.demo.questions import knowledge, places

__all__ = ["TOPICS", "Topic", "asked_in", "asks_reserved", "reserved"]


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split(","))


@dataclass(frozen=True)
class Topic:
    """A kind of question.

    Attributes
    ----------
    name : str
    word : str
        Regular expression of what a question on the topic has in it, in any phrasing.
    forms : tuple of str
        Phrasings of the training; ``{x}`` is the thing.
    things : tuple of str
        What can be asked about.
    """

    name: str
    word: str
    forms: tuple[str, ...]
    things: tuple[str, ...]


COUNTRIES = _list(
    """Afghanistan, Albania, Algeria, Argentina, Armenia, Australia, Austria, Bangladesh,
    Belgium, Bolivia, Brazil, Bulgaria, Cambodia, Cameroon, Canada, Chile, China, Colombia,
    Croatia, Cuba, Cyprus, Denmark, Ecuador, Egypt, Estonia, Ethiopia, Finland, France,
    Georgia, Germany, Ghana, Greece, Guatemala, Haiti, Honduras, Hungary, Iceland, India,
    Indonesia, Iran, Iraq, Ireland, Israel, Italy, Jamaica, Japan, Jordan, Kenya, Kuwait,
    Laos, Latvia, Lebanon, Libya, Lithuania, Malaysia, Mali, Malta, Mexico, Mongolia, Morocco,
    Nepal, the Netherlands, New Zealand, Nicaragua, Niger, Nigeria, North Korea, Norway,
    Pakistan, Panama, Paraguay, Peru, the Philippines, Poland, Portugal, Romania, Russia,
    Rwanda, Saudi Arabia, Senegal, Serbia, Singapore, Slovakia, Slovenia, Somalia, South
    Africa, South Korea, Spain, Sri Lanka, Sudan, Sweden, Switzerland, Syria, Taiwan,
    Tanzania, Thailand, Tunisia, Turkey, Uganda, Ukraine, the United Kingdom, the United
    States, Uruguay, Venezuela, Vietnam, Yemen, Zambia, Zimbabwe"""
)

TOPICS: tuple[Topic, ...] = (
    Topic("capital", r"capital", (
        "What is the capital of {x}?", "Which city is the capital of {x}?",
        "Tell me the capital city of {x}.", "Do you know what {x}'s capital is?",
        "Is the capital of {x} a large city?",
    ), COUNTRIES),
    Topic("language", r"languages?|speak|spoken", (
        "Which language do people speak in {x}?", "What is the official language of {x}?",
        "Name a language that is spoken in {x}.",
    ), COUNTRIES),
    Topic("continent", r"continent", (
        "On which continent is {x}?", "Which continent does {x} belong to?",
        "Name the continent where {x} lies.",
    ), COUNTRIES),
    Topic("currency", r"currency|money|pay", (
        "What is the currency of {x}?", "Which money do I need in {x}?",
        "How do people pay in {x}?",
    ), COUNTRIES),
    Topic("opposite", r"opposite|contrary|antonym", (
        "What is the opposite of {x}?", "Which word means the opposite of {x}?",
        "Give me the contrary of the word {x}.",
    ), _list(
        """hot, big, fast, high, open, wet, hard, good, happy, rich, full, early, loud, strong,
        left, day, clean, summer, love, north, east, war, above, absent, accept, add, afraid,
        alive, always, ancient, asleep, attack, awake, awful, back, bad, beautiful, before,
        begin, below, best, bitter, black, blunt, borrow, bottom, brave, bright, broad, build,
        busy, buy, careful, cheap, clever, close, cold, come, common, cool, correct, cruel,
        cry, dangerous, dark, dead, deep, difficult, dirty, dry, dull, easy, empty, end,
        enemy, enter, even, evening, expensive, fail, false, far, fat, few, find, finish,
        first, float, foolish, forget, forward, freeze, friend, front, gain, generous, gentle,
        give, go, guilty, hate, healthy, heavy, here, hero, hide, hollow, honest, huge,
        humble, ill, import, include, increase, inside, join, kind, large, last, late, laugh,
        lazy, lead, least, light, long, lose, low, major, male, many, maximum, more, narrow,
        near, never, new, noisy, odd, off, old, on, out, outside, over, past, patient, peace,
        polite, poor, positive, private, proud, public, push, quick, quiet, raise, rare,
        ready, real, reject, right, rise, rough, sad, safe, same, save, sell, send, shallow,
        sharp, short, shout, sick, simple, sink, slow, small, smooth, sober, soft, solid,
        sour, start, stop, straight, strange, strict, succeed, sweet, take, tall, teach,
        thick, thin, tight, tiny, top, true, ugly, under, up, useful, victory, weak, white,
        whole, wide, wild, win, wise, wrong, young"""
    )),
    Topic("colour", r"colou?rs?", (
        "What color is {x}?", "Which color does {x} have?", "Tell me the color of {x}.",
    ), _list(
        """a banana, a tomato, grass, snow, coal, a lemon, a cherry, a frog, milk, a raven, the
        ocean, the sky, a carrot, a pumpkin, chocolate, blood, salt, the sun, mud, a cucumber,
        a strawberry, an orange, a plum, an eggplant, spinach, a polar bear, a flamingo, a
        canary, a crow, a swan, a fire engine, a school bus, a stop sign, an emerald, a ruby,
        a sapphire, gold, silver, ivory, rust, sand, smoke, butter, honey, coffee, cream,
        lettuce, a lime, a peach, a rose, a sunflower, a violet, an elephant, a fox, a
        dolphin, a lobster, a ladybug, the moon, a cloud, ketchup, mustard, a blueberry,
        broccoli, corn, rice, cotton, charcoal, a daffodil, a leaf, a pig"""
    )),
    Topic("young", r"baby|young", (
        "What do you call a baby {x}?", "What is the name for a young {x}?",
        "How is the baby of a {x} called?",
    ), _list(
        """dog, cat, cow, sheep, horse, goat, duck, lion, bear, pig, deer, kangaroo, goose, swan,
        fish, frog, chicken, elephant, seal, whale, wolf, fox, owl, eagle, rabbit, tiger,
        turkey, spider, butterfly, hare, pigeon, giraffe, dolphin, zebra"""
    )),
    Topic("sound", r"sounds?|noise", (
        "What sound does a {x} make?", "Which noise do you hear from a {x}?",
    ), _list(
        """dog, cat, cow, lion, duck, snake, bee, sheep, horse, pig, rooster, hen, owl, wolf,
        frog, crow, mouse, turkey, donkey, goose, elephant, bear, bird, goat, cricket, hyena,
        dove, tiger, monkey, pigeon"""
    )),
    Topic("category", r"kind|type|sort", (
        "What kind of thing is a {x}?", "A {x} is a kind of what?", "What type of thing is a {x}?",
    ), _list(
        """dog, tiger, rabbit, monkey, banana, cherry, potato, onion, carrot, cucumber, hammer,
        shovel, drill, piano, violin, guitar, trumpet, chair, table, sofa, shirt, jacket,
        bicycle, tractor, truck, raven, parrot, salmon, tuna, herring, rose, tulip, daisy,
        diamond, ruby, poodle, beagle, sparrow, robin, penguin, shark, trout, lizard,
        crocodile, cobra, beetle, mosquito, pine, birch, canoe, ferry, helicopter, rocket,
        sword, pistol, spoon, kettle, hat, glove, boot, drum, flute, harp, saw, wrench, pear,
        plum, grape, bean, cabbage, wolf, whale, spider"""
    )),
    Topic("plural", r"plural|more than one", (
        "What is the plural of {x}?", "How do you say more than one {x}?",
    ), _list(
        """mouse, child, foot, tooth, goose, man, woman, person, leaf, knife, wife, life, half,
        wolf, city, baby, lady, party, story, box, church, bus, dish, glass, potato, tomato,
        hero, ox, sheep, deer, fish, cactus, fungus, crisis, analysis, shelf, thief, loaf,
        calf, scarf, watch, fox, berry, country, family, penny, book, tree, house, dog"""
    )),
    Topic("past", r"past tense|past form|yesterday", (
        "What is the past tense of {x}?", "Give me the past form of the verb {x}.",
    ), _list(
        """go, see, eat, run, write, speak, take, give, come, think, buy, bring, catch, teach,
        sing, swim, drink, begin, break, choose, drive, fall, fly, forget, get, grow, hear,
        hide, hold, keep, know, leave, lose, make, meet, ride, ring, rise, say, sell, send,
        shake, sit, sleep, stand, steal, swear, tell, throw, wake, wear, win, walk, play,
        stop, cry"""
    )),
    Topic("author", r"wrote|author|written|writer", (
        "Who wrote {x}?", "Who is the author of {x}?", "Which writer is {x} by?",
    ), _list(
        """Hamlet, Macbeth, Romeo and Juliet, Don Quixote, War and Peace, Anna Karenina, Moby
        Dick, Oliver Twist, Great Expectations, A Christmas Carol, Pride and Prejudice, Emma,
        Jane Eyre, Wuthering Heights, Frankenstein, Dracula, Ulysses, The Odyssey, The Iliad,
        The Divine Comedy, Faust, Les Miserables, The Three Musketeers, Treasure Island,
        Robinson Crusoe, Gulliver's Travels, Alice in Wonderland, The Jungle Book, Peter Pan,
        Winnie the Pooh, The Hobbit, Harry Potter, The Great Gatsby, The Old Man and the Sea,
        The Grapes of Wrath, To Kill a Mockingbird, The Catcher in the Rye, Animal Farm, Brave
        New World, Lolita"""
    )),
    Topic("order", r"after|before|follows?|next|precedes?|between", (
        "Which one comes after {x}?", "What comes right before {x}?",
    ), _list(
        """Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, January, February,
        March, April, May, June, July, August, September, October, November, December, spring,
        summer, autumn, winter, one, two, three, four, five, six, seven, eight, nine, ten,
        eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen"""
    )),
    Topic("use", r"used? for|tool|do you use|would you use", (
        "What is {x} used for?", "What do people use {x} for?", "What would you use {x} for?",
    ), _list(
        """a hammer, a knife, a spoon, a key, a clock, a thermometer, a telescope, a microscope,
        a compass, a map, a broom, a ladder, a needle, a pencil, an umbrella, a mirror, a
        pillow, a refrigerator, an oven, a kettle, a candle, a camera, a calendar, a ruler, a
        saw, a shovel, a bucket, a rope, an anchor, a wallet, scissors, glasses, soap, a
        towel, a comb, a stamp, a bell, a whistle, a calculator, a dictionary, a parachute, a
        boat, a bridge, a fence"""
    )),
    Topic("city", r"country|nation", (), tuple(places.CITY)),
    Topic("landmark", r"where|city|country|located|find", (), tuple(places.LANDMARK)),
    Topic("river", r"continent", (), tuple(places.RIVER)),
    Topic("state", r"capital", (), tuple(places.STATE)),
    Topic("person", r"profession|occupation|job|living|famous|known|who", (),
          tuple(knowledge.PERSON)),
    Topic("inventor", r"who|whom|invent\w*|discover\w*|develop\w*|credited", (),
          tuple(knowledge.INVENTOR)),
    Topic("painter", r"who|whom|paint\w*|artist", (), tuple(knowledge.PAINTER)),
    Topic("sport", r"sports?|play\w*|famous|known", (), tuple(knowledge.SPORT)),
    Topic("study", r"study|studies|science|scientist", (), tuple(knowledge.STUDY)),
    Topic("job", r"call|called|job|profession|who|person|someone|somebody", (),
          tuple(knowledge.JOB)),
    Topic("body", r"organ|part|body|which|what", (), tuple(knowledge.BODY)),
    Topic("tool", r"tool|use|used|need|what", (), tuple(knowledge.TOOL)),
    Topic("place", r"where|place|go", (), tuple(knowledge.PLACE)),
)  # fmt: skip


def reserved(topic: str, thing: str) -> bool:
    """Whether the pair is for the evaluation alone.

    Examples
    --------
    >>> reserved("capital", "France") == reserved("capital", "france")
    True
    """
    return hashlib.sha256(f"{topic}|{thing.lower()}".encode()).digest()[0] % 2 == 0


def _bare(thing: str) -> str:
    """A thing without its article, in small letters."""
    return re.sub(r"^(?:the|an?)\s", "", thing.lower())


def _thing(things: Iterable[str]) -> re.Pattern[str]:
    """Any of the things, without their articles, in singular or plural."""
    # The longest first: "the Rocky Mountains" before what it begins with.
    bare = sorted(map(_bare, things), key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, bare))})(?:s|'s)?\b", re.IGNORECASE)


@lru_cache(maxsize=1)
def _words() -> dict[str, re.Pattern[str]]:
    return {t.name: re.compile(rf"\b(?:{t.word})\b", re.IGNORECASE) for t in TOPICS}


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    """Of each topic: its word, and its reserved things."""
    return tuple(
        (_words()[t.name], _thing(x for x in t.things if reserved(t.name, x))) for t in TOPICS
    )


def asks_reserved(text: str) -> bool:
    """Whether a text names a reserved thing together with its topic's word."""
    return any(word.search(text) and thing.search(text) for word, thing in _patterns())


def asked_in(topic: str, texts: Iterable[str]) -> set[str]:
    """The reserved things of a topic that one of the texts names together with its word.

    Examples
    --------
    >>> asked_in("capital", ["France's capital is old.", "I like Norway."])
    {'France'}
    """
    things = {_bare(x): x for t in TOPICS if t.name == topic for x in t.things}
    word = _words()[topic]
    named = _thing(x for x in things if reserved(topic, things[x]))
    return {
        things[m[1].lower()] for text in texts if word.search(text) for m in named.finditer(text)
    }
