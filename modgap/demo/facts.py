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
    Portugal:Lisbon, Sweden:Stockholm, Poland:Warsaw, Cuba:Havana, Kenya:Nairobi, Chile:Santiago,
    Canada:Ottawa, Ireland:Dublin, Belgium:Brussels, Hungary:Budapest, Finland:Helsinki,
    Turkey:Ankara, Denmark:Copenhagen, Iraq:Baghdad, Iran:Tehran, Thailand:Bangkok,
    Vietnam:Hanoi, Lebanon:Beirut, Syria:Damascus, Ghana:Accra, Ecuador:Quito, Colombia:Bogota,
    Venezuela:Caracas, Bolivia:Sucre, Nepal:Kathmandu, India:Delhi, Serbia:Belgrade,
    Bulgaria:Sofia, Romania:Bucharest, Latvia:Riga, Malta:Valletta, Jordan:Amman, Libya:Tripoli"""
)

CONTINENTS = _pairs(
    """France:Europe, Italy:Europe, Norway:Europe, Poland:Europe, Germany:Europe, Sweden:Europe,
    Greece:Europe, Ireland:Europe, Japan:Asia, China:Asia, India:Asia, Nepal:Asia,
    Thailand:Asia, Vietnam:Asia, Iraq:Asia, Iran:Asia, Egypt:Africa, Kenya:Africa, Ghana:Africa,
    Libya:Africa, Nigeria:Africa, Morocco:Africa, Zambia:Africa, Sudan:Africa,
    Peru:South America, Chile:South America, Brazil:South America, Bolivia:South America,
    Ecuador:South America, Colombia:South America, Canada:North America, Mexico:North America,
    Cuba:North America"""
)

LANGUAGES = _pairs(
    """France:French, Italy:Italian, Norway:Norwegian, Germany:German, Japan:Japanese,
    China:Chinese, Egypt:Arabic, Greece:Greek, Russia:Russian, Portugal:Portuguese,
    Brazil:Portuguese, Mexico:Spanish, Spain:Spanish, Cuba:Spanish, Chile:Spanish,
    Sweden:Swedish, Poland:Polish, Austria:German, Turkey:Turkish, Hungary:Hungarian,
    Denmark:Danish, Iraq:Arabic, Jordan:Arabic, England:English, Thailand:Thai"""
)

OPPOSITES = _pairs(
    """hot:cold, big:small, fast:slow, high:low, open:closed, wet:dry, hard:soft, light:dark,
    good:bad, happy:sad, young:old, rich:poor, full:empty, early:late, loud:quiet, strong:weak,
    up:down, left:right, day:night, first:last, clean:dirty, thick:thin, near:far, true:false,
    summer:winter, begin:end, love:hate, buy:sell, push:pull, win:lose, front:back, inside:outside,
    north:south, east:west, sharp:blunt, smooth:rough, wide:narrow, deep:shallow,
    alive:dead, sweet:bitter, brave:afraid, tall:short, always:never, war:peace, question:answer,
    friend:enemy, teacher:student, yes:no, top:bottom"""
)

COLOURS = _pairs(
    """banana:yellow, tomato:red, grass:green, snow:white, coal:black, sky:blue, lemon:yellow,
    cherry:red, frog:green, milk:white, raven:black, ocean:blue, carrot:orange, pumpkin:orange,
    flamingo:pink, pig:pink, chocolate:brown, blood:red, salt:white, lettuce:green, sun:yellow,
    plum:purple, lavender:purple, cucumber:green, strawberry:red, elephant:grey, chick:yellow,
    swan:white, tar:black, mud:brown, ruby:red, emerald:green, sapphire:blue, cloud:white,
    polar bear:white, spinach:green"""
)

CATEGORIES = _pairs(
    """dog:animal, cat:animal, horse:animal, tiger:animal, rabbit:animal, camel:animal,
    goat:animal, monkey:animal, apple:fruit, pear:fruit, grape:fruit, mango:fruit,
    peach:fruit, melon:fruit, potato:vegetable, onion:vegetable, cabbage:vegetable,
    turnip:vegetable, garlic:vegetable, celery:vegetable, hammer:tool, saw:tool, drill:tool,
    wrench:tool, shovel:tool, chisel:tool, piano:instrument, violin:instrument,
    trumpet:instrument, flute:instrument, drum:instrument, guitar:instrument, chair:furniture,
    table:furniture, sofa:furniture, bed:furniture, desk:furniture, wardrobe:furniture,
    shirt:clothing, jacket:clothing, trousers:clothing, scarf:clothing, skirt:clothing,
    sock:clothing, car:vehicle, bus:vehicle, train:vehicle, truck:vehicle, bicycle:vehicle,
    tractor:vehicle, eagle:bird, sparrow:bird, owl:bird, pigeon:bird, parrot:bird, gull:bird,
    ant:insect, bee:insect, beetle:insect, mosquito:insect, moth:insect, wasp:insect,
    oak:tree, pine:tree, birch:tree, maple:tree, willow:tree, salmon:fish, trout:fish,
    shark:fish, tuna:fish, herring:fish, rose:flower, tulip:flower, daisy:flower, lily:flower,
    gold:metal, silver:metal, copper:metal, iron:metal, tennis:sport, football:sport,
    hockey:sport, rugby:sport, golf:sport"""
)

MONTHS = _words(
    """January, February, March, April, May, June, July, August, September, October, November,
    December"""
)
DAYS = _words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")

#: Things from small to big; a comparison is a pair of them.
SIZES = _words("""flea, spider, mouse, squirrel, fox, sheep, donkey, buffalo, giraffe, whale""")

YOUNG = _pairs(
    """dog:puppy, cat:kitten, cow:calf, sheep:lamb, horse:foal, pig:piglet, goat:kid, duck:duckling,
    lion:cub, kangaroo:joey, deer:fawn, goose:gosling, frog:tadpole, swan:cygnet, hen:chick"""
)

SOUNDS = _pairs(
    """dog:bark, cat:meow, cow:moo, lion:roar, duck:quack, snake:hiss, bee:buzz, sheep:bleat,
    horse:neigh, wolf:howl, mouse:squeak, owl:hoot, pig:grunt, crow:caw, rooster:crow"""
)

PAST = _pairs(
    """go:went, see:saw, eat:ate, run:ran, come:came, give:gave, take:took, make:made, write:wrote,
    drive:drove, speak:spoke, break:broke, choose:chose, fall:fell, know:knew, grow:grew, fly:flew,
    draw:drew, swim:swam, sing:sang, drink:drank, find:found, think:thought, bring:brought,
    catch:caught, teach:taught, sleep:slept, keep:kept, leave:left, feel:felt, build:built,
    send:sent, stand:stood, wake:woke, freeze:froze, forget:forgot"""
)

PLURALS = _pairs(
    """child:children, man:men, woman:women, tooth:teeth, foot:feet, goose:geese, mouse:mice,
    leaf:leaves, knife:knives, wolf:wolves, city:cities, baby:babies, box:boxes, dish:dishes,
    church:churches, ox:oxen, shelf:shelves, wife:wives, berry:berries, story:stories,
    person:people, hero:heroes, thief:thieves, bush:bushes"""
)

JOBS = _pairs(
    """bakes bread:baker, flies planes:pilot, grows food:farmer, paints pictures:painter,
    puts out fires:fireman, cuts hair:barber, fixes teeth:dentist, sells meat:butcher,
    cooks meals:chef, writes books:author, catches fish:fisherman, sings songs:singer,
    builds houses:builder, mends pipes:plumber, sails ships:sailor, drives taxis:driver,
    takes photographs:photographer, treats patients:doctor, treats animals:vet,
    judges crimes:judge, digs coal:miner, plays football:footballer, makes clothes:tailor,
    carries letters:postman, designs bridges:engineer"""
)

#: Objects and the body part they are worn on.
WORN = _pairs(
    """hat:head, glove:hand, shoe:foot, ring:finger, belt:waist, bracelet:wrist, necklace:neck,
    glasses:eyes, earring:ear, stocking:leg, backpack:back, lipstick:lips"""
)
