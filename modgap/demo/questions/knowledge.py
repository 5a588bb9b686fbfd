"""Answers about works and people, and the words for what is described."""

from __future__ import annotations

from modgap.demo.questions.tables import Answers, table

__all__ = [
    "AUTHOR", "BODY", "INVENTOR", "JOB", "PAINTER", "PERSON", "PLACE", "SPORT", "STUDY", "TOOL",
]  # fmt: skip

AUTHOR: Answers = table(
    """Hamlet: Shakespeare; Macbeth: Shakespeare; Romeo and Juliet: Shakespeare;
    Don Quixote: Cervantes; War and Peace: Tolstoy; Anna Karenina: Tolstoy; Moby Dick: Melville;
    Oliver Twist: Dickens; Great Expectations: Dickens; A Christmas Carol: Dickens;
    Pride and Prejudice: Austen; Emma: Austen; Jane Eyre: Bronte; Wuthering Heights: Bronte;
    Frankenstein: Shelley; Dracula: Stoker; Ulysses: Joyce; The Odyssey: Homer; The Iliad: Homer;
    The Divine Comedy: Dante; Faust: Goethe; Les Miserables: Hugo; The Three Musketeers: Dumas;
    Treasure Island: Stevenson; Robinson Crusoe: Defoe; Gulliver's Travels: Swift;
    Alice in Wonderland: Carroll; The Jungle Book: Kipling; Peter Pan: Barrie;
    Winnie the Pooh: Milne; The Hobbit: Tolkien; Harry Potter: Rowling;
    The Great Gatsby: Fitzgerald; The Old Man and the Sea: Hemingway;
    The Grapes of Wrath: Steinbeck; To Kill a Mockingbird: Harper Lee | Lee;
    The Catcher in the Rye: Salinger; Animal Farm: Orwell; Brave New World: Huxley;
    Lolita: Nabokov"""
)

_PHYSICS = "physicist | scientist | physics"
_MATHS = "mathematician | mathematics"
_MUSIC = "composer | musician | pianist"
_PAINT = "painter | artist"
_POET = "poet | writer | author"
_WRITE = "writer | author | novelist"
_THINK = "philosopher | philosophy"
_RULE = "president | politician | statesman | leader"
_FOUND = "explorer | navigator | sailor"

#: Person: what he or she was.
PERSON: Answers = table(
    f"""Albert Einstein: {_PHYSICS}; Isaac Newton: {_PHYSICS} | {_MATHS}; Galileo: astronomer |
    {_PHYSICS}; Marie Curie: {_PHYSICS} | chemist; Charles Darwin: naturalist | biologist |
    scientist;
    Nikola Tesla: inventor | engineer; Thomas Edison: inventor | businessman; Stephen Hawking:
    {_PHYSICS} | cosmologist; Louis Pasteur: chemist | microbiologist | scientist | biologist;
    Niels Bohr: {_PHYSICS}; Max Planck: {_PHYSICS}; Nicolaus Copernicus: astronomer | {_MATHS};
    Johannes Kepler: astronomer | {_MATHS}; Euclid: {_MATHS}; Pythagoras: {_MATHS} | philosopher;
    Archimedes: {_MATHS} | inventor | scientist; Alan Turing: {_MATHS} | computer scientist;
    Ada Lovelace: {_MATHS} | programmer | writer; Mozart: {_MUSIC}; Beethoven: {_MUSIC};
    Johann Sebastian Bach: {_MUSIC} | organist; Chopin: {_MUSIC}; Vivaldi: {_MUSIC} | violinist;
    Tchaikovsky: {_MUSIC}; Brahms: {_MUSIC}; Schubert: {_MUSIC}; Haydn: {_MUSIC}; Handel: {_MUSIC};
    Vincent van Gogh: {_PAINT}; Pablo Picasso: {_PAINT} | sculptor; Claude Monet: {_PAINT};
    Rembrandt: {_PAINT}; Leonardo da Vinci: {_PAINT} | inventor | polymath;
    Michelangelo: {_PAINT} | sculptor; Salvador Dali: {_PAINT}; Frida Kahlo: {_PAINT};
    Raphael: {_PAINT}; Paul Cezanne: {_PAINT}; William Shakespeare: playwright | {_POET};
    Charles Dickens: {_WRITE}; Jane Austen: {_WRITE}; Mark Twain: {_WRITE} | humorist;
    Ernest Hemingway: {_WRITE} | journalist; Leo Tolstoy: {_WRITE}; Agatha Christie: {_WRITE};
    Victor Hugo: {_WRITE} | poet; Virginia Woolf: {_WRITE}; George Orwell: {_WRITE} | journalist;
    Franz Kafka: {_WRITE}; Oscar Wilde: playwright | {_POET}; Edgar Allan Poe: {_POET};
    Emily Dickinson: {_POET}; Homer: {_POET}; Dante: {_POET}; Walt Whitman: {_POET};
    Robert Frost: {_POET}; Plato: {_THINK}; Aristotle: {_THINK}; Socrates: {_THINK};
    Immanuel Kant: {_THINK}; Descartes: {_THINK} | {_MATHS}; Nietzsche: {_THINK}; Confucius:
    {_THINK}
    | teacher; John Locke: {_THINK}; Karl Marx: {_THINK} | economist;
    Abraham Lincoln: {_RULE} | lawyer; George Washington: {_RULE} | general;
    Thomas Jefferson: {_RULE}; John F. Kennedy: {_RULE}; Barack Obama: {_RULE} | lawyer;
    Winston Churchill: prime minister | {_RULE}; Nelson Mandela: activist | {_RULE};
    Martin Luther King: activist | minister | leader | pastor; Mahatma Gandhi: activist | lawyer |
    leader; Christopher Columbus: {_FOUND}; Marco Polo: {_FOUND} | merchant | traveler;
    Vasco da Gama: {_FOUND}; James Cook: {_FOUND} | captain | cartographer;
    Neil Armstrong: astronaut | pilot; Yuri Gagarin: cosmonaut | astronaut | pilot; Amelia Earhart:
    pilot | aviator; Florence Nightingale: nurse; Sigmund Freud: psychoanalyst | psychologist |
    neurologist | psychiatrist; Julius Caesar: general | emperor | politician | leader | dictator;
    Napoleon: emperor | general | leader | commander; Alexander the Great: king | conqueror |
    general | leader | ruler; Cleopatra: queen | ruler | pharaoh; Queen Victoria: monarch | ruler;
    Charlie Chaplin: actor | comedian | filmmaker; Marilyn Monroe: actress | model | singer;
    Walt Disney: animator | filmmaker | producer | entrepreneur | businessman | cartoonist;
    Alfred Hitchcock: director | filmmaker; Steven Spielberg: director | filmmaker;
    Elvis Presley: singer | musician; Michael Jackson: singer | musician | entertainer | dancer;
    Louis Armstrong: musician | trumpeter | singer; Bob Dylan: singer | songwriter | musician;
    Coco Chanel: designer; Adam Smith: economist | philosopher"""
)

INVENTOR: Answers = table(
    """the telephone: Bell; the light bulb: Edison; the phonograph: Edison; the printing press:
    Gutenberg; dynamite: Nobel; the cotton gin: Whitney; the radio: Marconi | Tesla;
    the World Wide Web: Berners-Lee; the airplane: Wright; the theory of relativity: Einstein;
    penicillin: Fleming; the law of gravity: Newton; the polio vaccine: Salk | Sabin;
    the theory of evolution: Darwin | Wallace; radium: Curie; the assembly line for cars: Ford;
    X-rays: Rontgen | Roentgen; the steam engine: Watt | Newcomen | Savery;
    the battery: Volta; the electric telegraph code of dots and dashes: Morse;
    the reading system for blind people: Braille; the smallpox vaccine: Jenner;
    the laws of planetary motion: Kepler; psychoanalysis: Freud; the periodic table: Mendeleev"""
)

PAINTER: Answers = table(
    """the Mona Lisa: Leonardo | da Vinci; The Starry Night: van Gogh; Guernica: Picasso;
    The Last Supper: Leonardo | da Vinci; The Scream: Munch; the ceiling of the Sistine Chapel:
    Michelangelo; The Night Watch: Rembrandt; Girl with a Pearl Earring: Vermeer;
    The Birth of Venus: Botticelli; Water Lilies: Monet; The Persistence of Memory: Dali;
    American Gothic: Wood; The Kiss: Klimt; Sunflowers: van Gogh; The School of Athens: Raphael;
    The Potato Eaters: van Gogh; Campbell's Soup Cans: Warhol; The Creation of Adam: Michelangelo"""
)

SPORT: Answers = table(
    """Michael Jordan: basketball; LeBron James: basketball; Kobe Bryant: basketball; Shaquille
    O'Neal: basketball; Larry Bird: basketball; Magic Johnson: basketball; Stephen Curry:
    basketball;
    Babe Ruth: baseball; Jackie Robinson: baseball; Hank Aaron: baseball; Joe DiMaggio: baseball;
    Pele: soccer | football; Lionel Messi: soccer | football; Cristiano Ronaldo: soccer | football;
    Diego Maradona: soccer | football; David Beckham: soccer | football; Zinedine Zidane: soccer |
    football; Serena Williams: tennis; Venus Williams: tennis; Roger Federer: tennis;
    Rafael Nadal: tennis; Novak Djokovic: tennis; Andre Agassi: tennis; Steffi Graf: tennis;
    Tiger Woods: golf; Jack Nicklaus: golf; Arnold Palmer: golf; Muhammad Ali: boxing;
    Mike Tyson: boxing; Joe Frazier: boxing; George Foreman: boxing; Wayne Gretzky: hockey;
    Bobby Orr: hockey; Tom Brady: football; Joe Montana: football; Peyton Manning: football;
    Usain Bolt: sprinting | track | running | athletics; Carl Lewis: track | sprinting | athletics |
    running; Michael Phelps: swimming; Mark Spitz: swimming; Simone Biles: gymnastics; Nadia
    Comaneci:
    gymnastics; Lance Armstrong: cycling; Tony Hawk: skateboarding; Garry Kasparov: chess; Bobby
    Fischer: chess; Magnus Carlsen: chess; Sachin Tendulkar: cricket; Michael Schumacher: racing |
    Formula One | Formula 1; Lewis Hamilton: racing | Formula One | Formula 1; Kelly Slater:
    surfing"""
)

#: What is studied: the science.
STUDY: Answers = table(
    """animals: zoology; plants: botany; stars and planets: astronomy; rocks: geology | petrology;
    the weather: meteorology; the mind and behavior: psychology; human societies: sociology |
    anthropology; earthquakes: seismology; insects: entomology; birds: ornithology; fish:
    ichthyology; fossils: paleontology; language: linguistics; the heart: cardiology; the skin:
    dermatology; the brain and nerves: neurology | neuroscience; cells: cytology | biology; blood:
    hematology; poisons: toxicology; viruses: virology; bacteria: bacteriology | microbiology;
    fungi: mycology; genes and heredity: genetics; maps: cartography; cancer: oncology; the oceans:
    oceanography; ancient ruins and artifacts: archaeology | archeology; numbers and shapes:
    mathematics | math | geometry; money and markets: economics | finance; living things: biology;
    matter and energy: physics; substances and their reactions: chemistry; right and wrong: ethics;
    governments: political science | politics; volcanoes: volcanology; reptiles: herpetology;
    climate: climatology; the universe as a whole: cosmology; the structure of the body: anatomy;
    diseases: pathology | epidemiology; soil: pedology | soil science; words and their origins:
    etymology; living things and their environment: ecology; the past: history; teeth: dentistry |
    odontology; the eyes: ophthalmology; crime: criminology; drugs and medicines: pharmacology"""
)

#: What somebody does: the profession.
JOB: Answers = table(
    """teaches students: teacher | professor | educator; flies planes: pilot; cuts hair: barber |
    hairdresser | hairstylist | stylist; fixes pipes: plumber; grows crops: farmer; bakes bread:
    baker; paints pictures: painter | artist; writes books: author | writer; puts out fires:
    firefighter | fireman; takes care of teeth: dentist; treats sick animals: veterinarian | vet;
    designs buildings: architect; builds things of wood: carpenter; repairs cars: mechanic;
    catches fish: fisherman | fisher; makes clothes: tailor | seamstress | dressmaker; sells meat:
    butcher; sells flowers: florist; plays the piano: pianist; plays the violin: violinist; plays
    the drums: drummer; acts in movies: actor | actress; writes music: composer | songwriter; sings
    songs: singer | vocalist; takes photographs: photographer; performs operations: surgeon;
    drives a taxi: driver; works with electrical wires: electrician; travels into space: astronaut;
    studies the stars: astronomer; writes news stories: journalist | reporter; defends people in
    court: lawyer | attorney; decides cases in court: judge; cooks in a restaurant: chef | cook;
    serves food in a restaurant: waiter | waitress | server; delivers letters: mailman | postman |
    mail carrier | postal worker; works in a library: librarian; makes jewelry: jeweler |
    goldsmith; arrests criminals: police | policeman | officer; writes poems: poet; makes statues:
    sculptor; digs for coal: miner; tells jokes on stage: comedian; does magic tricks: magician;
    translates languages: translator | interpreter; writes computer programs: programmer |
    developer | software engineer; makes maps: cartographer; sells medicine: pharmacist; cleans
    chimneys: chimney sweep; makes shoes: shoemaker | cobbler; leads an orchestra: conductor; rides
    horses in races: jockey; studies plants: botanist; studies animals: zoologist; keeps bees:
    beekeeper | apiarist; lays bricks: bricklayer | mason; looks after sheep: shepherd; commands a
    ship: captain; trains athletes: coach | trainer; digs up ancient ruins: archaeologist"""
)

#: What it does: the part of the body.
BODY: Answers = table(
    """pumps blood: heart; digests food: stomach | intestine | intestines; breathes air: lungs |
    lung;
    thinks: brain; filters the blood: kidneys | kidney | liver; sees light: eyes | eye | retina;
    hears sounds: ears | ear | cochlea; smells odors: nose; tastes food: tongue | mouth;
    covers the whole body: skin; supports the body from inside: skeleton | bones | spine;
    chews food: teeth | mouth | jaw; carries blood back to the heart: veins | vein;
    holds urine: bladder; makes bile: liver; makes insulin: pancreas; protects the brain: skull |
    cranium; protects the heart and lungs: ribs | rib cage | ribcage; joins the arm to the body:
    shoulder; joins the foot to the leg: ankle; joins the hand to the arm: wrist; bends in the
    middle of the leg: knee; bends in the middle of the arm: elbow; holds up the head: neck;
    carries signals from the brain: nerves | nerve | spinal cord; carries oxygen in the blood:
    red blood cells | hemoglobin"""
)

#: What is done with it: the tool.
TOOL: Answers = table(
    """drive nails into wood: hammer; measure temperature: thermometer; look at the stars:
    telescope; look at very small things: microscope; cut paper: scissors; tell the time: clock |
    watch; find north: compass; sweep the floor: broom; cut wood: saw | chainsaw | axe; dig a hole:
    shovel | spade; sew clothes: needle | sewing machine; stay dry in the rain: umbrella |
    raincoat; take photographs: camera; write on paper: pen | pencil; brush your teeth:
    toothbrush; untangle your hair: comb | brush | hairbrush; eat soup: spoon; unlock a door: key;
    turn a screw:
    screwdriver; boil water for tea: kettle; keep food cold: refrigerator | fridge | freezer;
    bake a cake: oven; see yourself: mirror; climb to a high place: ladder; weigh yourself: scale |
    scales; dry yourself after a bath: towel; light a candle: match | matches | lighter; open a
    bottle of wine: corkscrew; cut bread: knife; measure a short line: ruler; add up large numbers:
    calculator; press wrinkled clothes: iron; listen to a heartbeat: stethoscope; catch fish: rod |
    net |
    hook; paint a picture: brush | paintbrush; gather fallen leaves: rake; water the garden: hose |
    watering can | sprinkler; look up the meaning of a word: dictionary; cross a river in the
    water: boat | canoe | raft; mail a letter: envelope | stamp; protect your head on a bicycle:
    helmet; wash your hands: soap; jump safely out of a plane: parachute; measure air pressure:
    barometer; sleep on at night: bed | mattress; sit on at a table: chair; chop down a tree: axe |
    ax | chainsaw | saw; tighten a bolt: wrench | spanner; pull out a nail: hammer | pliers | pry
    bar | crowbar; draw a circle: compass"""
)

#: What somebody does there: the place.
PLACE: Answers = table(
    """borrow books: library; buy bread: bakery; see a doctor: hospital | clinic; mail a letter:
    post
    office; watch a movie: cinema | theater | theatre; catch a plane: airport; catch a train:
    station; learn as a child: school; see wild animals in cages: zoo; see old paintings: museum |
    gallery; keep money: bank; buy medicine: pharmacy | drugstore; eat a meal that others cook:
    restaurant | cafe; sleep on a trip: hotel | motel | inn; wash clothes with coins: laundromat |
    laundry; fill the car with gasoline: gas station | station; pray as a Christian: church;
    pray as a Muslim: mosque; pray as a Jew: synagogue; study for a degree: university | college;
    lock up criminals: prison | jail; bury the dead: cemetery | graveyard; grow vegetables: garden |
    farm | greenhouse; swim indoors: pool; lift weights: gym; buy meat: butcher | butcher's |
    market;
    buy flowers: florist | flower shop; see fish behind glass: aquarium; look at the stars through a
    telescope: observatory | planetarium; keep cows and pigs: farm | barn; park a car at home:
    garage | driveway; cook a meal at home: kitchen; take a shower: bathroom; make wine: winery |
    vineyard; make beer: brewery; hear a judge decide a case: court | courtroom | courthouse;
    see a play: theater | theatre; bring a ship to land: harbor | port | dock | harbour; build cars:
    factory; get a haircut: barber | barbershop | salon | barber's"""
)
