"""The demo shop's texts. They show where a shop's own belong, and are nobody's legal advice."""

from checkout.texts.models import ShopText, TextKind

WELCOME = {
    "en": (
        "Paper, ink and what goes with them",
        "Chosen one by one, wrapped by hand, and sent anywhere a letter goes.",
    ),
    "de": (
        "Papier, Tinte und was dazugehört",
        "Einzeln ausgesucht, von Hand verpackt und überallhin geschickt, wo ein Brief ankommt.",
    ),
}

IMPRINT = {
    "en": (
        "Imprint",
        """\
Halfmoon Stationers
Ada Quillfeather, owner
12 Inkwell Lane
T12 ABC1 Cork
Ireland

# How you reach us

E-mail: shop@halfmoon.example
Telephone: +353 21 555 0100

# Registers

VAT number: IE1234567X (made up)

We take no part in dispute resolution before a consumer arbitration board.""",
    ),
    "de": (
        "Impressum",
        """\
Halfmoon Stationers
Ada Quillfeather, Inhaberin
12 Inkwell Lane
T12 ABC1 Cork
Irland

# So erreichen Sie uns

E-Mail: shop@halfmoon.example
Telefon: +353 21 555 0100

# Register

Umsatzsteuer-Identifikationsnummer: IE1234567X (erfunden)

Wir nehmen nicht an Streitbeilegungsverfahren vor einer Verbraucherschlichtungsstelle teil.""",
    ),
}

TERMS = {
    "en": (
        "Terms",
        """\
# Who sells

The contract is between you and the shop that the imprint names.

# How a contract comes about

What stands on the shelves is no binding offer. You order by pressing the button at the end of the \
checkout. The contract comes about when we confirm that your payment has arrived.

# Prices and payment

The checkout shows the total before you order. We charge the way to pay that you choose there.

# Delivery

We send the goods to the address that you give. The page about delivery says what that costs and \
how long it takes.

# Faulty goods

You have the rights that the law gives you.""",
    ),
    "de": (
        "Allgemeine Geschäfts\N{SOFT HYPHEN}bedingungen",
        """\
# Wer verkauft

Der Vertrag kommt zwischen Ihnen und dem Shop zustande, den das Impressum nennt.

# Wie ein Vertrag zustande kommt

Was in den Regalen steht, ist kein bindendes Angebot. Sie bestellen, indem Sie am Ende der Kasse \
auf die Schaltfläche drücken. Der Vertrag kommt zustande, wenn wir bestätigen, dass Ihre Zahlung \
eingegangen ist.

# Preise und Zahlung

Die Kasse zeigt den Gesamtbetrag, bevor Sie bestellen. Wir belasten das Zahlungsmittel, das Sie \
dort wählen.

# Lieferung

Wir senden die Ware an die Adresse, die Sie angeben. Was das kostet und wie lange es dauert, \
steht auf der Seite über die Lieferung.

# Mängel

Sie haben die Rechte, die das Gesetz Ihnen gibt.""",
    ),
}

PRIVACY = {
    "en": (
        "Privacy",
        """\
# Who is responsible

The shop that the imprint names.

# What we store, and why

- Your name, address and e-mail address, to send your order and to write to you about it.
- What you ordered and paid, because the law has us keep our books.
- A cookie that knows your cart. There are no cookies for advertising.

# Who else learns of it

- The company that charges your card.
- The company that delivers the parcel.

# Your rights

You may ask what we store about you, have it corrected or deleted, and complain to a data \
protection authority.""",
    ),
    "de": (
        "Datenschutz",
        """\
# Wer verantwortlich ist

Der Shop, den das Impressum nennt.

# Was wir speichern und warum

- Ihren Namen, Ihre Adresse und Ihre E-Mail-Adresse, um Ihnen die Bestellung zu senden und Ihnen \
dazu zu schreiben.
- Was Sie bestellt und bezahlt haben, weil das Gesetz uns zur Buchführung verpflichtet.
- Ein Cookie, das Ihren Warenkorb kennt. Cookies für Werbung gibt es nicht.

# Wer noch davon erfährt

- Das Unternehmen, das Ihre Karte belastet.
- Das Unternehmen, das das Paket zustellt.

# Ihre Rechte

Sie können Auskunft darüber verlangen, was wir über Sie speichern, es berichtigen oder löschen \
lassen und sich bei einer Datenschutzbehörde beschweren.""",
    ),
}

WITHDRAWAL = {
    "en": (
        "Right of withdrawal",
        """\
You may withdraw from this contract within fourteen days without giving a reason. The time begins \
on the day on which you, or somebody whom you name, receive the last of the goods.

To withdraw, tell us so clearly, for example by e-mail. It is in time if you send it before the \
fourteen days are over.

# What follows

We send back all that you paid, with the cost of the cheapest delivery that we offer, within \
fourteen days after your message, in the way in which you paid. We may wait until the goods, or \
the proof that you sent them, have arrived.

You send the goods back within fourteen days, and bear the direct cost of that. You pay for a loss \
of value only where you did more with the goods than look at them as in a shop.""",
    ),
    "de": (
        "Widerrufsrecht",
        """\
Sie können diesen Vertrag binnen vierzehn Tagen ohne Angabe von Gründen widerrufen. Die Frist \
beginnt an dem Tag, an dem Sie oder eine von Ihnen benannte Person die letzte Ware erhalten haben.

Um zu widerrufen, teilen Sie uns das eindeutig mit, zum Beispiel per E-Mail. Die Frist ist \
gewahrt, wenn Sie die Mitteilung vor ihrem Ablauf absenden.

# Folgen des Widerrufs

Wir zahlen alles zurück, was Sie bezahlt haben, einschließlich der Kosten der günstigsten \
Lieferung, die wir anbieten, binnen vierzehn Tagen nach Ihrer Mitteilung und auf demselben Weg, \
auf dem Sie bezahlt haben. Wir können warten, bis die Ware oder der Nachweis ihrer Absendung \
bei uns ist.

Sie senden die Ware binnen vierzehn Tagen zurück und tragen die unmittelbaren Kosten dafür. Für \
einen Wertverlust kommen Sie nur auf, wenn Sie mehr mit der Ware getan haben, als sie wie in einem \
Laden anzusehen.""",
    ),
}

DELIVERY = {
    "en": (
        "How we send it",
        """\
We wrap everything by hand, in paper that can be used again. What we have is sent on the next \
working day.

- A parcel goes to your door, or to a parcel locker that you give as its address.
- Express needs a telephone number, for the driver.""",
    ),
    "de": (
        "Wie wir verschicken",
        """\
Wir verpacken alles von Hand, in Papier, das sich wiederverwenden lässt. Was da ist, geht am \
nächsten Werktag hinaus.

- Ein Paket kommt an Ihre Tür oder an eine Packstation, die Sie als Adresse angeben.
- Express braucht eine Telefonnummer, für die Fahrerin oder den Fahrer.""",
    ),
}

TEXTS = {
    TextKind.WELCOME: WELCOME,
    TextKind.IMPRINT: IMPRINT,
    TextKind.TERMS: TERMS,
    TextKind.PRIVACY: PRIVACY,
    TextKind.WITHDRAWAL: WITHDRAWAL,
    TextKind.DELIVERY: DELIVERY,
}


def load_demo_texts() -> int:
    """Add each text that the shop has in no language. Returns how many were added. Call it inside a
    transaction."""
    before = ShopText.objects.count()
    written = set(ShopText.objects.values_list("kind", flat=True))
    ShopText.objects.bulk_create(
        [
            ShopText(kind=kind, language=language, title=title, body=body, is_demo=True)
            for kind, languages in TEXTS.items()
            if kind not in written
            for language, (title, body) in languages.items()
        ],
        ignore_conflicts=True,  # another process adds the same
    )
    return ShopText.objects.count() - before
