"""The units that an answer may have: measures, currencies, and the things that word problems count.

In: words. Out: the unit that they name, its kind and its size. A list, and no pattern: a word that is not here, and
that the question does not count either, is read as a word.
"""

from __future__ import annotations

import re
from fractions import Fraction

from mlx_distill.evaluate.benchmarks.reading.numerals import listed

MEASURES: dict[str, dict[str, int | str]] = {
    "length": {
        "metre metres meter meters m mtr": 1,
        "kilometre kilometres kilometer kilometers km kms": 1000,
        "decimetre decimetres decimeter decimeters dm": "1/10",
        "centimetre centimetres centimeter centimeters cm cms": "1/100",
        "millimetre millimetres millimeter millimeters mm": "1/1000",
        'inch inches in in. "': "0.0254",
        "foot feet ft ft. '": "0.3048",
        "yard yards yd yds": "0.9144",
        "mile miles mi": "1609.344",
    },
    "mass": {
        "gram grams gramme grammes g gm gms": 1,
        "kilogram kilograms kilo kilos kg kgs": 1000,
        "milligram milligrams mg": "1/1000",
        "tonne tonnes": 10**6,
        "ton tons": "907184.74",
        "ounce ounces oz oz.": "28.349523125",
        "pound pounds lb lbs lb. lbs.": "453.59237",
    },
    "time": {
        "second seconds sec secs s": 1,
        "minute minutes min mins min.": 60,
        "hour hours hr hrs h hr.": 3600,
        "day days": 86400,
        "week weeks wk wks": 604800,
        "millisecond milliseconds ms": "1/1000",
    },
    "months": {"month months": 1, "year years yr yrs": 12, "decade decades": 120, "century centuries": 1200},
    "volume": {
        "litre litres liter liters l L": 1,
        "millilitre millilitres milliliter milliliters ml cc": "1/1000",
        "centilitre centilitres centiliter centiliters cl": "1/100",
    },
    "us volume": {
        "gallon gallons gal": 768,
        "quart quarts qt": 192,
        "pint pints pt": 96,
        "cup cups": 48,
        "tablespoon tablespoons tbsp": 3,
        "teaspoon teaspoons tsp": 1,
    },
    "dollars": {"dollar dollars usd $ us$ buck bucks": 1, "cent cents ¢": "1/100"},
    "angle": {"degree degrees deg °": 1},
}
ALONE = """euro euros eur €|pence penny pennies|rupee rupees rs rs. inr ₹ ₨|yen jpy ¥|yuan rmb cny|won ₩|rouble roubles
ruble rubles ₽|pound-sterling gbp £|peso pesos|franc francs chf|krona kronor krone kroner|percent percentage pct %|
celsius °c degc|fahrenheit °f degf|kelvin kelvins K|radian radians rad|acre acres|hectare hectares ha|mph|kmph kph kmh|
knot knots|watt watts W|kilowatt kilowatts kw|megawatt megawatts mw|joule joules J|kilojoule kilojoules kj|
calorie calories cal|kilocalorie kilocalories kcal|newton newtons N|pascal pascals pa|volt volts V|
ampere amperes amp amps|ohm ohms|hertz hz|mole moles mol|byte bytes|kilobyte kilobytes kb|megabyte megabytes mb|
gigabyte gigabytes gb|bit bits|unit units|point points pts|dozen dozens|pair pairs|item items|piece pieces pcs"""

COUNTED = """
account act action ad adult animal ant apple arrangement array arrow artist aunt babies baby bag baker ball balloon
banana bar barn baseball basket basketball battery bead bear bee beer bench benches bicycle bike bird biscuit blanket
block blossom blueberries blueberry boat bodies bolt bone book bottle bowl box boxes boy bracelet branch branches
bread brick brownie bucket bug building bulb burger bus buses bush bushes butterflies butterfly button cabin cactus
cage cake calf call calves camel can candies candle candy cap car card carpenter carrot carton case cat chair chapter
character cherries cherry chicken child children chip chocolate choice chore circle cities city class classes client
clock clown coach coat coffee coin color colour combination computer cone container contestant cookie copies copy
couple cow crab cracker crate crayon crop cube cucumber cupboard cupcake customer cut daughter deer dentist desk
dessert detective diamond dice digit dime dinner dish dishes disk doctor dog doll donut door doughnut dragon drawer
dress dresses drink duck ear earring edge egg elephant elf elves email employee engineer envelope episode eraser error
event exam eye face factor families family fan farmer feather female fence file finger fireman fish fishes flag flavor
flies flight floor flower fly forest fork fox foxes friend frog fruit game garden gem gift girl glass glasses goal
goat goldfish grade graduate grandchild grandchildren grape guest guitar gumball gumballs guppy guy hair hamburger
hand handle hat head heart hen herb hero hexagon hippo hobbit hole home hook horse hotdog hotel house husband ice
insect instrument integer invitation island jacket jar jelly jellybean jewel job journey juice jump key kid kite
kitten knife knives ladies lady lake lamb lamp lane lap laptop laugh leaf leaves leg lego lemon lesson letter lid lift
light line lion loaf loaves log lollipop lunch lunches machine magazine male man mango mangoes map marble mask mat
match matches meal meatball medal melon member men message mice microwave mistake mom monkey monster motorcycle mouse
mouses movie muffin mug mushroom nail necklace neighbor neighbour net newspaper nickel night notebook number nurse
octagon octopus office onion orange outcome outfit oven owl owner oyster pack package packet page painting pan pancake
panel paper parrot part participant parties party passenger path patient pattern peach peaches pear pebble pen pencil
penguin people pepper permutation person persons pet phone photo piano picture pie pig pill pillow pin pineapple
pirate pitcher pizza plane planet plant plate player playground plum pocket pokemon pole pond ponies pony pool
possibilities possibility post pot potato potatoes potted present prime prize problem pumpkin pupil puppies puppy
puzzle queen question quilt rabbit raffle raisin raspberries raspberry rat recipe record rectangle rhombus ribbon
rider ring river road robot rock roll roof room root rope rose round row ruler sack sail salad sale sample sandwich
sandwiches sausage scarf scarves school scientist scoop screen screw sculpture seashell seat section seed seller
seminar sentence serving shark sheep sheet shelf shell shelves ship shirt shoe shop shot shrimp sibling side signature
sister skirt slice slipper snack snake snowball snowman snowmen soap sock soldier solution son song soup spider spoon
spot square staff stall stamp star statue steak step stick sticker stitch stitches stone stop store stories story
strawberries strawberry street string strip stripe student subset suit suitcase sunflower survey sweater sweet swimmer
syllable symbol table tail tank team teapot teenager teeth tent term test theater thief thieves thing ticket tie tile
time tire toe token tomato tomatoes tool tooth topping toppings tourist towel toy train tray tree triangle trip
trophies trophy truck tube tulip turkey turn turtle twin tyre umbrella uncle unicorn uniform vacation value van vase
vegetable vehicle vertex vertices video violin visit visitor volunteer vote wagon wall wallet walnut watch watches way
wheel wife window wing winner wire wish wishes wives wolf wolves woman women word worker wrench yogurt zebra zone zoo"""

AFTER = frozenset(
    listed("each total altogether left remaining old long tall wide high deep away apart only exactly in all")
)
"""What may stand behind a unit and changes nothing: years old, apples in total."""

BEFORE = frozenset(listed("about approximately approx around roughly only exactly just"))

AREAS = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3, "cu.": 3}
POWERS = {"squared": 2, "cubed": 3}

Unit = tuple[tuple[str, int], ...]
"""Names and their powers, in order: km/h is (("hour", -1), ("kilometre", 1)). () is none."""


IRREGULAR = """children:child people:person persons:person mice:mouse men:man women:woman firemen:fireman
snowmen:snowman teeth:tooth leaves:leaf shelves:shelf wolves:wolf vertices:vertex knives:knife loaves:loaf
calves:calf elves:elf thieves:thief wives:wife scarves:scarf grandchildren:grandchild dice:die"""


def _names() -> dict[str, str]:
    """Every word that is a unit, with the unit's name."""
    names = {word: words.split()[0] for measures in MEASURES.values() for words in measures for word in words.split()}
    names |= {word: group.split()[0] for group in ALONE.split("|") for word in group.split()}
    for word in COUNTED.split():
        names.setdefault(word, singular(word))
        names.setdefault(f"{word}s", singular(word))
    return names | dict(pair.split(":") for pair in IRREGULAR.split())


def singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses", "oes")):
        return word[:-2]
    return word if word.endswith(("ss", "us")) else word.removesuffix("s")


NAMES = _names()
SIZES = {
    words.split()[0]: (kind, Fraction(size)) for kind, measures in MEASURES.items() for words, size in measures.items()
}


def named(word: str, counted: frozenset[str] = frozenset()) -> str | None:
    """The unit of a word, None where it is none. `counted`: what the question counts, in the singular."""
    if word in NAMES:
        return NAMES[word]
    single = singular(word)
    return single if word in counted or single in counted else None


def size(unit: Unit) -> tuple[tuple[tuple[str, int], ...], Fraction]:
    """What kind of thing it measures, and how many of that kind's first unit it is."""
    kinds: dict[str, int] = {}
    factor = Fraction(1)
    for name, power in unit:
        kind, one = SIZES.get(name, (name, Fraction(1)))
        kinds[kind] = kinds.get(kind, 0) + power
        factor *= one**power
    return tuple(sorted((kind, power) for kind, power in kinds.items() if power)), factor


HOW_MANY = re.compile(r"\b(?:how many|number of|how much|many)\s+((?:[a-z-]+\s+){0,2}[a-z-]+)")
NO_THING = frozenset(
    listed(
        "a an the of in on at to is are was were do does did can could will would has have had it he she they we you i "
        "not no more less fewer than below above under over before after minus plus negative times per each percent "
        "different total possible such there these those that this out and or with by for from thousand million"
    )
)
"""What follows "how many" and is no thing."""


def counted(question: str) -> frozenset[str]:
    """The things that a question counts, in its words and in the singular: how many red eggs gives red, eggs, egg."""
    words = {word for match in HOW_MANY.finditer(question.lower()) for word in match[1].split()} - NO_THING
    return frozenset(words | {singular(word) for word in words})
