"""An invoice as a PDF: the same bytes whenever it is asked for.

Noto Sans comes as bytes from its package, and the library wants files. So each process writes the
two files once.
"""

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pymupdf_fonts
from django.utils.translation import gettext as _
from django.utils.translation import override
from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout
from fpdf.fonts import FontFace

from checkout.orders.invoices.document import Document, document_of
from checkout.orders.models import Invoice

FAMILY = "Noto Sans"
REGULAR, BOLD = "notos", "notosbo"  # by the names of the package

# Millimetres and points.
MARGIN, LINE = 20.0, 5.0
SMALL, NORMAL, TITLE = 8, 9.5, 18


@cache
def _font_files() -> tempfile.TemporaryDirectory[str]:
    """The directory lives as long as the process."""
    folder = tempfile.TemporaryDirectory(prefix="invoice-fonts-")
    for name in (REGULAR, BOLD):
        (Path(folder.name) / f"{name}.ttf").write_bytes(pymupdf_fonts.myfont(name))
    return folder


class _Pages(FPDF):
    """A4, with the seller's legal words and the page's number below each page."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self.document = document
        folder = Path(_font_files().name)
        self.add_font(FAMILY, "", folder / f"{REGULAR}.ttf")
        self.add_font(FAMILY, "B", folder / f"{BOLD}.ttf")
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN + 2 * LINE)
        self.alias_nb_pages()

    def footer(self) -> None:
        self.set_y(-MARGIN)
        self.set_font(FAMILY, size=SMALL)
        own = [self.document.seller[0], *self.document.legal]
        self.multi_cell(0, 4, " · ".join(own), align=Align.C, new_x="LMARGIN", new_y="NEXT")
        words = _("%(number)s, page %(page)s of %(pages)s")
        page = {"number": self.document.number, "page": self.page_no(), "pages": "{nb}"}
        self.cell(0, 4, words % page, align=Align.C)

    def write_lines(self, lines: Sequence[str], *, align: Align = Align.L) -> None:
        for line in lines:
            self.multi_cell(0, LINE, line, align=align, new_x="LMARGIN", new_y="NEXT")


def as_pdf(invoice: Invoice) -> bytes:
    document = document_of(invoice)
    with override(document.language):
        pages = _Pages(document)
        pages.set_title(f"{document.title} {document.number}")
        pages.set_author(document.seller[0])
        pages.set_lang(document.language)
        pages.set_creation_date(invoice.issued_at)
        pages.add_page()
        _write_head(pages, document)
        _write_lines(pages, document)
        _write_sums(pages, document)
        _write_taxes(pages, document)
        pages.ln(LINE)
        pages.write_lines([document.closing])
        return bytes(pages.output())


def _write_head(pages: _Pages, document: Document) -> None:
    pages.set_font(FAMILY, size=NORMAL)
    pages.write_lines(document.seller, align=Align.R)
    pages.ln(2 * LINE)
    pages.write_lines(document.buyer)
    if document.buyer_tax_id:
        pages.write_lines([_("VAT ID: %(vat_id)s") % {"vat_id": document.buyer_tax_id}])
    pages.ln(2 * LINE)
    pages.set_font(FAMILY, "B", TITLE)
    pages.cell(0, 10, document.title, new_x="LMARGIN", new_y="NEXT")
    pages.set_font(FAMILY, size=NORMAL)
    for label, value in document.facts:
        pages.cell(45, LINE, label)
        pages.multi_cell(0, LINE, value, align=Align.L, new_x="LMARGIN", new_y="NEXT")
    pages.ln(LINE)


def _write_lines(pages: _Pages, document: Document) -> None:
    if not document.lines:
        return
    heads = [_("Item"), _("Quantity"), _("Price"), document.tax_word, _("Amount")]
    rows = [
        [f"{line.name}\n{line.sku}", line.quantity, line.unit_price, line.tax, line.total]
        for line in document.lines
    ]
    _write_table(pages, heads, rows, widths=(80, 18, 26, 18, 28))


def _write_sums(pages: _Pages, document: Document) -> None:
    pages.ln(2)
    for label, amount in document.sums:
        pages.cell(142, LINE, label, align=Align.R)
        pages.cell(28, LINE, amount, align=Align.R, new_x="LMARGIN", new_y="NEXT")
    pages.set_font(FAMILY, "B", NORMAL + 1)
    pages.cell(142, 1.4 * LINE, document.total_label, align=Align.R)
    pages.cell(28, 1.4 * LINE, document.total, align=Align.R, new_x="LMARGIN", new_y="NEXT")
    pages.set_font(FAMILY, size=NORMAL)


def _write_taxes(pages: _Pages, document: Document) -> None:
    if not document.taxes:
        return
    pages.ln(LINE)
    heads = [document.tax_word, _("Net"), _("Tax"), _("Gross")]
    rows = [[tax.rate, tax.net, tax.tax, tax.gross] for tax in document.taxes]
    _write_table(pages, heads, rows, widths=(40, 40, 40, 50))


def _write_table(
    pages: _Pages, heads: list[str], rows: list[list[str]], *, widths: tuple[int, ...]
) -> None:
    aligned = (Align.L, *[Align.R] * (len(widths) - 1))
    with pages.table(
        col_widths=widths,
        text_align=aligned,
        line_height=LINE,
        padding=1,
        headings_style=FontFace(emphasis="BOLD"),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
    ) as table:
        for row in (heads, *rows):
            table.row(row)
