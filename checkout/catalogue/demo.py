"""A small stationer's shelf. One product is down to its last piece and one is sold out."""

from typing import Any

from django.utils.text import slugify

# With its packaging, as a parcel would be weighed.
WEIGHTS_IN_GRAMS = {
    "NB-A5-DOT": 340,
    "NB-A6-PLAIN": 75,
    "PEN-FTN-M": 120,
    "PEN-GEL-05": 20,
    "PCL-HB-12": 180,
    "INK-BLU-50": 210,
    "ENV-C6-25": 190,
    "CRD-LTR-10": 260,
    "CLP-BRS-20": 90,
    "DSK-TRAY-OAK": 1_450,
    "GLB-1958": 3_800,
    "WAX-SEAL-RED": 110,
}
# Printed matter bears the reduced rate in most countries; what is to be written on does not.
REDUCED = {"CRD-LTR-10"}


def _product(sku: str, name: str, price_minor: int, stock: int, description: str) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": name,
        "slug": slugify(name),
        "description": description,
        "price_minor": price_minor,
        "stock": stock,
        "weight_grams": WEIGHTS_IN_GRAMS[sku],
        "tax_class": "reduced" if sku in REDUCED else "standard",
    }


DEMO_PRODUCTS = [
    _product(
        "NB-A5-DOT",
        "Dotted notebook A5",
        1450,
        400,
        "192 numbered pages of 100 g paper that takes ink without bleeding. Opens flat, thread "
        "bound, with two ribbons and a pocket in the back.",
    ),
    _product(
        "NB-A6-PLAIN",
        "Pocket notebook A6",
        690,
        600,
        "64 plain pages, stitched, with rounded corners. Thin enough for a shirt pocket.",
    ),
    _product(
        "PEN-FTN-M",
        "Fountain pen, medium nib",
        4200,
        120,
        "Steel nib, resin barrel, screw cap. Comes with a converter and one blue cartridge.",
    ),
    _product(
        "PEN-GEL-05",
        "Gel pen 0.5",
        280,
        2000,
        "Quick-drying black ink, replaceable refill, metal clip.",
    ),
    _product(
        "PCL-HB-12",
        "Cedar pencils, dozen",
        1180,
        350,
        "Twelve HB pencils of incense cedar in a tin that keeps the points.",
    ),
    _product(
        "INK-BLU-50",
        "Midnight blue ink 50 ml",
        1650,
        180,
        "Washable dye ink with a little shading, in a glass bottle with a wide neck.",
    ),
    _product(
        "ENV-C6-25",
        "Cotton envelopes C6, 25",
        980,
        260,
        "Deckle-edged, gummed by hand, made from the offcuts of shirt makers.",
    ),
    _product(
        "CRD-LTR-10",
        "Letterpress cards, 10",
        1890,
        90,
        "Ten folded cards with a pressed fern, each with its envelope.",
    ),
    _product(
        "CLP-BRS-20",
        "Brass paper clips, 20",
        540,
        800,
        "They bend back. The tin is half the pleasure.",
    ),
    _product(
        "DSK-TRAY-OAK",
        "Oak desk tray",
        5600,
        25,
        "Oiled European oak, felt feet, deep enough for A4 and a cup of tea.",
    ),
    _product(
        "GLB-1958",
        "Desk globe 1958",
        12900,
        1,
        "Found in a school that closed: countries that are no longer there, a brass meridian, one "
        "dent in the Pacific. There is only one.",
    ),
    _product(
        "WAX-SEAL-RED",
        "Sealing wax, red",
        760,
        0,
        "Two sticks of soft wax that does not crack in the post. The next batch is being poured.",
    ),
]
