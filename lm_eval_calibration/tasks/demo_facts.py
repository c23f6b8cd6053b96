"""Tables of plain facts from which :mod:`lm_eval_calibration.tasks.demo` makes its questions.

Every table is a block of text: one fact per line or, where facts are short, several per line
parted by ``;``. The cells of a fact are parted by ``|``. A cell ``-`` means *do not ask*: the fact
has more than one defensible answer (two capitals, two continents), so it is left out.

In `OPPOSITES` and `YOUNG` the first cell is asked, the second is the answer, and any further cell
is a word of the same table that would be right or nearly right too, hence is never offered as a
wrong option.
"""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """What is asked and what is right, before options are drawn and placed.

    `subject` is what the fact is about ("country France"): facts about one subject go to the same
    split. `wrong` holds at least four wrong answers. `text` may contain `{listed}`, which stands
    for the options in their order.
    """

    topic: str
    subject: str
    text: str
    answer: str
    wrong: tuple[str, ...]


class Country(NamedTuple):
    """One country; an empty string marks a property that is not asked."""

    name: str
    capital: str
    continent: str
    currency: str
    language: str


class Element(NamedTuple):
    """One chemical element."""

    name: str
    symbol: str
    number: int


class Unit(NamedTuple):
    """`factor` of the small unit make one large unit; all names are given in full."""

    small: str
    large: str
    larges: str
    factor: int


def _table(block: str) -> tuple[tuple[str, ...], ...]:
    """Rows of cells of a text block; `-` becomes the empty string."""
    rows = (row for row in block.replace("\n", ";").split(";") if row.strip())
    return tuple(tuple(cell.strip(" -") for cell in row.split("|")) for row in rows)


COUNTRIES = tuple(
    Country(*row)
    for row in _table("""
Afghanistan | Kabul | Asia | afghani | -
Albania | Tirana | Europe | lek | Albanian
Algeria | Algiers | Africa | dinar | -
Angola | Luanda | Africa | kwanza | Portuguese
Argentina | Buenos Aires | South America | peso | Spanish
Armenia | Yerevan | - | dram | Armenian
Australia | Canberra | - | dollar | English
Austria | Vienna | Europe | euro | German
Bangladesh | Dhaka | Asia | taka | Bengali
Belgium | Brussels | Europe | euro | -
Bolivia | - | South America | boliviano | -
Brazil | Brasilia | South America | real | Portuguese
Bulgaria | Sofia | Europe | - | Bulgarian
Canada | Ottawa | North America | dollar | -
Chile | Santiago | South America | peso | Spanish
China | Beijing | Asia | yuan | Chinese
Colombia | Bogota | South America | peso | Spanish
Cuba | Havana | North America | peso | Spanish
Denmark | Copenhagen | Europe | krone | Danish
Ecuador | Quito | South America | - | Spanish
Ethiopia | Addis Ababa | Africa | birr | -
Finland | Helsinki | Europe | euro | -
France | Paris | - | euro | French
Germany | Berlin | Europe | euro | German
Ghana | Accra | Africa | cedi | -
Greece | Athens | Europe | euro | Greek
Guatemala | - | North America | quetzal | Spanish
Hungary | Budapest | Europe | forint | Hungarian
Iceland | Reykjavik | Europe | - | Icelandic
India | New Delhi | Asia | rupee | -
Iran | Tehran | Asia | - | Persian
Iraq | Baghdad | Asia | dinar | Arabic
Ireland | Dublin | Europe | euro | -
Italy | Rome | Europe | euro | Italian
Jamaica | Kingston | North America | dollar | -
Japan | Tokyo | Asia | yen | Japanese
Jordan | Amman | Asia | dinar | Arabic
Kenya | Nairobi | Africa | shilling | -
Malaysia | - | Asia | ringgit | -
Mexico | Mexico City | North America | peso | Spanish
Mongolia | Ulaanbaatar | Asia | tugrik | Mongolian
Morocco | Rabat | Africa | dirham | -
Nepal | Kathmandu | Asia | rupee | Nepali
the Netherlands | Amsterdam | - | euro | Dutch
New Zealand | Wellington | - | dollar | English
Nigeria | Abuja | Africa | naira | -
Norway | Oslo | Europe | krone | Norwegian
Pakistan | Islamabad | Asia | rupee | -
Paraguay | Asuncion | South America | guarani | -
Peru | Lima | South America | sol | Spanish
the Philippines | Manila | - | peso | -
Poland | Warsaw | Europe | zloty | Polish
Portugal | Lisbon | Europe | euro | Portuguese
Romania | Bucharest | Europe | leu | Romanian
Russia | Moscow | - | ruble | Russian
Rwanda | Kigali | Africa | franc | -
Saudi Arabia | Riyadh | Asia | - | Arabic
Serbia | Belgrade | Europe | dinar | -
South Africa | - | Africa | rand | -
South Korea | Seoul | Asia | won | Korean
Spain | Madrid | - | euro | Spanish
Sweden | Stockholm | Europe | - | Swedish
Switzerland | - | Europe | franc | -
Thailand | Bangkok | Asia | baht | Thai
Turkey | Ankara | - | lira | Turkish
Uganda | Kampala | Africa | shilling | -
Ukraine | Kyiv | Europe | hryvnia | -
the United Kingdom | London | Europe | pound | English
the United States | Washington, D.C. | North America | dollar | English
Uruguay | Montevideo | South America | peso | Spanish
Vietnam | Hanoi | Asia | dong | Vietnamese
Zambia | Lusaka | Africa | kwacha | -
""")
)

ELEMENTS = tuple(
    Element(name, symbol, int(number))
    for name, symbol, number in _table("""
hydrogen | H | 1; helium | He | 2; lithium | Li | 3; beryllium | Be | 4; boron | B | 5
carbon | C | 6; nitrogen | N | 7; oxygen | O | 8; fluorine | F | 9; neon | Ne | 10
sodium | Na | 11; magnesium | Mg | 12; aluminum | Al | 13; silicon | Si | 14
phosphorus | P | 15; sulfur | S | 16; chlorine | Cl | 17; argon | Ar | 18; potassium | K | 19
calcium | Ca | 20; titanium | Ti | 22; chromium | Cr | 24; manganese | Mn | 25; iron | Fe | 26
cobalt | Co | 27; nickel | Ni | 28; copper | Cu | 29; zinc | Zn | 30; bromine | Br | 35
silver | Ag | 47; tin | Sn | 50; iodine | I | 53; tungsten | W | 74; platinum | Pt | 78
gold | Au | 79; mercury | Hg | 80; lead | Pb | 82; uranium | U | 92
""")
)

UNITS = tuple(
    Unit(small, large, larges, int(factor))
    for small, large, larges, factor in _table("""
seconds | minute | minutes | 60; minutes | hour | hours | 60; hours | day | days | 24
days | week | weeks | 7; months | year | years | 12; years | decade | decades | 10
years | century | centuries | 100; years | millennium | millennia | 1000
inches | foot | feet | 12; feet | yard | yards | 3; feet | mile | miles | 5280
millimeters | centimeter | centimeters | 10; centimeters | meter | meters | 100
meters | kilometer | kilometers | 1000; milligrams | gram | grams | 1000
grams | kilogram | kilograms | 1000; dimes | dollar | dollars | 10
milliliters | liter | liters | 1000; pints | quart | quarts | 2; quarts | gallon | gallons | 4
eggs | dozen | dozen | 12; degrees | right angle | right angles | 90
degrees | full circle | full circles | 360; nickels | dollar | dollars | 20
""")
)

# Grouped by word class, so that the wrong options are words of the same class.
OPPOSITES = tuple(
    _table(block)
    for block in (
        """
hot | cold; big | small | narrow; fast | slow; early | late; full | empty; rich | poor | empty
strong | weak | loose | poor; clean | dirty; loud | quiet | low; high | low | shallow
deep | shallow | low; wide | narrow | small; happy | sad; alive | dead | asleep; true | false
wet | dry; rough | smooth; ancient | modern; cheap | expensive; polite | rude | blunt
guilty | innocent; permanent | temporary; transparent | opaque; arrogant | humble
scarce | abundant; brave | cowardly | weak; safe | dangerous; tight | loose
sharp | blunt | smooth; awake | asleep | dead; horizontal | vertical
""",
        """
push | pull; win | lose | fail; buy | sell; arrive | depart; love | hate | reject
remember | forget | lose; increase | decrease | contract; expand | contract | decrease
attack | defend; laugh | cry; accept | reject; build | destroy; succeed | fail | lose
ascend | descend; reveal | conceal
""",
        """
day | night; friend | enemy; victory | defeat | loss; peace | war; summer | winter
question | answer; top | bottom | minimum; entrance | exit; maximum | minimum | bottom
predator | prey; north | south; east | west; birth | death; profit | loss | defeat
""",
    )
)

# Only nouns with one plural in general use ("cactus", "person" or "leaf" have two).
PLURALS = tuple(
    (singular, plural)
    for singular, plural in _table("""
child | children; man | men; woman | women; tooth | teeth; foot | feet; goose | geese
knife | knives; wife | wives; wolf | wolves; thief | thieves; shelf | shelves; loaf | loaves
sheep | sheep; moose | moose; aircraft | aircraft; city | cities; baby | babies; story | stories
party | parties; cherry | cherries; boy | boys; donkey | donkeys; box | boxes; church | churches
brush | brushes; glass | glasses; potato | potatoes; tomato | tomatoes; crisis | crises
oasis | oases; diagnosis | diagnoses; hypothesis | hypotheses; bacterium | bacteria
alumnus | alumni
""")
)

YOUNG = _table("""
cat | kitten; dog | puppy | pup; cow | calf; horse | foal; donkey | foal; sheep | lamb
pig | piglet; goat | kid; bear | cub; lion | cub | kitten; tiger | cub | kitten; elephant | calf
whale | calf; giraffe | calf; dolphin | calf | pup; camel | calf | cria; llama | cria
kangaroo | joey; koala | joey; seal | pup | puppy | calf | cub; bat | pup | puppy
duck | duckling | chick; goose | gosling | chick; swan | cygnet | chick
owl | owlet | chick; eagle | eaglet | chick; turkey | poult | chick; pigeon | squab | chick
chicken | chick; penguin | chick; frog | tadpole; toad | tadpole; deer | fawn | calf | kid
butterfly | caterpillar; hare | leveret | kitten; eel | elver; spider | spiderling
""")

COUNTS = tuple(
    (question, subject, int(number))
    for question, subject, number in _table("""
How many sides does a triangle have? | triangle | 3
How many sides does a pentagon have? | pentagon | 5
How many sides does a hexagon have? | hexagon | 6
How many sides does a heptagon have? | heptagon | 7
How many sides does an octagon have? | octagon | 8
How many sides does a nonagon have? | nonagon | 9
How many sides does a decagon have? | decagon | 10
How many faces does a cube have? | cube | 6
How many edges does a cube have? | cube | 12
How many corners does a cube have? | cube | 8
How many legs does a spider have? | spider | 8
How many legs does an ant have? | ant | 6
How many legs does a chicken have? | chicken | 2
How many arms does an octopus have? | octopus | 8
How many hearts does an octopus have? | octopus | 3
How many wings does a butterfly have? | butterfly | 4
How many wheels does a tricycle have? | tricycle | 3
How many strings does a violin have? | violin | 4
How many strings does a standard guitar have? | guitar | 6
How many keys does a standard piano have? | piano | 88
How many black keys does a standard piano have? | piano | 36
How many letters are in the modern English alphabet? | English alphabet | 26
How many letters are in the modern Greek alphabet? | Greek alphabet | 24
How many squares of one color are on a chessboard? | chess | 32
How many pawns does each player have at the start of a game of chess? | chess | 8
How many cards are in a standard deck without jokers? | cards | 52
How many suits are in a standard deck of cards? | cards | 4
How many rings are in the Olympic symbol? | Olympic symbol | 5
How many signs are in the Western zodiac? | zodiac | 12
How many lines does a sonnet have? | sonnet | 14
How many lines does a limerick have? | limerick | 5
How many holes are in a full round of golf? | golf | 18
How many chambers does a human heart have? | human heart | 4
How many players does a soccer team have on the field? | soccer | 11
How many players does a basketball team have on the court? | basketball | 5
""")
)

PLANETS, DAYS, MONTHS, ORDINALS = _table("""
Mercury | Venus | Earth | Mars | Jupiter | Saturn | Uranus | Neptune
Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
January|February|March|April|May|June|July|August|September|October|November|December
first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth
""")

# Ten groups of five words: no word is used twice.
WORDS = _table("""
apple | bread | candle | door | eagle; garden | hammer | island | jacket | kettle
lemon | mirror | needle | ocean | paper; river | spoon | table | umbrella | violin
basket | bottle | bridge | button | brother; castle | circle | cloud | copper | cradle
market | meadow | metal | minute | monkey; pencil | pepper | pillow | planet | pocket
stable | stamp | station | stone | storm; trace | track | trade | train | travel
""")
