"""Answers about words and everyday things: opposites, forms, kinds, colours, animals."""

from __future__ import annotations

from modgap.demo.questions.tables import Answers, table

__all__ = ["CATEGORY", "COLOUR", "OPPOSITE", "PAST", "PLURAL", "SOUND", "YOUNG"]

OPPOSITE: Answers = table(
    """hot: cold; big: small | little; fast: slow; high: low; open: closed | close | shut; wet: dry;
    hard: soft | easy; good: bad | evil; happy: sad | unhappy; rich: poor; full: empty;
    early: late; loud: quiet | soft | silent; strong: weak; left: right; day: night;
    clean: dirty; summer: winter; love: hate | hatred; north: south; east: west; war: peace;
    above: below | under | beneath; absent: present; accept: reject | refuse | decline; add:
    subtract | remove; afraid: brave | unafraid | fearless; alive: dead; always: never;
    ancient: modern | new; asleep: awake; attack: defend | defense; awake: asleep;
    back: front | forward; bad: good; beautiful: ugly; before: after; begin: end | finish | stop;
    below: above; best: worst; bitter: sweet; black: white; blunt: sharp; borrow: lend;
    bottom: top; brave: cowardly | afraid | coward; bright: dark | dim | dull;
    broad: narrow; build: destroy | demolish; busy: idle | free; buy: sell;
    careful: careless; cheap: expensive | costly; clever: stupid | foolish | dull;
    close: far | open | distant; cold: hot | warm; come: go | leave; common: rare | uncommon;
    cool: warm | hot; correct: incorrect | wrong; cruel: kind | merciful; cry: laugh;
    dangerous: safe; dark: light | bright; dead: alive | living; deep: shallow;
    difficult: easy | simple; dirty: clean; dry: wet | moist; dull: bright | sharp | exciting;
    easy: hard | difficult; empty: full; end: beginning | begin | start; enemy: friend | ally;
    enter: exit | leave; even: odd | uneven; evening: morning; expensive: cheap | inexpensive;
    fail: succeed | pass; false: true; far: near | close; fat: thin | skinny | slim | lean;
    few: many; find: lose; finish: start | begin; first: last; float: sink; foolish: wise | smart;
    forget: remember; forward: backward | backwards; freeze: melt | thaw; friend: enemy | foe;
    front: back | rear; gain: lose | loss; generous: stingy | selfish | greedy;
    gentle: rough | harsh; give: take | receive; go: come | stop; guilty: innocent;
    hate: love; healthy: sick | unhealthy | ill; heavy: light; here: there; hero: villain | coward;
    hide: show | reveal; hollow: solid; honest: dishonest; huge: tiny | small;
    humble: proud | arrogant; ill: well | healthy; import: export; include: exclude;
    increase: decrease | reduce; inside: outside; join: separate | leave; kind: cruel | unkind |
    mean;
    large: small | little; last: first; late: early; laugh: cry; lazy: hardworking | industrious |
    diligent | active | energetic; lead: follow; least: most; light: dark | heavy | darkness;
    long: short; lose: win | find | gain; low: high; major: minor; male: female; many: few;
    maximum: minimum; more: less | fewer; narrow: wide | broad; near: far; never: always;
    new: old; noisy: quiet | silent; odd: even; off: on; old: young | new; on: off; out: in;
    outside: inside; over: under; past: future; patient: impatient; peace: war;
    polite: rude | impolite; poor: rich | wealthy; positive: negative; private: public;
    proud: humble | ashamed; public: private; push: pull; quick: slow; quiet: loud | noisy;
    raise: lower; rare: common; ready: unready | unprepared; real: fake | unreal | imaginary;
    reject: accept; right: left | wrong; rise: fall | set; rough: smooth | gentle; sad: happy;
    safe: dangerous | unsafe; same: different; save: spend | waste; sell: buy; send: receive;
    shallow: deep; sharp: blunt | dull; short: long | tall; shout: whisper; sick: healthy | well;
    simple: complex | complicated | difficult; sink: float | rise; slow: fast | quick | rapid;
    small: big | large; smooth: rough; sober: drunk; soft: hard | loud; solid: liquid | hollow;
    sour: sweet; start: stop | end | finish; stop: start | go; straight: crooked | bent | curved;
    strange: familiar | normal; strict: lenient; succeed: fail; sweet: sour | bitter;
    take: give; tall: short; teach: learn; thick: thin; thin: thick | fat; tight: loose;
    tiny: huge | large | giant; top: bottom; true: false; ugly: beautiful | pretty;
    under: over | above; up: down; useful: useless; victory: defeat; weak: strong;
    white: black; whole: part | partial; wide: narrow; wild: tame | domesticated;
    win: lose; wise: foolish; wrong: right | correct; young: old"""
)

#: The usual colour.
COLOUR: Answers = table(
    """a banana: yellow; a tomato: red; grass: green; snow: white; coal: black; a lemon: yellow;
    a cherry: red; a frog: green; milk: white; a raven: black; the ocean: blue; the sky: blue;
    a carrot: orange; chocolate: brown; blood: red; salt: white; the sun: yellow | white;
    mud: brown; a cucumber: green; a strawberry: red; a plum: purple; an eggplant: purple;
    spinach: green; a polar bear: white; a flamingo: pink; a canary: yellow; a crow: black;
    a swan: white; a fire engine: red; a school bus: yellow | orange; a stop sign: red;
    an emerald: green; a ruby: red; a sapphire: blue; gold: yellow | golden; silver: gray | grey |
    white; ivory: white; rust: brown | orange | red; smoke: gray | grey | white | black;
    butter: yellow; honey: yellow | golden | amber | gold; coffee: brown | black; lettuce: green;
    a sunflower: yellow; a violet: purple | blue; an elephant: gray | grey;
    a dolphin: gray | grey | blue; a lobster: red | brown | blue; a ladybug: red;
    the moon: white | gray | grey; a cloud: white | gray | grey; ketchup: red; mustard: yellow;
    a blueberry: blue | purple; broccoli: green; corn: yellow; rice: white; cotton: white;
    charcoal: black | gray; a daffodil: yellow; a leaf: green; a pig: pink; a pumpkin: orange"""
)

YOUNG: Answers = table(
    """dog: puppy | pup; cat: kitten; cow: calf; sheep: lamb; horse: foal | colt | filly;
    goat: kid; duck: duckling; lion: cub; bear: cub; pig: piglet; deer: fawn;
    kangaroo: joey; goose: gosling; swan: cygnet; frog: tadpole | froglet; chicken: chick;
    elephant: calf; seal: pup; whale: calf; wolf: pup | cub | whelp; fox: kit | cub | pup;
    owl: owlet; eagle: eaglet; rabbit: bunny | kit | kitten; tiger: cub; turkey: poult;
    spider: spiderling; hare: leveret; pigeon: squab; giraffe: calf; dolphin: calf; zebra: foal;
    fish: fry; butterfly: caterpillar"""
)

SOUND: Answers = table(
    """dog: bark | barks | barking | woof; cat: meow | meows | meowing | purr;
    cow: moo | moos | mooing; lion: roar | roars | roaring; duck: quack | quacks | quacking;
    snake: hiss | hisses | hissing; bee: buzz | buzzes | buzzing;
    sheep: baa | bleat | bleats | bleating | bah; horse: neigh | neighs | neighing | whinny;
    pig: oink | oinks | oinking | grunt; rooster: crow | crows | crowing | cock-a-doodle-doo;
    hen: cluck | clucks | clucking | cackle; owl: hoot | hoots | hooting; wolf: howl | howls |
    howling; frog: croak | croaks | croaking | ribbit; crow: caw | caws | cawing;
    mouse: squeak | squeaks | squeaking; turkey: gobble | gobbles | gobbling;
    donkey: bray | brays | braying | hee-haw; goose: honk | honks | honking;
    elephant: trumpet | trumpets | trumpeting; bear: growl | growls | growling | roar;
    bird: chirp | chirps | chirping | tweet | tweets | sing | song; goat: bleat | bleats |
    bleating | baa; cricket: chirp | chirps | chirping; dove: coo | coos | cooing;
    tiger: roar | roars | roaring | growl; pigeon: coo | coos | cooing"""
)

_TOOL, _FRUIT = "tool | tools", "fruit | fruits"
_PLANT = "vegetable | vegetables | plant | root"
_SOUNDS, _SEAT = "instrument | instruments", "furniture"
_BEAST, _BIRD, _FISH = "animal | mammal", "bird | birds", "fish"
_WEAR, _RIDE = "clothing | clothes | garment | garments", "vehicle | vehicles | transportation"
_BUG, _FLOWER = "insect | insects", "flower | flowers | plant"

CATEGORY: Answers = table(
    f"""dog: {_BEAST} | pet; tiger: {_BEAST} | cat; rabbit: {_BEAST}; monkey: {_BEAST} | primate;
    banana: {_FRUIT}; cherry: {_FRUIT}; potato: {_PLANT} | tuber; onion: {_PLANT}; carrot: {_PLANT};
    cucumber: {_PLANT} | fruit; hammer: {_TOOL}; shovel: {_TOOL}; drill: {_TOOL}; piano: {_SOUNDS};
    violin: {_SOUNDS}; guitar: {_SOUNDS}; trumpet: {_SOUNDS}; chair: {_SEAT} | seat;
    table: {_SEAT}; sofa: {_SEAT} | seat | couch; shirt: {_WEAR}; jacket: {_WEAR};
    bicycle: {_RIDE} | bike; tractor: {_RIDE} | machine; truck: {_RIDE}; raven: {_BIRD};
    parrot: {_BIRD}; salmon: {_FISH}; tuna: {_FISH}; herring: {_FISH}; rose: {_FLOWER};
    tulip: {_FLOWER}; daisy: {_FLOWER}; diamond: gem | gemstone | stone | mineral | jewel;
    ruby: gem | gemstone | stone | mineral | jewel; poodle: dog | dogs; beagle: dog | dogs;
    sparrow: {_BIRD}; robin: {_BIRD}; penguin: {_BIRD}; shark: {_FISH}; trout: {_FISH};
    lizard: reptile | reptiles; crocodile: reptile | reptiles; cobra: snake | snakes | reptile;
    beetle: {_BUG}; mosquito: {_BUG} | fly; pine: tree | trees | conifer; birch: tree | trees;
    canoe: boat | boats; ferry: boat | ship | vessel; helicopter: aircraft | vehicle;
    rocket: spacecraft | vehicle; sword: weapon | weapons; pistol: gun | firearm | weapon | handgun;
    spoon: utensil | utensils | cutlery; hat: headwear | headgear | {_WEAR}; glove: {_WEAR};
    boot: footwear | shoe | shoes; drum: {_SOUNDS}; flute: {_SOUNDS}; harp: {_SOUNDS}; saw: {_TOOL};
    wrench: {_TOOL}; pear: {_FRUIT}; plum: {_FRUIT}; grape: {_FRUIT}; bean: {_PLANT} | legume;
    cabbage: {_PLANT}; wolf: {_BEAST} | canine; whale: {_BEAST}; spider: arachnid | arachnids |
    animal"""
)

PLURAL: Answers = table(
    """mouse: mice; child: children; foot: feet; tooth: teeth; goose: geese; man: men; woman: women;
    person: people | persons; leaf: leaves; knife: knives; wife: wives; life: lives; half: halves;
    wolf: wolves; city: cities; baby: babies; lady: ladies; party: parties; story: stories;
    box: boxes; church: churches; bus: buses | busses; dish: dishes; glass: glasses;
    potato: potatoes; tomato: tomatoes; hero: heroes; ox: oxen; cactus: cacti | cactuses;
    fungus: fungi | funguses; crisis: crises; analysis: analyses; shelf: shelves; thief: thieves;
    loaf: loaves; calf: calves; scarf: scarves | scarfs; watch: watches; fox: foxes;
    berry: berries; country: countries; family: families; penny: pennies | pence; book: books;
    tree: trees; house: houses; dog: dogs"""
)

#: Without verbs whose past form is the verb itself, or sounds like another word of the question.
PAST: Answers = table(
    """go: went; see: saw; eat: ate; run: ran; write: wrote; speak: spoke; take: took; give: gave;
    come: came; think: thought; buy: bought; bring: brought; catch: caught; teach: taught;
    sing: sang; swim: swam; drink: drank; begin: began; break: broke; choose: chose; drive: drove;
    fall: fell; fly: flew; forget: forgot; get: got; grow: grew; hear: heard; hide: hid; hold: held;
    keep: kept; know: knew; leave: left; lose: lost; make: made; meet: met; ride: rode; ring: rang;
    rise: rose; say: said; sell: sold; send: sent; shake: shook; sit: sat; sleep: slept; stand:
    stood; steal: stole; swear: swore; tell: told; throw: threw; wake: woke; wear: wore; win: won;
    walk: walked; play: played; stop: stopped; cry: cried"""
)
