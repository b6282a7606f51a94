"""The units that an answer may have: measures, currencies, and the things that word problems count.

In: words. Out: the unit that they name, its kind and its size. A list, and no pattern: a word that is not here, and
that the question does not count either, is read as a word.
"""

from __future__ import annotations

import re
from fractions import Fraction

MEASURES = {
    "length": {
        "metre metres meter meters m mtr": 1,
        "kilometre kilometres kilometer kilometers km kms": 1000,
        "decimetre decimetres decimeter decimeters dm": "1/10",
        "centimetre centimetres centimeter centimeters cm cms": "1/100",
        "millimetre millimetres millimeter millimeters mm": "1/1000",
        "inch inches in in. \"": "0.0254",
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

COUNTED = """adult animal ant apple arrangement arrow bag ball balloon banana bar basket battery bead bear bee beer bird
biscuit blanket block blossom boat bone book bottle bowl box boxes boy bracelet branch branches bread brick brownie bucket bug
building bus buses bush bushes button cake call camel can candle candy candies car card carrot carton case cat chair chicken
child children chip chocolate choice class classes client clock clown coin color colour combination computer container
cookie copy copies couple cow cracker crate crayon cube cupcake customer cut desk diamond digit dime dish dishes doctor dog
doll donut door doughnut dress dresses drink duck edge egg elephant email employee engineer episode eraser error event
exam face factor family families fan farmer female file fish fishes flag flight floor flower fly flies fox foxes friend frog
fruit game gift girl glass glasses goal goat grape guest guitar gumball hamburger hat head hen hole horse hotdog house
hotel insect instrument integer invitation jar jelly jewel job kid kitten lamp laptop laugh lap leaf leaves leg lemon
lesson letter light line lion lollipop machine magazine male man men marble match matches meal medal member message
mistake monkey mouse mouses mice movie muffin mug nail necklace newspaper nickel notebook number nurse orange outcome outfit
owl pack package packet page painting pancake panel paper parrot part participant party parties passenger path patient
peach peaches pear pebble pen pencil penguin pepper people person persons pet phone photo picture pie pig pill pillow pitcher
pizza plane plant plate player plum pokemon pony ponies possibility possibilities post potato potatoes present
prime prize problem pumpkin pupil puppy puppies puzzle question rabbit raffle rat recipe ribbon ring road rock room rope
rose round row ruler sack sandwich sandwiches sausage seashell seat seed serving sheep sheet shelf shelves shell shirt
shoe shot side slice snack snake sock soldier song spider spoon square staff star stamp step stick sticker stone story stories
strawberry strawberries string student subset sweet sweater table team term test ticket tie tile time tire tomato tomatoes tool tooth
teeth towel toy train tray tree triangle trip truck tube turkey turn twin tyre value van vase vehicle vertex vertices video
visit visitor vote wagon walnut watch watches way wheel window wing wolf wolves woman women word worker zebra"""

AFTER = frozenset("each total altogether left remaining old long tall wide high deep away apart only exactly in all".split())
"""What may stand behind a unit and changes nothing: years old, apples in total."""

BEFORE = frozenset("about approximately approx around roughly only exactly just".split())

AREAS = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3, "cu.": 3}
POWERS = {"squared": 2, "cubed": 3}

Unit = tuple[tuple[str, int], ...]
"""Names and their powers, in order: km/h is (("hour", -1), ("kilometre", 1)). () is none."""


def _names() -> tuple[dict[str, str], dict[str, tuple[str, Fraction]]]:
    names: dict[str, str] = {}
    sizes: dict[str, tuple[str, Fraction]] = {}
    for kind, measures in MEASURES.items():
        for words, size in measures.items():
            first = words.split()[0]
            sizes[first] = (kind, Fraction(size))
            names |= dict.fromkeys(words.split(), first)
    for group in ALONE.replace("\n", "").split("|"):
        names |= dict.fromkeys(group.split(), group.split()[0])
    for word in COUNTED.split():
        names |= {word: word, f"{word}s": word}
    irregular = {"children": "child", "people": "person", "mice": "mouse", "men": "man", "women": "woman"}
    irregular |= {"teeth": "tooth", "leaves": "leaf", "shelves": "shelf", "wolves": "wolf", "vertices": "vertex"}
    irregular |= {word: _singular(word) for word in COUNTED.split() if word.endswith(("ies", "ches", "shes", "xes", "sses"))}
    return names | irregular, sizes


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "oes")) else word.removesuffix("s")


NAMES, SIZES = _names()


def named(word: str, counted: frozenset[str] = frozenset()) -> str | None:
    """The unit of a word, None where it is none. `counted`: what the question counts, in the singular."""
    if word in NAMES:
        return NAMES[word]
    single = _singular(word)
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
    "a an the of in on at to is are was were do does did can could will would has have had it he she they we you i not "
    "no more less fewer than below above under over before after minus plus negative times per each percent "
    "different total possible such there these those that this out and or with by for from thousand million".split()
)
"""What follows "how many" and is no thing."""


def counted(question: str) -> frozenset[str]:
    """The things that a question counts, in the singular: how many red samurai gives red, samurai."""
    words = {word for found in HOW_MANY.finditer(question.lower()) for word in found[1].split()}
    return frozenset(_singular(word) for word in words - NO_THING)
